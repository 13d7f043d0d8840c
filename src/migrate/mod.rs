//! The schema's versions: one face for every backend.
//!
//! The migrations are embedded in the program; the same files serve `diesel migration run` in development. Each call
//! takes the database for itself, and changes all or nothing.

use serde::{Deserialize, Serialize};

use crate::config::{Backend, Config};
use crate::error::Result;

/// A migration and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationStatus {
    /// Its name, such as `2026-11-24-060000_create_schools`.
    pub name: String,
    /// Whether it was run.
    pub applied: bool,
    /// Whether this build knows it. One that it does not know comes from a newer build.
    pub known: bool,
}

/// Which way a migration is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// Runs every pending migration and gives their names, in order. Creates the database where there is none.
///
/// # Errors
/// [`SchemaTooNew`](crate::Error::SchemaTooNew) where a newer build was here,
/// [`MigrationFailed`](crate::Error::MigrationFailed) where one fails: all are undone. Those of opening the database.
pub async fn up(config: &Config) -> Result<Vec<String>> {
    match config.backend() {
        #[cfg(feature = "sqlite")]
        Backend::Sqlite => on_sqlite(config, true, crate::sqlite::migrations::up_on_conn).await,
    }
}

/// Reverts the newest `steps` migrations and gives their names, the newest first. What they had added is lost, with
/// its data.
///
/// # Errors
/// As [`up`].
pub async fn down(config: &Config, steps: usize) -> Result<Vec<String>> {
    match config.backend() {
        #[cfg(feature = "sqlite")]
        Backend::Sqlite => {
            on_sqlite(config, false, move |connection| crate::sqlite::migrations::down_on_conn(connection, steps)).await
        }
    }
}

/// Every migration that this build knows or the database has.
///
/// # Errors
/// Those of opening the database.
pub async fn status(config: &Config) -> Result<Vec<MigrationStatus>> {
    match config.backend() {
        #[cfg(feature = "sqlite")]
        Backend::Sqlite => on_sqlite(config, false, crate::sqlite::migrations::status_on_conn).await,
    }
}

/// What differs between the live database and one that this build's migrations would make, a sentence each. Nothing:
/// they are the same.
///
/// # Errors
/// [`SchemaMissing`](crate::Error::SchemaMissing), [`SchemaPending`](crate::Error::SchemaPending) or
/// [`SchemaTooNew`](crate::Error::SchemaTooNew) where the versions differ already.
pub async fn check(config: &Config) -> Result<Vec<String>> {
    match config.backend() {
        #[cfg(feature = "sqlite")]
        Backend::Sqlite => {
            on_sqlite(config, false, |connection| {
                crate::sqlite::migrations::require_current(connection)?;
                crate::sqlite::migrations::check_on_conn(connection)
            })
            .await
        }
    }
}

#[cfg(feature = "sqlite")]
async fn on_sqlite<T, W>(config: &Config, create: bool, work: W) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce(&mut diesel::SqliteConnection) -> Result<T> + Send + 'static,
{
    let config = config.clone();
    crate::sqlite::blocking(move || work(&mut crate::sqlite::migrations::open(&config, create)?)).await
}
