//! The embedded migrations, run by one program at a time.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use self::versions::{__diesel_schema_migrations, failed};
use super::catalogue::{catalogue, sqlite_master};
use super::errors::classify;
use super::rebuild;
use super::set_up::{self, SetUp};
use super::transactions::{exclusive, snapshot};
use crate::config::{Config, Target};
use crate::error::{Error, Result};
use crate::migrations::{
    Direction, Known, LockTimeout, SchemaConnection, Script, Source, differences, require, up_on_conn,
};
use crate::tasks::blocking;

#[path = "../queries/versions.rs"]
mod versions;

/// The texts of the migrations, by version.
pub(crate) static SCRIPTS: &[Script] = include!(concat!(env!("OUT_DIR"), "/migrations_sqlite.rs"));

/// The connection type that Diesel's migrations need.
type MigrationConnection = SqliteConnection;

static MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_sqlite");

/// Runs `work` on a dedicated connection, and creates a missing file where `create` allows it. With a `lock_timeout`,
/// waits for another program that is changing the schema.
///
/// # Errors
/// Those of opening the database and of `work`.
pub(crate) async fn with_connection<T, W>(
    config: &Config,
    create: bool,
    lock_timeout: Option<LockTimeout>,
    work: W,
) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
{
    let config = config.clone();
    blocking(move || {
        let mut connection = match lock_timeout {
            Some(lock_timeout) => open_within(&config, create, &lock_timeout)?,
            None => open(&config, create)?,
        };
        work(&mut connection).map_err(classify)
    })
    .await
}

/// Opens the database, and creates a missing file where `create` allows it.
fn open(config: &Config, create: bool) -> Result<SqliteConnection> {
    let set_up = SetUp { busy_timeout: config.pool.busy_timeout };
    match &config.target {
        Target::SqliteMemory => set_up.connect(":memory:"),
        Target::SqliteFile(path) => {
            let url = if create { set_up::creatable_file(path)? } else { set_up::existing_file(path)? };
            set_up.connect(&url).map_err(|error| set_up::cannot_open(path, error))
        }
        #[cfg(feature = "postgres")]
        Target::Postgres(_) => Err(set_up::not_sqlite()),
    }
}

/// Opens the database like [`open`], and waits up to the lock timeout. While another program changes a file that is not
/// in WAL mode, the file cannot even be read.
fn open_within(config: &Config, create: bool, lock_timeout: &LockTimeout) -> Result<SqliteConnection> {
    let mut config = config.clone();
    // The waiting is done here and in `exclusively`, which report it.
    config.pool.busy_timeout = config.pool.busy_timeout.min(Duration::from_millis(100));
    let (begun, mut told) = (Instant::now(), false);
    loop {
        match open(&config, create) {
            Err(Error::Busy) if begun.elapsed() < lock_timeout.longest => {}
            Err(Error::Busy) => return Err(Error::SchemaLocked { waited_s: begun.elapsed().as_secs() }),
            opened => return opened,
        }
        if !std::mem::replace(&mut told, true) {
            lock_timeout.tell();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the drift of the live database from a new one that the migrations of a source create, one sentence each.
pub(crate) fn check_on_conn(connection: &mut SqliteConnection, source: &Source) -> Result<Vec<String>> {
    require(connection, source)?;
    let mut expected = SetUp { busy_timeout: Duration::ZERO }.connect(":memory:")?;
    up_on_conn(&mut expected, source, &LockTimeout { longest: Duration::ZERO, on_wait: None })?;
    Ok(differences(&catalogue(&mut expected)?, &catalogue(connection)?))
}

impl SchemaConnection for SqliteConnection {
    type DB = Sqlite;

    fn embedded() -> Result<Vec<Known<Sqlite>>> {
        Known::all(&MIGRATIONS, SCRIPTS)
    }

    /// Runs `work` in one transaction, and checks foreign keys at its end. With foreign keys on, rebuilding a table
    /// would delete every row that refers to it. The pragma has no effect inside a transaction, so it is turned off
    /// first.
    fn exclusively<T>(&mut self, lock_timeout: &LockTimeout, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.batch_execute("PRAGMA foreign_keys = OFF")?;
        let begun = Instant::now();
        let (mut work, mut told) = (Some(work), false);
        let result = loop {
            let result = exclusive(self, |connection| {
                let result = work.take().map_or(Err(Error::Busy), |work| work(connection))?;
                refuse_broken_references(connection)?;
                Ok(result)
            });
            match result.map_err(classify) {
                // The transaction did not begin: the lock was not available within the busy timeout.
                Err(Error::Busy) if work.is_some() => {}
                result => break result,
            }
            if begun.elapsed() >= lock_timeout.longest {
                break Err(Error::SchemaLocked { waited_s: begun.elapsed().as_secs() });
            }
            if !std::mem::replace(&mut told, true) {
                lock_timeout.tell();
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        self.batch_execute("PRAGMA foreign_keys = ON")?;
        result
    }

    /// Every schema change of SQLite can be rolled back, so all may share a transaction.
    fn together<T>(&mut self, _in_transaction: bool, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        snapshot(self, work)
    }

    fn run(&mut self, known: &Known<Sqlite>, direction: Direction) -> Result<()> {
        let Known { migration, script, version } = known;
        let recorded = __diesel_schema_migrations::table.find(version);
        let outcome = match (rebuild::body(script, direction), direction) {
            // The script turns foreign keys off for Diesel's own tool; here they already are.
            (Some(body), Direction::Up) => self.batch_execute(&body).and_then(|()| {
                let row = __diesel_schema_migrations::version.eq(version);
                diesel::insert_into(__diesel_schema_migrations::table).values(row).execute(self)
            }),
            (Some(body), Direction::Down) => {
                self.batch_execute(&body).and_then(|()| diesel::delete(recorded).execute(self))
            }
            (None, Direction::Up) => return self.run_migration(migration.as_ref()).map(drop).map_err(failed(version)),
            (None, Direction::Down) => {
                return self.revert_migration(migration.as_ref()).map(drop).map_err(failed(version));
            }
        };
        outcome.map(drop).map_err(|error| failed(version)(error.into()))
    }

    /// Does nothing: SQLite leaves no migration half done.
    fn repair(&mut self, _known: &Known<Sqlite>) -> Result<()> {
        Ok(())
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
