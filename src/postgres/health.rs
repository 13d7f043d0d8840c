//! The health check of a database: its software, schema and extension.

use diesel::prelude::{QueryDsl, QueryableByName};
use diesel::sql_types::{Bool, Nullable, Text};
use diesel_async::AsyncPgConnection;

use super::errors;
use super::migrations::{__diesel_schema_migrations, SCRIPTS};
use super::reader::point_on_conn;
use super::role::Role;
use super::schema::school_finder_migrations;
use crate::config::Backend;
use crate::error::{Error, Result};
use crate::migrations::{Applied, History, Records};
use crate::postgres::run::RunQueryDsl;
use crate::repository::{Health, Position, refuse_older};

/// The oldest server that is tested: from this version on, other roles cannot create objects in the schema `public`.
const OLDEST_SERVER: &str = "15";

/// The oldest PostGIS that is tested.
const OLDEST_POSTGIS: &str = "3.3";

/// The software and tables that every query relies on.
#[derive(QueryableByName)]
struct Software {
    #[diesel(sql_type = Text)]
    server: String,
    #[diesel(sql_type = Nullable<Text>)]
    postgis: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    denied_schema: Option<String>,
    #[diesel(sql_type = Bool)]
    has_history: bool,
    #[diesel(sql_type = Bool)]
    has_diesels_table: bool,
    #[diesel(sql_type = Bool)]
    is_unreleased: bool,
}

/// Returns whether this build can use the database, and the error where it cannot. Writes nothing.
pub(super) async fn health_on_conn(connection: &mut AsyncPgConnection) -> Result<Health> {
    let query = diesel::sql_query(
        "SELECT current_setting('server_version') AS server,
             (SELECT extversion FROM pg_extension WHERE extname = 'postgis') AS postgis,
             (SELECT extnamespace::regnamespace::text FROM pg_extension
                 WHERE extname = 'postgis' AND NOT has_schema_privilege(extnamespace, 'USAGE')) AS denied_schema,
             to_regclass('school_finder_migrations') IS NOT NULL AS has_history,
             to_regclass('__diesel_schema_migrations') IS NOT NULL AS has_diesels_table,
             to_regclass('school_finder_migrations') IS NULL AND to_regclass('migration_checksums') IS NOT NULL
                 AS is_unreleased",
    );
    let Software { server, postgis, denied_schema, has_history, has_diesels_table, is_unreleased } =
        query.get_result(connection).await?;
    refuse_older("PostgreSQL", &server, OLDEST_SERVER)?;
    refuse_denied(denied_schema)?;
    let mut records = Records { is_unreleased, ..Records::default() };
    if has_history {
        let own: Vec<Applied> =
            school_finder_migrations::table.order_by(school_finder_migrations::version).load(connection).await?;
        if own.is_empty() && has_diesels_table {
            records.diesel =
                __diesel_schema_migrations::table.select(__diesel_schema_migrations::version).load(connection).await?;
        }
        records.own = Some(own);
    }
    let migration = History::new(SCRIPTS, records).require_usable()?;
    // Checked after the schema: the first migration creates the extension.
    let postgis = postgis
        .ok_or_else(|| Error::PostgisMissing { reason: "this database does not have the extension".to_owned() })?;
    refuse_older("PostGIS", &postgis, OLDEST_POSTGIS)?;
    let Role { is_standby, lag, .. } = Role::of(connection).await?;
    let lag_ms = lag.filter(|_| is_standby).and_then(|lag| u64::try_from(lag.as_millis()).ok());
    let role = if is_standby { "standby" } else { "primary" }.to_owned();
    let version = format!("PostgreSQL {server}, PostGIS {postgis}");
    let position = match point_on_conn(connection).await.map_err(errors::classify) {
        Ok(point) => Some(Position(point)),
        Err(error) if error.is_retryable() => return Err(error),
        // A server that is only compatible with Postgres may lack these functions.
        Err(_) => None,
    };
    Ok(Health { role, lag_ms, position, ..Health::new(Backend::Postgres, version, migration) })
}

/// Refuses a schema of PostGIS that the role may not use: its functions would seem not to exist.
pub(super) fn refuse_denied(schema: Option<String>) -> Result<()> {
    match schema {
        None => Ok(()),
        Some(schema) => {
            Err(Error::SchemaDenied { reason: format!("PostGIS is in {schema}, without USAGE for this role") })
        }
    }
}

/// Logs a warning if the server's error messages are not in English. Diesel does not expose the SQLSTATE, so some
/// errors are identified by their text.
pub(super) async fn warn_of_language(connection: &mut AsyncPgConnection) -> Result<()> {
    let language: String =
        diesel::dsl::sql::<Text>("SELECT current_setting('lc_messages')").get_result(connection).await?;
    if !is_english(&language) {
        tracing::warn!(
            language,
            "this server's errors may not be in English, and then some have no name of their own: an administrator runs \
             `ALTER DATABASE ... SET lc_messages = 'C'`"
        );
    }
    Ok(())
}

fn is_english(locale: &str) -> bool {
    ["C", "POSIX"].contains(&locale) || ["C.", "en", "English"].iter().any(|english| locale.starts_with(english))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_another_language_are_noticed() {
        for english in ["C", "C.UTF-8", "POSIX", "en_GB.UTF-8", "en_US", "English_United Kingdom.1252"] {
            assert!(is_english(english), "{english}");
        }
        for other in ["", "de_DE.UTF-8", "cy_GB.UTF-8", "fr_FR", "German_Germany.1252", "CS"] {
            assert!(!is_english(other), "{other}");
        }
    }

    #[test]
    fn older_software_is_refused() {
        let refused = |found| refuse_older("PostGIS", found, OLDEST_POSTGIS).is_err();
        assert!(refused("3.2.9") && refused("2.5.0") && refused("3"));
        assert!(!refused("3.3.2") && !refused("3.10.0") && !refused("3.6.0dev") && !refused("4.0"));
        let server = |found| refuse_older("PostgreSQL", found, OLDEST_SERVER).is_err();
        assert!(server("14.9 (Debian 14.9-1)"));
        assert!(!server("15.1 (Debian 15.1-1)") && !server("18beta2"));
    }
}
