//! Typed errors from Postgres's messages. Postgres names the violated constraint. Diesel exposes its name and message,
//! but not the SQLSTATE. The error's detail contains the failing row, and is never shown.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind};

use crate::error::Error;

/// Converts an error reported by Diesel to its typed form, as it leaves a connection.
pub(crate) fn classify(error: Error) -> Error {
    error.typed_by(typed)
}

/// Returns the typed error for an error of Postgres, or `None` where there is none.
fn typed(kind: &DatabaseErrorKind, information: &(dyn DatabaseErrorInformation + Send + Sync)) -> Option<Error> {
    let message = information.message();
    match kind {
        DatabaseErrorKind::CheckViolation => information.constraint_name().map(Error::of_check),
        DatabaseErrorKind::NotNullViolation => {
            let (table, column) = (information.table_name()?, information.column_name()?);
            Some(Error::MissingValue { column: format!("{table}.{column}") })
        }
        DatabaseErrorKind::UniqueViolation => match information.constraint_name() {
            // Reported by the caller, which knows the URN.
            None | Some("uq_schools_urn") => None,
            Some(constraint) => Some(Error::DuplicateRow { constraint: constraint.to_owned() }),
        },
        DatabaseErrorKind::ForeignKeyViolation => {
            Some(Error::ForeignKey { constraint: information.constraint_name()?.to_owned() })
        }
        DatabaseErrorKind::ClosedConnection => Some(Error::ConnectionLost),
        DatabaseErrorKind::ReadOnlyTransaction => Some(Error::ReadOnly),
        DatabaseErrorKind::SerializationFailure => Some(Error::Conflict),
        _ => from_message(message),
    }
}

/// Returns the typed error for a code that Diesel does not expose, by the text that a server with English messages has
/// for it.
pub(super) fn from_message(message: &str) -> Option<Error> {
    if message.contains(" with OID ") && message.contains("does not exist") {
        return Some(Error::SchemaChanged);
    }
    let postgis_missing = || Error::PostgisMissing { reason: message.to_owned() };
    let permission_denied = || Error::PermissionDenied { reason: message.to_owned() };
    let (_, error) = [
        ("canceling statement due to statement timeout", Error::Timeout),
        ("canceling statement due to lock timeout", Error::Busy),
        ("deadlock detected", Error::Conflict),
        ("could not serialize access", Error::Conflict),
        ("cached plan must not change result type", Error::SchemaChanged),
        ("cache lookup failed for", Error::SchemaChanged),
        // After the PostGIS extension is recreated, a connection still has its old type OIDs cached.
        ("no spatial operator found for", Error::SchemaChanged),
        ("terminating connection", Error::ConnectionLost),
        ("connection closed", Error::ConnectionLost),
        ("server closed the connection", Error::ConnectionLost),
        ("error communicating with the server", Error::ConnectionLost),
        ("channel closed", Error::ConnectionLost),
        ("permission denied to create extension", postgis_missing()),
        ("extension \"postgis\" is not available", postgis_missing()),
        ("type \"geography\" does not exist", postgis_missing()),
        ("type \"geometry\" does not exist", postgis_missing()),
        ("permission denied", permission_denied()),
        ("must be owner of", permission_denied()),
        ("must be superuser", permission_denied()),
        ("No space left on device", Error::StorageFull),
    ]
    .into_iter()
    .find(|(text, _)| message.contains(text))?;
    Some(error)
}

/// Returns whether a connection that returned this error cannot be used again.
pub(super) fn ends_connection(error: &Error) -> bool {
    matches!(error, Error::ConnectionLost | Error::CommitUnknown | Error::SchemaChanged | Error::Unavailable { .. })
}

/// Returns why a connection could not be made. The server's message contains no password and is returned.
/// Other errors may repeat configured values, so only the innermost cause is returned.
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

    /// The prefixes of messages that are parsed further.
    const START: &str = "(deadlock detected|canceling statement due to |type with OID )?";

    fn reported(kind: DatabaseErrorKind, message: &str) -> Error {
        classify(DieselError::DatabaseError(kind, Box::new(message.to_owned())).into())
    }

    #[test]
    fn errors_are_typed_as_they_leave_a_connection() {
        let collided = reported(DatabaseErrorKind::SerializationFailure, "could not serialize access");
        assert!(matches!(collided, Error::Conflict), "{collided}");
        let lost = reported(DatabaseErrorKind::ClosedConnection, "server closed the connection unexpectedly");
        assert!(matches!(lost, Error::ConnectionLost) && ends_connection(&lost), "{lost}");
        let unreadable = DieselError::DeserializationError("no such phase".into());
        assert!(matches!(classify(unreadable.into()), Error::CorruptValue { .. }));
        // Errors without a type of their own, and typed errors, are unchanged.
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
