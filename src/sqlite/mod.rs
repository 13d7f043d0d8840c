//! The embedded backend: SQLite in a file or in memory, through r2d2.
//!
//! [`SqliteRepository`] implements [`SchoolRepository`](crate::SchoolRepository). For other queries, use Diesel over
//! [`schema`] on a connection that [`SqliteRepository::with_connection`] checks out. [`ids`] makes a search a
//! subquery of such a query, [`distance`] is a column, [`functions`] has the SQL functions, and [`explain`] returns a
//! query's plan.

mod caller;
mod calls;
mod catalogue;
mod catchment_index;
mod dialect;
pub(crate) mod errors;
pub mod functions;
mod generations;
mod insert;
pub(crate) mod migrations;
mod nearest;
mod plan;
mod pool;
#[path = "../queries/mod.rs"]
mod queries;
mod rebuild;
#[allow(missing_docs)]
pub mod schema;
mod set_up;
mod threads;
mod transactions;

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use diesel::SqliteConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool};

pub use self::generations::{Shipped, ship};
pub use self::migrations::run_pending_migrations;
pub use self::plan::explain;
use self::pool::Connections;
pub use self::queries::own::{SchoolIds, corrected_ids, distance, ids};
pub use self::rebuild::TableRebuild;
use crate::config::Config;
use crate::error::Result;
use crate::repository::unit_of_work::UnitOfWork;
use crate::repository::{Health, Point, PoolStatus, Position};
use crate::request::WriteMode;
use crate::tasks::blocking;

/// Returns what sets up the connections of a service's own pool, for [`SqliteRepository::from_pool`]: foreign keys on,
/// the SQL functions of this crate, its pragmas and the lock timeout of `config`.
pub fn customizer(config: &Config) -> Box<dyn CustomizeConnection<SqliteConnection, diesel::r2d2::Error>> {
    Box::new(set_up::SetUp { busy_timeout: config.pool.busy_timeout })
}

#[path = "../queries/repository.rs"]
mod methods;

/// Schools in an SQLite database. Clones share its connections.
///
/// Each call is one task on a thread that may block, however many statements it executes. Reads that find a pooled
/// connection idle run on threads of the pool. Other calls run on blocking threads of the surrounding tokio runtime.
#[derive(Debug, Clone)]
pub struct SqliteRepository {
    connections: Arc<Connections>,
    slow_query: Duration,
}

impl SqliteRepository {
    /// Opens an existing database that has this build's schema, or a new one in memory.
    ///
    /// # Errors
    /// As [`connect`](crate::connect).
    pub async fn connect(config: &Config) -> Result<Self> {
        let slow_query = config.pool.slow_query;
        let config = config.clone();
        let connections = blocking(move || Connections::open(&config)).await?;
        Ok(Self { connections: Arc::new(connections), slow_query })
    }

