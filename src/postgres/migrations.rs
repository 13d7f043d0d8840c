//! The embedded migrations, run by one program at a time.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;

use self::derived::StoredCopy;
pub(super) use self::versions::__diesel_schema_migrations;
pub use self::versions::run_pending_migrations;
use super::catalogue::catalogue;
use super::errors::classify;
use super::health::refuse_denied;
use super::pooler;
use super::set_up::SetUp;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::migrations::{Access, Direction, Drift, LockTimeout, SchemaConnection, Script};
use crate::tasks::blocking;

#[path = "../queries/derived.rs"]
mod derived;
#[path = "../queries/versions.rs"]
mod versions;

/// Keeps other programs from writing what is compared.
const LOCK_COPIES: &str = "LOCK TABLE schools, folded_names, school_links, school_reviews, school_towns,
    school_vocabulary, school_words, admissions_history, admissions_reach IN SHARE ROW EXCLUSIVE MODE";

/// Boxes and points are generated columns, which no program can write.
const COPIES: &[StoredCopy] = &[];

/// The migrations, by version.
pub(crate) static SCRIPTS: &[Script] = include!(concat!(env!("OUT_DIR"), "/migrations_postgres.rs"));

/// The blocking connection type that migrations run on.
pub(crate) type MigrationConnection = AsyncConnectionWrapper<AsyncPgConnection>;

/// The key of the advisory lock on the schema: the first eight bytes of "schoolfinder".
const SCHEMA_LOCK: i64 = 0x7363_686f_6f6c_6669;

/// Runs `work` on a dedicated connection from [`open`].
///
/// # Errors
/// Those of connecting and of `work`.
pub(crate) async fn with_connection<T, W>(
    config: &Config,
    access: Access,
    _lock_timeout: &LockTimeout,
    work: W,
) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce(&mut MigrationConnection) -> Result<T> + Send + 'static,
{
    let connection = match access {
        Access::Read => connect(SetUp::new(config)?).await?,
        Access::Create | Access::Change => open(config).await?,
    };
    blocking(move || work(&mut connection.into()).map_err(classify)).await
}

/// Connects to the database to change its schema: to the primary, without a statement timeout.
pub(crate) async fn open(config: &Config) -> Result<AsyncPgConnection> {
    connect(SetUp::for_changes(config)?).await
}

async fn connect(set_up: SetUp) -> Result<AsyncPgConnection> {
    use diesel_async::SimpleAsyncConnection;
    let mut connection = set_up.connect().await?;
    pooler::refuse(&mut connection).await.map_err(classify)?;
    // The server checks regularly that the program is still connected, so that a killed program releases its lock.
    let settings = "SET statement_timeout = 0; SET client_connection_check_interval = '1s'";
    connection.batch_execute(settings).await.map_err(|error| classify(error.into()))?;
    let denied = diesel::dsl::sql::<Text>(
        "SELECT extnamespace::regnamespace::text FROM pg_extension
         WHERE extname = 'postgis' AND NOT has_schema_privilege(extnamespace, 'USAGE')",
    );
    let denied =
        super::run::RunQueryDsl::load(denied, &mut connection).await.map_err(|error| classify(error.into()))?;
    refuse_denied(denied.into_iter().next())?;
    Ok(connection)
}

impl SchemaConnection for MigrationConnection {
    /// Runs `work` under an advisory lock of the session, which spans its transactions and is released when the program
    /// is killed. The lock is polled: a session that waits in the server would block `CREATE INDEX CONCURRENTLY`.
    fn exclusively<T>(&mut self, lock_timeout: &LockTimeout, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        lock_timeout.poll(|| Ok(schema_lock(self, "SELECT pg_try_advisory_lock(")?.then_some(())))?;
        let result = work(self);
        // A broken connection has already lost its lock, and the first error is more informative.
        let unlocked = schema_lock(self, "SELECT pg_advisory_unlock(");
        result.and_then(|value| Ok(unlocked.map(|_| value)?))
    }

    fn in_transaction<T>(&mut self, is_possible: bool, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if is_possible { self.transaction(work) } else { work(self) }
    }

    /// Postgres itself refuses to drop what another program's table or view needs.
    fn run_script(&mut self, _applied: &[Script], script: &Script, direction: Direction) -> Result<()> {
        let sql = script.sql(direction);
        if script.run_in_transaction {
            return versions::run(self, script, sql);
        }
        // A concurrent index build waits for every older transaction, and blocks no other session meanwhile.
        self.batch_execute("SET lock_timeout = '2min'")?;
        if direction == Direction::Up {
            for Dropping { statement } in unfinished_indexes(self, script)? {
                self.batch_execute(&statement)?;
            }
        }
        versions::run(self, script, sql).map_err(|error| match error {
            Error::MigrationFailed { version, reason } => Error::MigrationFailed {
                version,
                reason: format!(
                    "{reason}; it cannot be rolled back, and what ran before it is committed: run it again"
                ),
            },
            error => error,
        })?;
        Ok(self.batch_execute("RESET lock_timeout")?)
    }

    fn is_half_done(&mut self, script: &Script) -> Result<bool> {
        Ok(!script.run_in_transaction && !unfinished_indexes(self, script)?.is_empty())
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

    /// Creates the new database in its own schema, in a transaction that is rolled back.
    fn drift_from(&mut self, scripts: &[Script]) -> Result<Drift> {
        let found = catalogue(self)?;
        let mut expected = Vec::new();
        let rolled_back = self.transaction::<(), Error, _>(|connection| {
            connection.batch_execute(
                "CREATE SCHEMA school_finder_expected;
                 SELECT set_config('search_path', 'school_finder_expected,' || current_setting('search_path'), true);",
            )?;
            for script in scripts {
                // Building concurrently matters only for live tables; on an empty table the result is the same.
                let up = script.up.replace(" CONCURRENTLY", "");
                versions::run(connection, script, &up)?;
            }
            expected = catalogue(connection)?;
            Err(diesel::result::Error::RollbackTransaction.into())
        });
        match rolled_back {
            Ok(()) | Err(Error::Database(diesel::result::Error::RollbackTransaction)) => {
                Ok(Drift::between(&expected, &found))
            }
            Err(error) => Err(error),
        }
    }
}

/// Runs a function of the schema's advisory lock.
fn schema_lock(connection: &mut MigrationConnection, function: &'static str) -> QueryResult<bool> {
    diesel::dsl::sql::<Bool>(function).bind::<BigInt, _>(SCHEMA_LOCK).sql(")").get_result(connection)
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
