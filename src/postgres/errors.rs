//! From what Postgres says to what it means. Postgres names the violated constraint; Diesel passes its name and message
//! on, but not the SQLSTATE. The error's detail holds the whole failing row, and is never shown.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind};

use crate::error::Error;

/// Gives a type to what Diesel reports: for errors that leave a connection.
pub(crate) fn classify(error: Error) -> Error {
    error.typed_by(typed)
}

/// The typed error for what Postgres says, where it has one.
fn typed(kind: &DatabaseErrorKind, information: &(dyn DatabaseErrorInformation + Send + Sync)) -> Option<Error> {
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

/// Whether a connection that gave this error is of no more use.
pub(super) fn ends_connection(error: &Error) -> bool {
    matches!(error, Error::ConnectionLost | Error::CommitUnknown | Error::SchemaChanged | Error::Unavailable { .. })
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

#[cfg(test)]
mod tests {
    use diesel::result::Error as DieselError;
    use proptest::prelude::*;

    use super::*;

    /// How messages begin that are read further.
    const START: &str = "(deadlock detected|canceling statement due to |type with OID )?";

    fn reported(kind: DatabaseErrorKind, message: &str) -> Error {
        classify(DieselError::DatabaseError(kind, Box::new(message.to_owned())).into())
    }

    #[test]
    fn what_leaves_a_connection_is_typed() {
        let collided = reported(DatabaseErrorKind::SerializationFailure, "could not serialize access");
        assert!(matches!(collided, Error::Conflict), "{collided}");
        let lost = reported(DatabaseErrorKind::ClosedConnection, "server closed the connection unexpectedly");
        assert!(matches!(lost, Error::ConnectionLost) && ends_connection(&lost), "{lost}");
        let unreadable = DieselError::DeserializationError("no such phase".into());
        assert!(matches!(classify(unreadable.into()), Error::CorruptValue { .. }));
        // What has no type of its own, and what has one already, stay as they are.
        assert!(matches!(classify(DieselError::NotFound.into()), Error::Database(DieselError::NotFound)));
        assert!(matches!(classify(Error::StorageFull), Error::StorageFull));
        let unknown = reported(DatabaseErrorKind::Unknown, "syntax error");
        assert!(matches!(unknown, Error::Database(DieselError::DatabaseError(..))), "{unknown}");
    }

    proptest! {
        #[test]
        fn every_message_is_an_error(start in START, rest in ".{0,40}") {
            use DatabaseErrorKind::{CheckViolation, UniqueViolation, Unknown};
            for kind in [Unknown, CheckViolation, UniqueViolation] {
                let error = reported(kind, &format!("{start}{rest}"));
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
