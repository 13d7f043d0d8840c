//! The main query: the schools that a search finds.

use std::borrow::Cow;
use std::pin::pin;

use diesel::dsl::max;
use diesel::dsl::{AsSelect, IntoBoxed, Select};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel_async::AsyncPgConnection;
use diesel_async::methods::LoadQuery;
use futures_util::TryStreamExt;

use crate::clauses;
use crate::error::Result;
use crate::geo::LatLng;
use crate::models::{SchoolHit, SchoolSummary};
use crate::postgres::functions::{DistanceOrder, MadeGeography, haversine, st_dwithin_metres};
use crate::postgres::run::RunQueryDsl;
use crate::postgres::schema::{admissions_reach, private_school_fees, school_clubs, schools};
use crate::request::{
    Expansion, HitRow, ListedRow, Nearest, Page, Position, SLACK_KM, SearchRadius, Sort, ValidatedSearch,
};
use crate::units::Kilometres;

/// The distance from the search's point in kilometres; NULL where the search has none, or the school stands nowhere.
pub(super) type Distance = haversine<Option<f64>, Option<f64>, schools::lat, schools::lng>;

/// The first probe has a page nearly everywhere and is walked from near to far, so that it reads little more than that.
/// A rare filter has it read all of its schools, some 10 ms for a large city's, before the one scan that answers it.
pub(super) const EXPANSION: Expansion = Expansion { first_km: 50.0, last_km: 100.0 };

/// How many times as long as this crate's distance PostGIS's may be, whose sphere has the earth's mean radius of
/// 6,371.0087714 km.
const WIDER_SPHERE: f64 = 1.000_002;

type Within = st_dwithin_metres<schools::location, MadeGeography, f64, bool>;

type Selection = (AsSelect<SchoolSummary, Pg>, schools::name_folded);

/// One page of the schools that a search finds.
pub(in crate::postgres) async fn find_schools_on_conn(
    connection: &mut AsyncPgConnection,
    validated: &ValidatedSearch,
) -> Result<Page<SchoolHit>> {
    let validated = &bounded_in_txn(connection, validated).await?;
    match validated.search.sort {
        Sort::Margin => Ok(validated.page_of_hits(margin_query(validated).load(connection).await?)),
        Sort::Distance => nearest_on_conn(connection, validated).await,
        Sort::Name | Sort::Rating => {
            let mut listing = validated.listing();
            let mut rows = pin!(diesel_async::RunQueryDsl::load_stream(find_query(validated), connection).await?);
            while let Some(row) = rows.try_next().await? {
                listing.push(row);
            }
            Ok(listing.finish())
        }
    }
}

/// Probes farther until the page is full. A page is of one snapshot, since it is from one statement; how far a search by
/// admissions reach looks at all was read before.
async fn nearest_on_conn(connection: &mut AsyncPgConnection, validated: &ValidatedSearch) -> Result<Page<SchoolHit>> {
    let (mut limit, mut radius) = (first_limit(validated), validated.first_radius(EXPANSION));
    loop {
        let candidates = nearest_query(validated, radius, limit).load(connection).await?;
        match validated.nearest(candidates, limit, radius) {
            Nearest::Page(rows) => return Ok(validated.page_of_hits(rows)),
            Nearest::MoreCandidates => limit = limit.saturating_mul(4),
            Nearest::WiderProbe(found) => {
                radius = validated.next_radius(radius, found, EXPANSION).unwrap_or(SearchRadius::Whole);
            }
        }
    }
}

/// Returns how many candidates the first probe fetches: a few more than the page needs, for schools that are about as
/// far as its last.
pub(super) fn first_limit(validated: &ValidatedSearch) -> i64 {
    validated.fetch() + validated.fetch() / 16 + 4
}

