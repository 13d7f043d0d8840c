//! Inserts and upserts.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::lists::schools_by_urn_on_conn;
use crate::clauses::school_values;
use crate::error::{Error, Result};
use crate::geo::LatLng;
use crate::ids::{SchoolId, Urn};
use crate::models::{NewSchool, School, SchoolPatch, UpsertCounts};
use crate::request::{Batches, SchoolStream, TxOutcome, WriteMode, refuse_twice};
use crate::sqlite::schema::schools;
use crate::sqlite::transactions::whole;

/// How many schools one INSERT holds: 26 values each, well below SQLite's limit of 32,766 bound values.
const ROWS_AN_INSERT: usize = 250;

/// Inserts schools, all or none, and gives their ids in the order given.
pub(in crate::sqlite) fn insert_schools_on_conn(
    connection: &mut SqliteConnection,
    new: &[NewSchool],
) -> Result<Vec<SchoolId>> {
    let mut seen = HashSet::with_capacity(new.len());
    for school in new {
        school.validate()?;
        refuse_twice(&mut seen, school.urn)?;
    }
    let inserted = whole(connection, |connection| {
        let mut ids = Vec::with_capacity(new.len());
        for rows in new.chunks(ROWS_AN_INSERT) {
            ids.extend(insert_in_txn(connection, rows)?);
        }
        Ok(ids)
    });
    match inserted {
        Ok(ids) => Ok(ids),
        Err(ended) => Err(named(connection, ended, new)),
    }
}

/// Inserts the schools that are new, and updates those of which something changed.
pub(in crate::sqlite) fn upsert_schools_on_conn(
    connection: &mut SqliteConnection,
    stream: SchoolStream,
    mode: WriteMode,
) -> Result<UpsertCounts> {
    let ended = whole(connection, |connection| {
        let counts = upsert_in_txn(connection, stream)?;
        TxOutcome::commit(counts, mode)
    });
    match ended {
        Ok(counts) | Err(TxOutcome::RolledBack(counts)) => Ok(counts),
        Err(ended) => Err(named(connection, ended, &[])),
    }
}

fn upsert_in_txn(connection: &mut SqliteConnection, stream: SchoolStream) -> Result<UpsertCounts, TxOutcome> {
    let mut counts = UpsertCounts::default();
    for batch in Batches::new(stream, ROWS_AN_INSERT) {
        upsert_batch_in_txn(connection, batch?, &mut counts)?;
    }
    Ok(counts)
}

/// Reads what is stored, compares, and writes only what differs: the counts are exact, and a register that did not
/// change costs no writes.
fn upsert_batch_in_txn(
    connection: &mut SqliteConnection,
    batch: Vec<NewSchool>,
    counts: &mut UpsertCounts,
) -> Result<(), TxOutcome> {
    let urns: Vec<Urn> = batch.iter().map(|school| school.urn).collect();
    let stored = schools_by_urn_on_conn(connection, &urns)?;
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
            update_in_txn(connection, id, &school)?;
            counts.updated += 1;
        }
    }
    counts.inserted += insert_in_txn(connection, &new)?.len() as u64;
    Ok(())
}

/// Changes a school that is still at the version that was read, and gives it as it is then.
pub(in crate::sqlite) fn update_school_on_conn(
    connection: &mut SqliteConnection,
    id: SchoolId,
    version: i32,
    patch: &SchoolPatch,
) -> Result<School> {
    let ended = whole(connection, |connection| {
        let query = schools::table.find(id).select(School::as_select());
        let stored: School = query.first(connection).optional()?.ok_or(Error::UnknownSchool)?;
        if stored.version != version {
            return Err(Error::Stale { given: version, stored: stored.version }.into());
        }
        let school = patch.apply(stored.into());
        school.validate()?;
        update_in_txn(connection, id, &school)?;
        Ok(query.first(connection)?)
    });
    ended.map_err(TxOutcome::error)
}

/// Writes a school over the one that is stored, as its next version.
fn update_in_txn(connection: &mut SqliteConnection, id: SchoolId, school: &NewSchool) -> QueryResult<()> {
    let values = (school_values!(schools, school), schools::version.eq(schools::version + 1));
    diesel::update(schools::table.find(id)).set(values).execute(connection)?;
    Ok(())
}

/// Inserts at most [`ROWS_AN_INSERT`] schools and gives their ids in the order given.
fn insert_in_txn(connection: &mut SqliteConnection, new: &[NewSchool]) -> Result<Vec<SchoolId>, DieselError> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<_> = new.iter().map(|school| school_values!(schools, school)).collect();
    let rows =
        diesel::insert_into(schools::table)
            .values(values)
            .returning((schools::urn, schools::id))
            .load::<(Urn, SchoolId)>(connection)?;
    // SQL does not promise the order of what it returns.
    let ids: HashMap<Urn, SchoolId> = rows.into_iter().collect();
    Ok(new.iter().filter_map(|school| ids.get(&school.urn).copied()).collect())
}

/// The error of a write that was undone. A violated UNIQUE does not say which URN, so it is looked up: one of these is
/// stored already.
fn named(connection: &mut SqliteConnection, ended: TxOutcome, new: &[NewSchool]) -> Error {
    let error = match ended {
        TxOutcome::Failed(error) => return error,
        TxOutcome::RolledBack(_) => return Error::Database(DieselError::RollbackTransaction),
        TxOutcome::Database(error) => error,
    };
    if !matches!(error, DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) {
        return error.into();
    }
    let urns: Vec<Urn> = new.iter().map(|school| school.urn).collect();
    for urns in urns.chunks(10_000) {
        let stored = schools::table.filter(schools::urn.eq_any(urns)).order_by(schools::urn).select(schools::urn);
        if let Ok(urn) = stored.first(connection) {
            return Error::DuplicateUrn { urn };
        }
    }
    error.into()
}
