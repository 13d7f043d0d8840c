//! The history of this crate's migrations in a database.

use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel_migrations::MigrationHarness;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::migrations::{Access, Applied, HistoryTable, LockTimeout, Records, SchemaConnection, Script};

use super::super::dialect::Db;
use super::super::errors;
use super::super::schema::school_finder_migrations;
use super::{MigrationConnection, has_table};

diesel::table! {
    /// Diesel's table of applied migrations.
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

impl HistoryTable for MigrationConnection {
    fn records(&mut self) -> Result<Records> {
        if !has_table(self, "school_finder_migrations")? {
            let is_unreleased = has_table(self, "migration_checksums")?;
            return Ok(Records { is_unreleased, ..Records::default() });
        }
        let own: Vec<Applied> =
            school_finder_migrations::table.order_by(school_finder_migrations::version).load(self)?;
        let diesel = if own.is_empty() && has_table(self, "__diesel_schema_migrations")? {
            __diesel_schema_migrations::table.select(__diesel_schema_migrations::version).load(self)?
        } else {
            Vec::new()
        };
        Ok(Records { own: Some(own), diesel, is_unreleased: false })
    }

    fn record(&mut self, Applied { version, checksum, floor }: Applied) -> Result<()> {
        let row = (
            school_finder_migrations::version.eq(version),
            school_finder_migrations::checksum.eq(checksum),
            school_finder_migrations::floor.eq(floor),
        );
        diesel::insert_into(school_finder_migrations::table).values(row).execute(self)?;
        Ok(())
    }

    fn forget(&mut self, version: &str) -> Result<()> {
        // Reverting the first migration has dropped the table.
        if has_table(self, "school_finder_migrations")? {
            diesel::delete(school_finder_migrations::table.find(version)).execute(self)?;
        }
        Ok(())
    }

    fn forget_in_diesels_table(&mut self, version: &str) -> Result<()> {
        diesel::delete(__diesel_schema_migrations::table.find(version)).execute(self)?;
        Ok(())
    }
}

/// Applies a service's own pending migrations, as Diesel's `run_pending_migrations` does, and returns their versions.
/// Diesel records them in its table, which this crate leaves alone. The schema is locked against other programs that
/// migrate, so that two instances of a service may begin at once.
///
/// Run the crate's own ones first ([`migrate::up`](crate::migrate::up)), so that a foreign key finds its table. On
/// SQLite all run in one transaction.
///
/// # Errors
/// [`MigrationFailed`](Error::MigrationFailed) where one fails; [`SchemaLocked`](Error::SchemaLocked) where another
/// program is still changing the schema. Those of opening the database.
pub async fn run_pending_migrations<S>(config: &Config, migrations: S) -> Result<Vec<String>>
where
    S: MigrationSource<Db> + Send + 'static,
{
    let lock_timeout = LockTimeout::default();
    super::with_connection(config, Access::Create, &lock_timeout.clone(), move |connection| {
        connection.exclusively(&lock_timeout, |connection| {
            let failed = |reason: Box<dyn std::error::Error + Send + Sync>| Error::MigrationFailed {
                version: "of the service".to_owned(),
                reason: reason.to_string(),
            };
            let applied = connection.run_pending_migrations(migrations).map_err(failed)?;
            Ok(applied.iter().map(ToString::to_string).collect())
        })
    })
    .await
}

/// Runs the SQL of a migration. An error is the one that its message names, such as a full disk, or else
/// [`Error::MigrationFailed`].
pub(super) fn run(connection: &mut MigrationConnection, script: &Script, sql: &str) -> Result<()> {
    connection.batch_execute(sql).map_err(|error| {
        let reason = error.to_string();
        errors::from_message(&reason).unwrap_or_else(|| {
            // What else needs an object that Postgres does not drop.
            let details = match &error {
                DieselError::DatabaseError(_, information) => information.details(),
                _ => None,
            };
            let reason = details.map_or_else(|| reason.clone(), |details| format!("{reason} ({details})"));
            Error::MigrationFailed { version: script.version(), reason }
        })
    })
}
