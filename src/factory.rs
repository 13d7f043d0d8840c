//! Creates a repository from a configuration, on any backend.

use std::sync::Arc;

use crate::config::{Backend, Config};
use crate::error::Result;
use crate::repository::SchoolRepository;

/// Opens an existing database on the backend that the configuration names.
///
/// The database must have the schema of this build: migrations are never applied implicitly. A database in memory is
/// always new and gets its schema here.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use school_finder_db::{Config, SchoolSearch, connect, sample};
///
/// let finder = connect(&Config::from_url("sqlite::memory:")?).await?;
/// finder.insert_schools(sample::schools()).await?;
/// let page = finder.find_schools(&SchoolSearch::near(sample::home()).limit(3)).await?;
/// assert_eq!(page.items.len(), 3);
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("an answer");
/// ```
///
/// # Errors
/// [`CannotOpen`](crate::Error::CannotOpen) where the database does not exist;
/// [`SchemaMissing`](crate::Error::SchemaMissing), [`SchemaPending`](crate::Error::SchemaPending),
/// [`SchemaTooNew`](crate::Error::SchemaTooNew), [`SchemaUnreleased`](crate::Error::SchemaUnreleased),
/// [`MigrationMissing`](crate::Error::MigrationMissing) or [`MigrationEdited`](crate::Error::MigrationEdited) where its
/// schema does not serve this build; and those of the database.
pub async fn connect(config: &Config) -> Result<Arc<dyn SchoolRepository>> {
    match config.backend() {
        #[cfg(feature = "sqlite")]
        Backend::Sqlite => Ok(Arc::new(crate::sqlite::SqliteRepository::connect(config).await?)),
        #[cfg(feature = "postgres")]
        Backend::Postgres => Ok(Arc::new(crate::postgres::PostgresRepository::connect(config).await?)),
    }
}

/// Opens a database after applying all pending migrations. Creates a missing SQLite file; a Postgres database must
/// exist.
///
/// # Errors
/// Those of [`migrate::up`](crate::migrate::up) and of [`connect`].
pub async fn create(config: &Config) -> Result<Arc<dyn SchoolRepository>> {
    crate::migrate::up(config).await?;
    connect(config).await
}
