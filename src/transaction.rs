//! What a write transaction declares, on every backend.

/// A table lock that a transaction takes before it reads or writes a row, so that two transactions do not deadlock on
/// rows. On SQLite a write transaction locks the whole database instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableLock {
    /// For a write of some rows: shared with other such writes, but not with an import.
    Rows(&'static str),
    /// For an import. One runs at a time, so that a row read as missing is still missing at its insert. Readers are not
    /// blocked.
    Import(&'static str),
}
