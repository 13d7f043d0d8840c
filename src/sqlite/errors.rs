//! Typed errors from SQLite's messages. SQLite names a violated CHECK in its message and a violated UNIQUE by its
//! columns. It does not name a violated foreign key.

use std::path::PathBuf;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind};

use super::functions::UNREADABLE_OUTLINE;
use crate::error::Error;

/// Converts an error reported by Diesel to its typed form, as it leaves a connection.
pub(crate) fn classify(error: Error) -> Error {
    error.typed_by(typed)
}

/// Returns the typed error for an error of SQLite, or `None` where there is none.
fn typed(kind: &DatabaseErrorKind, information: &(dyn DatabaseErrorInformation + Send + Sync)) -> Option<Error> {
    let message = information.message();
    let after = |prefix: &str| message.strip_prefix(prefix).map(str::trim);
    match kind {
        DatabaseErrorKind::CheckViolation => after("CHECK constraint failed:").map(Error::of_check),
        DatabaseErrorKind::NotNullViolation => {
            after("NOT NULL constraint failed:").map(|column| Error::MissingValue { column: column.to_owned() })
        }
        DatabaseErrorKind::UniqueViolation => after("UNIQUE constraint failed:")
            .and_then(unique_constraint)
            .map(|constraint| Error::DuplicateRow { constraint }),
        DatabaseErrorKind::ForeignKeyViolation => Some(Error::ForeignKey { constraint: "FOREIGN KEY".to_owned() }),
        _ if message.starts_with("name_folded is not the fold of name") => Some(Error::NotFolded),
        _ if message.starts_with("school_words has other words") => Some(Error::OtherWords),
        // A trigger may raise the message of a CHECK.
        _ => after("CHECK constraint failed:").map(Error::of_check).or_else(|| from_message(message)),
    }
}

/// Returns the name of a violated UNIQUE. SQLite reports the name of an index, or else the columns. Each table that
/// belongs to schools has one such constraint, named after it. A duplicate URN is reported by the caller, which knows
/// the URN.
fn unique_constraint(violated: &str) -> Option<String> {
    if let Some(index) = violated.strip_prefix("index '") {
        return index.strip_suffix('\'').map(str::to_owned);
    }
    let (table, _) = violated.split_once('.')?;
    (table != "schools").then(|| format!("uq_{table}"))
}

/// Returns the typed error for a code that Diesel does not expose, by SQLite's text for it (`sqlite3ErrStr`).
pub(super) fn from_message(message: &str) -> Option<Error> {
    let reason = message.to_owned();
    let (_, error) = [
        ("file is not a database", Error::NotADatabase),
        ("database disk image is malformed", Error::Corrupt),
        ("malformed database schema", Error::Corrupt),
        ("database is locked", Error::Busy),
        ("database table is locked", Error::Busy),
        ("database schema is locked", Error::Busy),
        ("attempt to write a readonly database", Error::ReadOnly),
        ("database or disk is full", Error::StorageFull),
        // A caller that knows the path fills it in.
        ("unable to open database file", Error::CannotOpen { path: PathBuf::new(), reason: reason.clone() }),
        ("disk I/O error", Error::Io { reason: reason.clone() }),
        ("locking protocol", Error::Io { reason: reason.clone() }),
        (UNREADABLE_OUTLINE, Error::CorruptValue { reason }),
    ]
    .into_iter()
    .find(|(text, _)| message.contains(text))?;
    Some(error)
}

#[cfg(test)]
mod tests {
    use diesel::result::Error as DieselError;
    use proptest::prelude::*;

    use super::*;

    /// The prefixes of messages that are parsed further.
    const START: &str = "((CHECK|UNIQUE) constraint failed: (index ')?|database is )?";

    fn reported(kind: DatabaseErrorKind, message: &str) -> Error {
        classify(DieselError::DatabaseError(kind, Box::new(message.to_owned())).into())
    }

    #[test]
    fn errors_are_typed_as_they_leave_a_connection() {
        let check = reported(DatabaseErrorKind::CheckViolation, "CHECK constraint failed: ck_age_from");
        assert!(matches!(check, Error::AgeFrom), "{check}");
        let locked = reported(DatabaseErrorKind::Unknown, "database is locked");
        assert!(matches!(locked, Error::Busy), "{locked}");
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
