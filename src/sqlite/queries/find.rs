//! The main query: the schools that a search finds.

use std::borrow::Cow;

use diesel::dsl::max;
use diesel::dsl::{AsSelect, IntoBoxed, Select};
use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::query_dsl::methods::LoadQuery;
use diesel::sqlite::Sqlite;

use crate::error::Result;
use crate::geo::BoundingBox;
use crate::ids::SchoolId;
use crate::models::{SchoolHit, SchoolSummary};
use crate::request::{Candidate, Expansion, HitRow, ListedRow, Page, Position, Probe, SearchRadius, Settled, Sort};
use crate::sqlite::functions::{IdIn, InBox, Limited, by_council, haversine, unindexed};
use crate::sqlite::schema::{admissions_reach, private_school_fees, school_clubs, schools};
use crate::sqlite::transactions::at_once;
use crate::twin;

/// The distance from the search's point in kilometres; NULL where the search has none, or the school stands nowhere.
pub(super) type Distance = haversine<Option<f64>, Option<f64>, schools::lat, schools::lng>;

/// A probe costs little, and less the fewer schools it reads.
pub(super) const EXPANSION: Expansion = Expansion { first_km: 1.0, last_km: 400.0 };

type Selection = (AsSelect<SchoolSummary, Sqlite>, schools::name_folded);

/// One page of the schools that a search finds.
pub(in crate::sqlite) fn find_schools_on_conn(
    connection: &mut SqliteConnection,
    settled: &Settled,
) -> Result<Page<SchoolHit>> {
    let settled = &bounded_in_txn(connection, settled)?;
    match (settled.search.sort, settled.first_probe(EXPANSION)) {
        (Sort::Margin, _) => Ok(settled.page_of_hits(margin_query(settled).load(connection)?)),
        (Sort::Distance | Sort::Name | Sort::Rating, None) => {
            let mut listing = settled.listing();
            for row in find_query(settled).load_iter(connection)? {
                listing.push(row?);
            }
            Ok(listing.finish())
        }
        // All probes and the page's schools are read from one snapshot.
        (Sort::Distance | Sort::Name | Sort::Rating, Some(probe)) => {
            at_once(connection, |connection| nearest_in_txn(connection, settled, probe))
        }
    }
}

fn nearest_in_txn(connection: &mut SqliteConnection, settled: &Settled, first: Probe) -> Result<Page<SchoolHit>> {
    let mut probe = first;
    loop {
        let candidates = probe.nearest(candidates_query(settled, probe.radius).load(connection)?);
        match settled.next_probe(&probe, candidates.len(), EXPANSION) {
            Some(wider) => probe = wider,
            None => {
                let schools = page_query(&candidates).load(connection)?;
                return Ok(settled.page_of_hits(Probe::rows(&candidates, schools)));
            }
        }
    }
}

/// Builds the query for the ids and locations of the schools in a probe's box, where it has one, that meet the search's
/// conditions.
pub(super) fn candidates_query<'a>(
    settled: &'a Settled,
    radius: SearchRadius,
) -> impl LoadQuery<'a, SqliteConnection, (SchoolId, Option<f64>, Option<f64>)> + QueryFragment<Sqlite> + QueryId + 'a {
    let mut query = schools::table.select((schools::id, schools::lat, schools::lng)).into_boxed();
    if let Some(in_box) = in_box(settled, radius) {
        query = query.filter(in_box);
        twin::filter_schools!(query, unindexed, settled);
    } else {
        twin::filter_schools!(query, by_council, settled);
    }
    query
}

/// Returns the condition by which an index narrows a search to candidates, or `None` where it would leave out little.
pub(super) fn in_box(settled: &Settled, radius: SearchRadius) -> Option<InBox> {
    let (point, km) = settled.circle(radius).filter(|(_, km)| km.get() <= EXPANSION.last_km)?;
    Some(InBox::new(&BoundingBox::around(point, km)))
}

/// Builds the query for the schools of a page, in no order.
fn page_query<'a>(candidates: &[Candidate]) -> impl LoadQuery<'a, SqliteConnection, SchoolSummary> {
    let ids = candidates.iter().map(|candidate| candidate.id);
    schools::table.filter(IdIn::new(ids)).select(SchoolSummary::as_select())
}

/// A search by reach looks no farther than any offers ever reached.
pub(super) fn bounded_in_txn<'a>(connection: &mut SqliteConnection, settled: &'a Settled) -> Result<Cow<'a, Settled>> {
    if settled.search.filter.reach.is_none() {
        return Ok(Cow::Borrowed(settled));
    }
    let widest = admissions_reach::table.select(max(admissions_reach::least_km));
    Ok(Cow::Owned(settled.bounded_by(widest.get_result(connection)?)))
}

/// The schools within the search's circle that meet its conditions and come after its cursor, in an order that an index
/// has: one row more than the page holds.
pub(super) fn find_query<'a>(
    settled: &'a Settled,
) -> impl LoadQuery<'a, SqliteConnection, ListedRow> + QueryFragment<Sqlite> + QueryId + 'a {
    let selection: Selection = (SchoolSummary::as_select(), schools::name_folded);
    let mut query: IntoBoxed<'a, Select<schools::table, Selection>, Sqlite> =
        schools::table.select(selection).into_boxed();
    twin::within_radius!(query, settled, in_box(settled, SearchRadius::Whole));
    twin::filter_schools!(query, schools, settled);
    if let Some(after) = &settled.after {
        twin::filter_after!(query, schools, settled, after);
    }
    Limited::new(twin::order_schools!(query, schools, settled), settled.fetch())
}

/// As [`find_query`], in the order of the margins, which stand in the place of the distances: those are no secret where
/// both ends are known.
pub(super) fn margin_query<'a>(
    settled: &'a Settled,
) -> impl LoadQuery<'a, SqliteConnection, HitRow> + QueryFragment<Sqlite> + QueryId + 'a {
    let margin = twin::margin!(schools, settled);
    let mut query = schools::table.select((SchoolSummary::as_select(), margin)).into_boxed();
    twin::within_radius!(query, settled, in_box(settled, SearchRadius::Whole));
    twin::filter_schools!(query, schools, settled);
    if let Some(after) = &settled.after {
        twin::filter_after!(query, schools, settled, after);
    }
    Limited::new(twin::order_schools!(query, schools, settled), settled.fetch())
}

pub(super) fn distance(settled: &Settled) -> Distance {
    let point = settled.near.map(|near| near.point);
    let (lat, lng) = (point.map(|point| point.lat().degrees()), point.map(|point| point.lng().degrees()));
    haversine(lat, lng, schools::lat, schools::lng)
}
