//! The main query: the schools that a search finds.

use diesel::dsl::IntoBoxed;
use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::query_dsl::methods::LoadQuery;
use diesel::sql_types::{Bool, Double, Nullable};
use diesel::sqlite::Sqlite;

use crate::error::Result;
use crate::geo::{BoundingBox, LatLng};
use crate::models::{Gender, SchoolHit, SchoolSummary};
use crate::request::{
    Faith, NO_FAITH, Near, Ownership, Page, Position, RatingFilter, SchoolFilter, Settled, Sort, Unrated,
};
use crate::sqlite::functions::{haversine, schools_location};
use crate::sqlite::schema::schools;
use crate::twin;
use crate::units::Kilometres;

/// A boxed condition on schools. NULL counts as not met.
pub(super) type Condition<'a> = Box<dyn BoxableExpression<schools::table, Sqlite, SqlType = Nullable<Bool>> + 'a>;

/// A boxed distance in kilometres.
type Distance<'a> = Box<dyn BoxableExpression<schools::table, Sqlite, SqlType = Nullable<Double>> + 'a>;

/// A school, its distance in kilometres and its folded name.
type HitRow = (SchoolSummary, Option<f64>, String);

/// How far the first look for the nearest schools reaches, in kilometres: about a town.
const FIRST_REACH_KM: f64 = 2.0;

/// Past this reach a look is at all that the search asks for: where so wide a circle does not fill the page, the filter
/// is a rare one, and an index of its own or one scan is cheaper than ever wider circles. It also finds the schools that
/// stand nowhere.
const LAST_REACH_KM: f64 = 100.0;

/// One page of the schools that a search finds.
pub(in crate::sqlite) fn find_schools_on_conn(
    connection: &mut SqliteConnection,
    settled: &Settled,
) -> Result<Page<SchoolHit>> {
    let mut reach = first_reach(settled);
    let wanted = usize::try_from(settled.fetch()).unwrap_or(usize::MAX);
    let rows = loop {
        let rows: Vec<HitRow> = find_query(settled, reach).load(connection)?;
        match reach {
            Reach::Partial(km) if rows.len() < wanted => reach = wider(settled, km, rows.len(), wanted),
            _ => break rows,
        }
    };
    Ok(settled.page(rows, |row| position(settled, row), hit))
}

/// How much of the map one query looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reach {
    /// All that the search asks for.
    Whole,
    /// Only what lies so many kilometres from the search's point. The answer stands if it fills the page, since any
    /// other school is farther.
    Partial(f64),
}

/// Where a search begins to look. An order by distance looks close by first and then farther, so that its cost follows
/// the page and not the country.
pub(super) fn first_reach(settled: &Settled) -> Reach {
    let Some(Near { radius, .. }) = settled.near else { return Reach::Whole };
    let begin = match (settled.search.sort, &settled.after) {
        (Sort::Distance, Some(Position::Distance { km: None, .. })) => return Reach::Whole,
        (Sort::Distance, Some(Position::Distance { km: Some(km), .. })) => km * 1.2 + FIRST_REACH_KM,
        (Sort::Distance, _) => FIRST_REACH_KM,
        (Sort::Name | Sort::Rating, _) => return Reach::Whole,
    };
    up_to(radius, begin)
}

/// The next, wider look, after one of `km` kilometres found `found` schools of the `wanted`. Where schools stand evenly
/// their number grows with the square of the reach; the wider look aims a little beyond that.
fn wider(settled: &Settled, km: f64, found: usize, wanted: usize) -> Reach {
    let radius = settled.near.and_then(|near| near.radius);
    #[expect(clippy::cast_precision_loss, reason = "a page has at most 1,001 rows")]
    let growth = if found == 0 { 4.0 } else { (1.2 * (wanted as f64 / found as f64).sqrt()).clamp(1.5, 4.0) };
    up_to(radius, km * growth)
}

fn up_to(radius: Option<Kilometres>, km: f64) -> Reach {
    match radius {
        Some(radius) if km >= radius.get() => Reach::Whole,
        _ if km > LAST_REACH_KM => Reach::Whole,
        _ => Reach::Partial(km),
    }
}

