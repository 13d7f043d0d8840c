//! Transactions: snapshots for reading, and atomic writes.

use diesel_async::{AnsiTransactionManager, AsyncPgConnection, SimpleAsyncConnection, TransactionManager};

use crate::error::{Error, Result};
use crate::request::WriteMode;
use crate::transaction::TableLock;

/// Reads from one snapshot. Inside another transaction, this is a savepoint, and each statement has its own snapshot.
pub(super) async fn snapshot<T>(
    connection: &mut AsyncPgConnection,
    work: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T>,
) -> Result<T> {
    let begin = "BEGIN TRANSACTION READ ONLY ISOLATION LEVEL REPEATABLE READ";
    let status = AnsiTransactionManager::transaction_manager_status_mut(connection);
    match status.transaction_depth()? {
        None => {
            if let Err(error) = AnsiTransactionManager::begin_transaction_sql(connection, begin).await {
                // A standby that cancels this statement has begun the transaction, of which Diesel does not know.
                // A connection that cannot leave it is not used again.
                let rolled_back = connection.batch_execute("ROLLBACK").await;
                return Err(rolled_back.map_or(Error::ConnectionLost, |()| error.into()));
            }
        }
        Some(_) => AnsiTransactionManager::begin_transaction(connection).await?,
    }
    end(connection, WriteMode::Commit, work).await
}

/// Writes in one transaction, or in a savepoint of one, which first takes these locks, in their order.
pub(super) async fn write<T>(
    connection: &mut AsyncPgConnection,
    locks: &[TableLock],
    mode: WriteMode,
    work: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T>,
) -> Result<T> {
    AnsiTransactionManager::begin_transaction(connection).await?;
    end(connection, mode, async |connection| {
        let lock = |lock: &TableLock| match lock {
            TableLock::Rows(table) => format!("LOCK TABLE {table} IN ROW EXCLUSIVE MODE; "),
            TableLock::Import(table) => format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE; "),
        };
        let mut sql: String = locks.iter().map(lock).collect();
        if locks.iter().any(|lock| matches!(lock, TableLock::Import("schools" | "postcodes"))) {
            // The table may be empty at first: a plan cached then would scan it for each batch.
            sql += "SET LOCAL plan_cache_mode = force_custom_plan";
        }
        if !sql.is_empty() {
            connection.batch_execute(&sql).await?;
        }
        work(connection).await
    })
    .await
}

/// Runs the work of an open transaction, and commits it or rolls it back.
pub(super) async fn end<T>(
    connection: &mut AsyncPgConnection,
    mode: WriteMode,
    work: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T>,
) -> Result<T> {
    let result = work(connection).await;
    if result.is_ok() && mode == WriteMode::Commit {
        AnsiTransactionManager::commit_transaction(connection).await?;
        return result;
    }
    // The error of the work is the cause of one that the rollback reports.
    let rolled_back = AnsiTransactionManager::rollback_transaction(connection).await;
    result.and_then(|value| Ok(rolled_back.map(|()| value)?))
}
