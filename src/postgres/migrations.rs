//! The embedded migrations, run by one program at a time.

use std::time::Instant;

use diesel::connection::SimpleConnection;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

pub(super) use self::versions::__diesel_schema_migrations;
use self::versions::failed;
use super::catalogue::catalogue;
use super::errors::classify;
use super::set_up::SetUp;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::migrations::{
    Direction, Known, LockTimeout, SchemaConnection, Script, Source, VersionTables, differences, require,
};
use crate::tasks::blocking;

#[path = "../queries/versions.rs"]
mod versions;

/// The texts of the migrations, by version.
pub(crate) static SCRIPTS: &[Script] = include!(concat!(env!("OUT_DIR"), "/migrations_postgres.rs"));

static MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_postgres");

/// The blocking connection type that Diesel's migrations need.
pub(crate) type MigrationConnection = AsyncConnectionWrapper<AsyncPgConnection>;

/// The key of the advisory lock on the schema: the first eight bytes of "schoolfinder".
const SCHEMA_LOCK: i64 = 0x7363_686f_6f6c_6669;

/// Runs `work` on a dedicated connection from [`open`].
///
/// # Errors
/// Those of connecting and of `work`.
pub(crate) async fn with_connection<T, W>(config: &Config, work: W) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce(&mut MigrationConnection) -> Result<T> + Send + 'static,
{
    let connection = open(config).await?;
    blocking(move || work(&mut connection.into()).map_err(classify)).await
}

/// Connects to the database to change its schema, without a statement timeout.
pub(crate) async fn open(config: &Config) -> Result<AsyncPgConnection> {
    use diesel_async::SimpleAsyncConnection;
    let mut connection = SetUp::new(config)?.connect().await?;
    // The server checks regularly that the program is still connected, so that a killed program releases its lock.
    let settings = "SET statement_timeout = 0; SET client_connection_check_interval = '1s'";
    connection.batch_execute(settings).await.map_err(|error| classify(error.into()))?;
    Ok(connection)
}

/// Returns the drift of the live database from a new one that the migrations of a source create, one sentence each. The
/// new one is created in its own schema, in a transaction that is rolled back.
pub(crate) fn check_on_conn(connection: &mut MigrationConnection, source: &Source) -> Result<Vec<String>> {
    require(connection, source)?;
    let found = catalogue(connection)?;
    let mut expected = None;
    let rolled_back = connection.transaction::<(), Error, _>(|connection| {
        connection.batch_execute(
            "CREATE SCHEMA school_finder_expected;
             SELECT set_config('search_path', 'school_finder_expected,' || current_setting('search_path'), true);",
        )?;
        connection.make_version_table()?;
        for Known { script, version, .. } in source.known::<MigrationConnection>()? {
            // Building concurrently matters only for live tables; on an empty table the result is the same.
            let up = script.up.replace(" CONCURRENTLY", "");
            connection.batch_execute(&up).map_err(|error| failed(&version)(error.into()))?;
        }
        expected = Some(catalogue(connection)?);
        Err(diesel::result::Error::RollbackTransaction.into())
    });
    match expected {
        Some(expected) => Ok(differences(&expected, &found)),
        None => rolled_back.map(|()| Vec::new()),
    }
}

impl SchemaConnection for MigrationConnection {
    type DB = Pg;

    fn embedded() -> Result<Vec<Known<Pg>>> {
        Known::all(&MIGRATIONS, SCRIPTS)
    }

    /// Runs `work` under an advisory lock of the session, which spans its transactions and is released when the program
    /// is killed. The lock is polled: a session that waits in the server would block `CREATE INDEX CONCURRENTLY`.
    fn exclusively<T>(&mut self, lock_timeout: &LockTimeout, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let ask = |what| diesel::dsl::sql::<Bool>(what).bind::<BigInt, _>(SCHEMA_LOCK).sql(")");
        let (begun, mut told) = (Instant::now(), false);
        while !ask("SELECT pg_try_advisory_lock(").get_result::<bool>(self)? {
            if begun.elapsed() >= lock_timeout.longest {
                return Err(Error::SchemaLocked { waited_s: begun.elapsed().as_secs() });
            }
            if !std::mem::replace(&mut told, true) {
                lock_timeout.tell();
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let result = work(self);
        // A broken connection has already lost its lock, and the first error is more informative.
        let unlocked = ask("SELECT pg_advisory_unlock(").get_result::<bool>(self);
        let value = result?;
        unlocked?;
        Ok(value)
    }

    fn together<T>(&mut self, in_transaction: bool, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if in_transaction { self.transaction(work) } else { work(self) }
    }

    fn run(&mut self, known: &Known<Pg>, direction: Direction) -> Result<()> {
        let Known { migration, script, version } = known;
        let alone = !migration.metadata().run_in_transaction();
        if alone {
            // A concurrent index build waits for every older transaction, and blocks no other session meanwhile.
            self.batch_execute("SET lock_timeout = '2min'")?;
            if direction == Direction::Up {
                for Dropping { statement } in unfinished_indexes(self, script)? {
                    self.batch_execute(&statement)?;
                }
            }
        }
        let outcome = match direction {
            Direction::Up => self.run_migration(migration.as_ref()),
            Direction::Down => self.revert_migration(migration.as_ref()),
        };
        if alone && outcome.is_ok() {
            self.batch_execute("RESET lock_timeout")?;
        }
        match outcome {
            Ok(_) => Ok(()),
            Err(error) if alone => Err(Error::MigrationFailed {
                version: version.clone(),
                reason: format!("{error}; it stands alone, so that what was done before it stays: run it again"),
            }),
            Err(error) => Err(failed(version)(error)),
        }
    }

    /// Marks an incomplete migration as pending and runs it, so that the next program resumes an interrupted repair.
    fn repair(&mut self, known: &Known<Pg>) -> Result<()> {
        let Known { migration, script, version } = known;
        if migration.metadata().run_in_transaction() || unfinished_indexes(self, script)?.is_empty() {
            return Ok(());
        }
        diesel::delete(__diesel_schema_migrations::table.find(version)).execute(self)?;
        self.run(known, Direction::Up)
    }
}

fn has_table(connection: &mut MigrationConnection, name: &str) -> Result<bool> {
    let named = diesel::dsl::sql::<Bool>("SELECT to_regclass(").bind::<Text, _>(name).sql(") IS NOT NULL");
    Ok(named.get_result(connection)?)
}

/// A statement that drops an index.
#[derive(QueryableByName)]
struct Dropping {
    #[diesel(sql_type = Text)]
    statement: String,
}

/// Returns the drops of indexes that a migration builds and an earlier attempt left invalid. Postgres never uses an
/// invalid index, and `IF NOT EXISTS` skips it. An index that is being built now is excluded.
fn unfinished_indexes(connection: &mut MigrationConnection, script: &Script) -> Result<Vec<Dropping>> {
    let query = diesel::sql_query(
        "SELECT format('DROP INDEX CONCURRENTLY IF EXISTS %I', relname) AS statement
         FROM pg_index JOIN pg_class ON oid = indexrelid
         WHERE NOT indisvalid AND relnamespace = quote_ident(current_schema())::regnamespace
             AND position(' EXISTS ' || relname || ' ON ' IN $1) > 0
             AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index AS running WHERE running.index_relid = indexrelid)",
    );
    Ok(query.bind::<Text, _>(script.up).load(connection)?)
}
