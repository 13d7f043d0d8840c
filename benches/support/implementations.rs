//! The implementations of the queries, over one country.

use std::path::Path;

use school_finder_db::models::{Phase, Rating, SchoolHit};
use school_finder_db::request::Unrated;
use school_finder_db::{Kilometres, SchoolRepository, SchoolSearch};

use super::made::Country;
use super::memory::Memory;
use super::{At, Case, Database, LISTED, Query, RADIUS_KM, raw_sql};

/// An implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    /// R-trees in memory: the limit.
    Memory,
    SqliteRaw,
    Sqlite,
    #[cfg(feature = "postgres")]
    PostgresRaw,
    #[cfg(feature = "postgres")]
    Postgres,
}

impl Implementation {
    /// All implementations, beginning with the limit.
    #[cfg(feature = "postgres")]
    pub const ALL: [Self; 5] = [Self::Memory, Self::SqliteRaw, Self::Sqlite, Self::PostgresRaw, Self::Postgres];
    #[cfg(not(feature = "postgres"))]
    pub const ALL: [Self; 3] = [Self::Memory, Self::SqliteRaw, Self::Sqlite];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::SqliteRaw => "sqlite raw SQL",
            Self::Sqlite => "sqlite",
            #[cfg(feature = "postgres")]
            Self::PostgresRaw => "postgres raw SQL",
            #[cfg(feature = "postgres")]
            Self::Postgres => "postgres",
        }
    }
}

/// A country in every implementation.
pub struct Implementations {
    pub country: Country,
    memory: Memory,
    pub sqlite: Database,
    raw_sqlite: raw_sql::Sqlite,
    #[cfg(feature = "postgres")]
    pub postgres: Database,
    #[cfg(feature = "postgres")]
    raw_postgres: super::postgres::Postgres,
}

impl Implementations {
    /// Fills the databases: a file in a folder, and one on the server.
    pub async fn new(country: Country, folder: &Path) -> Self {
        let sqlite = Database::sqlite(folder, &country).await;
        #[cfg(feature = "postgres")]
        let postgres = Database::postgres(&country).await;
        Self {
            memory: Memory::of(&country),
            raw_sqlite: raw_sqlite(&sqlite),
            #[cfg(feature = "postgres")]
            raw_postgres: raw_postgres(&postgres).await,
            #[cfg(feature = "postgres")]
            postgres,
            sqlite,
            country,
        }
    }

    /// Replaces all connections, and runs a query from each location on the new ones, since a connection's first
    /// queries are slow.
    ///
    /// The kernel runs a server process on the caller's core or on another, at random, for as long as it lives: a small
    /// query takes some 40 µs over one connection and some 80 over the next. One connection for all rounds would
    /// measure that choice.
    pub async fn reconnect(&mut self, query: Query) {
        self.sqlite.reconnect().await;
        self.raw_sqlite = raw_sqlite(&self.sqlite);
        #[cfg(feature = "postgres")]
        {
            self.postgres.reconnect().await;
            self.raw_postgres = raw_postgres(&self.postgres).await;
        }
        // The implementation with which no round begins runs last here, so that none finds its own caches.
        for implementation in Implementation::ALL.into_iter().rev() {
            for case in &self.country.cases {
                drop(self.run(implementation, query, case).await);
            }
        }
    }

    pub async fn run(&self, implementation: Implementation, query: Query, case: &Case) -> Vec<SchoolHit> {
        match implementation {
            Implementation::Memory => self.memory.run(query, case),
            Implementation::SqliteRaw => self.raw_sqlite.run(query, case),
            Implementation::Sqlite => run(self.sqlite.repository.as_ref(), query, case).await,
            #[cfg(feature = "postgres")]
            Implementation::PostgresRaw => self.raw_postgres.run(query, case).await,
            #[cfg(feature = "postgres")]
            Implementation::Postgres => run(self.postgres.repository.as_ref(), query, case).await,
        }
    }

    /// Panics unless all implementations return the same results.
    pub async fn check(&self) {
        for (query, case) in Query::ALL.iter().flat_map(|query| self.country.cases.iter().map(|case| (*query, case))) {
            let expected = self.run(Implementation::Memory, query, case).await;
            for implementation in Implementation::ALL {
                assert_eq!(
                    self.run(implementation, query, case).await,
                    expected,
                    "{implementation:?} {query:?} {case:?}"
                );
            }
        }
    }

    /// Removes the databases.
    pub async fn remove(self) {
        drop(self.raw_sqlite);
        self.sqlite.remove().await;
        #[cfg(feature = "postgres")]
        {
            drop(self.raw_postgres);
            self.postgres.remove().await;
        }
    }
}

fn raw_sqlite(database: &Database) -> raw_sql::Sqlite {
    match &database.at {
        At::Sqlite(path) => raw_sql::Sqlite::open(path),
        #[cfg(feature = "postgres")]
        At::Postgres(_) => unreachable!("made as a file"),
    }
}

#[cfg(feature = "postgres")]
async fn raw_postgres(database: &Database) -> super::postgres::Postgres {
    let At::Postgres(settings) = &database.at else { unreachable!("made on the server") };
    super::postgres::Postgres::connect(settings).await
}

/// Runs a query by the crate, through its public interface.
pub async fn run(finder: &dyn SchoolRepository, query: Query, case: &Case) -> Vec<SchoolHit> {
    let near = SchoolSearch::near(case.home);
    let five_km = Kilometres::new(RADIUS_KM).expect("a distance");
    let search = match query {
        Query::Radius => near.within(five_km),
        Query::Filtered => near.within(five_km).phase(Phase::Primary).rated(Rating::Good, Unrated::Include),
        Query::Nearest => near,
        Query::Catchment => {
            let page = finder.find_catchments(&near).await.expect("a page");
            return page.items.into_iter().map(|catchment| catchment.hit).collect();
        }
        Query::Listing => SchoolSearch::open().council(&case.council).limit(u32::try_from(LISTED).expect("small")),
    };
    finder.find_schools(&search).await.expect("a page").items
}
