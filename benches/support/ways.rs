//! The implementations of the queries, over one country.

use std::path::Path;

use school_finder_db::models::{Phase, Rating, SchoolHit};
use school_finder_db::request::Unrated;
use school_finder_db::{Kilometres, SchoolRepository, SchoolSearch};

use super::made::Country;
use super::memory::Memory;
use super::{Ask, At, Database, LISTED, Question, RADIUS_KM, raw_sql};

/// An implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// R-trees in memory: the limit.
    Memory,
    SqliteRaw,
    Sqlite,
    #[cfg(feature = "postgres")]
    PostgresRaw,
    #[cfg(feature = "postgres")]
    Postgres,
}

impl Way {
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
pub struct Ways {
    pub country: Country,
    memory: Memory,
    pub sqlite: Database,
    by_rusqlite: raw_sql::Sqlite,
    #[cfg(feature = "postgres")]
    pub postgres: Database,
    #[cfg(feature = "postgres")]
    by_tokio_postgres: super::postgres::Postgres,
}

impl Ways {
    /// Fills the databases: a file in a folder, and one on the server.
    pub async fn over(country: Country, folder: &Path) -> Self {
        let sqlite = Database::sqlite(folder, &country).await;
        #[cfg(feature = "postgres")]
        let postgres = Database::postgres(&country).await;
        Self {
            memory: Memory::of(&country),
            by_rusqlite: by_rusqlite(&sqlite),
            #[cfg(feature = "postgres")]
            by_tokio_postgres: by_tokio_postgres(&postgres).await,
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
    pub async fn reconnect(&mut self, question: Question) {
        self.sqlite.reconnect().await;
        self.by_rusqlite = by_rusqlite(&self.sqlite);
        #[cfg(feature = "postgres")]
        {
            self.postgres.reconnect().await;
            self.by_tokio_postgres = by_tokio_postgres(&self.postgres).await;
        }
        // The implementation with which no round begins runs last here, so that none finds its own caches.
        for way in Way::ALL.into_iter().rev() {
            for ask in &self.country.asks {
                drop(self.answer(way, question, ask).await);
            }
        }
    }

    pub async fn answer(&self, way: Way, question: Question, ask: &Ask) -> Vec<SchoolHit> {
        match way {
            Way::Memory => self.memory.answer(question, ask),
            Way::SqliteRaw => self.by_rusqlite.answer(question, ask),
            Way::Sqlite => answer(self.sqlite.repository.as_ref(), question, ask).await,
            #[cfg(feature = "postgres")]
            Way::PostgresRaw => self.by_tokio_postgres.answer(question, ask).await,
            #[cfg(feature = "postgres")]
            Way::Postgres => answer(self.postgres.repository.as_ref(), question, ask).await,
        }
    }

    /// Panics unless all implementations return the same results.
    pub async fn check(&self) {
        for (question, ask) in
            Question::ALL.iter().flat_map(|question| self.country.asks.iter().map(|ask| (*question, ask)))
        {
            let expected = self.answer(Way::Memory, question, ask).await;
            for way in Way::ALL {
                assert_eq!(self.answer(way, question, ask).await, expected, "{way:?} {question:?} {ask:?}");
            }
        }
    }

    /// Removes the databases.
    pub async fn remove(self) {
        drop(self.by_rusqlite);
        self.sqlite.remove().await;
        #[cfg(feature = "postgres")]
        {
            drop(self.by_tokio_postgres);
            self.postgres.remove().await;
        }
    }
}

fn by_rusqlite(database: &Database) -> raw_sql::Sqlite {
    match &database.at {
        At::Sqlite(path) => raw_sql::Sqlite::open(path),
        #[cfg(feature = "postgres")]
        At::Postgres(_) => unreachable!("made as a file"),
    }
}

#[cfg(feature = "postgres")]
async fn by_tokio_postgres(database: &Database) -> super::postgres::Postgres {
    let At::Postgres(settings) = &database.at else { unreachable!("made on the server") };
    super::postgres::Postgres::connect(settings).await
}

/// Runs a query by the crate, through its public interface.
pub async fn answer(finder: &dyn SchoolRepository, question: Question, ask: &Ask) -> Vec<SchoolHit> {
    let near = SchoolSearch::near(ask.place);
    let five_km = Kilometres::new(RADIUS_KM).expect("a distance");
    let search = match question {
        Question::Radius => near.within(five_km),
        Question::Filtered => near.within(five_km).phase(Phase::Primary).rated(Rating::Good, Unrated::Include),
        Question::Nearest => near,
        Question::Catchment => {
            let page = finder.find_catchments(&near).await.expect("an answer");
            return page.items.into_iter().map(|catchment| catchment.hit).collect();
        }
        Question::Listing => SchoolSearch::open().council(&ask.council).limit(u32::try_from(LISTED).expect("small")),
    };
    finder.find_schools(&search).await.expect("an answer").items
}
