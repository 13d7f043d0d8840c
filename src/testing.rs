//! Databases for tests: of this crate, and of a service that uses it.

use std::sync::Arc;

use tempfile::TempDir;

use crate::config::{Backend, Config};
use crate::error::{Error, Result};
use crate::repository::{SchoolRepository, create};

/// An empty database of its own for one test, gone when it is dropped.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use school_finder_db::config::Backend;
/// use school_finder_db::testing::TestDatabase;
/// use school_finder_db::{SchoolSearch, sample};
///
/// let database = TestDatabase::new(Backend::Sqlite).await?;
/// database.repository().insert_schools(sample::schools()).await?;
/// assert_eq!(database.repository().find_schools(&SchoolSearch::all()).await?.items.len(), 20);
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("an answer");
/// ```
#[derive(Debug)]
pub struct TestDatabase {
    config: Config,
    repository: Arc<dyn SchoolRepository>,
    // Dropped last: the repository has files open in it.
    _folder: TempDir,
}

impl TestDatabase {
    /// A new database with this build's schema.
    ///
    /// # Errors
    /// Those of [`create`], and of making a temporary folder.
    pub async fn new(backend: Backend) -> Result<Self> {
        let folder = TempDir::new()
            .map_err(|error| Error::CannotOpen { path: std::env::temp_dir(), reason: error.to_string() })?;
        let config = match backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => Config::sqlite_file(folder.path().join("schools.db")),
        };
        let repository = create(&config).await?;
        Ok(Self { config, repository, _folder: folder })
    }

    /// Its configuration, to open it once more.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its repository.
    pub fn repository(&self) -> &dyn SchoolRepository {
        self.repository.as_ref()
    }
}
