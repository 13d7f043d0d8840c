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
        #[cfg(feature = "postgres")]
        Backend::Postgres => on_postgres(config, crate::postgres::migrations::up_on_conn).await,
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
        #[cfg(feature = "postgres")]
        Backend::Postgres => {
            on_postgres(config, move |connection| crate::postgres::migrations::down_on_conn(connection, steps)).await
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
        #[cfg(feature = "postgres")]
        Backend::Postgres => on_postgres(config, crate::postgres::migrations::status_on_conn).await,
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
        #[cfg(feature = "postgres")]
        Backend::Postgres => {
            on_postgres(config, |connection| {
                crate::postgres::migrations::require_current(connection)?;
                crate::postgres::migrations::check_on_conn(connection)
            })
            .await
        }
    }
}

/// What differs between two catalogues of kind, name and definition, a sentence each.
pub(crate) fn differences(
    expected: &[(String, String, Option<String>)],
    found: &[(String, String, Option<String>)],
) -> Vec<String> {
    let mut differences = Vec::new();
    for (kind, name, definition) in expected {
        match found.iter().find(|(k, n, _)| (k, n) == (kind, name)) {
            None => differences.push(format!("{kind} {name} is missing")),
            Some((_, _, live)) if live != definition => {
                differences.push(format!(
                    "{kind} {name} differs: expected `{}`, found `{}`",
                    definition.as_deref().unwrap_or_default(),
                    live.as_deref().unwrap_or_default()
                ));
            }
            Some(_) => {}
        }
    }
    for (kind, name, _) in found {
        if !expected.iter().any(|(k, n, _)| (k, n) == (kind, name)) {
            differences.push(format!("{kind} {name} is not part of this build's schema"));
        }
    }
    differences
}

#[cfg(feature = "sqlite")]
async fn on_sqlite<T, W>(config: &Config, create: bool, work: W) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce(&mut diesel::SqliteConnection) -> Result<T> + Send + 'static,
{
    let config = config.clone();
    crate::repository::blocking(move || work(&mut crate::sqlite::migrations::open(&config, create)?)).await
}

#[cfg(feature = "postgres")]
async fn on_postgres<T, W>(config: &Config, work: W) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce(&mut crate::postgres::migrations::MigrationConnection) -> Result<T> + Send + 'static,
{
    let connection = crate::postgres::migrations::open(config).await?;
    crate::repository::blocking(move || work(&mut connection.into())).await
}
