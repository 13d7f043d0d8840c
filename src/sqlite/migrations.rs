//! The embedded migrations, run by one program at a time.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};

use self::versions::failed;
use super::catalogue::{catalogue, sqlite_master};
use super::errors::classify;
use super::rebuild;
use super::set_up::{self, SetUp};
use super::transactions::{begin_exclusive, end, snapshot};
use crate::config::{Config, Target};
use crate::error::{Error, Result};
use crate::migrations::{Access, Direction, Engine, LockTimeout, SchemaConnection, Script, drift};
use crate::request::WriteMode;
use crate::tasks::blocking;

#[path = "../queries/versions.rs"]
mod versions;

/// The migrations, by version.
pub(crate) static SCRIPTS: &[Script] = include!(concat!(env!("OUT_DIR"), "/migrations_sqlite.rs"));

/// The connection type that migrations run on.
type MigrationConnection = SqliteConnection;

/// Runs `work` on a dedicated connection.
///
/// # Errors
/// Those of opening the database and of `work`.
pub(crate) async fn with_connection<T, W>(
    config: &Config,
    access: Access,
    lock_timeout: &LockTimeout,
    work: W,
) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
{
    let (mut config, lock_timeout) = (config.clone(), lock_timeout.clone());
    blocking(move || {
        let mut connection = match access {
            Access::Read => open(&config, access)?,
            Access::Create | Access::Change => {
                // The waiting is done here and in `exclusively`, which report it. While another program changes a file
                // that is not in WAL mode, the file cannot even be read.
                config.pool.busy_timeout = config.pool.busy_timeout.min(Duration::from_millis(100));
                lock_timeout.poll(|| unless_busy(open(&config, access)))?
            }
        };
        work(&mut connection).map_err(classify)
    })
    .await
}

/// Opens the database, and creates a missing file where `access` allows it.
fn open(config: &Config, access: Access) -> Result<SqliteConnection> {
    let set_up = SetUp { busy_timeout: config.pool.busy_timeout };
    match &config.target {
        Target::SqliteMemory => set_up.connect(":memory:"),
        Target::SqliteFile(path) => {
            let url = match access {
                Access::Create => set_up::file_url(path, "rwc")?,
                Access::Change | Access::Read => set_up::existing_file(path)?,
            };
            set_up.connect(&url).map_err(|error| set_up::cannot_open(path, error))
        }
        #[cfg(feature = "postgres")]
        Target::Postgres(_) => Err(set_up::not_sqlite()),
    }
}

/// Returns `None` where another program has locked the database.
fn unless_busy<T>(result: Result<T>) -> Result<Option<T>> {
    match result.map_err(classify) {
        Err(Error::Busy) => Ok(None),
        result => result.map(Some),
    }
}

impl SchemaConnection for SqliteConnection {
    /// Runs `work` in one transaction, and checks foreign keys at its end. With foreign keys on, rebuilding a table
    /// would delete every row that refers to it. The pragma has no effect inside a transaction, so it is turned off
    /// first.
    fn exclusively<T>(&mut self, lock_timeout: &LockTimeout, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.batch_execute("PRAGMA foreign_keys = OFF")?;
        let locked = lock_timeout.poll(|| unless_busy(begin_exclusive(self)));
        let result = locked.and_then(|()| {
            end(self, WriteMode::Commit, |connection| {
                let result = work(connection)?;
                refuse_broken_references(connection)?;
                Ok(result)
            })
        });
        self.batch_execute("PRAGMA foreign_keys = ON")?;
        result
    }

    /// Every schema change of SQLite can be rolled back, so all may share a transaction.
    fn in_transaction<T>(&mut self, _is_possible: bool, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        snapshot(self, work)
    }

    fn run_script(&mut self, script: &Script, direction: Direction) -> Result<()> {
        let sql = rebuild::without_transaction(script.sql(direction));
        versions::run(self, script, direction, &sql).map_err(|error| failed(script, &error))
    }

    /// Returns `false`: every migration of SQLite is atomic.
    fn is_half_done(&mut self, _script: &Script) -> Result<bool> {
        Ok(false)
    }

    /// Creates the new database in memory.
    fn drift_from(&mut self, scripts: &'static [Script]) -> Result<Vec<String>> {
        let mut expected = SetUp { busy_timeout: Duration::ZERO }.connect(":memory:")?;
        Engine::new(scripts).up(&mut expected)?;
        Ok(drift(&catalogue(&mut expected)?, &catalogue(self)?))
    }
}

fn has_table(connection: &mut SqliteConnection, name: &str) -> Result<bool> {
    let named = sqlite_master::table.filter(sqlite_master::name.eq(name));
    Ok(diesel::select(diesel::dsl::exists(named)).get_result(connection)?)
}

/// Returns an error where a row refers to a missing one.
fn refuse_broken_references(connection: &mut SqliteConnection) -> Result<()> {
    let broken = diesel::dsl::sql::<Nullable<Text>>("SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1");
    match broken.get_result::<Option<String>>(connection).optional()? {
        None => Ok(()),
        Some(table) => Err(Error::MigrationFailed {
            version: "?".to_owned(),
            reason: format!("a row of {} would point to a row that is gone", table.unwrap_or_default()),
        }),
    }
}
