//! The server backend: PostgreSQL with PostGIS, through diesel-async and deadpool.
//!
//! [`PostgresRepository`] implements [`SchoolRepository`](crate::SchoolRepository). For other queries, use Diesel over
//! [`schema`] and [`functions`] on a connection that [`PostgresRepository::with_connection`] checks out.

mod calls;
mod catalogue;
mod catchment_index;
mod dialect;
pub(crate) mod errors;
pub mod functions;
pub(crate) mod grants;
mod guard;
mod health;
mod insert;
pub(crate) mod migrations;
mod nearest;
mod plan;
mod pool;
#[path = "../queries/mod.rs"]
mod queries;
mod run;
#[allow(missing_docs, clippy::wildcard_imports)]
pub mod schema;
mod set_up;
mod transactions;

use std::time::Duration;

use diesel_async::AsyncPgConnection;

use self::pool::Connections;
use crate::config::Config;
use crate::error::Result;
use crate::repository::Health;

#[path = "../queries/repository.rs"]
mod methods;

/// Schools in a Postgres database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct PostgresRepository {
    connections: Connections,
}

impl PostgresRepository {
    /// Connects to a database that has this build's schema.
    ///
    /// # Errors
    /// As [`connect`](crate::connect).
    pub async fn connect(config: &Config) -> Result<Self> {
        Ok(Self { connections: Connections::open(config).await? })
    }

    /// Checks out a connection that is set up, and runs `work` with it. Diesel's errors get their type, such as
    /// [`DuplicateRow`](crate::Error::DuplicateRow), as they leave `work`; inside it they are
    /// [`Database`](crate::Error::Database).
    ///
    /// ```no_run
    /// # async fn example(config: &school_finder_db::Config) -> school_finder_db::Result<()> {
    /// use diesel::prelude::*;
    /// use diesel_async::RunQueryDsl;
    /// use school_finder_db::postgres::PostgresRepository;
    /// use school_finder_db::postgres::schema::schools;
    ///
    /// let repository = PostgresRepository::connect(config).await?;
    /// let with_website: i64 = repository
    ///     .with_connection(async |connection| {
    ///         let query = schools::table.filter(schools::website_url.is_not_null()).count();
    ///         Ok(query.get_result(connection).await?)
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of `work`, [`PoolTimeout`](crate::Error::PoolTimeout) and [`Unavailable`](crate::Error::Unavailable);
    /// [`CommitUnknown`](crate::Error::CommitUnknown) where the connection was lost and a statement may have been
    /// committed. A connection with a transaction begun in plain SQL is closed afterwards.
    pub async fn with_connection<T>(&self, work: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T>) -> Result<T> {
        calls::run!(self.connections, Custom, |connection| work(connection))
    }

    const fn slow_query(&self) -> Duration {
        self.connections.slow_query
    }

    async fn check_health(&self) -> Result<Health> {
        self.connections.health().await
    }
}
