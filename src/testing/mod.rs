//! Databases for tests of this crate, and of services that use it.

#[cfg(feature = "postgres")]
mod postgres;

use std::sync::Arc;

#[cfg(feature = "sqlite")]
use tempfile::TempDir;

use crate::config::{Backend, Config};
use crate::error::Result;
use crate::factory::connect;
use crate::repository::SchoolRepository;

/// An empty database for one test, with this build's schema. Dropping it removes the database.
///
/// On Postgres it is created on the server that `TEST_DATABASE_URL` names, whose role must be allowed to create
/// databases and roles. It is a copy of a template database, which remains on the server for the next test.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use school_finder_db::config::Backend;
/// use school_finder_db::testing::TestDatabase;
/// use school_finder_db::{SchoolSearch, sample};
///
/// let database = TestDatabase::new(Backend::Sqlite).await?;
/// database.repository().insert_schools(sample::schools()).await?;
/// assert_eq!(database.repository().find_schools(&SchoolSearch::open()).await?.items.len(), 20);
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("an answer");
/// ```
#[derive(Debug)]
pub struct TestDatabase {
    config: Config,
    owner: Config,
    repository: Arc<dyn SchoolRepository>,
    // Dropped last: the repository has connections to it.
    _location: Location,
}

/// The database's location. Dropping it removes the database.
#[derive(Debug)]
enum Location {
    #[cfg(feature = "sqlite")]
    Folder(#[allow(dead_code, reason = "dropped with the test database")] TempDir),
    #[cfg(feature = "postgres")]
    Server(#[allow(dead_code, reason = "dropped with the test database")] Box<postgres::ServerDatabase>),
}

/// Runs a query of either backend on a connection of the owner.
macro_rules! as_owner {
    ($database:ident, |$connection:ident| $sqlite:expr, $postgres:expr) => {
        match $database.config.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => {
                let repository = crate::sqlite::SqliteRepository::connect(&$database.owner).await?;
                repository.with_connection(move |$connection: &mut _| Ok($sqlite?)).await
            }
            #[cfg(feature = "postgres")]
            Backend::Postgres => {
                let repository = crate::postgres::PostgresRepository::connect(&$database.owner).await?;
                repository.with_connection(async |$connection: &mut _| Ok($postgres.await?)).await
            }
        }
    };
}

impl TestDatabase {
    /// Creates a database with this build's schema.
    ///
    /// # Errors
    /// Those of [`create`](crate::create) and of creating a temporary folder or a database;
    /// [`InvalidSetting`](crate::Error::InvalidSetting) for Postgres without `TEST_DATABASE_URL`.
    pub async fn new(backend: Backend) -> Result<Self> {
        let (config, owner, location) = match backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => {
                let folder = TempDir::new().map_err(|error| crate::Error::CannotOpen {
                    path: std::env::temp_dir(),
                    reason: error.to_string(),
                })?;
                let config = Config::sqlite_file(folder.path().join("schools.db"));
                crate::migrate::up(&config).await?;
                (config.clone(), config, Location::Folder(folder))
            }
            #[cfg(feature = "postgres")]
            Backend::Postgres => {
                let database = postgres::ServerDatabase::new().await?;
                (database.config(), database.owner().clone(), Location::Server(Box::new(database)))
            }
        };
        let repository = connect(&config).await?;
        Ok(Self { config, owner, repository, _location: location })
    }

    /// Returns the configuration for further connections. On Postgres it has the privileges of a service's role, as
    /// granted by [`Migrator::grant`](crate::migrate::Migrator::grant).
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the configuration of the owner, which may change the schema.
    pub fn owner(&self) -> &Config {
        &self.owner
    }

    /// Returns the role that the repository's connections have on Postgres; `None` on SQLite, which has no roles. It
    /// has rights on this crate's tables only. A test of a service with tables of its own grants it more, as the owner:
    ///
    /// ```no_run
    /// # async fn visits(database: school_finder_db::testing::TestDatabase) -> school_finder_db::Result<()> {
    /// if let Some(role) = database.role() {
    ///     database.execute(&format!("GRANT SELECT, INSERT ON visits TO {role}")).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn role(&self) -> Option<&'static str> {
        match self.config.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => None,
            #[cfg(feature = "postgres")]
            Backend::Postgres => Some(postgres::SERVICE),
        }
    }

    /// Returns the repository.
    pub fn repository(&self) -> &dyn SchoolRepository {
        self.repository.as_ref()
    }

    /// Runs the test's own SQL statements, as the owner.
    ///
    /// # Errors
    /// Those of the database, typed.
    pub async fn execute(&self, statements: &str) -> Result<()> {
        let statements = statements.to_owned();
        as_owner!(
            self,
            |connection| diesel::connection::SimpleConnection::batch_execute(connection, &statements),
            diesel_async::SimpleAsyncConnection::batch_execute(connection, &statements)
        )
    }

    /// Runs the test's own query as the owner, and returns its one value, a `BIGINT` such as a count.
    ///
    /// # Errors
    /// Those of the database, typed.
    pub async fn number(&self, query: &str) -> Result<i64> {
        let query = diesel::dsl::sql::<diesel::sql_types::BigInt>(query);
        as_owner!(
            self,
            |connection| diesel::RunQueryDsl::get_result(query, connection),
            diesel_async::RunQueryDsl::get_result(query, connection)
        )
    }
}
