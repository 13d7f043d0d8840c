//! What the shared queries of `src/queries` need to know of SQLite.

use crate::config::Backend;
pub(super) use diesel::query_dsl::methods::LoadQuery;
pub(super) use diesel::sqlite::Sqlite as Db;
pub(super) use diesel::{RunQueryDsl, SqliteConnection as Connection};

/// Takes `async` and `.await` out of an item: Diesel's connections to SQLite block.
pub(super) use bisync_macros::internal_strip_async as maybe_async;

pub(super) use super::functions::haversine;
pub(super) use super::transactions::{snapshot, write};

/// Returns a text column, to be ordered by its bytes, as SQLite orders all text.
pub(super) const fn by_bytes<C: Copy>(column: C) -> C {
    column
}

/// Leaves a query as it is: a transaction that writes has the database to itself.
macro_rules! for_no_key_update {
    ($query:expr) => {
        $query
    };
}

/// Leaves a query as it is: a transaction that writes has the database to itself.
macro_rules! for_update {
    ($query:expr) => {
        $query
    };
}

/// Leaves a query as it is: a transaction that writes has the database to itself.
macro_rules! for_key_share {
    ($query:expr) => {
        $query
    };
}

/// Compares a column with a value, where NULL equals NULL.
macro_rules! is_same {
    ($column:expr, $value:expr) => {
        $column.is($value)
    };
}

pub(super) use {for_key_share, for_no_key_update, for_update, is_same};

pub(super) use super::SqliteRepository as Repository;

/// Which backend this is.
pub(super) const BACKEND: Backend = Backend::Sqlite;
