//! The main query: the schools that a search finds.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use diesel::dsl::max;
use diesel::dsl::{AsSelect, IntoBoxed, Select};
use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::query_dsl::methods::LoadQuery;
use diesel::sqlite::Sqlite;

use crate::error::Result;
use crate::geo::{self, LatLng};
use crate::ids::SchoolId;
use crate::models::{SchoolHit, SchoolSummary};
use crate::request::{HitRow, LAST_REACH_KM, Page, Position, Reach, Settled, Sort};
use crate::sqlite::functions::{IdIn, haversine, schools_location};
use crate::sqlite::schema::{admissions_reach, private_school_fees, school_clubs, schools};
use crate::twin;
use crate::units::Kilometres;

/// The distance from the search's point in kilometres; NULL where the search has none, or the school stands nowhere.
pub(super) type Distance = haversine<Option<f64>, Option<f64>, schools::lat, schools::lng>;

/// How far the first look for the nearest schools reaches, in kilometres. A look costs little, and less the fewer schools it is at.
pub(super) const FIRST_REACH_KM: f64 = 1.0;

type Selection = (AsSelect<SchoolSummary, Sqlite>, Distance, schools::name_folded);

/// Narrows a boxed `$query` to the circle that is looked at. The R*Tree gives candidates, and `haversine` decides. A
/// subquery and not a join: on a connection that has analysed the R*Tree itself, SQLite turns a join round and scans the
/// schools.
macro_rules! within_reach {
    ($query:ident, $settled:expr, $reach:expr) => {
        if let Some((point, km)) = $settled.circle($reach) {
            in_box!($query, point, km);
            $query = $query.filter(distance($settled).le(km.get()));
        }
    };
}
pub(super) use within_reach;

/// Narrows a boxed `$query` to the box round a circle.
macro_rules! in_box {
    ($query:ident, $point:expr, $km:expr) => {
        let $crate::geo::BoundingBox { south, north, west, east } = $crate::geo::BoundingBox::around($point, $km);
        let candidates = schools_location::table
            .filter(schools_location::max_lat.ge(south))
            .filter(schools_location::min_lat.le(north))
            .filter(schools_location::max_lng.ge(west))
            .filter(schools_location::min_lng.le(east))
            .select(schools_location::id);
        $query = $query.filter(schools::id.eq_any(candidates));
    };
}
pub(super) use in_box;

/// One page of the schools that a search finds.
pub(in crate::sqlite) fn find_schools_on_conn(
    connection: &mut SqliteConnection,
    settled: &Settled,
) -> Result<Page<SchoolHit>> {
    let settled = &bounded_in_txn(connection, settled)?;
    if settled.search.sort == Sort::Margin {
        return Ok(settled.page_of_hits(margin_query(settled).load(connection)?));
    }
    if near(settled, settled.first_reach(FIRST_REACH_KM)).is_none() {
        return Ok(settled.page_of_hits(find_query(settled, Reach::Whole).load(connection)?));
    }
    // What is looked for first is fetched after that, at the same moment.
    connection.transaction(|connection| {
        let mut reach = settled.first_reach(FIRST_REACH_KM);
        loop {
            let rows = match near_in_txn(connection, settled, reach)? {
                Some(rows) => rows,
                None => find_query(settled, reach).load(connection)?,
            };
            match settled.wider_reach(reach, rows.len()) {
                Some(wider) => reach = wider,
                None => return Ok(settled.page_of_hits(rows)),
            }
        }
    })
}

/// The rows of a look at a circle, in the order of their distances; nothing where the look is another. Only where schools stand
/// is read of those that do not make the page, and their distances are worked out here: in SQL each would be a call of a
/// function for the radius, for the order and for the answer.
fn near_in_txn(connection: &mut SqliteConnection, settled: &Settled, reach: Reach) -> Result<Option<Vec<HitRow>>> {
    let Some(Near { point, radius, after }) = near(settled, reach) else { return Ok(None) };
    let candidates: Vec<(SchoolId, f64, f64)> = candidates_query(settled, reach).load(connection)?;
    let (lat, lng) = (point.lat().degrees(), point.lng().degrees());
    let places = candidates.into_iter().map(|(id, to_lat, to_lng)| (geo::haversine(lat, lng, to_lat, to_lng), id));
    let mut near: Vec<(f64, SchoolId)> = places
        .filter(|place| place.0 <= radius.get() && after.is_none_or(|after| in_order(place, &after).is_gt()))
        .collect();
    let wanted = usize::try_from(settled.fetch()).unwrap_or(usize::MAX);
    if near.len() > wanted {
        near.select_nth_unstable_by(wanted, in_order);
        near.truncate(wanted);
    }
    near.sort_unstable_by(in_order);
    let ids = IdIn::new(near.iter().map(|(_, id)| *id));
    let rows: Vec<(SchoolSummary, String)> =
        schools::table.filter(ids).select((SchoolSummary::as_select(), schools::name_folded)).load(connection)?;
    let mut rows: HashMap<SchoolId, _> = rows.into_iter().map(|row| (row.0.id, row)).collect();
    let hit = |(km, id)| rows.remove(&id).map(|(school, name)| (school, Some(km), name));
    Ok(Some(near.into_iter().filter_map(hit).collect()))
}

