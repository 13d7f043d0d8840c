//! What a pooler between a program and its server takes away, such as pgbouncer.
//!
//! A pooler drops the options of a connection, or refuses it for them. In transaction mode each transaction runs in
//! another session of the server, so nothing that is set after connecting lasts either. So through a pooler nothing is
//! set: the settings are the role's own ([`store_settings`](super::grants::store_settings)), and what is missing is
//! reported.

use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Nullable, Text};
use diesel_async::AsyncPgConnection;

use super::run::RunQueryDsl;
use super::set_up::SetUp;
use crate::error::{ConnectError, Result};

/// A setting that is sent with the options of a connection, and shows that they arrived.
pub(super) const MARK: &str = "school_finder.options";

/// Returns whether the options of a connection arrived.
async fn options_arrived(connection: &mut AsyncPgConnection) -> QueryResult<bool> {
    let mark = diesel::dsl::sql::<Bool>("SELECT current_setting(").bind::<Text, _>(MARK).sql(", true) IS NOT NULL");
    mark.get_result(connection).await
}

/// Refuses a pooler for migrations: the lock on the schema belongs to a session, which a pooler changes.
pub(super) async fn refuse(connection: &mut AsyncPgConnection) -> Result<()> {
    if options_arrived(connection).await? {
        return Ok(());
    }
    Err(ConnectError::Pooler { reason: "migrations need a session of their own" }.into())
}

#[derive(QueryableByName)]
struct Missing {
    /// The settings that have the server's default.
    #[diesel(sql_type = Array<Text>)]
    settings: Vec<String>,
    /// Whether PostGIS and the tables are found.
    #[diesel(sql_type = Bool)]
    has_path: bool,
}

/// Checks that the settings arrived, or that the role has them. Without a path nothing is found, and the call fails;
/// without a timeout a warning says so.
pub(super) async fn check(set_up: &SetUp, connection: &mut AsyncPgConnection) -> Result<()> {
    if options_arrived(connection).await? {
        return Ok(());
    }
    if set_up.has_own_options() {
        return Err(ConnectError::Pooler { reason: "the options of the URL did not arrive" }.into());
    }
    let query = diesel::sql_query(
        "SELECT ARRAY(SELECT name FROM pg_settings WHERE name = ANY ($1) AND source = 'default' ORDER BY 1) AS settings,
             ($2 IS NULL OR current_schema() = $2) AND NOT EXISTS (
                 SELECT FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
                 WHERE extname = 'postgis' AND nspname <> ALL (current_schemas(true))
             ) AS has_path",
    );
    let names: Vec<&str> = set_up.settings.iter().map(|(name, _)| *name).collect();
    let query = query.bind::<Array<Text>, _>(names).bind::<Nullable<Text>, _>(set_up.schema.clone());
    let Missing { settings, has_path } = query.get_result(connection).await?;
    if !has_path {
        return Err(ConnectError::Pooler { reason: "the schema of the tables or of PostGIS is not on the path" }.into());
    }
    if !settings.is_empty() {
        tracing::warn!(
            settings = settings.join(", "),
            "this address leads to a pooler, which drops these settings: store them with the service's role by \
             `school-finder migrate grant ROLE --settings`, at the server's own address"
        );
    }
    Ok(())
}
