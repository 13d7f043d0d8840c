//! The main query: the schools that a search finds.

use std::borrow::Cow;

use diesel::dsl::max;
use diesel::dsl::{AsSelect, IntoBoxed, Select};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel_async::methods::LoadQuery;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::error::Result;
use crate::ids::SchoolId;
use crate::models::{SchoolHit, SchoolSummary};
use crate::postgres::functions::{InBox, haversine};
use crate::postgres::schema::{admissions_reach, private_school_fees, school_clubs, schools};
use crate::request::{HitRow, ListedRow, Look, Page, Place, Position, Reach, Settled, Sort};
use crate::twin;

/// The distance from the search's point in kilometres; NULL where the search has none, or the school stands nowhere.
pub(super) type Distance = haversine<Option<f64>, Option<f64>, schools::lat, schools::lng>;

/// How far the first look for the nearest schools reaches, in kilometres. About a town: each look is a trip to the server.
pub(super) const FIRST_REACH_KM: f64 = 2.0;

type Selection = (AsSelect<SchoolSummary, Pg>, schools::name_folded);

/// One page of the schools that a search finds.
pub(in crate::postgres) async fn find_schools_on_conn(
    connection: &mut AsyncPgConnection,
    settled: &Settled,
) -> Result<Page<SchoolHit>> {
    let settled = &bounded_in_txn(connection, settled).await?;
    match (settled.search.sort, settled.first_look(FIRST_REACH_KM)) {
        (Sort::Margin, _) => Ok(settled.page_of_hits(margin_query(settled).load(connection).await?)),
        (Sort::Distance | Sort::Name | Sort::Rating, None) => {
            Ok(settled.page_of_listed(find_query(settled).load(connection).await?))
        }
        // To begin and to end a transaction are two more trips to the server. It is made only for one whose page was written
        // to between its own trips.
        (Sort::Distance | Sort::Name | Sort::Rating, Some(look)) => {
            match nearest_on_conn(connection, settled, look).await? {
                Nearest { page, is_of_one_moment: true, .. } => Ok(page),
                Nearest { look, is_of_one_moment: false, .. } => {
                    let mut moment = connection.build_transaction().read_only().repeatable_read();
                    Ok(moment.run(async |connection| nearest_on_conn(connection, settled, look).await).await?.page)
                }
            }
        }
    }
}

/// A page in an order by distance, and whether every school of it was still there, and let through, when it was fetched.
struct Nearest {
    page: Page<SchoolHit>,
    /// The look that found it.
    look: Look,
    is_of_one_moment: bool,
}

async fn nearest_on_conn(connection: &mut AsyncPgConnection, settled: &Settled, first: Look) -> Result<Nearest> {
    let mut look = first;
    loop {
        let places = look.nearest(candidates_query(settled, look.reach).load(connection).await?);
        match settled.wider_look(&look, places.len()) {
            Some(wider) => look = wider,
            None => {
                let schools = page_query(settled, &places).load(connection).await?;
                let rows = look.rows(&places, schools);
                let is_of_one_moment = rows.len() == places.len();
                return Ok(Nearest { page: settled.page_of_hits(rows), look, is_of_one_moment });
            }
        }
    }
}

/// Where the schools stand that a look may find: those in the box round its circle, where it has one, that meet the search's
/// conditions.
pub(super) fn candidates_query<'a>(
    settled: &'a Settled,
    reach: Reach,
) -> impl LoadQuery<'a, AsyncPgConnection, (SchoolId, Option<f64>, Option<f64>)> + QueryFragment<Pg> + QueryId + Send + 'a
{
    let mut query = schools::table.select((schools::id, schools::lat, schools::lng)).into_boxed();
    twin::within_box!(query, settled, reach);
    twin::filter_schools!(query, schools, settled);
    query
}

/// The schools of these places that still meet the search's conditions, in no order.
fn page_query<'a>(
    settled: &'a Settled,
    places: &[Place],
) -> impl LoadQuery<'a, AsyncPgConnection, SchoolSummary> + Send + 'a {
    let ids: Vec<SchoolId> = places.iter().map(|place| place.id).collect();
    let mut query = schools::table.filter(schools::id.eq_any(ids)).select(SchoolSummary::as_select()).into_boxed();
    twin::filter_schools!(query, schools, settled);
    query
}

/// A search by reach looks no farther than any offers ever reached.
pub(super) async fn bounded_in_txn<'a>(
    connection: &mut AsyncPgConnection,
    settled: &'a Settled,
) -> Result<Cow<'a, Settled>> {
    if settled.search.filter.reach.is_none() {
        return Ok(Cow::Borrowed(settled));
    }
    let widest = admissions_reach::table.select(max(admissions_reach::least_km));
    Ok(Cow::Owned(settled.bounded_by(widest.get_result(connection).await?)))
}

/// The schools within the search's circle that meet its conditions and come after its cursor, in an order that an index has: one
/// row more than the page holds.
pub(super) fn find_query<'a>(
    settled: &'a Settled,
) -> impl LoadQuery<'a, AsyncPgConnection, ListedRow> + QueryFragment<Pg> + QueryId + Send + 'a {
    let selection: Selection = (SchoolSummary::as_select(), schools::name_folded);
    let mut query: IntoBoxed<'a, Select<schools::table, Selection>, Pg> = schools::table.select(selection).into_boxed();
    twin::within_reach!(query, settled, Reach::Whole);
    twin::filter_schools!(query, schools, settled);
    if let Some(after) = &settled.after {
        twin::filter_after!(query, schools, settled, after);
    }
    let query = query.limit(settled.fetch());
    twin::order_schools!(query, schools, settled)
}

/// As [`find_query`], in the order of the margins, which stand in the place of the distances: those are no secret where
/// both ends are known.
pub(super) fn margin_query<'a>(
    settled: &'a Settled,
) -> impl LoadQuery<'a, AsyncPgConnection, HitRow> + QueryFragment<Pg> + QueryId + Send + 'a {
    let margin = twin::margin!(schools, settled);
    let mut query = schools::table.select((SchoolSummary::as_select(), margin, schools::name_folded)).into_boxed();
    twin::within_reach!(query, settled, Reach::Whole);
    twin::filter_schools!(query, schools, settled);
    if let Some(after) = &settled.after {
        twin::filter_after!(query, schools, settled, after);
    }
    let query = query.limit(settled.fetch());
    twin::order_schools!(query, schools, settled)
}

pub(super) fn distance(settled: &Settled) -> Distance {
    let point = settled.near.map(|near| near.point);
    let (lat, lng) = (point.map(|point| point.lat().degrees()), point.map(|point| point.lng().degrees()));
    haversine(lat, lng, schools::lat, schools::lng)
}
