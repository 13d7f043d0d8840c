//! Schema migrations, with one interface for every backend.
//!
//! The migrations are embedded in the program. In development, `diesel migration run` can run the same files. Each call
//! locks the schema against other programs. `docs/migrations.md` describes how to write a migration.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Backend, Config};
use crate::error::Result;
#[cfg(feature = "testing")]
use crate::migrations::Folder;
use crate::migrations::{LockTimeout, OnLoss, Source, evolve};
pub use crate::migrations::{MigrationStatus, Script};
#[cfg(feature = "postgres")]
use crate::postgres;
#[cfg(feature = "sqlite")]
use crate::sqlite;

/// Returns the migrations of this build for a backend, by version.
pub fn scripts(backend: Backend) -> &'static [Script] {
    match backend {
        #[cfg(feature = "sqlite")]
        Backend::Sqlite => sqlite::migrations::SCRIPTS,
        #[cfg(feature = "postgres")]
        Backend::Postgres => postgres::migrations::SCRIPTS,
    }
}

/// Applies and reverts a database's migrations.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use school_finder_db::{Config, Error, migrate::Migrator};
///
/// # let folder = tempfile::tempdir().expect("a folder");
/// let config = Config::sqlite_file(folder.path().join("schools.db"));
/// let migrator = Migrator::new(&config).on_wait(|| eprintln!("somebody else is at it"));
/// let ran = migrator.up().await?;
/// // Reverting all drops every table, so the loss must be accepted.
/// let refused = migrator.down(ran.len()).await;
/// assert!(matches!(refused, Err(Error::LossyDown { .. })));
/// assert_eq!(migrator.accept_loss().down(ran.len()).await?.len(), ran.len());
/// # Ok::<(), Error>(())
/// # }).expect("an answer");
/// ```
#[derive(Clone)]
pub struct Migrator {
    config: Config,
    source: Source,
    lock_timeout: LockTimeout,
    on_loss: OnLoss,
}

impl Migrator {
    /// Creates a migrator for the database of a configuration. Its lock timeout is two minutes, and it refuses to lose
    /// data.
    pub fn new(config: &Config) -> Self {
        let lock_timeout = LockTimeout { longest: Duration::from_secs(120), on_wait: None };
        Self { config: config.clone(), source: Source::Embedded, lock_timeout, on_loss: OnLoss::Refuse }
    }

    /// Runs the migrations of a folder instead of this build's, for tests of schema changes.
    ///
    /// # Errors
    /// [`MigrationFailed`](crate::Error::MigrationFailed) where the path is not a folder of migrations.
    #[cfg(feature = "testing")]
    pub fn of_folder(mut self, folder: impl AsRef<std::path::Path>) -> Result<Self> {
        self.source = Source::Folder(Folder::read(folder.as_ref())?);
        Ok(self)
    }