type FindSelection<'a> = (diesel::dsl::AsSelect<SchoolSummary, Sqlite>, Distance<'a>, schools::name_folded);

/// The schools within reach that meet the search's conditions and come after its cursor, in its order: one row more
/// than the page holds.
pub(super) fn find_query<'a>(
    settled: &'a Settled,
    reach: Reach,
) -> impl LoadQuery<'a, SqliteConnection, HitRow> + QueryFragment<Sqlite> + QueryId + 'a {
    let selection: FindSelection<'a> = (SchoolSummary::as_select(), distance(settled), schools::name_folded);
    let mut query: IntoBoxed<'a, diesel::dsl::Select<schools::table, FindSelection<'a>>, Sqlite> =
        schools::table.select(selection).into_boxed();
    query = query.filter(conditions(settled, reach)).limit(settled.fetch());
    if let Some(after) = &settled.after {
        query = query.filter(after_position(settled, after));
    }
    match settled.search.sort {
        // Within a circle every distance is known. Otherwise unknown ones come last.
        Sort::Distance if circle(settled, reach).is_some() => {
            query.order_by((distance(settled).asc(), schools::id.asc()))
        }
        Sort::Distance => {
            query.order_by((distance(settled).is_null().asc(), distance(settled).asc(), schools::id.asc()))
        }
        Sort::Name => query.order_by((schools::name_folded.asc(), schools::id.asc())),
        Sort::Rating => query.order_by((
            schools::ofsted_rating.is_null().asc(),
            schools::ofsted_rating.asc(),
            schools::name_folded.asc(),
            schools::id.asc(),
        )),
    }
}

/// Everything that a school must meet: the filter, and the circle that is looked at.
pub(super) fn conditions<'a>(settled: &'a Settled, reach: Reach) -> Condition<'a> {
    let all = twin::school_conditions!(Condition<'a>, schools, settled);
    match circle(settled, reach) {
        None => all,
        Some((point, km)) => {
            // The R*Tree gives candidates, and `haversine` decides. A subquery and not a join: on a connection that has
            // analysed the R*Tree itself, SQLite turns a join round and scans the schools.
            let BoundingBox { south, north, west, east } = BoundingBox::around(point, km);
            let candidates = schools_location::table
                .filter(schools_location::max_lat.ge(south))
                .filter(schools_location::min_lat.le(north))
                .filter(schools_location::max_lng.ge(west))
                .filter(schools_location::min_lng.le(east))
                .select(schools_location::id);
            let in_box = schools::id.eq_any(candidates).nullable();
            Box::new(in_box.and(distance(settled).le(km.get())).and(all))
        }
    }
}

/// The circle that a query looks at: the search's own, or a smaller one.
fn circle(settled: &Settled, reach: Reach) -> Option<(LatLng, Kilometres)> {
    let Near { point, radius } = settled.near?;
    match reach {
        Reach::Whole => Some((point, radius?)),
        Reach::Partial(km) => Some((point, Kilometres::new(km).ok()?)),
    }
}

/// The distance from the search's point, or NULL where it has none.
fn distance<'a>(settled: &Settled) -> Distance<'a> {
    match settled.near {
        Some(Near { point, .. }) => {
            Box::new(haversine(point.lat().degrees(), point.lng().degrees(), schools::lat, schools::lng))
        }
        None => Box::new(None::<f64>.into_sql::<Nullable<Double>>()),
    }
}

fn after_position<'a>(settled: &'a Settled, after: &'a Position) -> Condition<'a> {
    twin::after_position!(Condition<'a>, schools, distance(settled), after)
}

/// A row's place in the search's order.
fn position(settled: &Settled, (school, km, name): &HitRow) -> Position {
    match settled.search.sort {
        Sort::Distance => Position::Distance { km: *km, id: school.id },
        Sort::Name => Position::Name { name: name.clone(), id: school.id },
        Sort::Rating => Position::Rating { rating: school.ofsted_rating, name: name.clone(), id: school.id },
    }
}

fn hit((school, km, _): HitRow) -> SchoolHit {
    SchoolHit { school, distance_km: km.and_then(|km| Kilometres::new(km).ok()) }
}
