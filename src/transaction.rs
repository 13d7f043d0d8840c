//! What a transaction that writes says of itself, on every backend.

/// A table that a transaction locks before it reads or writes a row of it, so that two transactions do not wait for each
/// other's rows. On SQLite a transaction that writes has the whole database to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableLock {
    /// For a write of some rows: beside others like it, but not beside an import.
    Rows(&'static str),
    /// For an import, one at a time, so that what is read as missing is still missing when it is inserted. Readers go
    /// on.
    Import(&'static str),
}
