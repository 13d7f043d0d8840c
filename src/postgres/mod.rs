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
mod reader;
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
use futures_util::future::{BoxFuture, join};

pub use self::migrations::run_pending_migrations;
pub use self::plan::explain;
use self::pool::Connections;
pub use self::queries::own::{SchoolIds, corrected_ids, distance, ids};
use self::reader::{Reader, Route};
use crate::config::Config;
use crate::error::Result;
use crate::repository::unit_of_work::UnitOfWork;
use crate::repository::{Health, Point, PoolStatus, Position, Servers};
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
    /// Those of the writer.
    connections: Connections,
    /// Where reads go, if not to the writer.
    reader: Option<Arc<Reader>>,
    /// What the reads have to see.
    at_least: Option<Point>,
}

impl PostgresRepository {
    /// Connects to a database that has this build's schema.
    ///
    /// # Errors
    /// As [`connect`](crate::connect).
    pub async fn connect(config: &Config) -> Result<Self> {
        let writer = Config { reader: None, ..config.clone() };
        let connections = Connections::lazy(&writer)?;
        Self::start(connections.clone(), connections.check(), config).await
    }

    /// Takes the connections of a pool that the service has already, made by [`manager`]. A call takes one of them and
    /// returns it. `config` names the same database, and has the timeouts of calls; how many connections there are and
    /// how long a call waits for one are settings of the pool. Reads that go to replicas ([`Config::with_reader`]) have
    /// a pool of their own, with the settings of `config`.
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
    /// connections are not made by [`manager`]. That is not found out while only the reader can be reached.
    pub async fn from_pool(pool: Pool<AsyncPgConnection>, config: &Config) -> Result<Self> {
        let writer = Config { reader: None, ..config.clone() };
        let connections = Connections::of_pool(pool, &writer)?;
        Self::start(connections.clone(), connections.check_pooled(), config).await
    }

    /// Checks out a connection to the writer that is set up, and runs `work` with it. Diesel's errors get their type,
    /// such as [`DuplicateRow`](crate::Error::DuplicateRow), as they leave `work`; inside it they are
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

    /// Returns the repository of a writer's connections, and of the reader of the configuration if it has one, after
    /// the check of both.
    async fn start(connections: Connections, check: BoxFuture<'_, Result<()>>, config: &Config) -> Result<Self> {
        let reader = config.of_reader().map(|reader| Reader::new(&reader, config.pool.acquire_timeout)).transpose()?;
        match &reader {
            None => check.await?,
            Some(reader) => reader.check(check).await?,
        }
        Ok(Self { connections, reader: reader.map(Arc::new), at_least: None })
    }

    async fn begin_unit(&self) -> Result<UnitOfWork> {
        let (connections, limit) = self.connections.begin_unit().await?;
        Ok(UnitOfWork::new(Arc::new(Self { connections, reader: None, at_least: None }), limit))
    }

    async fn finish_unit(&self, mode: WriteMode) -> Result<()> {
        let connections = self.connections.clone();
        calls::spawned(async move { connections.finish_unit(mode).await }).await
    }

    const fn slow_query(&self) -> Duration {
        self.connections.slow_query
    }

    /// Returns the state of the server that serves reads, with that of both.
    async fn check_health(&self) -> Result<Health> {
        let Some(reader) = &self.reader else { return self.connections.health().await };
        let (on_writer, on_reader) = join(self.connections.health(), reader.connections.health()).await;
        let state = |health: &Result<Health>| match health {
            Ok(_) => "usable".to_owned(),
            Err(error) => error.name().to_owned(),
        };
        let servers = Servers { writer: state(&on_writer), reader: state(&on_reader) };
        Ok(Health { servers: Some(servers), ..on_reader.or(on_writer)? })
    }

    fn reader_status(&self) -> Option<PoolStatus> {
        self.reader.as_ref().map(|reader| reader.connections.status())
    }

    async fn current_position(&self) -> Result<Position> {
        let writer = self.reading_writer();
        let mut route = Route::new(&writer);
        loop {
            let (connections, checked_out) = route.check_out().await?;
            let result =
                calls::run_on!(connections, checked_out, |connection| reader::point_on_conn(connection)).map(Position);
            if !route.goes_on(result.as_ref().err()) {
                return result;
            }
        }
    }

    fn reading_at_least(&self, Position(point): Position) -> Self {
        Self { at_least: Some(point), ..self.clone() }
    }

    fn reading_writer(&self) -> Self {
        Self { reader: None, at_least: None, ..self.clone() }
    }
}
