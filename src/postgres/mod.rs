//! The server backend: PostgreSQL with PostGIS, through diesel-async and deadpool.
//!
//! [`PostgresRepository`] implements [`SchoolRepository`](crate::SchoolRepository). For other queries, use Diesel over
//! [`schema`] on a connection that [`PostgresRepository::with_connection`] checks out. [`ids`] makes a search a
//! subquery of such a query, [`distance`] is a column, [`functions`] has the SQL functions, and [`explain`] returns a
//! query's plan.

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
mod pooler;
#[path = "../queries/mod.rs"]
mod queries;
mod role;
mod run;
#[allow(missing_docs, clippy::wildcard_imports)]
pub mod schema;
pub(crate) mod set_up;
mod tls;
mod transactions;

use std::sync::Arc;
use std::time::Duration;

use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::Pool;

pub use self::migrations::run_pending_migrations;
pub use self::plan::explain;
use self::pool::Connections;
pub use self::queries::own::{SchoolIds, corrected_ids, distance, ids};
use crate::config::Config;
use crate::error::Result;
use crate::repository::Health;
use crate::repository::unit_of_work::UnitOfWork;
use crate::request::WriteMode;

/// Returns what makes the connections of a service's own pool, for [`PostgresRepository::from_pool`], with the settings
/// of this crate's queries. The pool checks each of them before it is used again.
///
/// # Errors
/// Those of a setting of `config` that cannot be used.
pub fn manager(config: &Config) -> Result<AsyncDieselConnectionManager<AsyncPgConnection>> {
    Ok(pool::manager(&Arc::new(set_up::SetUp::new(config)?), true))
}

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

    /// Takes the connections of a pool that the service has already, made by [`manager`]. A call takes one of them and
    /// returns it. `config` names the same database, and has the timeouts of calls; how many connections there are and
    /// how long a call waits for one are settings of the pool.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use diesel_async::pooled_connection::deadpool::Pool;
    /// use school_finder_db::Config;
    /// use school_finder_db::postgres::{self, PostgresRepository};
    ///
    /// let config = Config::from_env()?;
    /// let pool = Pool::builder(postgres::manager(&config)?).max_size(20).build()?;
    /// let finder = PostgresRepository::from_pool(pool.clone(), &config).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`connect`](crate::connect), and [`InvalidSetting`](crate::Error::InvalidSetting) for a pool whose
    /// connections are not made by [`manager`].
    pub async fn from_pool(pool: Pool<AsyncPgConnection>, config: &Config) -> Result<Self> {
        Ok(Self { connections: Connections::of_pool(pool, config).await? })
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
    /// The connection has the settings of this crate's queries: `plan_cache_mode=force_generic_plan`, no parallel
    /// workers, no JIT, and the timeouts of [`PoolConfig`](crate::config::PoolConfig). An aggregate over a large table
    /// may be faster with the server's own, which `SET LOCAL plan_cache_mode = auto` and `SET LOCAL
    /// max_parallel_workers_per_gather = 2` restore until a transaction ends.
    ///
    /// # Errors
    /// Those of `work`, [`PoolTimeout`](crate::Error::PoolTimeout) and [`Unavailable`](crate::Error::Unavailable);
    /// [`CommitUnknown`](crate::Error::CommitUnknown) where the connection was lost and a statement may have been
    /// committed. A connection with a transaction begun in plain SQL is closed afterwards.
    pub async fn with_connection<T>(&self, work: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T>) -> Result<T> {
        if self.connections.is_unit() {
            // A savepoint, so that work that fails has written nothing.
            return calls::run!(self.connections, Custom, |connection| transactions::write(
                connection,
                &[],
                WriteMode::Commit,
                work
            ));
        }
        calls::run!(self.connections, Custom, |connection| work(connection))
    }

    async fn begin_unit(&self) -> Result<UnitOfWork> {
        let (connections, limit) = self.connections.begin_unit().await?;
        Ok(UnitOfWork::new(Arc::new(Self { connections }), limit))
    }

    async fn finish_unit(&self, mode: WriteMode) -> Result<()> {
        let connections = self.connections.clone();
        calls::spawned(async move { connections.finish_unit(mode).await }).await
    }

    const fn slow_query(&self) -> Duration {
        self.connections.slow_query
    }

    async fn check_health(&self) -> Result<Health> {
        self.connections.health().await
    }
}
