//! The grants of a service's role: reading and writing rows, but no schema changes.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Text};

use super::errors::classify;
use super::health::refuse_denied;
use super::migrations::MigrationConnection;
use crate::error::{Error, Result};

/// Tables whose rows a service reads and writes. Triggers, which run with the service's privileges, maintain some of
/// them.
const READ_WRITE: &[&str] = &[
    "admissions_criteria",
    "admissions_history",
    "admissions_reach",
    "folded_names",
    "postcodes",
    "private_school_details",
    "private_school_fees",
    "school_clubs",
    "school_identifiers",
    "school_links",
    "school_performance",
    "school_reviews",
    "school_term_dates",
    "school_towns",
    "school_vocabulary",
    "school_words",
    "schools",
];

/// Tables that a service only reads.
const READ_ONLY: &[&str] = &["admissions_by_recency", "school_finder_migrations"];

#[derive(QueryableByName)]
struct Statement {
    #[diesel(sql_type = Text)]
    statement: String,
}

/// Stores the settings of this crate's connections with a role in this database, for a service behind a pooler. Returns
/// the statements where this role may not run them.
pub(crate) fn store_settings(
    connection: &mut MigrationConnection,
    role: &str,
    settings: &[(&'static str, String)],
) -> Result<Vec<String>> {
    // A path is a list, which is not quoted as a whole.
    let (names, values): (Vec<&str>, Vec<&str>) = settings.iter().map(|(name, value)| (*name, value.as_str())).unzip();
    let statements: Vec<Statement> = diesel::sql_query(
        "SELECT format('ALTER ROLE %I IN DATABASE %I SET %I = %L', $1, current_database(), name, value) AS statement
         FROM unnest($2, $3) AS setting(name, value)
         UNION ALL SELECT format('ALTER ROLE %I IN DATABASE %I SET search_path = %s', $1, current_database(),
             current_setting('search_path'))",
    )
    .bind::<Text, _>(role)
    .bind::<Array<Text>, _>(names)
    .bind::<Array<Text>, _>(values)
    .load(connection)?;
    let stored = connection.transaction(|connection| {
        for Statement { statement } in &statements {
            connection.batch_execute(statement)?;
        }
        Ok(())
    });
    match stored.map_err(classify) {
        Ok(()) => Ok(Vec::new()),
        Err(Error::PermissionDenied { .. }) => {
            Ok(statements.into_iter().map(|Statement { statement }| format!("{statement};")).collect())
        }
        Err(error) => Err(error),
    }
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
         -- Its owner may be another role, which has granted it to all.
         UNION ALL SELECT format('GRANT USAGE ON SCHEMA %s TO %I', extnamespace::regnamespace, $1) FROM pg_extension
             WHERE extname = 'postgis' AND NOT has_schema_privilege($1, extnamespace, 'USAGE')
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
        // Whoever may not grant a right gets a warning, and no error.
        let denied = diesel::dsl::sql::<Text>(
            "SELECT extnamespace::regnamespace::text FROM pg_extension
             WHERE extname = 'postgis' AND NOT has_schema_privilege(",
        );
        let denied = denied.bind::<Text, _>(role).sql(", extnamespace, 'USAGE')").get_result(connection).optional()?;
        refuse_denied(denied)
    })
}
