//! The applied migrations of a database, and the checksums of their texts.

use diesel::connection::{BoxableConnection, SimpleConnection};
use diesel::migration::{CREATE_MIGRATIONS_TABLE, Migration, MigrationMetadata, MigrationName, MigrationVersion};
use diesel::prelude::*;
use diesel_migrations::MigrationHarness;

use crate::error::{Error, Result};
use crate::migrations::{Direction, Script, VersionTables};

use super::super::dialect::Db;
use super::super::errors;
use super::super::schema::migration_checksums;
use super::{MigrationConnection, has_table};

diesel::table! {
    /// Diesel's table of applied migrations.
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

impl VersionTables for MigrationConnection {
    fn create_version_table(&mut self) -> Result<()> {
        Ok(self.batch_execute(CREATE_MIGRATIONS_TABLE)?)
    }

    fn applied_versions(&mut self) -> Result<Vec<String>> {
        if !has_table(self, "__diesel_schema_migrations")? {
            return Ok(Vec::new());
        }
        let versions = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
        Ok(versions.order_by(__diesel_schema_migrations::version).load(self)?)
    }

    fn forget_version(&mut self, version: &str) -> Result<()> {
        diesel::delete(__diesel_schema_migrations::table.find(version)).execute(self)?;
        Ok(())
    }

    fn checksums(&mut self) -> Result<Option<Vec<(String, String)>>> {
        if !has_table(self, "migration_checksums")? {
            return Ok(None);
        }
        Ok(Some(migration_checksums::table.order_by(migration_checksums::version).load(self)?))
    }

    fn record_checksum(&mut self, version: &str, checksum: String) -> Result<()> {
        let row = (migration_checksums::version.eq(version), migration_checksums::checksum.eq(checksum));
        diesel::insert_into(migration_checksums::table).values(row).execute(self)?;
        Ok(())
    }
}

/// A migration in one direction, as Diesel's harness runs it.
struct Statements<'a> {
    script: &'a Script,
    sql: &'a str,
}

impl Migration<Db> for Statements<'_> {
    fn run(&self, connection: &mut dyn BoxableConnection<Db>) -> diesel::migration::Result<()> {
        Ok(connection.batch_execute(self.sql)?)
    }

    fn revert(&self, connection: &mut dyn BoxableConnection<Db>) -> diesel::migration::Result<()> {
        self.run(connection)
    }

    fn metadata(&self) -> &dyn MigrationMetadata {
        self
    }

    fn name(&self) -> &dyn MigrationName {
        self
    }
}

impl MigrationMetadata for Statements<'_> {
    /// Returns `false`: the engine has opened a transaction, or the migration cannot run in one.
    fn run_in_transaction(&self) -> bool {
        false
    }
}

impl MigrationName for Statements<'_> {
    fn version(&self) -> MigrationVersion<'_> {
        self.script.version().into()
    }
}

impl std::fmt::Display for Statements<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.script.name)
    }
}

/// Runs SQL as a migration in one direction, and records it.
pub(super) fn run(
    connection: &mut MigrationConnection,
    script: &Script,
    direction: Direction,
    sql: &str,
) -> diesel::migration::Result<()> {
    let migration = Statements { script, sql };
    match direction {
        Direction::Up => connection.run_migration(&migration)?,
        Direction::Down => connection.revert_migration(&migration)?,
    };
    Ok(())
}

/// Returns the error of a failed migration: the one that its message names, such as a full disk, or else
/// [`Error::MigrationFailed`].
pub(super) fn failed(script: &Script, error: &dyn std::fmt::Display) -> Error {
    let reason = error.to_string();
    errors::from_message(&reason).unwrap_or(Error::MigrationFailed { version: script.version(), reason })
}