/// Builds the query for the nearest schools of a probe that meet the search's conditions and come after its cursor; those
/// without a location come last, by id. Some may be beyond the probe's radius by 1.3 m, or before the cursor by 1 m.
pub(super) fn nearest_query(
    validated: &ValidatedSearch,
    radius: SearchRadius,
    limit: i64,
) -> impl LoadQuery<'_, AsyncPgConnection, SchoolSummary> + QueryFragment<Pg> + QueryId + Send {
    let mut query = schools::table.select(SchoolSummary::as_select()).into_boxed();
    clauses::filter_schools!(query, schools, validated);
    match validated.after {
        Some(Position::Distance { km: Some(km), .. }) => {
            let is_later = distance(validated).ge(km - SLACK_KM);
            query = query.filter(is_later.or(schools::location.is_null().nullable()));
        }
        Some(Position::Distance { km: None, id }) => {
            query = query.filter(schools::location.is_null()).filter(schools::id.gt(id));
        }
        _ => {}
    }
    query = query.limit(limit);
    match validated.circle(radius) {
        // GiST gives the order, and has no second column to break ties.
        Some((point, km)) if km.get() <= EXPANSION.last_km => query
            .filter(within(point, km))
            .order_by(DistanceOrder::new(schools::location, MadeGeography::beside(point))),
        // What no index narrows is scanned once, and not walked from near to far.
        _ => {
            if let Some(radius) = validated.radius() {
                query = query.filter(distance(validated).le(radius.get() + SLACK_KM));
            }
            query.order_by((distance(validated).asc().nulls_last(), schools::id.asc()))
        }
    }
}

/// Returns the condition that a school is within a radius, by PostGIS's distance and a little beyond: the GiST index
/// answers it.
pub(super) fn within(point: LatLng, radius: Kilometres) -> Within {
    let metres = (radius.get() * WIDER_SPHERE + SLACK_KM) * 1_000.0;
    st_dwithin_metres(schools::location, MadeGeography::beside(point), metres, false)
}

/// Returns [`within`] for a search's own radius, or `None` where it is so wide that the index would leave out little.
pub(super) fn within_radius(validated: &ValidatedSearch) -> Option<Within> {
    let (point, radius) = validated.circle(SearchRadius::Whole)?;
    (radius.get() <= EXPANSION.last_km).then(|| within(point, radius))
}

/// A search by reach looks no farther than any offers ever reached.
pub(super) async fn bounded_in_txn<'a>(
    connection: &mut AsyncPgConnection,
    validated: &'a ValidatedSearch,
) -> Result<Cow<'a, ValidatedSearch>> {
    if validated.search.filter.reach.is_none() {
        return Ok(Cow::Borrowed(validated));
    }
    let widest = admissions_reach::table.select(max(admissions_reach::least_km));
    Ok(Cow::Owned(validated.bounded_by(widest.get_result(connection).await?)))
}

/// The schools within the search's circle that meet its conditions and come after its cursor, in an order that an index
/// has: one row more than the page holds.
pub(super) fn find_query<'a>(
    validated: &'a ValidatedSearch,
) -> impl LoadQuery<'a, AsyncPgConnection, ListedRow> + QueryFragment<Pg> + QueryId + Send + 'a {
    let selection: Selection = (SchoolSummary::as_select(), schools::name_folded);
    let mut query: IntoBoxed<'a, Select<schools::table, Selection>, Pg> = schools::table.select(selection).into_boxed();
    clauses::within_radius!(query, validated, within_radius(validated));
    clauses::filter_schools!(query, schools, validated);
    if let Some(after) = &validated.after {
        clauses::filter_after!(query, schools, validated, after);
    }
    let query = query.limit(validated.fetch());
    clauses::order_schools!(query, schools, validated)
}

/// As [`find_query`], in the order of the margins, which stand in the place of the distances: those are no secret where
/// both ends are known.
pub(super) fn margin_query<'a>(
    validated: &'a ValidatedSearch,
) -> impl LoadQuery<'a, AsyncPgConnection, HitRow> + QueryFragment<Pg> + QueryId + Send + 'a {
    let margin = clauses::margin!(schools, validated);
    let mut query = schools::table.select((SchoolSummary::as_select(), margin)).into_boxed();
    clauses::within_radius!(query, validated, within_radius(validated));
    clauses::filter_schools!(query, schools, validated);
    if let Some(after) = &validated.after {
        clauses::filter_after!(query, schools, validated, after);
    }
    let query = query.limit(validated.fetch());
    clauses::order_schools!(query, schools, validated)
}

pub(super) fn distance(validated: &ValidatedSearch) -> Distance {
    let point = validated.near.map(|near| near.point);
    let (lat, lng) = (point.map(|point| point.lat().degrees()), point.map(|point| point.lng().degrees()));
    haversine(lat, lng, schools::lat, schools::lng)
}
