//! Inserts and upserts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::dsl::{SqlTypeOf, exists, select};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{Array, BigInt, Integer};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use tokio::sync::mpsc::{self, Receiver};

use super::lists::schools_by_urn_on_conn;
use crate::clauses::{school_columns, school_values};
use crate::error::{Error, Result};
use crate::geo::LatLng;
use crate::ids::{SchoolId, Urn};
use crate::models::{NewSchool, School, SchoolPatch, UpsertCounts};
use crate::postgres::run::RunQueryDsl;
use crate::postgres::schema::schools;
use crate::postgres::watch::elsewhere;
use crate::request::{Batches, SchoolStream, TxOutcome, WriteMode, refuse_twice};

/// How many schools are compared, and inserted, at a time.
const ROWS_AN_INSERT: usize = 2_000;

diesel::define_sql_function! {
    /// The values of an array, a row each. In a SELECT several of them go on side by side.
    fn unnest<T: diesel::sql_types::SqlType + diesel::sql_types::SingleValue>(values: Array<T>) -> T;
}

/// An INSERT of schools from one array a column: however many there are, the statement and its values stay the same in
/// number, and it is prepared once. It gives the URN and the id of each.
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
        // In FROM the server would store every array as rows before it inserts the first one, which takes a tenth of it
        // all.
        out.push_sql(") SELECT ");
        self.arrays.walk_ast(out.reborrow())?;
        out.push_sql(" RETURNING urn, id");
        Ok(())
    }
}

/// An INSERT of these new schools. Each array has the type of its column.
macro_rules! insert_schools {
    ($schools:expr) => {
        school_columns!(insert_schools, $schools)
    };
    ($schools:expr; $($column:ident: $field:ident => $value:expr,)+) => {
        InsertSchools {
            columns: &[$(<schools::$column as Column>::NAME),+],
            arrays: ($(
                unnest::<SqlTypeOf<schools::$column>, _>(
                    $schools.iter().map(|NewSchool { $field, .. }| $value).collect::<Vec<_>>(),
                ),
            )+),
        }
    };
}

/// Inserts schools, all or none, and gives their ids in the order given.
pub(in crate::postgres) async fn insert_schools_on_conn(
    connection: &mut AsyncPgConnection,
    new: &[NewSchool],
) -> Result<Vec<SchoolId>> {
    let mut seen = HashSet::with_capacity(new.len());
    for school in new {
        school.validate()?;
        refuse_twice(&mut seen, school.urn)?;
    }
    let inserted = connection
        .transaction::<_, TxOutcome, _>(async |connection| {
            let mut ids = Vec::with_capacity(new.len());
            for rows in new.chunks(ROWS_AN_INSERT) {
                ids.extend(insert_in_txn(connection, rows).await?);
            }
            Ok(ids)
        })
        .await;
    match inserted {
        Ok(ids) => Ok(ids),
        Err(ended) => Err(named(connection, ended, new).await),
    }
}

/// Inserts the schools that are new, and updates those of which something changed.
pub(in crate::postgres) async fn upsert_schools_on_conn(
    connection: &mut AsyncPgConnection,
    stream: SchoolStream,
    mode: WriteMode,
) -> Result<UpsertCounts> {
    // The stream may read a file, so it is drawn from on a thread that may block, a few batches ahead.
    let (sender, batches) = mpsc::channel(2);
    // Set after the last batch: a stream that panics ends the channel as well, and must not look like a whole one.
    let is_whole = Arc::new(AtomicBool::new(false));
    let reader = tokio::task::spawn_blocking({
        let is_whole = Arc::clone(&is_whole);
        move || {
            for batch in Batches::new(stream, ROWS_AN_INSERT) {
                if sender.blocking_send(batch).is_err() {
                    return;
                }
            }
            is_whole.store(true, Ordering::Release);
        }
    });
    let batches = tokio::sync::Mutex::new(batches);
    let ended = connection
        .transaction::<_, TxOutcome, _>(async |connection| {
            // One import at a time, so that what is read as missing is still missing when it is inserted. Readers go
            // on. The table may grow from nothing meanwhile: a plan that is kept from the beginning would scan it for
            // each batch.
            connection
                .batch_execute(
                    "LOCK TABLE schools IN SHARE ROW EXCLUSIVE MODE; SET LOCAL plan_cache_mode = force_custom_plan",
                )
                .await?;
            let counts = upsert_in_txn(connection, &mut *batches.lock().await).await?;
            if !AtomicBool::load(&is_whole, Ordering::Acquire) {
                // The panic itself is passed on below.
                return Err(TxOutcome::Database(DieselError::RollbackTransaction));
            }
            TxOutcome::commit(counts, mode)
        })
        .await;
    drop(batches);
    if let Err(failed) = reader.await {
        std::panic::resume_unwind(failed.into_panic());
    }
    match ended {
        Ok(counts) | Err(TxOutcome::RolledBack(counts)) => Ok(counts),
        Err(ended) => Err(named(connection, ended, &[]).await),
    }
}

