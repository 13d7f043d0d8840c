//! The main query: the schools that a search finds.

use std::borrow::Cow;

use diesel::dsl::max;
use diesel::dsl::{AsSelect, IntoBoxed, Select};
use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::query_dsl::methods::LoadQuery;
use diesel::sqlite::Sqlite;

use crate::clauses;
use crate::error::Result;
use crate::geo::BoundingBox;
use crate::ids::SchoolId;
use crate::models::{SchoolHit, SchoolSummary};
use crate::request::{
    Candidate, Expansion, HitRow, ListedRow, Page, Position, Probe, SearchRadius, Sort, ValidatedSearch,
};
use crate::sqlite::functions::{IdIn, InBox, Limited, by_council, haversine, unindexed};
use crate::sqlite::schema::{admissions_reach, private_school_fees, school_clubs, schools};
use crate::sqlite::transactions::at_once;

/// The distance from the search's point in kilometres; NULL where the search has none, or the school stands nowhere.
pub(super) type Distance = haversine<Option<f64>, Option<f64>, schools::lat, schools::lng>;

/// A probe costs little, and less the fewer schools it reads.
pub(super) const EXPANSION: Expansion = Expansion { first_km: 1.0, last_km: 400.0 };

type Selection = (AsSelect<SchoolSummary, Sqlite>, schools::name_folded);

/// One page of the schools that a search finds.
pub(in crate::sqlite) fn find_schools_on_conn(
    connection: &mut SqliteConnection,
    validated: &ValidatedSearch,
) -> Result<Page<SchoolHit>> {
    let validated = &bounded_in_txn(connection, validated)?;
    match (validated.search.sort, validated.first_probe(EXPANSION)) {
        (Sort::Margin, _) => Ok(validated.page_of_hits(margin_query(validated).load(connection)?)),
        (Sort::Distance | Sort::Name | Sort::Rating, None) => {
            let mut listing = validated.listing();
            for row in find_query(validated).load_iter(connection)? {
                listing.push(row?);
            }
            Ok(listing.finish())
        }
        // All probes and the page's schools are read from one snapshot.
        (Sort::Distance | Sort::Name | Sort::Rating, Some(probe)) => {
            at_once(connection, |connection| nearest_in_txn(connection, validated, probe))
        }
    }
}

fn nearest_in_txn(
    connection: &mut SqliteConnection,
    validated: &ValidatedSearch,
    first: Probe,
) -> Result<Page<SchoolHit>> {
    let mut probe = first;
    loop {
        let candidates = probe.nearest(candidates_query(validated, probe.radius).load(connection)?);
        match validated.next_probe(&probe, candidates.len(), EXPANSION) {
            Some(wider) => probe = wider,
            None => {
                let schools = page_query(&candidates).load(connection)?;
                return Ok(validated.page_of_hits(Probe::rows(&candidates, schools)));
            }
        }
    }
}

/// Builds the query for the ids and locations of the schools in a probe's box, where it has one, that meet the search's
/// conditions.
pub(super) fn candidates_query<'a>(
    validated: &'a ValidatedSearch,
    radius: SearchRadius,
) -> impl LoadQuery<'a, SqliteConnection, (SchoolId, Option<f64>, Option<f64>)> + QueryFragment<Sqlite> + QueryId + 'a {
    let mut query = schools::table.select((schools::id, schools::lat, schools::lng)).into_boxed();
    if let Some(in_box) = in_box(validated, radius) {
        query = query.filter(in_box);
        clauses::filter_schools!(query, unindexed, validated);
    } else {
        clauses::filter_schools!(query, by_council, validated);
    }
    query
}

/// Returns the condition by which an index narrows a search to candidates, or `None` where it would leave out little.
pub(super) fn in_box(validated: &ValidatedSearch, radius: SearchRadius) -> Option<InBox> {
    let (point, km) = validated.circle(radius).filter(|(_, km)| km.get() <= EXPANSION.last_km)?;
    Some(InBox::new(&BoundingBox::around(point, km)))
}

/// Builds the query for the schools of a page, in no order.
fn page_query<'a>(candidates: &[Candidate]) -> impl LoadQuery<'a, SqliteConnection, SchoolSummary> {
    let ids = candidates.iter().map(|candidate| candidate.id);
    schools::table.filter(IdIn::new(ids)).select(SchoolSummary::as_select())
}

/// A search by reach looks no farther than any offers ever reached.
pub(super) fn bounded_in_txn<'a>(
    connection: &mut SqliteConnection,
    validated: &'a ValidatedSearch,
) -> Result<Cow<'a, ValidatedSearch>> {
    if validated.search.filter.reach.is_none() {
        return Ok(Cow::Borrowed(validated));
    }
    let widest = admissions_reach::table.select(max(admissions_reach::least_km));
    Ok(Cow::Owned(validated.bounded_by(widest.get_result(connection)?)))
}

/// The schools within the search's circle that meet its conditions and come after its cursor, in an order that an index
/// has: one row more than the page holds.
pub(super) fn find_query<'a>(
    validated: &'a ValidatedSearch,
) -> impl LoadQuery<'a, SqliteConnection, ListedRow> + QueryFragment<Sqlite> + QueryId + 'a {
    let selection: Selection = (SchoolSummary::as_select(), schools::name_folded);
    let mut query: IntoBoxed<'a, Select<schools::table, Selection>, Sqlite> =
        schools::table.select(selection).into_boxed();
    clauses::within_radius!(query, validated, in_box(validated, SearchRadius::Whole));
    clauses::filter_schools!(query, schools, validated);
    if let Some(after) = &validated.after {
        clauses::filter_after!(query, schools, validated, after);
    }
    Limited::new(clauses::order_schools!(query, schools, validated), validated.fetch())
}

/// As [`find_query`], in the order of the margins, which stand in the place of the distances: those are no secret where
/// both ends are known.
pub(super) fn margin_query<'a>(
    validated: &'a ValidatedSearch,
) -> impl LoadQuery<'a, SqliteConnection, HitRow> + QueryFragment<Sqlite> + QueryId + 'a {
    let margin = clauses::margin!(schools, validated);
    let mut query = schools::table.select((SchoolSummary::as_select(), margin)).into_boxed();
    clauses::within_radius!(query, validated, in_box(validated, SearchRadius::Whole));
    clauses::filter_schools!(query, schools, validated);
    if let Some(after) = &validated.after {
        clauses::filter_after!(query, schools, validated, after);
    }
    Limited::new(clauses::order_schools!(query, schools, validated), validated.fetch())
}

pub(super) fn distance(validated: &ValidatedSearch) -> Distance {
    let point = validated.near.map(|near| near.point);
    let (lat, lng) = (point.map(|point| point.lat().degrees()), point.map(|point| point.lng().degrees()));
    haversine(lat, lng, schools::lat, schools::lng)
}
