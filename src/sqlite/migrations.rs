//! The embedded migrations, and what the database says of its own schema.

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationConnection, MigrationSource};
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::pool::{self, SetUp};
use crate::config::{Config, Target};
use crate::error::{Error, Result};
use crate::migrate::{Direction, MigrationStatus, differences};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_sqlite");

diesel::table! {
    /// Diesel's record of the migrations that were run.
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

diesel::table! {
    /// SQLite's own catalogue.
    sqlite_master (rowid) {
        rowid -> BigInt,
        #[sql_name = "type"]
        type_ -> Text,
        name -> Text,
        tbl_name -> Text,
        sql -> Nullable<Text>,
    }
}

/// Opens the database to change its schema, and creates its file where there is none and `create` allows it.
pub(crate) fn open(config: &Config, create: bool) -> Result<SqliteConnection> {
    let set_up = SetUp { busy_timeout: config.pool.busy_timeout };
    match &config.target {
        Target::SqliteMemory => set_up.connect(":memory:"),
        Target::SqliteFile(path) => {
            let url = if create { pool::creatable_file(path)? } else { pool::existing_file(path)? };
            set_up.connect(&url).map_err(|error| pool::cannot_open(path, error))
        }
        #[cfg(feature = "postgres")]
        Target::Postgres(_) => Err(pool::not_sqlite()),
    }
}

/// Runs every pending migration and gives their names.
pub(crate) fn up_on_conn(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    change_schema(connection, |connection| {
        if !newer_than_known(connection)?.is_empty() {
            return require_current(connection).map(|()| Vec::new());
        }
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
    })
}

/// Reverts the newest `steps` migrations, the newest first, and gives their names.
pub(crate) fn down_on_conn(connection: &mut SqliteConnection, steps: usize) -> Result<Vec<String>> {
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
pub(crate) fn status_on_conn(connection: &mut SqliteConnection) -> Result<Vec<MigrationStatus>> {
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
pub(crate) fn require_current(connection: &mut SqliteConnection) -> Result<()> {
    if let Some(found) = newer_than_known(connection)?.pop() {
        return Err(too_new(found)?);
    }
    match status_on_conn(connection)?.iter().filter(|migration| !migration.applied).count() {
        0 => Ok(()),
        pending if pending == known()?.len() => Err(Error::SchemaMissing),
        pending => Err(Error::SchemaPending { pending }),
    }
}

/// What differs between the live database and a new one of this build, a sentence each.
pub(crate) fn check_on_conn(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    let mut expected = SetUp { busy_timeout: std::time::Duration::ZERO }.connect(":memory:")?;
    up_on_conn(&mut expected)?;
    Ok(differences(&catalogue(&mut expected)?, &catalogue(connection)?))
}

/// Runs work that changes the schema: one program at a time, whole or not at all, and with foreign keys checked at the
/// end in place of on the way. While they are on, rebuilding a table deletes every row that points to it, and the
/// pragma does nothing inside a transaction, so it goes off before.
fn change_schema<T>(
    connection: &mut SqliteConnection,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T>,
) -> Result<T> {
    connection.batch_execute("PRAGMA foreign_keys = OFF")?;
    let result = connection.exclusive_transaction(|connection| {
        let result = work(connection)?;
        let broken = diesel::dsl::sql::<Nullable<Text>>("SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1");
        match broken.get_result::<Option<String>>(connection).optional()? {
            None => Ok(result),
            Some(table) => Err(Error::MigrationFailed {
                version: "?".to_owned(),
                reason: format!("a row of {} would point to a row that is gone", table.unwrap_or_default()),
            }),
        }
    });
    connection.batch_execute("PRAGMA foreign_keys = ON")?;
    result
}

fn run(connection: &mut SqliteConnection, migration: &dyn Migration<Sqlite>, direction: Direction) -> Result<()> {
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

fn known() -> Result<Vec<Box<dyn Migration<Sqlite>>>> {
    let mut migrations = MigrationSource::<Sqlite>::migrations(&MIGRATIONS)
        .map_err(|error| Error::MigrationFailed { version: "?".to_owned(), reason: error.to_string() })?;
    migrations.sort_by_key(|migration| version_of(migration.as_ref()));
    Ok(migrations)
}

fn version_of(migration: &dyn Migration<Sqlite>) -> String {
    migration.name().version().to_string()
}

/// The versions that were run, in order. Diesel's own call would create its table where there is none.
fn applied_versions(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    let recorded = sqlite_master::table.filter(sqlite_master::name.eq("__diesel_schema_migrations"));
    if !diesel::select(diesel::dsl::exists(recorded)).get_result::<bool>(connection)? {
        return Ok(Vec::new());
    }
    let versions = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
    Ok(versions.order_by(__diesel_schema_migrations::version).load(connection)?)
}

fn newer_than_known(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    let known: Vec<String> = known()?.iter().map(|migration| version_of(migration.as_ref())).collect();
    Ok(applied_versions(connection)?.into_iter().filter(|version| !known.contains(version)).collect())
}

fn too_new(found: String) -> Result<Error> {
    let known = known()?.last().map(|migration| version_of(migration.as_ref())).unwrap_or_default();
    Ok(Error::SchemaTooNew { found, known })
}

/// Everything in the database's catalogue by kind and name, but for what SQLite and Diesel keep for themselves.
fn catalogue(connection: &mut SqliteConnection) -> Result<Vec<(String, String, Option<String>)>> {
    Ok(sqlite_master::table
        .filter(sqlite_master::name.not_like("sqlite!_%").escape('!'))
        .filter(sqlite_master::name.ne("__diesel_schema_migrations"))
        .select((sqlite_master::type_, sqlite_master::name, sqlite_master::sql))
        .order_by((sqlite_master::type_, sqlite_master::name))
        .load(connection)?)
}
