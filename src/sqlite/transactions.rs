//! Transactions that fail with the error that they failed with. Where a disk fails SQLite ends a transaction itself,
//! and Diesel, whose ROLLBACK then fails, would tell that there is none to roll back.

use diesel::prelude::*;
use diesel::result::Error as DieselError;

macro_rules! transactions {
    ($($(#[$doc:meta])* $name:ident: $begin:ident,)+) => {$(
        $(#[$doc])*
        pub(super) fn $name<T, E: From<DieselError>>(
            connection: &mut SqliteConnection,
            work: impl FnOnce(&mut SqliteConnection) -> Result<T, E>,
        ) -> Result<T, E> {
            let mut failed = None;
            let ended = connection.$begin(|connection| {
                work(connection).map_err(|error| {
                    failed = Some(error);
                    DieselError::RollbackTransaction
                })
            });
            ended.map_err(|error| failed.unwrap_or_else(|| error.into()))
        }
    )+};
}

transactions! {
    /// Reads, all of one moment; within another transaction, a part of it that is whole or undone.
    at_once: transaction,
    /// Writes, whole or not at all.
    whole: immediate_transaction,
    /// A change of the schema, while nobody else reads or writes.
    alone: exclusive_transaction,
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
        for transaction in [at_once as Transaction, whole, alone] {
            let mut connection = SqliteConnection::establish(":memory:").expect("a database");
            let failed = transaction(&mut connection, |connection| {
                // As SQLite does when a disk fails.
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
