//! Catchments: the schools that serve a place, and their outlines.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::query_dsl::methods::LoadQuery;
use diesel::sqlite::Sqlite;

use super::find::distance;
use crate::clauses::{self, IfNeeded};
use crate::error::{Error, Result};
use crate::geo::{StoredOutline, to_wkb};
use crate::ids::SchoolId;
use crate::models::{CatchmentHit, NewCatchment, SchoolCatchment, SchoolSummary, UpsertCounts};
use crate::request::{CatchmentRow, Page, TxOutcome, ValidatedSearch, WriteMode, refuse_twice};
use crate::sqlite::functions::{Unindexed, catchment_covers, catchment_has_outline, schools_catchment, unindexed};
use crate::sqlite::schema::{admissions_reach, private_school_fees, school_clubs, schools};
use crate::sqlite::transactions::whole;

/// One page of the schools whose catchment holds a search's point.
pub(in crate::sqlite) fn find_catchments_on_conn(
    connection: &mut SqliteConnection,
    validated: &ValidatedSearch,
) -> Result<Page<CatchmentHit>> {
    Ok(validated.page_of_catchments(catchments_query(validated).load(connection)?))
}

/// The schools whose outline holds the search's point, or whose circle may, that meet its conditions, in no order. The
/// R*Tree gives candidates by their boxes; [`catchment_covers`] decides of an outline before its school's row is looked
/// for. `Unindexed` keeps the join from being turned round, which on a connection that has analysed the R*Tree itself
/// ends in a scan of the schools.
pub(super) fn catchments_query<'a>(
    validated: &'a ValidatedSearch,
) -> impl LoadQuery<'a, SqliteConnection, CatchmentRow> + QueryFragment<Sqlite> + QueryId + 'a {
    let boxed_and_school = schools::id.eq(Unindexed::new(schools_catchment::id));
    let name = IfNeeded::new(validated.is_by_name(), schools::name_folded);
    let has_outline = catchment_has_outline(schools_catchment::outline);
    let mut query = schools_catchment::table
        .inner_join(schools::table.on(boxed_and_school))
        .select((SchoolSummary::as_select(), name, has_outline, schools::catchment_radius_km))
        .into_boxed();
    if let Some(near) = validated.near {
        let (lat, lng) = (near.point.lat().degrees(), near.point.lng().degrees());
        // NULL for a circle, which is decided with the others, and for an outline that cannot be read: an error where
        // its school is asked for.
        let covered = catchment_covers(schools_catchment::outline, lat, lng).is_not(false);
        query = query
            .filter(schools_catchment::min_lat.le(lat))
            .filter(schools_catchment::max_lat.ge(lat))
            .filter(schools_catchment::min_lng.le(lng))
            .filter(schools_catchment::max_lng.ge(lng))
            .filter(covered);
    }
    clauses::filter_schools!(query, unindexed, validated);
    query
}

/// The outlines of these schools' catchments, in the order of the ids.
pub(in crate::sqlite) fn catchments_on_conn(
    connection: &mut SqliteConnection,
    ids: &[SchoolId],
) -> Result<Vec<SchoolCatchment>> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let mut outlines = Vec::new();
    // Each id is a bound value, of which SQLite takes 32,766.
    for ids in ids.chunks(10_000) {
        let query = schools::table
            .filter(schools::id.eq_any(ids))
            .filter(schools::catchment_geometry.is_not_null())
            .order_by(schools::id)
            .select((schools::id, schools::urn, schools::catchment_geometry.assume_not_null()));
        outlines.extend(query.load::<SchoolCatchment>(connection)?);
    }
    Ok(outlines)
}

/// Stores outlines in place of those that are stored.
pub(in crate::sqlite) fn upsert_catchments_on_conn(
    connection: &mut SqliteConnection,
    catchments: &[NewCatchment],
    mode: WriteMode,
) -> Result<UpsertCounts> {
    let mut seen = HashSet::with_capacity(catchments.len());
    for catchment in catchments {
        catchment.validate()?;
        refuse_twice(&mut seen, catchment.urn)?;
    }
    let ended = whole(connection, |connection| {
        let mut counts = UpsertCounts::default();
        for catchment in catchments {
            upsert_catchment_in_txn(connection, catchment, &mut counts)?;
        }
        TxOutcome::commit(counts, mode)
    });
    TxOutcome::counts(ended)
}

fn upsert_catchment_in_txn(
    connection: &mut SqliteConnection,
    catchment: &NewCatchment,
    counts: &mut UpsertCounts,
) -> Result<(), TxOutcome> {
    let NewCatchment { urn, outline } = catchment;
    let stored = schools::table
        .filter(schools::urn.eq(urn))
        .select((schools::id, schools::catchment_geometry))
        .first::<(SchoolId, Option<StoredOutline>)>(connection)
        .optional()?;
    let (id, stored) = stored.ok_or(Error::UnknownUrn { urn: *urn })?;
    let is_stored = StoredOutline::is(stored.as_ref(), outline.as_ref());
    match &stored {
        _ if is_stored => counts.unchanged += 1,
        None => counts.inserted += 1,
        Some(_) => counts.updated += 1,
    }
    if !is_stored {
        diesel::update(schools::table.find(id)).set(schools::catchment_geometry.eq(outline)).execute(connection)?;
    }
    if let Some(outline) = outline {
        // The trigger has put the WKT there, now or when another program wrote it.
        let wkb = to_wkb(outline);
        let entry = schools_catchment::table.find(id).filter(schools_catchment::outline.is_not(wkb.clone()));
        diesel::update(entry).set(schools_catchment::outline.eq(wkb)).execute(connection)?;
    }
    Ok(())
}
