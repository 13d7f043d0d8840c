//! INSERTs of schools on Postgres.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::dsl::SqlTypeOf;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::Error as DieselError;
use diesel::sql_types::{Array, BigInt, Integer};
use diesel_async::AsyncPgConnection;
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinHandle;

use crate::columns::school_columns;
use crate::error::{Error, Result};
use crate::geo::LatLng;
use crate::ids::{SchoolId, Urn};
use crate::models::NewSchool;
use crate::postgres::run::RunQueryDsl;
use crate::postgres::schema::schools;
use crate::postgres::watch::elsewhere;
use crate::request::{self, SchoolStream};

/// How many schools are compared and inserted at a time.
pub(super) const ROWS_AN_INSERT: usize = 2_000;

diesel::define_sql_function! {
    /// The values of an array, one row each. Several in one SELECT advance in parallel.
    fn unnest<T: diesel::sql_types::SqlType + diesel::sql_types::SingleValue>(values: Array<T>) -> T;
}

/// An INSERT of schools from one array for each column: one statement, prepared once, for any number of schools. It
/// returns the URN and the id of each.
#[derive(Debug, QueryId)]
struct InsertSchools<A> {
    columns: &'static [&'static str],
    arrays: A,
}

impl<A> Query for InsertSchools<A> {
    type SqlType = (Integer, BigInt);
}

impl<A: QueryFragment<Pg>> QueryFragment<Pg> for InsertSchools<A> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO schools (");
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push_sql(", ");
            }
            out.push_identifier(column)?;
        }
        // In FROM, the server would store every array as rows before the first INSERT, which takes a tenth of the total
        // time.
        out.push_sql(") SELECT ");
        self.arrays.walk_ast(out.reborrow())?;
        out.push_sql(" RETURNING urn, id");
        Ok(())
    }
}

/// Builds an INSERT of new schools. Each array has the type of its column.
macro_rules! insert_schools {
    ($schools:expr) => {
        school_columns!(insert_schools, $schools)
    };
    ($schools:expr; $($field:ident => $($column:ident: $value:expr),+;)+) => {
        InsertSchools {
            columns: &[$($(<schools::$column as Column>::NAME),+),+],
            arrays: ($($(
                unnest::<SqlTypeOf<schools::$column>, _>(
                    $schools.iter().map(|NewSchool { $field, .. }| $value).collect::<Vec<_>>(),
                ),
            )+)+),
        }
    };
}

/// A stream of schools in batches, each school validated. The stream may read a file, so it is read on a thread that
/// may block, a few batches ahead.
pub(super) struct Batches {
    batches: Receiver<Result<Vec<NewSchool>>>,
    /// Set after the last batch: a stream that panics also ends the channel, and must not look complete.
    is_complete: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Batches {
    pub(super) fn read(stream: SchoolStream, size: usize) -> Self {
        let (sender, batches) = mpsc::channel(2);
        let is_complete = Arc::new(AtomicBool::new(false));
        let reader = tokio::task::spawn_blocking({
            let is_complete = Arc::clone(&is_complete);
            move || {
                for batch in request::Batches::new(stream, size) {
                    if sender.blocking_send(batch).is_err() {
                        return;
                    }
                }
                is_complete.store(true, Ordering::Release);
            }
        });
        Self { batches, is_complete, reader }
    }

    pub(super) async fn next(&mut self) -> Option<Result<Vec<NewSchool>>> {
        match elsewhere(self.batches.recv()).await {
            // Rolls the transaction back; `finish` passes on the panic itself.
            None if !AtomicBool::load(&self.is_complete, Ordering::Acquire) => {
                Some(Err(Error::Database(DieselError::RollbackTransaction)))
            }
            next => next,
        }
    }

    /// Ends reading, and passes on a panic of the stream.
    pub(super) async fn finish(self) {
        drop(self.batches);
        if let Err(failed) = self.reader.await {
            std::panic::resume_unwind(failed.into_panic());
        }
    }
}

/// Inserts at most [`ROWS_AN_INSERT`] schools and returns their ids in the given order.
pub(super) async fn insert_in_txn(connection: &mut AsyncPgConnection, new: &[NewSchool]) -> QueryResult<Vec<SchoolId>> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    // SQL does not guarantee the order of returned rows.
    let ids: HashMap<Urn, SchoolId> = insert_schools!(new).load(connection).await?.into_iter().collect();
    Ok(new.iter().filter_map(|school| ids.get(&school.urn).copied()).collect())
}
