//! Schema migrations, with one interface for every backend.
//!
//! The migrations are embedded in the program, and recorded in a table of their own, `school_finder_migrations`.
//! Diesel's table is left to a service that shares the database. In development, `diesel migration run` can run the
//! same files. While migrations are applied or reverted, the schema is locked against other programs.
//! [`Migrator::status`] and [`Migrator::check`] only read, without that lock. The repository's `docs/migrations.md`
//! describes how to write one.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Backend, Config};
use crate::error::Result;
use crate::migrations::{Access, Engine};
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
/// let migrator = Migrator::new(&config).on_wait(|| eprintln!("waiting for another program"));
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
    engine: Engine,
}

/// Runs a method of the engine on a connection to the migrator's database.
macro_rules! run {
    ($migrator:ident, $access:expr, $method:ident($($argument:expr)?)) => {{
        let Migrator { config, engine } = $migrator.clone();
        let lock_timeout = engine.lock_timeout.clone();
        match config.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => {
                let run = move |connection: &mut _| engine.$method(connection $(, $argument)?);
                sqlite::migrations::with_connection(&config, $access, &lock_timeout, run).await
            }
            #[cfg(feature = "postgres")]
            Backend::Postgres => {
                let run = move |connection: &mut _| engine.$method(connection $(, $argument)?);
                postgres::migrations::with_connection(&config, $access, &lock_timeout, run).await
            }
        }
    }};
}

