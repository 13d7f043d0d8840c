//! Catchments: the schools that serve a point, and their outlines.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::catchment_index::{catchments_query, store_outlines_in_txn};
use super::find::all_schools_in_txn;
use super::lists::schools_on_conn;
use super::words::with_words;
use crate::error::{Error, Result};
use crate::geo::{Catchment, StoredOutline};
use crate::ids::{SchoolId, Urn};
use crate::models::{CatchmentHit, NewCatchment, School, SchoolCatchment, UpsertCounts};
use crate::request::{MAX_IDS, Page, SchoolSearch, WriteMode, distinct, refuse_twice};
use crate::search::ValidatedSearch;
use crate::transaction::TableLock;

use super::super::dialect::{Connection, RunQueryDsl, locked, maybe_async, require_caller, snapshot, write};
use super::super::schema::schools;

/// The number of outlines that are compared with the stored ones in one step: they may be large.
const OUTLINES_A_BATCH: usize = 200;

/// An outline to store, or `None` to remove a school's.
pub(in super::super) struct Outline<'a> {
    pub(in super::super) id: SchoolId,
    pub(in super::super) outline: Option<&'a Catchment>,
    /// Whether it differs from the stored one.
    pub(in super::super) is_changed: bool,
}

/// Returns one page of the schools whose catchment contains a search's point.
#[maybe_async]
pub(in super::super) async fn find_catchments_on_conn(
    connection: &mut Connection,
    validated: &ValidatedSearch,
) -> Result<Page<CatchmentHit>> {
    let validated = &with_words(connection, validated).await?;
    Ok(validated.page_of_catchments(catchments_query(validated).load(connection).await?))
}

/// Returns the outlines of these schools' catchments, in the order of the ids.
#[maybe_async]
pub(in super::super) async fn catchments_on_conn(
    connection: &mut Connection,
    ids: &[SchoolId],
) -> Result<Vec<SchoolCatchment>> {
    let ids = distinct(ids);
    let mut outlines = Vec::new();
    for ids in ids.chunks(MAX_IDS) {
        require_caller()?;
        let query = schools::table
            .filter(schools::id.eq_any(ids))
            .filter(schools::catchment_geometry.is_not_null())
            .order_by(schools::id)
            .select((schools::id, schools::urn, schools::catchment_geometry.assume_not_null()));
        outlines.extend(query.load::<SchoolCatchment>(connection).await?);
    }
    Ok(outlines)
}

/// Returns every school that a search finds with its outline, in the order of the ids, from one snapshot.
#[maybe_async]
pub(in super::super) async fn all_catchments_on_conn(
    connection: &mut Connection,
    search: &SchoolSearch,
) -> Result<Vec<(School, Option<Catchment>)>> {
    snapshot(connection, async |connection| {
        let hits = all_schools_in_txn(connection, search).await?;
        let ids: Vec<SchoolId> = hits.into_iter().map(|hit| hit.school.id).collect();
        // Both are in the order of the ids.
        let mut outlines = catchments_on_conn(connection, &ids).await?.into_iter().peekable();
        let schools = schools_on_conn(connection, &ids).await?.into_iter();
        Ok(schools
            .map(|school| {
                let outline = outlines.next_if(|catchment| catchment.id == school.id);
                (school, outline.map(|catchment| catchment.outline))
            })
            .collect())
    })
    .await
}

/// Inserts, replaces or removes outlines.
#[maybe_async]
pub(in super::super) async fn upsert_catchments_on_conn(
    connection: &mut Connection,
    catchments: &[NewCatchment],
    mode: WriteMode,
) -> Result<UpsertCounts> {
    let mut seen = HashSet::with_capacity(catchments.len());
    for catchment in catchments {
        catchment.validate()?;
        refuse_twice(&mut seen, catchment.urn)?;
    }
    let mut catchments: Vec<&NewCatchment> = catchments.iter().collect();
    catchments.sort_by_key(|catchment| catchment.urn);
    write(connection, &[TableLock::Rows("schools")], mode, async |connection| {
        let mut counts = UpsertCounts::default();
        for batch in catchments.chunks(OUTLINES_A_BATCH) {
            upsert_catchments_in_txn(connection, batch, &mut counts).await?;
        }
        Ok(counts)
    })
    .await
}

#[maybe_async]
async fn upsert_catchments_in_txn(
    connection: &mut Connection,
    batch: &[&NewCatchment],
    counts: &mut UpsertCounts,
) -> Result<()> {
    // Locked, so that nobody updates them between the comparison and the update, and in one order, so that two of these
    // cannot deadlock.
    let urns: Vec<Urn> = batch.iter().map(|catchment| catchment.urn).collect();
    let query = schools::table
        .filter(schools::urn.eq_any(urns))
        .order_by(schools::urn)
        .select((schools::urn, (schools::id, schools::catchment_geometry)));
    let stored = locked!(for_no_key_update, query).load::<(Urn, (SchoolId, Option<StoredOutline>))>(connection).await?;
    let stored: HashMap<_, _> = stored.into_iter().collect();
    let mut outlines = Vec::with_capacity(batch.len());
    for NewCatchment { urn, outline } in batch {
        let (id, stored) = stored.get(urn).ok_or(Error::UnknownUrn { urn: *urn })?;
        let is_changed = !StoredOutline::is(stored.as_ref(), outline.as_ref());
        match stored {
            _ if !is_changed => counts.unchanged += 1,
            None => counts.inserted += 1,
            Some(_) => counts.updated += 1,
        }
        outlines.push(Outline { id: *id, outline: outline.as_ref(), is_changed });
    }
    store_outlines_in_txn(connection, &outlines).await?;
    Ok(())
}
