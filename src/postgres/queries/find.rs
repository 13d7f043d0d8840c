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
use crate::models::{SchoolHit, SchoolSummary};
use crate::postgres::functions::{haversine, postgis_point, st_dwithin_metres};
use crate::postgres::schema::{admissions_reach, private_school_fees, school_clubs, schools};
use crate::request::{HitRow, Page, Position, Reach, Settled, Sort};
use crate::twin;
use crate::units::Kilometres;

/// The distance from the search's point in kilometres; NULL where the search has none, or the school stands nowhere.
pub(super) type Distance = haversine<Option<f64>, Option<f64>, schools::lat, schools::lng>;

/// How far the first look for the nearest schools reaches, in kilometres. About a town: each look is a trip to the server.
pub(super) const FIRST_REACH_KM: f64 = 2.0;

type Selection = (AsSelect<SchoolSummary, Pg>, Distance, schools::name_folded);

/// Narrows a boxed `$query` to the circle that is looked at. The GiST index gives candidates, and `haversine` decides. A
/// circle that goes round the earth needs no candidates.
macro_rules! within_reach {
    ($query:ident, $settled:expr, $reach:expr) => {
        if let Some((point, km)) = $settled.circle($reach) {
            if let Some(metres) = candidates_within(km) {
                $query = $query.filter(st_dwithin_metres(schools::location, postgis_point(point), metres, false));
            }
            $query = $query.filter(distance($settled).le(km.get()));
        }
    };
}
pub(super) use within_reach;

/// One page of the schools that a search finds.
pub(in crate::postgres) async fn find_schools_on_conn(
    connection: &mut AsyncPgConnection,
    settled: &Settled,
) -> Result<Page<SchoolHit>> {
    let settled = &bounded_in_txn(connection, settled).await?;
    if settled.search.sort == Sort::Margin {
        return Ok(settled.page_of_hits(margin_query(settled).load(connection).await?));
    }
    let mut reach = settled.first_reach(FIRST_REACH_KM);
    loop {
        let rows: Vec<HitRow> = find_query(settled, reach).load(connection).await?;
        match settled.wider_reach(reach, rows.len()) {
            Some(wider) => reach = wider,
            None => return Ok(settled.page_of_hits(rows)),
        }
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

/// The schools within reach that meet the search's conditions and come after its cursor, in its order: one row more
/// than the page holds.
pub(super) fn find_query<'a>(
    settled: &'a Settled,
    reach: Reach,
) -> impl LoadQuery<'a, AsyncPgConnection, HitRow> + QueryFragment<Pg> + QueryId + Send + 'a {
    let selection: Selection = (SchoolSummary::as_select(), distance(settled), schools::name_folded);
    let mut query: IntoBoxed<'a, Select<schools::table, Selection>, Pg> = schools::table.select(selection).into_boxed();
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
) -> impl LoadQuery<'a, AsyncPgConnection, HitRow> + QueryFragment<Pg> + QueryId + Send + 'a {
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

/// How many metres around the point hold every school within so many kilometres. PostGIS's sphere is 1.4 millionths
/// larger than ours, so an unpadded circle would miss the boundary. Nothing where the circle holds the whole earth.
pub(super) fn candidates_within(km: Kilometres) -> Option<f64> {
    (km.get() < 20_000.0).then(|| km.get() * 1_000.0 * 1.000_01 + 1.0)
}