/// A look at a circle in an order by distance.
pub(super) struct Near {
    point: LatLng,
    radius: Kilometres,
    after: Option<(f64, SchoolId)>,
}

/// What a look is at, where it is at a circle in an order by distance. One at nearly the whole table is not: the database
/// keeps less of it.
pub(super) fn near(settled: &Settled, reach: Reach) -> Option<Near> {
    if settled.search.sort != Sort::Distance {
        return None;
    }
    let (point, radius) = settled.circle(reach).filter(|(_, km)| km.get() <= LAST_REACH_KM)?;
    match settled.after {
        None => Some(Near { point, radius, after: None }),
        Some(Position::Distance { km: Some(km), id }) => Some(Near { point, radius, after: Some((km, id)) }),
        // What comes after it stands nowhere.
        Some(_) => None,
    }
}

/// By distance, then by id.
fn in_order(a: &(f64, SchoolId), b: &(f64, SchoolId)) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// Where the schools stand that a look at a circle may find: those in the box round it that meet the search's conditions.
pub(super) fn candidates_query<'a>(
    settled: &'a Settled,
    reach: Reach,
) -> impl LoadQuery<'a, SqliteConnection, (SchoolId, f64, f64)> + QueryFragment<Sqlite> + QueryId + 'a {
    let place = (schools::id, schools::lat.assume_not_null(), schools::lng.assume_not_null());
    let mut query = schools::table.select(place).into_boxed();
    if let Some((point, km)) = settled.circle(reach) {
        in_box!(query, point, km);
    }
    twin::filter_schools!(query, schools, settled);
    query
}

/// A search by reach looks no farther than any offers ever reached.
pub(super) fn bounded_in_txn<'a>(connection: &mut SqliteConnection, settled: &'a Settled) -> Result<Cow<'a, Settled>> {
    if settled.search.filter.reach.is_none() {
        return Ok(Cow::Borrowed(settled));
    }
    let widest = admissions_reach::table.select(max(admissions_reach::least_km));
    Ok(Cow::Owned(settled.bounded_by(widest.get_result(connection)?)))
}

/// The schools within reach that meet the search's conditions and come after its cursor, in its order: one row more
/// than the page holds.
pub(super) fn find_query<'a>(
    settled: &'a Settled,
    reach: Reach,
) -> impl LoadQuery<'a, SqliteConnection, HitRow> + QueryFragment<Sqlite> + QueryId + 'a {
    let selection: Selection = (SchoolSummary::as_select(), distance(settled), schools::name_folded);
    let mut query: IntoBoxed<'a, Select<schools::table, Selection>, Sqlite> =
        schools::table.select(selection).into_boxed();
    within_reach!(query, settled, reach);
    twin::filter_schools!(query, schools, settled);
    if let Some(after) = &settled.after {
        twin::filter_after!(query, schools, settled, after);
    }
    let in_circle = settled.circle(reach).is_some();
    let query = query.limit(settled.fetch());
    twin::order_schools!(query, schools, settled, in_circle)
}

/// As [`find_query`], in the order of the margins, which stand in the place of the distances: those are no secret where
/// both ends are known.
pub(super) fn margin_query<'a>(
    settled: &'a Settled,
) -> impl LoadQuery<'a, SqliteConnection, HitRow> + QueryFragment<Sqlite> + QueryId + 'a {
    let margin = twin::margin!(schools, settled);
    let mut query = schools::table.select((SchoolSummary::as_select(), margin, schools::name_folded)).into_boxed();
    within_reach!(query, settled, Reach::Whole);
    twin::filter_schools!(query, schools, settled);
    if let Some(after) = &settled.after {
        twin::filter_after!(query, schools, settled, after);
    }
    let query = query.limit(settled.fetch());
    twin::order_schools!(query, schools, settled, true)
}

pub(super) fn distance(settled: &Settled) -> Distance {
    let point = settled.near.map(|near| near.point);
    let (lat, lng) = (point.map(|point| point.lat().degrees()), point.map(|point| point.lng().degrees()));
    haversine(lat, lng, schools::lat, schools::lng)
}
