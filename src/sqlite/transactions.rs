//! Transactions that return their own error. On a disk failure SQLite ends a transaction itself, and then its ROLLBACK
//! fails; Diesel would return that error.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::prelude::*;

use crate::error::Result;
use crate::request::WriteMode;
use crate::transaction::TableLock;

/// Reads from one snapshot. Inside another transaction, this is a savepoint.
pub(super) fn snapshot<T>(
    connection: &mut SqliteConnection,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T>,
) -> Result<T> {
    AnsiTransactionManager::begin_transaction(connection)?;
    end(connection, WriteMode::Commit, work)
}

/// Writes in one transaction, or in a savepoint of one. It waits for any other write transaction, so it needs no
/// locks.
pub(super) fn write<T>(
    connection: &mut SqliteConnection,
    _locks: &[TableLock],
    mode: WriteMode,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T>,
) -> Result<T> {
    begin_immediate(connection)?;
    end(connection, mode, work)
}

/// Begins a transaction with the write lock, or a savepoint in a transaction.
pub(super) fn begin_immediate(connection: &mut SqliteConnection) -> QueryResult<()> {
    let status = AnsiTransactionManager::transaction_manager_status_mut(connection);
    match status.transaction_depth()? {
        None => AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE"),
        Some(_) => AnsiTransactionManager::begin_transaction(connection),
    }
}

/// Returns whether a transaction is open in SQLite, whatever Diesel tracks.
pub(super) fn is_in_transaction(connection: &mut SqliteConnection) -> bool {
    // Fails inside a transaction, without an effect on it.
    let is_outside = connection.batch_execute("BEGIN").is_ok();
    !is_outside || connection.batch_execute("ROLLBACK").is_err()
}

/// Begins a transaction with exclusive access to the database.
pub(super) fn begin_exclusive(connection: &mut SqliteConnection) -> Result<()> {
    Ok(AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN EXCLUSIVE")?)
}

/// Runs the work of an open transaction, and commits it or rolls it back.
pub(super) fn end<T>(
    connection: &mut SqliteConnection,
    mode: WriteMode,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T>,
) -> Result<T> {
    let result = work(connection);
    if result.is_ok() && mode == WriteMode::Commit {
        AnsiTransactionManager::commit_transaction(connection)?;
        return result;
    }
    let rolled_back = AnsiTransactionManager::rollback_transaction(connection);
    result.and_then(|value| Ok(rolled_back.map(|()| value)?))
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
        let exclusive: Transaction = |connection, work| {
            begin_exclusive(connection)?;
            end(connection, WriteMode::Commit, work)
        };
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
