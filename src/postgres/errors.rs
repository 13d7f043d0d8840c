//! Typed errors from Postgres's messages. Postgres names the violated constraint. Diesel exposes its name and message,
//! but not the SQLSTATE. The error's detail contains the failing row, and is never shown.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind};

use super::tls;
use crate::config::server::host_and_port;
use crate::error::{ConnectError, Error};

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
        // Its other code, of a deadlock with recovery, has no kind of its own.
        DatabaseErrorKind::SerializationFailure => Some(from_message(message).unwrap_or(Error::Conflict)),
        _ => from_message(message),
    }
}

/// Returns the typed error for a code that Diesel does not expose, by the text that a server with English messages has
/// for it.
pub(super) fn from_message(message: &str) -> Option<Error> {
    if message.contains(" with OID ") && message.contains("does not exist") {
        return Some(Error::SchemaChanged);
    }
    if message.starts_with("schema \"") && message.ends_with("\" does not exist") {
        return Some(Error::SchemaDenied { reason: message.to_owned() });
    }
    if message.contains("prepared statement \"") {
        return Some(ConnectError::PreparedStatements { reason: message.to_owned() }.into());
    }
    let postgis_missing = || Error::PostgisMissing { reason: message.to_owned() };
    let schema_denied = || Error::SchemaDenied { reason: message.to_owned() };
    let permission_denied = || Error::PermissionDenied { reason: message.to_owned() };
    let (_, error) = [
        ("canceling statement due to statement timeout", Error::Timeout),
        ("canceling statement due to lock timeout", Error::Busy),
        ("canceling statement due to conflict with recovery", Error::RecoveryConflict),
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
        // Azure's texts.
        ("are allowed to use CREATE EXTENSION", postgis_missing()),
        ("is not allow-listed", postgis_missing()),
        ("permission denied for schema", schema_denied()),
        ("no schema has been selected to create in", schema_denied()),
        ("permission denied", permission_denied()),
        ("must be owner of", permission_denied()),
        ("must be superuser", permission_denied()),
        ("No space left on device", Error::StorageFull),
    ]
    .into_iter()
    .find(|(text, _)| message.contains(text))?;
    Some(error)
}

/// Returns the error of a statement that was sent without Diesel.
pub(super) fn of_driver(error: &tokio_postgres::Error) -> Error {
    let reason = error.as_db_error().map_or_else(|| error.to_string(), |server| server.message().to_owned());
    from_message(&reason).unwrap_or(Error::Unavailable { reason })
}

/// Returns whether a connection that returned this error cannot be used again.
pub(super) fn ends_connection(error: &Error) -> bool {
    matches!(
        error,
        Error::ConnectionLost
            | Error::CommitUnknown
            | Error::NotPrimary
            | Error::SchemaChanged
            | Error::Unavailable { .. }
            | Error::Connect(ConnectError::PreparedStatements { .. })
    )
}

/// Returns why a connection could not be made. The server's message contains no password and is returned.
/// Other errors may repeat configured values, so only the innermost cause is returned.
pub(super) fn cannot_connect(settings: &tokio_postgres::Config, error: &tokio_postgres::Error) -> Error {
    if let Some(server) = error.as_db_error() {
        return refused(server).into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    // The source of an error of I/O is that of the error within.
    let io = cause.downcast_ref::<std::io::Error>();
    if let Some(tls) = io.and_then(std::io::Error::get_ref).and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return ConnectError::Tls { reason: tls::explained(tls) }.into();
    }
    let reason = cause.to_string();
    let login = |next_step| ConnectError::LoginRefused { reason: reason.clone(), next_step };
    // tokio-postgres has texts and no types for these.
    match (error.to_string().as_str(), reason.as_str()) {
        (_, "password missing") => ConnectError::PasswordMissing.into(),
        (_, "server does not support TLS") => ConnectError::Tls {
            reason: "it offers none: turn `ssl` on in its settings, check that this is PostgreSQL's port, or, for a \
                     network that nobody else reaches, add sslmode=disable"
                .to_owned(),
        }
        .into(),
        ("authentication error", "server did not use channel binding") => {
            login("channel_binding=require needs TLS, and a password that the server stores for scram-sha-256").into()
        }
        ("authentication error", _) => login("give the role a password for scram-sha-256").into(),
        ("unexpected message from server" | "error parsing response from server", _) => not_postgres(settings),
        _ if reason == "bytes remaining on stream"
            || io.is_some_and(|io| {
                matches!(io.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput)
            }) =>
        {
            not_postgres(settings)
        }
        ("connection closed", _) => {
            Error::Unavailable { reason: "it closed the connection before it answered".to_owned() }
        }
        _ => Error::Unavailable { reason },
    }
}

fn not_postgres(settings: &tokio_postgres::Config) -> Error {
    ConnectError::NotPostgres { server: host_and_port(settings) }.into()
}

fn is_of_database(reason: &str) -> bool {
    reason.contains("no such database") || (reason.starts_with("database ") && reason.ends_with(" does not exist"))
}

/// Returns the typed error for a server's refusal of a connection, by its SQLSTATE.
fn refused(server: &tokio_postgres::error::DbError) -> ConnectError {
    let reason = server.message().to_owned();
    let login = |next_step| ConnectError::LoginRefused { reason: reason.clone(), next_step };
    match server.code().code() {
        "28P01" => login("check the role and its password, whose special characters a URL has as % escapes"),
        "28000" if reason.contains("certificate") => login("name a certificate by sslcert and its key by sslkey"),
        "28000" => login("check the role, and the server's rules in pg_hba.conf for it, this address and TLS"),
        "3D000" => ConnectError::UnknownDatabase { reason },
        "42501" => login("let the role in by `GRANT CONNECT ON DATABASE`"),
        "53300" => ConnectError::ServerFull { reason },
        "55000" | "57P01" | "57P02" | "57P03" => ConnectError::ServerNotReady { reason },
        "08P01" if reason.contains("startup parameter") => ConnectError::StartupParameter { reason },
        // pgbouncer has one code for all that it reports.
        "08P01" if is_of_database(&reason) => ConnectError::UnknownDatabase { reason },
        "08P01" if reason.contains("no more connections") => ConnectError::ServerFull { reason },
        _ => ConnectError::Rejected { reason },
    }
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
        let (kind, conflict) = (DatabaseErrorKind::SerializationFailure, "due to conflict with recovery");
        let cancelled = reported(kind, &format!("canceling statement {conflict}"));
        assert!(matches!(cancelled, Error::RecoveryConflict) && cancelled.is_retryable(), "{cancelled}");
        let deadlock = reported(DatabaseErrorKind::Unknown, &format!("canceling statement {conflict}"));
        assert!(matches!(deadlock, Error::RecoveryConflict) && !ends_connection(&deadlock), "{deadlock}");
        let closed = reported(kind, &format!("terminating connection {conflict}"));
        assert!(matches!(closed, Error::ConnectionLost), "{closed}");
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