    /// Returns the migrations that it runs, in order of version.
    pub fn scripts(&self) -> &'static [Script] {
        match &self.source {
            Source::Embedded => scripts(self.config.backend()),
            #[cfg(feature = "testing")]
            Source::Folder(folder) => folder.scripts,
        }
    }

    /// Sets the lock timeout: how long to wait for another program that is changing the schema.
    #[must_use]
    pub fn lock_timeout(mut self, longest: Duration) -> Self {
        self.lock_timeout.longest = longest;
        self
    }

    /// Calls `tell` once, when it has to wait for another program.
    #[must_use]
    pub fn on_wait(mut self, tell: impl Fn() + Send + Sync + 'static) -> Self {
        self.lock_timeout.on_wait = Some(Arc::new(tell));
        self
    }

    /// Reverts migrations even where that loses data, as stated in their `down.sql`.
    #[must_use]
    pub fn accept_loss(mut self) -> Self {
        self.on_loss = OnLoss::Accept;
        self
    }

    /// Applies every pending migration and returns their names, in order. Creates a missing SQLite file; a Postgres
    /// database must exist.
    ///
    /// All run in one transaction, except for a migration that cannot run inside one, such as a concurrent index build
    /// on Postgres: what ran before it is committed.
    ///
    /// # Errors
    /// [`SchemaTooNew`](crate::Error::SchemaTooNew), [`SchemaUnreleased`](crate::Error::SchemaUnreleased),
    /// [`MigrationMissing`](crate::Error::MigrationMissing) or [`MigrationEdited`](crate::Error::MigrationEdited) where
    /// another build changed the schema; [`SchemaLocked`](crate::Error::SchemaLocked) where another program is still
    /// changing it; [`MigrationFailed`](crate::Error::MigrationFailed) where a migration fails. Those of opening the
    /// database.
    pub async fn up(&self) -> Result<Vec<String>> {
        let (source, lock_timeout) = (self.source.clone(), self.lock_timeout.clone());
        match self.config.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => self.on_sqlite(true, move |c| evolve::up(c, &source, &lock_timeout)).await,
            #[cfg(feature = "postgres")]
            Backend::Postgres => self.on_postgres(move |c| evolve::up(c, &source, &lock_timeout)).await,
        }
    }

    /// Reverts the newest `steps` migrations and returns their names, the newest first.
    ///
    /// # Errors
    /// As [`up`](Self::up), and [`LossyDown`](crate::Error::LossyDown) where data would be lost. Then no step is
    /// reverted.
    pub async fn down(&self, steps: usize) -> Result<Vec<String>> {
        let (source, lock_timeout, on_loss) = (self.source.clone(), self.lock_timeout.clone(), self.on_loss);
        match self.config.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => {
                self.on_sqlite(false, move |c| evolve::down(c, &source, &lock_timeout, steps, on_loss)).await
            }
            #[cfg(feature = "postgres")]
            Backend::Postgres => {
                self.on_postgres(move |c| evolve::down(c, &source, &lock_timeout, steps, on_loss)).await
            }
        }
    }

    /// Grants a Postgres role reading and writing of the rows of this crate's tables, and nothing more: for a service
    /// that does not own the tables. Repeat it after a migration that adds a table.
    ///
    /// # Errors
    /// [`OnlyPostgres`](crate::Error::OnlyPostgres) on SQLite; those of [`connect`](crate::connect) where the schema is
    /// not this build's; [`UnknownRole`](crate::Error::UnknownRole);
    /// [`PermissionDenied`](crate::Error::PermissionDenied) where another role owns the tables.
    pub async fn grant(&self, role: &str) -> Result<()> {
        match self.config.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => {
                let _ = role;
                Err(crate::Error::OnlyPostgres {
                    what: "roles; who may use an SQLite file is the file system's to say",
                })
            }
            #[cfg(feature = "postgres")]
            Backend::Postgres => {
                let role = role.to_owned();
                self.on_postgres(move |c| {
                    evolve::require_current(c)?;
                    postgres::grants::grant_on_conn(c, &role)
                })
                .await
            }
        }
    }

    /// Reverts the newest migration, applies it again, and returns its name.
    ///
    /// # Errors
    /// As [`down`](Self::down), and [`SchemaPending`](crate::Error::SchemaPending) where it is not the newest of this
    /// build.
    pub async fn redo(&self) -> Result<Vec<String>> {
        let (source, lock_timeout, on_loss) = (self.source.clone(), self.lock_timeout.clone(), self.on_loss);
        match self.config.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => self.on_sqlite(false, move |c| evolve::redo(c, &source, &lock_timeout, on_loss)).await,
            #[cfg(feature = "postgres")]
            Backend::Postgres => self.on_postgres(move |c| evolve::redo(c, &source, &lock_timeout, on_loss)).await,
        }
    }

    /// Returns every migration of this build or the database, and whether it is applied.
    ///
    /// # Errors
    /// Those of opening the database.
    pub async fn status(&self) -> Result<Vec<MigrationStatus>> {
        let source = self.source.clone();
        match self.config.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => self.read_sqlite(move |c| evolve::status(c, &source)).await,
            #[cfg(feature = "postgres")]
            Backend::Postgres => self.on_postgres(move |c| evolve::status(c, &source)).await,
        }
    }

    /// Returns the drift of the live database from one that this build's migrations create, one sentence each: tables,
    /// columns, constraints, indexes, triggers, views, functions and the extension. Empty where they are the same.
    ///
    /// # Errors
    /// Those of [`connect`](crate::connect) where the versions already differ.
    pub async fn check(&self) -> Result<Vec<String>> {
        let source = self.source.clone();
        match self.config.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => self.read_sqlite(move |c| sqlite::migrations::check_on_conn(c, &source)).await,
            #[cfg(feature = "postgres")]
            Backend::Postgres => self.on_postgres(move |c| postgres::migrations::check_on_conn(c, &source)).await,
        }
    }
}

/// Runs the engine on the connections of each backend.
impl Migrator {
    /// Changes the schema of an SQLite file, and creates a missing file where `create` allows it.
    #[cfg(feature = "sqlite")]
    async fn on_sqlite<T, W>(&self, create: bool, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut diesel::SqliteConnection) -> Result<T> + Send + 'static,
    {
        sqlite::migrations::with_connection(&self.config, create, Some(self.lock_timeout.clone()), work).await
    }

    /// Reads the schema of an SQLite file, without waiting for a program that is changing it.
    #[cfg(feature = "sqlite")]
    async fn read_sqlite<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut diesel::SqliteConnection) -> Result<T> + Send + 'static,
    {
        sqlite::migrations::with_connection(&self.config, false, None, work).await
    }

    /// Reads or changes the schema of a database on a server.
    #[cfg(feature = "postgres")]
    async fn on_postgres<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut postgres::migrations::MigrationConnection) -> Result<T> + Send + 'static,
    {
        postgres::migrations::with_connection(&self.config, work).await
    }
}

impl std::fmt::Debug for Migrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Migrator").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Applies every pending migration with the defaults of [`Migrator`]: see [`Migrator::up`].
///
/// # Errors
/// As [`Migrator::up`].
pub async fn up(config: &Config) -> Result<Vec<String>> {
    Migrator::new(config).up().await
}

/// Returns every migration of this build or the database: see [`Migrator::status`].
///
/// # Errors
/// As [`Migrator::status`].
pub async fn status(config: &Config) -> Result<Vec<MigrationStatus>> {
    Migrator::new(config).status().await
}

/// Returns the drift of the live database from this build's schema: see [`Migrator::check`].
///
/// # Errors
/// As [`Migrator::check`].
pub async fn check(config: &Config) -> Result<Vec<String>> {
    Migrator::new(config).check().await
}