impl Migrator {
    /// Creates a migrator for the database of a configuration. Its lock timeout is two minutes, and it refuses to lose
    /// data.
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone(), engine: Engine::new(scripts(config.backend())) }
    }

    /// Runs the migrations of a folder instead of this build's, for tests of schema changes.
    ///
    /// # Errors
    /// [`MigrationFailed`](crate::Error::MigrationFailed) where the path is not a folder of migrations.
    #[cfg(feature = "testing")]
    pub fn of_folder(mut self, folder: impl AsRef<std::path::Path>) -> Result<Self> {
        self.engine.scripts = crate::migrations::read_folder(folder.as_ref())?;
        Ok(self)
    }

    /// Returns the migrations that it runs, in order of version.
    pub fn scripts(&self) -> &'static [Script] {
        self.engine.scripts
    }

    /// Sets the lock timeout: how long to wait for another program that is changing the schema.
    #[must_use]
    pub fn lock_timeout(mut self, longest: Duration) -> Self {
        self.engine.lock_timeout.longest = longest;
        self
    }

    /// Calls `report` once, if the migrator has to wait for another program.
    #[must_use]
    pub fn on_wait(mut self, report: impl Fn() + Send + Sync + 'static) -> Self {
        self.engine.lock_timeout.on_wait = Some(Arc::new(report));
        self
    }

    /// Reverts migrations even where that loses data, as stated in their `down.sql`.
    #[must_use]
    pub fn accept_loss(mut self) -> Self {
        self.engine.accepts_loss = true;
        self
    }

    /// Applies every pending migration and returns their names, in order. Creates a missing SQLite file; a Postgres
    /// database must exist. Does nothing where a newer build migrated the database and its schema serves this build.
    ///
    /// Migrations that Diesel's tool ran are adopted: their rows move from Diesel's table into this crate's own.
    ///
    /// All run in one transaction, except for a migration that cannot run inside one, such as a concurrent index build
    /// on Postgres: the migrations before it are committed first.
    ///
    /// # Errors
    /// [`SchemaTooNew`](crate::Error::SchemaTooNew), [`SchemaUnreleased`](crate::Error::SchemaUnreleased),
    /// [`MigrationMissing`](crate::Error::MigrationMissing) or [`MigrationEdited`](crate::Error::MigrationEdited) where
    /// another build changed the schema; [`CannotAdopt`](crate::Error::CannotAdopt) where it does not match Diesel's
    /// table; [`SchemaLocked`](crate::Error::SchemaLocked) where another program is still changing it;
    /// [`MigrationFailed`](crate::Error::MigrationFailed) where a migration fails. Those of opening the database.
    pub async fn up(&self) -> Result<Vec<String>> {
        run!(self, Access::Create, up())
    }

    /// Reverts the newest `steps` migrations and returns their names, the newest first.
    ///
    /// # Errors
    /// As [`up`](Self::up) except [`MigrationEdited`](crate::Error::MigrationEdited), since the text of an applied
    /// migration may differ; [`LossyDown`](crate::Error::LossyDown) where data would be lost; and
    /// [`SchemaNewer`](crate::Error::SchemaNewer) where a newer build migrated the database. Then no step is reverted.
    pub async fn down(&self, steps: usize) -> Result<Vec<String>> {
        run!(self, Access::Change, down(steps))
    }

    /// Grants a Postgres role the privileges to read and write the rows of this crate's tables, and no others. It is
    /// for a service whose role does not own the tables. Repeat it after a migration that adds a table.
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
                let Self { config, engine } = self.clone();
                let (lock_timeout, role) = (engine.lock_timeout.clone(), role.to_owned());
                let grant = move |connection: &mut _| {
                    engine.require_usable(connection)?;
                    postgres::grants::grant_on_conn(connection, &role)
                };
                postgres::migrations::with_connection(&config, Access::Change, &lock_timeout, grant).await
            }
        }
    }

    /// Stores the settings that connections send, such as timeouts, with a Postgres role in this database. It is for a
    /// service behind a pooler, which drops what connections send. Returns the statements that an administrator has to
    /// run where this role may not; none where it may.
    ///
    /// # Errors
    /// As [`grant`](Self::grant).
    pub async fn grant_settings(&self, role: &str) -> Result<Vec<String>> {
        match self.config.backend() {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => {
                let _ = role;
                Err(crate::Error::OnlyPostgres { what: "settings of roles" })
            }
            #[cfg(feature = "postgres")]
            Backend::Postgres => {
                let Self { config, engine } = self.clone();
                let (lock_timeout, role) = (engine.lock_timeout.clone(), role.to_owned());
                let settings = postgres::set_up::settings(&config.pool);
                let store = move |connection: &mut _| postgres::grants::store_settings(connection, &role, &settings);
                postgres::migrations::with_connection(&config, Access::Change, &lock_timeout, store).await
            }
        }
    }

    /// Reverts the newest migration, applies it again, and returns its name.
    ///
    /// # Errors
    /// As [`down`](Self::down), and [`SchemaPending`](crate::Error::SchemaPending) where migrations of this build are
    /// pending.
    pub async fn redo(&self) -> Result<Vec<String>> {
        run!(self, Access::Change, redo())
    }

    /// Returns every migration of this build or the database, and whether it is applied.
    ///
    /// # Errors
    /// Those of opening the database.
    pub async fn status(&self) -> Result<Vec<MigrationStatus>> {
        run!(self, Access::Read, status())
    }

    /// Returns the drift of the live database: where its schema is not what this build's migrations create, one
    /// sentence for each. It compares tables, columns, constraints, indexes, triggers, views, functions and the
    /// extension. Empty without drift.
    ///
    /// A service's additions are not drift: see [`additions`](Self::additions). A column or a constraint that was added
    /// to a table of this crate is drift, since it decides which rows the table accepts.
    ///
    /// # Errors
    /// Those of [`connect`](crate::connect) where the versions already differ, and
    /// [`SchemaNewer`](crate::Error::SchemaNewer) where a newer build's schema serves this build.
    pub async fn check(&self) -> Result<Vec<String>> {
        Ok(run!(self, Access::Read, check())?.differences)
    }

    /// Returns the tables, indexes, triggers, views and functions that the database has besides this build's schema,
    /// also on this crate's tables, one sentence for each.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn additions(&self) -> Result<Vec<String>> {
        Ok(run!(self, Access::Read, check())?.additions)
    }

    /// Returns the rows of stored copies that disagree with what they are copied from, one sentence each. Reads every
    /// row of the copies. They are the [folded](crate::text::fold) names of schools, their words, the ids of the
    /// schools that links and reviews refer to by URN, the table of admissions reach, and the boxes of catchments.
    ///
    /// Triggers keep these copies up to date and refuse a name without its folded form, whichever program writes. Rows
    /// disagree only if a program disabled the triggers, wrote to a copy directly, or folded names by the rules of
    /// another build.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn check_data(&self) -> Result<Vec<String>> {
        run!(self, Access::Read, check_data())
    }

    /// Repairs the rows that [`check_data`](Self::check_data) reports, in one transaction, and returns the same
    /// sentences.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`SchemaLocked`](crate::Error::SchemaLocked) or [`Busy`](crate::Error::Busy) while
    /// other programs write.
    pub async fn repair_data(&self) -> Result<Vec<String>> {
        run!(self, Access::Change, repair_data())
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