    /// Takes the connections of a pool that the service has already, made with [`customizer`]. A call takes one of them
    /// and returns it. `config` names the same file, and has the timeouts of calls; how many connections there are and
    /// how long a call waits for one are settings of the pool.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().expect("a folder");
    /// # let path = folder.path().join("schools.db");
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(async {
    /// use diesel::r2d2::{ConnectionManager, Pool};
    /// use school_finder_db::prelude::*;
    /// use school_finder_db::sqlite::{self, SqliteRepository};
    /// use school_finder_db::{Config, migrate};
    ///
    /// let config = Config::from_url(&format!("sqlite:{}", path.display()))?;
    /// migrate::up(&config).await?;
    /// let manager = ConnectionManager::new(path.display().to_string());
    /// let pool = Pool::builder().connection_customizer(sqlite::customizer(&config)).build(manager).expect("a pool");
    /// let finder = SqliteRepository::from_pool(pool.clone(), &config).await?;
    /// assert_eq!(finder.pool_status().max, pool.max_size());
    /// # Ok::<(), school_finder_db::Error>(())
    /// # }).expect("a repository");
    /// ```
    ///
    /// # Errors
    /// As [`connect`](crate::connect), and [`InvalidSetting`](crate::Error::InvalidSetting) for a pool whose
    /// connections are not set up by [`customizer`].
    pub async fn from_pool(pool: Pool<ConnectionManager<SqliteConnection>>, config: &Config) -> Result<Self> {
        let slow_query = config.pool.slow_query;
        let config = config.clone();
        let connections = blocking(move || Connections::of_pool(pool, &config)).await?;
        Ok(Self { connections: Arc::new(connections), slow_query })
    }

    /// Checks out a connection that is set up (foreign keys on, `haversine` registered), and runs `work` with it on a
    /// blocking task. Diesel's errors get their type, such as [`DuplicateRow`](crate::Error::DuplicateRow), as they
    /// leave `work`; inside it they are [`Database`](crate::Error::Database).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
    /// use diesel::prelude::*;
    /// use school_finder_db::prelude::*;
    /// use school_finder_db::sqlite::SqliteRepository;
    /// use school_finder_db::sqlite::schema::schools;
    /// use school_finder_db::{Config, sample};
    ///
    /// let repository = SqliteRepository::connect(&Config::in_memory()).await?;
    /// repository.insert_schools(sample::schools()).await?;
    /// let with_website: i64 = repository
    ///     .with_connection(|connection| {
    ///         let query = schools::table.filter(schools::website_url.is_not_null()).count();
    ///         Ok(query.get_result(connection)?)
    ///     })
    ///     .await?;
    /// assert_eq!(with_website, 1);
    /// # Ok::<(), school_finder_db::Error>(())
    /// # }).expect("an answer");
    /// ```
    ///
    /// # Errors
    /// Those of `work`, and [`PoolTimeout`](crate::Error::PoolTimeout).
    pub async fn with_connection<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        self.connections.refuse_holder(false)?;
        let is_unit = self.connections.is_unit();
        self.run(move |connection| {
            if is_unit {
                // A savepoint, so that work that fails has written nothing.
                return transactions::write(connection, &[], WriteMode::Commit, work);
            }
            let result = work(connection);
            // Pragmas that `work` changed, and a transaction it left open, do not carry over to the next call.
            set_up::restore(connection)?;
            result
        })
        .await
    }

    async fn begin_unit(&self) -> Result<UnitOfWork> {
        let (connections, limit) = Arc::clone(&self.connections).begin_unit().await?;
        let unit = Self { connections: Arc::new(connections), slow_query: self.slow_query };
        Ok(UnitOfWork::new(Arc::new(unit), limit))
    }

    async fn finish_unit(&self, mode: WriteMode) -> Result<()> {
        self.connections.finish_unit(mode).await
    }

    /// Runs a write.
    async fn write<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        self.connections.refuse_holder(true)?;
        self.run(work).await
    }

    async fn run<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        Arc::clone(&self.connections).run(work).await
    }

    const fn slow_query(&self) -> Duration {
        self.slow_query
    }

    /// Returns `None`: a file has no replicas.
    #[allow(clippy::unused_self, reason = "as on Postgres")]
    const fn reader_status(&self) -> Option<PoolStatus> {
        None
    }

    fn current_position(&self) -> Ready<Result<Position>> {
        ready(Ok(Position(self.connections.generation().map_or(Point::Embedded, Point::Generation))))
    }

    /// Each read of a file sees all writes before it.
    fn reading_at_least(&self, Position(point): Position) -> Self {
        match point {
            Point::Generation(number) => Self { connections: self.connections.at_least(number), ..self.clone() },
            _ => self.clone(),
        }
    }

    fn reading_writer(&self) -> Self {
        self.clone()
    }

    async fn check_health(&self) -> Result<Health> {
        let connections = Arc::clone(&self.connections);
        blocking(move || connections.health()).await
    }
}
