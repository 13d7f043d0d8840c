//! Databases on the server that `TEST_DATABASE_URL` names, and the queries by tokio-postgres.

use std::time::Duration;

use school_finder_db::geo::{Latitude, Longitude};
use school_finder_db::ids::{SchoolId, Urn};
use school_finder_db::models::{SchoolHit, SchoolSummary};
use school_finder_db::{Config, LatLng};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use super::made::Country;
use super::raw_sql::{COLUMNS, FILTERED, OPEN, in_order};
use super::{At, Case, Database, LISTED, Query, RADIUS_KM, filled};

impl Database {
    /// Creates a database on the server that `TEST_DATABASE_URL` names.
    pub async fn postgres(country: &Country) -> Self {
        let (config, settings) = new_postgres(&country.schools.len().to_string()).await;
        let repository = filled(&config, country).await;
        // Autovacuum does this within a minute of a large import. Without it, every index entry needs a lookup in the
        // table.
        let plain = client(&settings).await;
        // Repeated while another session has a snapshot, such as the server's own ANALYZE: pages it may still see are
        // not marked.
        let mut tries = 0..100;
        loop {
            plain.batch_execute("VACUUM (ANALYZE, INDEX_CLEANUP ON)").await.expect("vacuumed");
            let visible = "SELECT relallvisible = relpages FROM pg_class WHERE oid = 'schools'::regclass";
            if plain.query_one(visible, &[]).await.expect("a row").get(0) {
                break;
            }
            tries.next().expect("somebody else's snapshot ends in time");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Self { repository, config, at: At::Postgres(Box::new(settings)) }
    }
}

/// Creates an empty database on the server that `TEST_DATABASE_URL` names. Returns its configurations for the crate and
/// for tokio-postgres.
pub async fn new_postgres(name: &str) -> (Config, tokio_postgres::Config) {
    let url = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL: scripts/bench starts a server and sets it");
    let name = format!("school_finder_bench_{}_{name}", std::process::id());
    let mut settings: tokio_postgres::Config = url.parse().expect("a URL");
    let server = client(&settings).await;
    server.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a database");
    let (address, parameters) = url.split_once('?').map_or((url.as_str(), None), |(a, b)| (a, Some(b)));
    let (server, _) = address.rsplit_once('/').expect("a URL with a database");
    let parameters = parameters.map(|parameters| format!("?{parameters}")).unwrap_or_default();
    let config = Config::from_url(&format!("{server}/{name}{parameters}")).expect("a URL");
    settings.dbname(&name);
    (config, settings)
}

/// Drops a database.
pub async fn remove_postgres(mut settings: tokio_postgres::Config) {
    let name = settings.get_dbname().expect("a name").to_owned();
    settings.dbname("postgres");
    let server = client(&settings).await;
    server.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
}

/// Returns a connection with the settings of the crate's own.
pub async fn client(settings: &tokio_postgres::Config) -> Client {
    let mut settings = settings.clone();
    settings.options("-c plan_cache_mode=force_generic_plan -c max_parallel_workers_per_gather=0 -c jit=off");
    let (client, connection) = settings.connect(NoTls).await.expect("a server");
    tokio::spawn(connection);
    client
}

/// The limit of a query: PostGIS's order is not exactly that of the distances.
const FULL: usize = 26;

/// The condition of the queries within a radius, in metres with slack.
const WITHIN: &str = "ST_DWithin(location, home, 5001, false)";

/// Returns the query for the schools nearest to ($1, $2), by PostGIS's distance.
fn nearest(conditions: &str) -> String {
    let home = "ST_SetSRID(ST_MakePoint($2, $1), 4326)::geography";
    let conditions = conditions.replace("home", home);
    format!("SELECT {COLUMNS} FROM schools WHERE {conditions} ORDER BY location <-> {home} LIMIT {FULL}")
}

/// A Postgres database, by tokio-postgres.
pub struct Postgres {
    client: Client,
    radius: Statement,
    filtered: Statement,
    nearest: Statement,
    catchments: Statement,
    listing: Statement,
}

impl Postgres {
    pub async fn connect(settings: &tokio_postgres::Config) -> Self {
        let client = client(settings).await;
        let prepare = async |sql: &str| client.prepare(sql).await.expect("a statement");
        Self {
            radius: prepare(&nearest(&format!("{OPEN} AND {WITHIN}"))).await,
            filtered: prepare(&nearest(&format!("{OPEN} AND {FILTERED} AND {WITHIN}"))).await,
            nearest: prepare(&nearest(OPEN)).await,
            // Without the test for NULL, the index of outlines would also be read. This country has no circles.
            catchments: prepare(&format!(
                "SELECT {COLUMNS} FROM schools
                 WHERE COALESCE(catchment_geometry, catchment_circle) && ST_SetSRID(ST_MakePoint($1, $2), 4326)
                 AND (catchment_geometry IS NULL OR ST_Covers(catchment_geometry, ST_SetSRID(ST_MakePoint($1, $2), 4326)))
                 AND {OPEN}"
            ))
            .await,
            listing: prepare(&format!(
                "SELECT {COLUMNS} FROM schools WHERE council = $1 AND {OPEN} ORDER BY name_folded, id LIMIT {LISTED}"
            ))
            .await,
            client,
        }
    }

