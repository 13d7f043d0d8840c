//! The embedded migrations, and what the database says of its own schema.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationConnection as _, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::pool::SetUp;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::migrate::{Direction, MigrationStatus, differences};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_postgres");

/// A connection as Diesel's migrations need it: one that blocks.
pub(crate) type MigrationConnection = AsyncConnectionWrapper<AsyncPgConnection>;

/// The advisory lock that a program holds while it changes the schema: the first eight bytes of "schoolfinder".
const SCHEMA_LOCK: i64 = 0x7363_686f_6f6c_6669;

/// How long to wait for another program that changes the schema.
const LOCK_PATIENCE: Duration = Duration::from_secs(120);

diesel::table! {
    /// Diesel's record of the migrations that were run.
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

/// Connects to the database to change its schema. Statements may take as long as they need.
pub(crate) async fn open(config: &Config) -> Result<AsyncPgConnection> {
    use diesel_async::SimpleAsyncConnection;
    let mut connection = SetUp::new(config)?.connect().await?;
    connection.batch_execute("SET statement_timeout = 0").await?;
    Ok(connection)
}

/// Runs every pending migration and gives their names.
pub(crate) fn up_on_conn(connection: &mut MigrationConnection) -> Result<Vec<String>> {
    change_schema(connection, |connection| {
        if !newer_than_known(connection)?.is_empty() {
            return require_current(connection).map(|()| Vec::new());
        }
        up_in_txn(connection)
    })
}

fn up_in_txn(connection: &mut MigrationConnection) -> Result<Vec<String>> {
    connection.setup()?;
    let applied = applied_versions(connection)?;
    let mut names = Vec::new();
    for migration in known()? {
        if !applied.contains(&version_of(migration.as_ref())) {
            run(connection, migration.as_ref(), Direction::Up)?;
            names.push(migration.name().to_string());
        }
    }
    Ok(names)
}

/// Reverts the newest `steps` migrations, the newest first, and gives their names.
pub(crate) fn down_on_conn(connection: &mut MigrationConnection, steps: usize) -> Result<Vec<String>> {
    change_schema(connection, |connection| {
        let applied = applied_versions(connection)?;
        let mut names = Vec::new();
        for version in applied.iter().rev().take(steps) {
            let migration = known()?.into_iter().find(|migration| version_of(migration.as_ref()) == *version);
            let Some(migration) = migration else {
                return Err(too_new(version.clone())?);
            };
            run(connection, migration.as_ref(), Direction::Down)?;
            names.push(migration.name().to_string());
        }
        Ok(names)
    })
}

/// Every migration that this build knows, or the database has run, by version.
pub(crate) fn status_on_conn(connection: &mut MigrationConnection) -> Result<Vec<MigrationStatus>> {
    let applied = applied_versions(connection)?;
    let mut all: Vec<MigrationStatus> = known()?
        .iter()
        .map(|migration| MigrationStatus {
            name: migration.name().to_string(),
            applied: applied.contains(&version_of(migration.as_ref())),
            known: true,
        })
        .collect();
    let unknown = newer_than_known(connection)?;
    all.extend(unknown.into_iter().map(|name| MigrationStatus { name, applied: true, known: false }));
    Ok(all)
}

/// Refuses a database whose schema is not exactly this build's. Writes nothing.
pub(crate) fn require_current(connection: &mut MigrationConnection) -> Result<()> {
    if let Some(found) = newer_than_known(connection)?.pop() {
        return Err(too_new(found)?);
    }
    match status_on_conn(connection)?.iter().filter(|migration| !migration.applied).count() {
        0 => Ok(()),
        pending if pending == known()?.len() => Err(Error::SchemaMissing),
        pending => Err(Error::SchemaPending { pending }),
    }
}

/// As [`require_current`], on a thread that may block.
pub(super) async fn require_current_async(connection: AsyncPgConnection) -> Result<()> {
    crate::repository::blocking(move || require_current(&mut connection.into())).await
}

/// What differs between the live database and a new one of this build, a sentence each. The new one is made in a
/// namespace of its own, in a transaction that is undone.
pub(crate) fn check_on_conn(connection: &mut MigrationConnection) -> Result<Vec<String>> {
    /// Why the transaction did not commit.
    enum Ended {
        Failed(Error),
        Undone(Vec<Entry>),
    }
    impl From<Error> for Ended {
        fn from(error: Error) -> Self {
            Self::Failed(error)
        }
    }
    impl From<diesel::result::Error> for Ended {
        fn from(error: diesel::result::Error) -> Self {
            Self::Failed(error.into())
        }
    }

    let found = catalogue(connection)?;
    let ended = connection.transaction::<(), Ended, _>(|connection| {
        connection.batch_execute(
            "CREATE SCHEMA school_finder_expected;
             SELECT set_config('search_path', 'school_finder_expected,' || current_setting('search_path'), true);",
        )?;
        up_in_txn(connection)?;
        Err(Ended::Undone(catalogue(connection)?))
    });
    match ended {
        Err(Ended::Undone(expected)) => Ok(differences(&expected, &found)),
        Err(Ended::Failed(error)) => Err(error),
        Ok(()) => Ok(Vec::new()),
    }
}

/// Runs work that changes the schema: one program at a time, whole or not at all. The lock is asked for again and again,
/// and never waited for in the server: a session that waits keeps `CREATE INDEX CONCURRENTLY` from ending.
fn change_schema<T>(
    connection: &mut MigrationConnection,
    work: impl FnOnce(&mut MigrationConnection) -> Result<T>,
) -> Result<T> {
    let try_lock = || diesel::dsl::sql::<Bool>("SELECT pg_try_advisory_lock(").bind::<BigInt, _>(SCHEMA_LOCK).sql(")");
    let begun = Instant::now();
    while !try_lock().get_result::<bool>(connection)? {
        if begun.elapsed() > LOCK_PATIENCE {
            return Err(Error::Busy);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let result = connection.transaction(work);
    let unlock = diesel::dsl::sql::<Bool>("SELECT pg_advisory_unlock(").bind::<BigInt, _>(SCHEMA_LOCK).sql(")");
    // A connection that broke has lost its lock already, and the first error tells more.
    let unlocked = unlock.get_result::<bool>(connection);
    let value = result?;
    unlocked?;
    Ok(value)
}

fn run(connection: &mut MigrationConnection, migration: &dyn Migration<Pg>, direction: Direction) -> Result<()> {
    let outcome = match direction {
        Direction::Up => connection.run_migration(migration),
        Direction::Down => connection.revert_migration(migration),
    };
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => Err(super::errors::from_message(&error.to_string())
            .unwrap_or_else(|| Error::MigrationFailed { version: version_of(migration), reason: error.to_string() })),
    }
}

fn known() -> Result<Vec<Box<dyn Migration<Pg>>>> {
    let mut migrations = MigrationSource::<Pg>::migrations(&MIGRATIONS)
        .map_err(|error| Error::MigrationFailed { version: "?".to_owned(), reason: error.to_string() })?;
    migrations.sort_by_key(|migration| version_of(migration.as_ref()));
    Ok(migrations)
}

fn version_of(migration: &dyn Migration<Pg>) -> String {
    migration.name().version().to_string()
}

/// The versions that were run, in order. Diesel's own call would create its table where there is none.
fn applied_versions(connection: &mut MigrationConnection) -> Result<Vec<String>> {
    let recorded = diesel::dsl::sql::<Bool>("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL");
    if !recorded.get_result::<bool>(connection)? {
        return Ok(Vec::new());
    }
    let versions = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
    Ok(versions.order_by(__diesel_schema_migrations::version).load(connection)?)
}

fn newer_than_known(connection: &mut MigrationConnection) -> Result<Vec<String>> {
    let known: Vec<String> = known()?.iter().map(|migration| version_of(migration.as_ref())).collect();
    Ok(applied_versions(connection)?.into_iter().filter(|version| !known.contains(version)).collect())
}

fn too_new(found: String) -> Result<Error> {
    let known = known()?.last().map(|migration| version_of(migration.as_ref())).unwrap_or_default();
    Ok(Error::SchemaTooNew { found, known })
}

/// The kind, name and definition of a thing in the schema.
type Entry = (String, String, Option<String>);

#[derive(QueryableByName)]
struct CatalogueRow {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    definition: String,
}

/// Everything in the current namespace by kind and name, but for what PostGIS and Diesel keep for themselves.
fn catalogue(connection: &mut MigrationConnection) -> Result<Vec<Entry>> {
    let rows: Vec<CatalogueRow> = diesel::sql_query(
        "WITH ours AS (
             SELECT c.oid, c.relname, c.relkind FROM pg_class c
             WHERE c.relnamespace = current_schema()::regnamespace AND c.relname <> '__diesel_schema_migrations'
                 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
         )
         SELECT 'column' AS kind, relname || '.' || attname AS name,
             format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
                 || coalesce(' COLLATE ' || nullif(attcollation, t.typcollation)::regcollation, '')
                 || CASE WHEN attgenerated = '' AND attidentity = '' THEN '' ELSE ' GENERATED' END
                 || coalesce(' ' || pg_get_expr(adbin, adrelid), '') AS definition
         FROM ours JOIN pg_attribute a ON attrelid = ours.oid AND attnum > 0 AND NOT attisdropped
             JOIN pg_type t ON t.oid = atttypid
             LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
         WHERE relkind = 'r'
         UNION ALL
         SELECT 'constraint', conname, pg_get_constraintdef(c.oid)
         FROM ours JOIN pg_constraint c ON conrelid = ours.oid
         UNION ALL
         SELECT 'index', i.relname, replace(pg_get_indexdef(i.oid), current_schema() || '.', '')
         FROM ours JOIN pg_index ON indrelid = ours.oid JOIN pg_class i ON i.oid = indexrelid
         UNION ALL
         SELECT 'view', relname, pg_get_viewdef(oid, true) FROM ours WHERE relkind = 'v'
         UNION ALL
         SELECT 'function', proname, pg_get_function_arguments(p.oid) || ' ' || provolatile::text || proparallel::text
             || coalesce(pg_get_function_sqlbody(p.oid), prosrc)
         FROM pg_proc p
         WHERE pronamespace = current_schema()::regnamespace
             AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
         UNION ALL
         SELECT 'trigger', tgname, pg_get_triggerdef(t.oid, true)
         FROM ours JOIN pg_trigger t ON tgrelid = ours.oid AND NOT tgisinternal
         ORDER BY 1, 2",
    )
    .load(connection)?;
    Ok(rows.into_iter().map(|row| (row.kind, row.name, Some(row.definition))).collect())
}