async fn upsert_in_txn(
    connection: &mut AsyncPgConnection,
    batches: &mut Receiver<Result<Vec<NewSchool>>>,
) -> Result<UpsertCounts, TxOutcome> {
    let mut counts = UpsertCounts::default();
    // A first import finds nothing stored: the table is locked, and no URN comes twice.
    let is_first = !select(exists(schools::table.select(schools::id))).get_result::<bool>(connection).await?;
    while let Some(batch) = elsewhere(batches.recv()).await {
        let batch = batch?;
        if is_first {
            counts.inserted += insert_in_txn(connection, &batch).await?.len() as u64;
        } else {
            upsert_batch_in_txn(connection, batch, &mut counts).await?;
        }
    }
    Ok(counts)
}

/// Reads what is stored, compares, and writes only what differs: the counts are exact, and a register that did not
/// change costs no writes.
async fn upsert_batch_in_txn(
    connection: &mut AsyncPgConnection,
    batch: Vec<NewSchool>,
    counts: &mut UpsertCounts,
) -> Result<(), TxOutcome> {
    let urns: Vec<Urn> = batch.iter().map(|school| school.urn).collect();
    let stored = schools_by_urn_on_conn(connection, &urns).await?;
    let mut stored: HashMap<Urn, (SchoolId, NewSchool)> =
        stored.into_iter().map(|school| (school.urn, (school.id, school.into()))).collect();
    let mut new = Vec::new();
    for school in batch {
        let Some((id, stored)) = stored.remove(&school.urn) else {
            new.push(school);
            continue;
        };
        let school = school.over(&stored);
        if school == stored {
            counts.unchanged += 1;
        } else {
            update_in_txn(connection, id, &school).await?;
            counts.updated += 1;
        }
    }
    counts.inserted += insert_in_txn(connection, &new).await?.len() as u64;
    Ok(())
}

/// Changes a school that is still at the version that was read, and gives it as it is then.
pub(in crate::postgres) async fn update_school_on_conn(
    connection: &mut AsyncPgConnection,
    id: SchoolId,
    version: i32,
    patch: &SchoolPatch,
) -> Result<School> {
    let ended = connection
        .transaction::<_, TxOutcome, _>(async |connection| {
            // The lock comes before the rows', as an import takes it, so that the two do not wait for each other.
            connection.batch_execute("LOCK TABLE schools IN ROW EXCLUSIVE MODE").await?;
            let query = schools::table.find(id).select(School::as_select());
            let stored: School =
                query.for_no_key_update().first(connection).await.optional()?.ok_or(Error::UnknownSchool)?;
            if stored.version != version {
                return Err(Error::Stale { given: version, stored: stored.version }.into());
            }
            let school = patch.apply(stored.into());
            school.validate()?;
            update_in_txn(connection, id, &school).await?;
            Ok(query.first(connection).await?)
        })
        .await;
    ended.map_err(TxOutcome::error)
}

/// Writes a school over the one that is stored, as its next version.
async fn update_in_txn(connection: &mut AsyncPgConnection, id: SchoolId, school: &NewSchool) -> QueryResult<()> {
    let values = (school_values!(schools, school), schools::version.eq(schools::version + 1));
    diesel::update(schools::table.find(id)).set(values).execute(connection).await?;
    Ok(())
}

/// Inserts at most [`ROWS_AN_INSERT`] schools and gives their ids in the order given.
async fn insert_in_txn(connection: &mut AsyncPgConnection, new: &[NewSchool]) -> Result<Vec<SchoolId>, DieselError> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let rows = insert_schools!(new).load::<(Urn, SchoolId)>(connection).await?;
    // SQL does not promise the order of what it returns.
    let ids: HashMap<Urn, SchoolId> = rows.into_iter().collect();
    Ok(new.iter().filter_map(|school| ids.get(&school.urn).copied()).collect())
}

/// The error of a write that was undone. A violated UNIQUE does not say which URN, so it is looked up: one of these is
/// stored already.
async fn named(connection: &mut AsyncPgConnection, ended: TxOutcome, new: &[NewSchool]) -> Error {
    let error = match ended {
        TxOutcome::Failed(error) => return error,
        TxOutcome::RolledBack(_) => return Error::Database(DieselError::RollbackTransaction),
        TxOutcome::Database(error) => error,
    };
    if !matches!(error, DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) {
        return error.into();
    }
    let urns: Vec<Urn> = new.iter().map(|school| school.urn).collect();
    let stored = schools::table.filter(schools::urn.eq_any(urns)).order_by(schools::urn).select(schools::urn);
    match stored.first(connection).await.optional() {
        Ok(Some(urn)) => Error::DuplicateUrn { urn },
        _ => error.into(),
    }
}
