//! Transactions that return their own error. On a disk failure SQLite ends a transaction itself. Diesel's ROLLBACK then
//! fails, and Diesel would report that there is no transaction.

use diesel::prelude::*;
use diesel::result::Error as DieselError;

use crate::error::Result;
use crate::request::WriteMode;
use crate::transaction::TableLock;

/// Reads from one snapshot. Inside another transaction, this is a savepoint.
pub(super) fn snapshot<T, E: From<DieselError>>(
    connection: &mut SqliteConnection,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T, E>,
) -> Result<T, E> {
    end(connection, WriteMode::Commit, work, |connection, work| connection.transaction(work))
}

/// Writes in one transaction. It waits for any other write transaction, so it needs no locks.
pub(super) fn write<T>(
    connection: &mut SqliteConnection,
    _locks: &[TableLock],
    mode: WriteMode,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T>,
) -> Result<T> {
    end(connection, mode, work, |connection, work| connection.immediate_transaction(work))
}

/// Changes the schema with exclusive access to the database.
pub(super) fn exclusive<T, E: From<DieselError>>(
    connection: &mut SqliteConnection,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T, E>,
) -> Result<T, E> {
    end(connection, WriteMode::Commit, work, |connection, work| connection.exclusive_transaction(work))
}

/// The work of a transaction, without its result.
type Work<'a> = &'a mut dyn FnMut(&mut SqliteConnection) -> QueryResult<()>;

fn end<T, E: From<DieselError>>(
    connection: &mut SqliteConnection,
    mode: WriteMode,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T, E>,
    transaction: impl FnOnce(&mut SqliteConnection, Work<'_>) -> QueryResult<()>,
) -> Result<T, E> {
    let (mut work, mut result) = (Some(work), None);
    let ended = transaction(connection, &mut |connection| {
        let done = work.take().map(|work| work(connection));
        let is_kept = matches!(done, Some(Ok(_))) && mode == WriteMode::Commit;
        result = done;
        if is_kept { Ok(()) } else { Err(DieselError::RollbackTransaction) }
    });
    match (ended, result) {
        // Rolled back because of its own error, or on request.
        (Err(_), Some(Err(error))) => Err(error),
        (Err(DieselError::RollbackTransaction), Some(done)) => done,
        (Ok(()), Some(done)) => done,
        (Err(error), _) => Err(error.into()),
        (Ok(()), None) => Err(DieselError::RollbackTransaction.into()),
    }
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;

    use super::*;
    use crate::error::Error;

    #[test]
    fn work_fails_with_its_own_error() {
        type Transaction =
            fn(&mut SqliteConnection, fn(&mut SqliteConnection) -> Result<(), Error>) -> Result<(), Error>;
        let write: Transaction = |connection, work| write(connection, &[], WriteMode::Commit, work);
        for transaction in [snapshot as Transaction, write, exclusive] {
            let mut connection = SqliteConnection::establish(":memory:").expect("a database");
            let failed = transaction(&mut connection, |connection| {
                // As SQLite does on a disk failure.
                connection.batch_execute("ROLLBACK")?;
                Err(Error::StorageFull)
            });
            assert!(matches!(failed, Err(Error::StorageFull)), "{failed:?}");
            let failed = transaction(&mut connection, |_| Err(Error::UnknownSchool));
            assert!(matches!(failed, Err(Error::UnknownSchool)), "{failed:?}");
            let failed = transaction(&mut connection, |connection| Ok(connection.batch_execute("SELECT x")?));
            assert!(matches!(failed, Err(Error::Database(_))), "{failed:?}");
            transaction(&mut connection, |_| Ok(())).expect("the connection is as before");
        }
    }
}
