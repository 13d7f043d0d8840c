//! The grants of a service's role: reading and writing rows, but no schema changes.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Text};

use super::migrations::MigrationConnection;
use crate::error::{Error, Result};

/// Tables whose rows a service reads and writes. Triggers, which run with the service's privileges, maintain some of
/// them.
const READ_WRITE: &[&str] = &[
    "admissions_history",
    "admissions_reach",
    "private_school_details",
    "private_school_fees",
    "school_clubs",
    "school_links",
    "school_performance",
    "school_reviews",
    "school_term_dates",
    "schools",
];

/// Tables that a service only reads.
const READ_ONLY: &[&str] = &["__diesel_schema_migrations", "admissions_by_recency", "migration_checksums"];

#[derive(QueryableByName)]
struct Statement {
    #[diesel(sql_type = Text)]
    statement: String,
}

/// Grants a role reading and writing of the rows of this crate's tables. Repeat it after a migration that adds a table.
pub(crate) fn grant_on_conn(connection: &mut MigrationConnection, role: &str) -> Result<()> {
    // PUBLIC means every role, even in quotes.
    let is_role = diesel::dsl::sql::<Bool>("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = ");
    if !is_role.bind::<Text, _>(role).sql(")").get_result::<bool>(connection)? {
        return Err(Error::UnknownRole { role: role.to_owned() });
    }
    // GRANT takes no binds, so the server quotes the names.
    let grants: Vec<Statement> = diesel::sql_query(
        "SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), $1) AS statement
         UNION ALL SELECT format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), $1)
         UNION ALL SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO %I', name, $1) FROM unnest($2) AS name
         UNION ALL SELECT format('GRANT SELECT ON %I TO %I', name, $1) FROM unnest($3) AS name",
    )
    .bind::<Text, _>(role)
    .bind::<Array<Text>, _>(READ_WRITE)
    .bind::<Array<Text>, _>(READ_ONLY)
    .load(connection)?;
    connection.transaction(|connection| {
        for Statement { statement } in grants {
            connection.batch_execute(&statement)?;
        }
        Ok(())
    })
}
