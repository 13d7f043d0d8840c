//! From what Postgres says to what it means. Postgres names the violated constraint; Diesel passes its name and message
//! on, but not the SQLSTATE. The error's detail holds the whole failing row, and is never shown.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind};

use crate::error::Error;

/// The typed error for what Postgres says, where it has one.
pub(crate) fn typed(
    kind: &DatabaseErrorKind,
    information: &(dyn DatabaseErrorInformation + Send + Sync),
) -> Option<Error> {
    let message = information.message();
    match kind {
        DatabaseErrorKind::CheckViolation => information.constraint_name().map(Error::of_check),
        DatabaseErrorKind::NotNullViolation => {
            let (table, column) = (information.table_name()?, information.column_name()?);
            Some(Error::MissingValue { column: format!("{table}.{column}") })
        }
        DatabaseErrorKind::UniqueViolation => match information.constraint_name() {
            // Told apart by who knows which URN it was.
            None | Some("uq_schools_urn") => None,
            Some(constraint) => Some(Error::DuplicateRow { constraint: constraint.to_owned() }),
        },
        DatabaseErrorKind::ForeignKeyViolation => Some(Error::UnknownSchool),
        DatabaseErrorKind::ClosedConnection => Some(Error::ConnectionLost),
        DatabaseErrorKind::ReadOnlyTransaction => Some(Error::ReadOnly),
        DatabaseErrorKind::SerializationFailure => Some(Error::Conflict),
        _ => from_message(message),
    }
}

/// The error codes that Diesel does not pass on, told by the text that an English-speaking server has for each.
pub(super) fn from_message(message: &str) -> Option<Error> {
    let says = |text: &str| message.contains(text);
    let reason = || message.to_owned();
    if says("canceling statement due to statement timeout") {
        Some(Error::Timeout)
    } else if says("canceling statement due to lock timeout") {
        Some(Error::Busy)
    } else if says("deadlock detected") || says("could not serialize access") {
        Some(Error::Conflict)
    } else if says("cached plan must not change result type")
        || says("cache lookup failed for")
        || (says(" with OID ") && says("does not exist"))
        // PostGIS, of which a connection keeps the types' numbers after the extension was made anew.
        || says("no spatial operator found for")
    {
        Some(Error::SchemaChanged)
    } else if says("terminating connection")
        || says("connection closed")
        || says("server closed the connection")
        || says("error communicating with the server")
        || says("channel closed")
    {
        Some(Error::ConnectionLost)
    } else if says("permission denied to create extension")
        || says("extension \"postgis\" is not available")
        || says("type \"geography\" does not exist")
        || says("type \"geometry\" does not exist")
    {
        Some(Error::PostgisMissing { reason: reason() })
    } else if says("permission denied") || says("must be owner of") || says("must be superuser") {
        Some(Error::PermissionDenied { reason: reason() })
    } else if says("No space left on device") {
        Some(Error::StorageFull)
    } else {
        None
    }
}

/// Why a connection could not be made. The server's words are shown, which hold no password; other causes may repeat
/// what was configured, so their own chain is walked for the innermost.
pub(super) fn cannot_connect(error: &tokio_postgres::Error) -> Error {
    if let Some(server) = error.as_db_error() {
        return Error::Unavailable { reason: server.message().to_owned() };
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Error::Unavailable { reason: cause.to_string() }
}
