//! What is measured on: a made country of schools, in two sizes, on both backends and in memory.

pub mod by_hand;
pub mod made;
pub mod memory;
pub mod ways;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use school_finder_db::request::WriteMode;
use school_finder_db::{Config, LatLng, SchoolRepository, connect, migrate};

use self::made::Country;

/// How many schools there are: `SCHOOL_FINDER_SIZES`, such as `50000`, or both sizes. The large country is not wider than the small
/// one, but denser.
pub fn sizes() -> Vec<u32> {
    std::env::var("SCHOOL_FINDER_SIZES").map_or_else(
        |_| vec![50_000, 1_000_000],
        |sizes| sizes.split(',').map(|size| size.parse().expect("SCHOOL_FINDER_SIZES: numbers of schools")).collect(),
    )
}

/// A database that holds a country.
pub struct Database {
    pub repository: Arc<dyn SchoolRepository>,
    config: Config,
    pub at: At,
}

/// Where a database is, for whoever asks it without the crate.
pub enum At {
    Sqlite(PathBuf),
    Postgres(Box<tokio_postgres::Config>),
}

impl Database {
    /// A new file in a folder.
    pub async fn sqlite(folder: &std::path::Path, country: &Country) -> Self {
        let path = folder.join(format!("{}.db", country.schools.len()));
        let config = Config::sqlite_file(&path);
        let repository = filled(&config, country).await;
        let plain = rusqlite::Connection::open(&path).expect("a database");
        plain.execute_batch("ANALYZE").expect("analysed");
        Self { repository, config, at: At::Sqlite(path) }
    }

    /// A new database of the server that `TEST_DATABASE_URL` names.
    pub async fn postgres(country: &Country) -> Self {
        let (config, settings) = new_postgres(&country.schools.len().to_string()).await;
        let repository = filled(&config, country).await;
        // What autovacuum does within a minute of a large import: without it every entry of an index is looked up in the table.
        let plain = by_hand::postgres_client(&settings).await;
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

    /// Closes all connections, for new ones.
    pub async fn reconnect(&mut self) {
        self.repository = connect(&self.config).await.expect("a database");
    }

    /// Drops what was made.
    pub async fn remove(self) {
        drop(self.repository);
        if let At::Postgres(settings) = self.at {
            remove_postgres(*settings).await;
        }
    }
}

/// A new, empty database of the server that `TEST_DATABASE_URL` names: for the crate, and for whoever asks it without.
pub async fn new_postgres(name: &str) -> (Config, tokio_postgres::Config) {
    let url = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL: scripts/bench starts a server and sets it");
    let name = format!("school_finder_bench_{}_{name}", std::process::id());
    let mut settings: tokio_postgres::Config = url.parse().expect("a URL");
    let server = by_hand::postgres_client(&settings).await;
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
    let server = by_hand::postgres_client(&settings).await;
    server.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
}

async fn filled(config: &Config, country: &Country) -> Arc<dyn SchoolRepository> {
    migrate::up(config).await.expect("a schema");
    let repository = connect(config).await.expect("a database");
    let schools = country.schools.clone().into_iter().map(Ok);
    repository.upsert_schools(Box::new(schools), WriteMode::Commit).await.expect("schools that fit");
    for catchments in country.catchments.chunks(50_000) {
        repository.upsert_catchments(catchments.to_vec(), WriteMode::Commit).await.expect("outlines that fit");
    }
    repository
}

/// The questions, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    Radius,
    Filtered,
    Nearest,
    Catchment,
    Listing,
}

impl Question {
    pub const ALL: [Self; 5] = [Self::Radius, Self::Filtered, Self::Nearest, Self::Catchment, Self::Listing];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Radius => "radius 5 km, first 20",
            Self::Filtered => "radius 5 km, filtered",
            Self::Nearest => "nearest 20",
            Self::Catchment => "catchment",
            Self::Listing => "listing 50",
        }
    }
}

/// Where a question is asked from, and about which council.
#[derive(Debug, Clone)]
pub struct Ask {
    pub place: LatLng,
    pub council: String,
}

/// How far the questions with a radius look, in kilometres.
pub const RADIUS_KM: f64 = 5.0;

/// How many schools are asked for.
pub const LIMIT: usize = 20;

/// How many schools a listing shows.
pub const LISTED: usize = 50;
