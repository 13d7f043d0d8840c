//! What is specific to Postgres in the shared queries of `src/queries`.

use crate::config::Backend;
use diesel::prelude::*;

pub(super) use diesel::pg::Pg as Db;
pub(super) use diesel_async::AsyncPgConnection as Connection;
pub(super) use diesel_async::SimpleAsyncConnection as BatchExecute;
pub(super) use diesel_async::methods::LoadQuery;

/// Leaves an item unchanged: connections to Postgres are asynchronous.
pub(super) use bisync_macros::internal_noop as maybe_async;

use super::functions::ByBytes;
pub(super) use super::functions::haversine;
pub(super) use super::run::RunQueryDsl;
pub(super) use super::transactions::{snapshot, write};

/// Returns `Ok`: a read ends where its future is dropped.
#[expect(clippy::unnecessary_wraps, reason = "as SQLite's")]
pub(super) const fn require_caller() -> crate::error::Result<()> {
    Ok(())
}

/// Returns a text column for ordering by bytes, whatever the database's collation.
pub(super) fn by_bytes<C: Expression>(column: C) -> ByBytes<C> {
    ByBytes::new(column)
}

/// Locks the rows of a query: `for_no_key_update` against other writers, `for_update` also against new rows that refer
/// to them, and `for_key_share` against deletion.
macro_rules! locked {
    ($lock:ident, $query:expr) => {
        diesel::QueryDsl::$lock($query)
    };
}

/// Compares a column with a value, where NULL equals NULL.
macro_rules! is_same {
    ($column:expr, $value:expr) => {
        $column.is_not_distinct_from($value)
    };
}

/// Makes an array of a subquery that has few rows. Its rows depend on its parameters, which a generic plan does not
/// know: of a range it would expect one row in two hundred, and scan `schools` for so many.
macro_rules! few_rows {
    ($subquery:expr) => {
        diesel::dsl::array($subquery)
    };
}

pub(super) use {few_rows, is_same, locked};

pub(super) use super::PostgresRepository as Repository;

/// The backend that this dialect is for.
pub(super) const BACKEND: Backend = Backend::Postgres;
