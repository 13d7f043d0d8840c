//! Databases on the server that `TEST_DATABASE_URL` names, and the questions by tokio-postgres.

use std::time::Duration;

use school_finder_db::geo::{BoundingBox, Latitude, Longitude};
use school_finder_db::ids::{SchoolId, Urn};
use school_finder_db::models::{SchoolHit, SchoolSummary};
use school_finder_db::{Config, Kilometres, LatLng};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use super::by_hand::{COLUMNS, FILTERED, OPEN, in_order};
use super::made::Country;
use super::{Ask, At, Database, LISTED, Question, RADIUS_KM, filled};

impl Database {
    /// A new database of the server that `TEST_DATABASE_URL` names.
    pub async fn postgres(country: &Country) -> Self {
        let (config, settings) = new_postgres(&country.schools.len().to_string()).await;
        let repository = filled(&config, country).await;
        // What autovacuum does within a minute of a large import: without it every entry of an index is looked up in the table.
        let plain = client(&settings).await;
        // Again where another had a snapshot meanwhile, such as the server's own ANALYZE: pages that it may still see stay as they are.
        let mut tries = 0..100;
        loop {
            plain.batch_execute("VACUUM (ANALYZE, INDEX_CLEANUP ON)").await.expect("vacuumed");
            let visible = "SELECT relallvisible = relpages FROM pg_class WHERE oid = 'schools'::regclass";
            if plain.query_one(visible, &[]).await.expect("an answer").get(0) {
                break;
            }
            tries.next().expect("somebody else's snapshot ends in time");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Self { repository, config, at: At::Postgres(Box::new(settings)) }
    }
}

/// A new, empty database of the server that `TEST_DATABASE_URL` names: for the crate, and for whoever asks it without.
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

/// Drops one.
pub async fn remove_postgres(mut settings: tokio_postgres::Config) {
    let name = settings.get_dbname().expect("a name").to_owned();
    settings.dbname("postgres");
    let server = client(&settings).await;
    server.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
}

/// A connection as the crate sets one up.
pub async fn client(settings: &tokio_postgres::Config) -> Client {
    let mut settings = settings.clone();
    settings.options("-c plan_cache_mode=force_generic_plan -c max_parallel_workers_per_gather=0 -c jit=off");
    let (client, connection) = settings.connect(NoTls).await.expect("a server");
    tokio::spawn(connection);
    client
}

/// How many schools a circle is asked for on Postgres: in the order of the plane they are not quite the nearest.
const FULL: usize = 26;

/// The rows of the first of some circles round ($1, $2) that holds enough, or of the widest; the plane's degrees of longitude
/// are $3 as long as those of latitude, squared. Each circle is its strips, its meridians and its radius in squared degrees.
fn in_circles(circles: usize, conditions: &str) -> String {
    let away = "(lat - $1) * (lat - $1) + (lng - $2) * (lng - $2) * $3";
    let values = (0..circles).map(|n| {
        let [strips, west, east, within] = [4, 5, 6, 7].map(|first| first + n * 4);
        let is_last = n + 1 == circles;
        format!("(${strips}::INTEGER[], ${west}::FLOAT8, ${east}::FLOAT8, ${within}::FLOAT8, {is_last})")
    });
    let values = values.collect::<Vec<_>>().join(", ");
    format!(
        "SELECT {COLUMNS} FROM schools WHERE id = ANY((
             SELECT ids FROM (VALUES {values}) AS circle (strips, west, east, within, is_last), LATERAL (
                 SELECT ARRAY(SELECT id FROM schools WHERE floor((lat + 90) * 100)::INTEGER = ANY(strips)
                 AND lng BETWEEN west AND east AND {conditions} AND {away} <= within ORDER BY {away} LIMIT {FULL}) AS ids OFFSET 0
             ) AS found WHERE is_last OR cardinality(ids) = {FULL} LIMIT 1
         )::BIGINT[])"
    )
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
    /// The circles of the questions by distance, in kilometres.
    const RADIUS: [f64; 2] = [2.0, RADIUS_KM];
    const NEAREST: [f64; 3] = [2.0, 5.6, 15.7];

    pub async fn connect(settings: &tokio_postgres::Config) -> Self {
        let client = client(settings).await;
        let prepare = async |sql: &str| client.prepare(sql).await.expect("a statement");
        Self {
            radius: prepare(&in_circles(2, OPEN)).await,
            filtered: prepare(&in_circles(2, &format!("{OPEN} AND {FILTERED}"))).await,
            nearest: prepare(&in_circles(3, OPEN)).await,
            // Without the test for NULL, the index of outlines would be read as well. There are no circles in this country.
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

    pub async fn answer(&self, question: Question, ask: &Ask) -> Vec<SchoolHit> {
        let home = ask.place;
        match question {
            Question::Radius => self.nearest(home, &self.radius, &Self::RADIUS, Some(RADIUS_KM)).await,
            Question::Filtered => self.nearest(home, &self.filtered, &Self::RADIUS, Some(RADIUS_KM)).await,
            Question::Nearest => self.nearest(home, &self.nearest, &Self::NEAREST, None).await,
            Question::Catchment => {
                in_order(home, self.schools(&self.catchments, &[&home.lng().degrees(), &home.lat().degrees()]).await)
            }
            Question::Listing => {
                let schools = self.schools(&self.listing, &[&ask.council]).await;
                schools.map(|school| SchoolHit { school, distance_km: None }).collect()
            }
        }
    }

    /// The nearest schools. This country and these circles are such that one statement always has them, which is checked; a
    /// service would have to ask again.
    async fn nearest(
        &self,
        home: LatLng,
        statement: &Statement,
        circles: &[f64],
        radius_km: Option<f64>,
    ) -> Vec<SchoolHit> {
        let (lat, lng) = (home.lat().degrees(), home.lng().degrees());
        let shrink = lat.to_radians().cos().powi(2);
        let circles: Vec<_> = circles
            .iter()
            .map(|km| {
                let bounds = BoundingBox::around(home, Kilometres::new(*km).expect("a distance"));
                // Wider than the radius, since the plane is not quite the sphere.
                let degrees = (bounds.north - bounds.south) / 2.0 * 1.01;
                #[expect(clippy::cast_possible_truncation, reason = "at most 18,000")]
                let strip = |lat: f64| ((lat + 90.0) * 100.0) as i32;
                let strips: Vec<i32> = (strip(bounds.south)..=strip(bounds.north)).collect();
                (strips, bounds.west, bounds.east, degrees * degrees)
            })
            .collect();
        let mut binds: Vec<&(dyn ToSql + Sync)> = vec![&lat, &lng, &shrink];
        for (strips, west, east, within) in &circles {
            let circle: [&(dyn ToSql + Sync); 4] = [strips, west, east, within];
            binds.extend(circle);
        }
        let mut near = in_order(home, self.schools(statement, &binds).await);
        near.retain(|hit| radius_km.is_none_or(|radius| hit.distance_km.is_some_and(|km| km.get() <= radius)));
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
    SchoolSummary {
        id: SchoolId::new(row.get(0)),
        urn: Urn::new(i64::from(row.get::<_, i32>(1))).expect("a URN"),
        name: row.get(2),
        council: row.get(3),
        status: row.get::<_, &str>(4).parse().expect("a word"),
        phase: row.get::<_, Option<&str>>(5).map(|word| word.parse().expect("a word")),
        school_type: row.get(6),
        gender: row.get::<_, Option<&str>>(7).map(|word| word.parse().expect("a word")),
        faith: row.get(8),
        postcode: row.get(9),
        is_private: row.get(10),
        age_range_from: row.get(11),
        age_range_to: row.get(12),
        ofsted_rating: row.get(13),
        lat: row.get::<_, Option<f64>>(14).map(|lat| Latitude::new(lat).expect("a latitude")),
        lng: row.get::<_, Option<f64>>(15).map(|lng| Longitude::new(lng).expect("a longitude")),
    }
}
