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

use crate::error::Result;
use crate::models::{SchoolHit, SchoolSummary};
use crate::postgres::functions::{Away, Farthest, IdAmong, InBox, InLook, LookBox, haversine};
use crate::postgres::run::RunQueryDsl;
use crate::postgres::schema::{admissions_reach, private_school_fees, school_clubs, schools};
use crate::request::{HitRow, ListedRow, Looks, Page, Position, Reach, SLACK_KM, Seen, Settled, Sort};
use crate::twin;

/// The distance from the search's point in kilometres; NULL where the search has none, or the school stands nowhere.
pub(super) type Distance = haversine<Option<f64>, Option<f64>, schools::lat, schools::lng>;

/// How far the first look for the nearest schools reaches, in kilometres.
pub(super) const FIRST_REACH_KM: f64 = 2.0;

type Selection = (AsSelect<SchoolSummary, Pg>, schools::name_folded);

/// One page of the schools that a search finds.
pub(in crate::postgres) async fn find_schools_on_conn(
    connection: &mut AsyncPgConnection,
    settled: &Settled,
) -> Result<Page<SchoolHit>> {
    let settled = &bounded_in_txn(connection, settled).await?;
    match (settled.search.sort, settled.first_looks(FIRST_REACH_KM)) {
        (Sort::Margin, _) => Ok(settled.page_of_hits(margin_query(settled).load(connection).await?)),
        (Sort::Distance | Sort::Name | Sort::Rating, None) => {
            let mut listing = settled.listing();
            let mut rows = pin!(diesel_async::RunQueryDsl::load_stream(find_query(settled), connection).await?);
            while let Some(row) = rows.try_next().await? {
                listing.push(row);
            }
            Ok(listing.finish())
        }
        (Sort::Distance | Sort::Name | Sort::Rating, Some(looks)) => nearest_on_conn(connection, settled, looks).await,
    }
}

/// Looks farther and farther, until the page is full. What is on it is of one moment, since it is from one statement; how far a
/// search by reach looks at all was read before.
async fn nearest_on_conn(
    connection: &mut AsyncPgConnection,
    settled: &Settled,
    first: Looks,
) -> Result<Page<SchoolHit>> {
    let mut looks = first;
    loop {
        match settled.see(&looks, nearest_query(settled, &looks).load(connection).await?) {
            Seen::Enough(rows) => return Ok(settled.page_of_hits(rows)),
            Seen::TooFew(next) => looks = next,
        }
    }
}

/// The first schools of the first look that has enough, or else of the last one, in no order.
pub(super) fn nearest_query<'a>(
    settled: &'a Settled,
    looks: &Looks,
) -> impl LoadQuery<'a, AsyncPgConnection, SchoolSummary> + QueryFragment<Pg> + QueryId + Send + 'a {
    let look = |reach: &Reach| Some(LookBox::new(&settled.bounds(*reach)?, settled.farthest(*reach, looks.by_plane)));
    let boxes: Vec<_> = looks.reaches.iter().filter_map(look).collect();
    debug_assert!(boxes.is_empty() || boxes.len() == looks.reaches.len(), "each look has a box, or none has");
    let plane = looks.reaches.iter().find_map(|reach| settled.plane(*reach)).filter(|_| looks.by_plane);
    let first = first_of_look(settled, !boxes.is_empty(), looks.by_plane).limit(looks.most);
    schools::table.filter(IdAmong::new(first, boxes, looks.most, plane)).select(SchoolSummary::as_select())
}

/// The schools that a look has in its box, or that there are, which meet the search's conditions and come after its cursor, in about
/// the order of their distances: Rust decides.
fn first_of_look(
    settled: &Settled,
    is_in_box: bool,
    by_plane: bool,
) -> IntoBoxed<'_, Select<schools::table, schools::id>, Pg> {
    let mut query = schools::table.select(schools::id).into_boxed();
    if is_in_box {
        query = query.filter(InLook);
    }
    twin::filter_schools!(query, schools, settled);
    match settled.after {
        Some(Position::Distance { km: Some(km), .. }) => {
            let later = distance(settled).ge(km - SLACK_KM);
            query = query.filter(later.or(distance(settled).is_null().nullable()));
        }
        Some(Position::Distance { km: None, id }) => {
            query = query.filter(distance(settled).is_null()).filter(schools::id.gt(id));
        }
        _ => {}
    }
    match (is_in_box, by_plane) {
        (true, true) => query.filter(Away.le(Farthest)).order_by(Away),
        (true, false) => {
            query.filter(distance(settled).le(Farthest)).order_by((distance(settled).asc(), schools::id.asc()))
        }
        (false, _) => query.order_by((distance(settled).asc().nulls_last(), schools::id.asc())),
    }
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
    let mut query = schools::table.select((SchoolSummary::as_select(), margin)).into_boxed();
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