    pub async fn run(&self, query: Query, case: &Case) -> Vec<SchoolHit> {
        let home = case.home;
        match query {
            Query::Radius => self.nearest(home, &self.radius, RADIUS_KM).await,
            Query::Filtered => self.nearest(home, &self.filtered, RADIUS_KM).await,
            Query::Nearest => self.nearest(home, &self.nearest, f64::INFINITY).await,
            Query::Catchment => {
                in_order(home, self.schools(&self.catchments, &[&home.lng().degrees(), &home.lat().degrees()]).await)
            }
            Query::Listing => {
                let schools = self.schools(&self.listing, &[&case.council]).await;
                schools.map(|school| SchoolHit::new(school, None)).collect()
            }
        }
    }

    /// Returns the nearest schools. In this country one statement always finds them, which is checked; a service would
    /// have to retry.
    async fn nearest(&self, home: LatLng, statement: &Statement, radius_km: f64) -> Vec<SchoolHit> {
        let (lat, lng) = (home.lat().degrees(), home.lng().degrees());
        let mut near = in_order(home, self.schools(statement, &[&lat, &lng]).await);
        near.retain(|hit| hit.distance_km.is_some_and(|km| km.get() <= radius_km));
        near
    }

    async fn schools(
        &self,
        statement: &Statement,
        binds: &[&(dyn ToSql + Sync)],
    ) -> impl Iterator<Item = SchoolSummary> + use<> {
        self.client.query(statement, binds).await.expect("a query").into_iter().map(|row| postgres_school(&row))
    }
}

fn postgres_school(row: &tokio_postgres::Row) -> SchoolSummary {
    let urn = Urn::new(i64::from(row.get::<_, i32>(1))).expect("a URN");
    let mut school = SchoolSummary::new(SchoolId::new(row.get(0)), urn, row.get::<_, String>(2));
    school.council = row.get(3);
    school.status = row.get::<_, &str>(4).parse().expect("a word");
    school.phase = row.get::<_, Option<&str>>(5).map(|word| word.parse().expect("a word"));
    school.school_type = row.get(6);
    school.gender = row.get::<_, Option<&str>>(7).map(|word| word.parse().expect("a word"));
    school.faith = row.get(8);
    school.postcode = row.get(9);
    school.is_private = row.get(10);
    school.age_range_from = row.get(11);
    school.age_range_to = row.get(12);
    school.ofsted_rating = row.get::<_, Option<i16>>(13).map(|rating| rating.try_into().expect("a rating"));
    school.lat = row.get::<_, Option<f64>>(14).map(|lat| Latitude::new(lat).expect("a latitude"));
    school.lng = row.get::<_, Option<f64>>(15).map(|lng| Longitude::new(lng).expect("a longitude"));
    school
}
