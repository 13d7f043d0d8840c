//! The data of the benchmarks: a generated country of schools, in two sizes, on both backends and in memory.

pub mod implementations;
pub mod made;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod raw_sql;

use std::path::PathBuf;
use std::sync::Arc;

use school_finder_db::request::WriteMode;
use school_finder_db::{Config, LatLng, SchoolRepository, connect, migrate};

use self::made::Country;

/// Returns the numbers of schools: `SCHOOL_FINDER_SIZES`, such as `50000`, or both sizes. The large country is denser
/// than the small one, not wider.
pub fn sizes() -> Vec<u32> {
    std::env::var("SCHOOL_FINDER_SIZES").map_or_else(
        |_| vec![50_000, 1_000_000],
        |sizes| sizes.split(',').map(|size| size.parse().expect("SCHOOL_FINDER_SIZES: numbers of schools")).collect(),
    )
}

/// A database that contains a country.
pub struct Database {
    pub repository: Arc<dyn SchoolRepository>,
    config: Config,
    pub at: At,
}

/// The location of a database, for connections without the crate.
pub enum At {
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(Box<tokio_postgres::Config>),
}

impl Database {
    /// Creates a file in a folder.
    pub async fn sqlite(folder: &std::path::Path, country: &Country) -> Self {
        let path = folder.join(format!("{}.db", country.schools.len()));
        let config = Config::sqlite_file(&path);
        let repository = filled(&config, country).await;
        let plain = rusqlite::Connection::open(&path).expect("a database");
        plain.execute_batch("ANALYZE").expect("analysed");
        Self { repository, config, at: At::Sqlite(path) }
    }

    /// Replaces all connections with new ones.
    pub async fn reconnect(&mut self) {
        self.repository = connect(&self.config).await.expect("a database");
    }

    /// Removes the database.
    pub async fn remove(self) {
        drop(self.repository);
        #[cfg(feature = "postgres")]
        if let At::Postgres(settings) = self.at {
            postgres::remove_postgres(*settings).await;
        }
    }
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

/// The queries, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    Radius,
    Filtered,
    Nearest,
    Catchment,
    Listing,
}

impl Query {
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

/// The location to search from, and the council to list.
#[derive(Debug, Clone)]
pub struct Case {
    pub home: LatLng,
    pub council: String,
}

/// The radius of the searches within one, in kilometres.
pub const RADIUS_KM: f64 = 5.0;

/// The limit of a search.
pub const LIMIT: usize = 20;

/// The limit of a listing.
pub const LISTED: usize = 50;
