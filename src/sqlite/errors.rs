//! From what SQLite says to what it means. SQLite names a violated CHECK in its message, a violated UNIQUE by its
//! columns, and a violated foreign key not at all.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind};

use super::functions::UNREADABLE_OUTLINE;
use crate::error::Error;

/// Gives a type to what Diesel reports: for errors that leave a connection.
pub(crate) fn classify(error: Error) -> Error {
    error.typed_by(typed)
}

/// The typed error for what SQLite says, where it has one.
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
        DatabaseErrorKind::ForeignKeyViolation => Some(Error::UnknownSchool),
        // A trigger that says what a CHECK would.
        _ => after("CHECK constraint failed:").map(Error::of_check).or_else(|| from_message(message)),
    }
}

/// The name of a violated UNIQUE: SQLite gives the name of an index, or else the columns. Each table that belongs to
/// schools has one such constraint, named after it. That of URNs is told apart by who knows which URN it was.
fn unique_constraint(violated: &str) -> Option<String> {
    if let Some(index) = violated.strip_prefix("index '") {
        return index.strip_suffix('\'').map(str::to_owned);
    }
    let (table, _) = violated.split_once('.')?;
    (table != "schools").then(|| format!("uq_{table}"))
}

/// The error codes that Diesel does not pass on, told by the text that SQLite has for each (`sqlite3ErrStr`).
pub(super) fn from_message(message: &str) -> Option<Error> {
    let says = |text: &str| message.contains(text);
    if says("file is not a database") {
        Some(Error::NotADatabase)
    } else if says("database disk image is malformed") || says("malformed database schema") {
        Some(Error::Corrupt)
    } else if says("database is locked") || says("database table is locked") || says("database schema is locked") {
        Some(Error::Busy)
    } else if says("attempt to write a readonly database") {
        Some(Error::ReadOnly)
    } else if says("database or disk is full") {
        Some(Error::StorageFull)
    } else if says("unable to open database file") {
        // Whoever knows the file names it.
        Some(Error::CannotOpen { path: std::path::PathBuf::new(), reason: message.to_owned() })
    } else if says("disk I/O error") || says("locking protocol") {
        Some(Error::Io { reason: message.to_owned() })
    } else if says(UNREADABLE_OUTLINE) {
        Some(Error::CorruptValue { reason: message.to_owned() })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use diesel::result::Error as DieselError;
    use proptest::prelude::*;

    use super::*;

    /// How messages begin that are read further.
    const START: &str = "((CHECK|UNIQUE) constraint failed: (index ')?|database is )?";

    fn reported(kind: DatabaseErrorKind, message: &str) -> Error {
        classify(DieselError::DatabaseError(kind, Box::new(message.to_owned())).into())
    }

    #[test]
    fn what_leaves_a_connection_is_typed() {
        let check = reported(DatabaseErrorKind::CheckViolation, "CHECK constraint failed: ck_age_from");
        assert!(matches!(check, Error::AgeFrom), "{check}");
        let locked = reported(DatabaseErrorKind::Unknown, "database is locked");
        assert!(matches!(locked, Error::Busy), "{locked}");
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
