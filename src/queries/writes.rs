//! Inserts and upserts of schools.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::insert::{Batches, ROWS_AN_INSERT, insert_in_txn};
use super::lists::schools_by_urn_on_conn;
use crate::columns::school_values;
use crate::error::{Error, Result};
use crate::geo::LatLng;
use crate::ids::{SchoolId, Urn};
use crate::models::{NewSchool, School, SchoolPatch, UpsertCounts};
use crate::request::{MAX_IDS, SchoolStream, WriteMode, distinct, refuse_twice};
use crate::transaction::TableLock;

use super::super::dialect::{Connection, RunQueryDsl, locked, maybe_async, write};
use super::super::schema::schools;

/// Inserts schools in one transaction, and returns their ids in the order given.
#[maybe_async]
pub(in super::super) async fn insert_schools_on_conn(
    connection: &mut Connection,
    new: &[NewSchool],
) -> Result<Vec<SchoolId>> {
    let mut seen = HashSet::with_capacity(new.len());
    for school in new {
        school.validate()?;
        refuse_twice(&mut seen, school.urn)?;
    }
    let inserted = write(connection, &[], WriteMode::Commit, async |connection| {
        let mut ids = Vec::with_capacity(new.len());
        for rows in new.chunks(ROWS_AN_INSERT) {
            ids.extend(insert_in_txn(connection, rows).await?);
        }
        Ok(ids)
    })
    .await;
    let is_duplicate =
        matches!(&inserted, Err(Error::Database(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _))));
    if is_duplicate && let Some(urn) = stored_urn_on_conn(connection, new).await {
        return Err(Error::DuplicateUrn { urn });
    }
    inserted
}

/// Returns the lowest of these schools' URNs that is stored, which the error of a violated UNIQUE does not contain.
#[maybe_async]
async fn stored_urn_on_conn(connection: &mut Connection, new: &[NewSchool]) -> Option<Urn> {
    let urns: Vec<Urn> = new.iter().map(|school| school.urn).collect();
    for urns in distinct(&urns).chunks(MAX_IDS) {
        let stored = schools::table.filter(schools::urn.eq_any(urns)).order_by(schools::urn).select(schools::urn);
        if let Ok(urn) = stored.first(connection).await {
            return Some(urn);
        }
    }
    None
}

/// Inserts new schools, and updates those that differ from the stored ones.
#[maybe_async]
#[allow(clippy::while_let_on_iterator, reason = "the batches of Postgres are awaited")]
pub(in super::super) async fn upsert_schools_on_conn(
    connection: &mut Connection,
    stream: SchoolStream,
    mode: WriteMode,
) -> Result<UpsertCounts> {
    let mut batches = Batches::new(stream, ROWS_AN_INSERT);
    write(connection, &[TableLock::Import("schools")], mode, async |connection| {
        let mut counts = UpsertCounts::default();
        while let Some(batch) = batches.next().await {
            upsert_batch_in_txn(connection, batch?, &mut counts).await?;
        }
        Ok(counts)
    })
    .await
}

/// Reads the stored schools, and writes only those that differ. So the counts are exact, and an unchanged register
/// costs no writes.
#[maybe_async]
async fn upsert_batch_in_txn(
    connection: &mut Connection,
    batch: Vec<NewSchool>,
    counts: &mut UpsertCounts,
) -> Result<()> {
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
        let school = school.or_stored(&stored);
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

/// Updates a school that still has the version that was read, and returns it as stored.
#[maybe_async]
pub(in super::super) async fn update_school_on_conn(
    connection: &mut Connection,
    id: SchoolId,
    version: i32,
    patch: &SchoolPatch,
) -> Result<School> {
    write(connection, &[TableLock::Rows("schools")], WriteMode::Commit, async |connection| {
        let query = schools::table.find(id).select(School::as_select());
        let stored = locked!(for_no_key_update, query).first::<School>(connection).await.optional()?;
        let stored = stored.ok_or(Error::UnknownSchool)?;
        if stored.version != version {
            return Err(Error::Stale { given: version, stored: stored.version });
        }
        let school = patch.apply(stored.into());
        school.validate()?;
        update_in_txn(connection, id, &school).await?;
        Ok(query.first(connection).await?)
    })
    .await
}

/// Writes a school over the stored one, as its next version.
#[maybe_async]
async fn update_in_txn(connection: &mut Connection, id: SchoolId, school: &NewSchool) -> QueryResult<()> {
    let values = (school_values!(schools, school), schools::version.eq(schools::version + 1));
    diesel::update(schools::table.find(id)).set(values).execute(connection).await?;
    Ok(())
}
