//! The embedded migrations, run by one program at a time.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};

use self::derived::StoredCopy;
use super::catalogue::catalogue;
use super::errors::classify;
use super::generations::newest_file;
use super::rebuild::{self, Guests, exists as has_table};
use super::set_up::{self, SetUp, connect_to_file};
use super::transactions::{begin_exclusive, end, snapshot};
use crate::config::{Config, FileAccess, Target};
use crate::error::{Error, Result};
use crate::migrations::{Access, Direction, Drift, LockTimeout, SchemaConnection, Script};
use crate::request::WriteMode;
use crate::tasks::blocking;

pub use self::versions::run_pending_migrations;

#[path = "../queries/derived.rs"]
mod derived;
#[path = "../queries/versions.rs"]
mod versions;

/// The migrations, by version.
pub(crate) static SCRIPTS: &[Script] = include!(concat!(env!("OUT_DIR"), "/migrations_sqlite.rs"));

/// The query for schools whose box in the R*Tree is missing, another's or superfluous.
macro_rules! stale_boxes {
    () => {
        "SELECT box.id FROM schools_catchment_box AS box LEFT JOIN schools_catchment AS stored ON stored.id = box.id
         WHERE stored.id IS NULL OR (stored.outline IS NULL) <> (box.outline IS NULL)
             OR abs(stored.min_lat - box.min_lat) > 0.0001 OR abs(stored.max_lat - box.max_lat) > 0.0001
             OR abs(stored.min_lng - box.min_lng) > 0.0001 OR abs(stored.max_lng - box.max_lng) > 0.0001
         UNION SELECT id FROM schools_catchment WHERE id NOT IN (SELECT id FROM schools_catchment_box)"
    };
}

/// A write transaction of SQLite excludes others by itself.
const LOCK_COPIES: &str = "";

/// The boxes of catchments. The index stores them as 32-bit numbers.
const COPIES: &[StoredCopy] = &[StoredCopy {
    stale: concat!(
        "SELECT 'school with id ' || id || ': its box in schools_catchment is not that of its catchment' FROM (",
        stale_boxes!(),
        ") ORDER BY id"
    ),
    repair: concat!(
        "CREATE TEMP TABLE stale_boxes AS ",
        stale_boxes!(),
        ";
         DELETE FROM schools_catchment WHERE id IN (SELECT id FROM stale_boxes);
         INSERT INTO schools_catchment (id, min_lat, max_lat, min_lng, max_lng, outline)
             SELECT id, min_lat, max_lat, min_lng, max_lng, outline FROM schools_catchment_box
             WHERE id IN (SELECT id FROM stale_boxes);
         DROP TABLE stale_boxes"
    ),
}];

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
pub(super) fn open(config: &Config, access: Access) -> Result<SqliteConnection> {
    let set_up = SetUp { busy_timeout: config.pool.busy_timeout };
    match &config.target {
        Target::SqliteMemory => set_up.connect(":memory:"),
        Target::SqliteFile { path, access: allowed } => {
            let url = match access {
                Access::Create if *allowed == FileAccess::Create => set_up::file_url(path, "rwc")?,
                Access::Create | Access::Change | Access::Read => set_up::existing_file(path, *allowed)?,
            };
            set_up.connect(&url).map_err(|error| set_up::cannot_open(path, error))
        }
        Target::SqliteGenerations { .. } if access != Access::Read => Err(Error::ReadOnly),
        Target::SqliteGenerations { folder, immutable } => {
            let (path, access) = newest_file(folder, *immutable)?;
            connect_to_file(&path, access, set_up)
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

    fn run_script(&mut self, applied: &[Script], script: &Script, direction: Direction) -> Result<()> {
        let sql = rebuild::without_transaction(script.sql(direction));
        if !rebuild::drops_tables(&sql) {
            return versions::run(self, script, &sql);
        }
        let guests = Guests::new(self, &mut created_by(applied)?)?;
        versions::run(self, script, &sql)?;
        guests.restore(self, &script.version())
    }

    /// Returns `false`: every migration of SQLite is atomic.
    fn is_half_done(&mut self, _script: &Script) -> Result<bool> {
        Ok(false)
    }

    fn stale_copies(&mut self) -> Result<Vec<String>> {
        derived::stale_on_conn(self)
    }

    fn fill_words(&mut self) -> Result<()> {
        derived::repair_words_in_txn(self)
    }

    fn repair_copies(&mut self) -> Result<Vec<String>> {
        derived::repair_in_txn(self)
    }

    fn drift_from(&mut self, scripts: &[Script]) -> Result<Drift> {
        Ok(Drift::between(&catalogue(&mut created_by(scripts)?)?, &catalogue(self)?))
    }
}

/// Returns a new database in memory, with some migrations applied.
fn created_by(scripts: &[Script]) -> Result<SqliteConnection> {
    let mut connection = SetUp { busy_timeout: Duration::ZERO }.connect(":memory:")?;
    for script in scripts {
        versions::run(&mut connection, script, &rebuild::without_transaction(script.up))?;
    }
    Ok(connection)
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
