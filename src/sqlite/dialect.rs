//! What is specific to SQLite in the shared queries of `src/queries`.

use crate::config::Backend;
pub(super) use diesel::connection::SimpleConnection as BatchExecute;
pub(super) use diesel::query_dsl::methods::LoadQuery;
pub(super) use diesel::sqlite::Sqlite as Db;
pub(super) use diesel::{RunQueryDsl, SqliteConnection as Connection};

/// Removes `async` and `.await` from an item: Diesel's SQLite connections block.
pub(super) use bisync_macros::internal_strip_async as maybe_async;

pub(super) use super::caller::require_caller;
pub(super) use super::functions::haversine;
pub(super) use super::transactions::{snapshot, write};

/// Returns a text column for ordering by bytes, which is how SQLite orders all text.
pub(super) const fn by_bytes<C: Copy>(column: C) -> C {
    column
}

/// Returns the query unchanged: a write transaction has exclusive access to the database.
macro_rules! locked {
    ($lock:ident, $query:expr) => {
        $query
    };
}

/// Compares a column with a value, where NULL equals NULL.
macro_rules! is_same {
    ($column:expr, $value:expr) => {
        $column.is($value)
    };
}

/// Returns the subquery unchanged: SQLite reads the few rows first.
macro_rules! few_rows {
    ($subquery:expr) => {
        $subquery
    };
}

pub(super) use {few_rows, is_same, locked};

pub(super) use super::SqliteRepository as Repository;

/// The backend that this dialect is for.
pub(super) const BACKEND: Backend = Backend::Sqlite;
