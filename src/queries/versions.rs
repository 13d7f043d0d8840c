//! The applied migrations of a database, and their texts.

use diesel::migration::MigrationConnection as _;
use diesel::prelude::*;

use crate::error::{Error, Result};
use crate::migrations::VersionTables;

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
    fn make_version_table(&mut self) -> Result<()> {
        self.setup()?;
        Ok(())
    }

    /// Diesel's own call would create the missing table.
    fn applied_versions(&mut self) -> Result<Vec<String>> {
        if !has_table(self, "__diesel_schema_migrations")? {
            return Ok(Vec::new());
        }
        let versions = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
        Ok(versions.order_by(__diesel_schema_migrations::version).load(self)?)
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

/// Returns the error of a failed migration: the one that its message names, such as a full disk, or else
/// [`Error::MigrationFailed`].
pub(super) fn failed(version: &str) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> Error {
    let version = version.to_owned();
    move |error| {
        let reason = error.to_string();
        errors::from_message(&reason).unwrap_or(Error::MigrationFailed { version, reason })
    }
}
