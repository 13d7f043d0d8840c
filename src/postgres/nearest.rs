//! The nearest schools, found by a GiST index.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel_async::AsyncPgConnection;
use diesel_async::methods::LoadQuery;
use postgis_diesel::sql_types::Geography;
use postgis_diesel::types::Point;

use super::functions::{DistanceOrder, beside, st_dwithin_metres};
use super::queries::conditions::{Condition, distance, filter_conditions};
use super::run::RunQueryDsl;
use super::schema::schools;
use crate::error::Result;
use crate::geo::LatLng;
use crate::models::{SchoolHit, SchoolSummary};
use crate::request::Page;
use crate::search::{Expansion, Nearest, Position, SLACK_KM, ValidatedSearch};
use crate::units::Kilometres;

/// The first probe fills a page nearly everywhere, and reads little more, since its rows come nearest first. Under a
/// rare filter it reads all its schools, some 10 ms in a large city, before the one scan that completes the page.
const EXPANSION: Expansion = Expansion { first_km: 50.0, last_km: 100.0 };

/// The maximum ratio of PostGIS's distance to this crate's. PostGIS uses a sphere with the earth's mean radius of
/// 6,371.0087714 km.
const WIDER_SPHERE: f64 = 1.000_002;

type Within = st_dwithin_metres<schools::location, Point, f64, bool>;

/// Returns one page of the nearest schools that a search finds: probes farther until the page is full. The page is from
/// one statement, so from one snapshot. The radius of a search by admissions reach was read before.
pub(super) async fn nearest_on_conn(
    connection: &mut AsyncPgConnection,
    validated: &ValidatedSearch,
) -> Result<Page<SchoolHit>> {
    let (mut limit, mut radius) = (first_limit(validated), validated.first_radius(EXPANSION));
    loop {
        let candidates = candidates_query(validated, radius, limit).load(connection).await?;
        match validated.nearest::<SchoolSummary>(candidates, Some(limit), radius, EXPANSION) {
            Nearest::Page(rows) => return Ok(validated.page_of_hits(rows)),
            Nearest::MoreCandidates => limit = limit.saturating_mul(4),
            Nearest::WiderProbe(wider) => radius = wider,
        }
    }
}

/// Returns how many candidates the first probe fetches: a few more than the page needs, for schools about as far as the
/// last one.
fn first_limit(validated: &ValidatedSearch) -> i64 {
    validated.fetch() + validated.fetch() / 16 + 4
}

/// Builds the query of the first probe.
pub(super) fn first_query(
    validated: &ValidatedSearch,
) -> impl LoadQuery<'_, AsyncPgConnection, SchoolSummary> + QueryFragment<Pg> + QueryId + Send {
    candidates_query(validated, validated.first_radius(EXPANSION), first_limit(validated))
}

/// Builds the query for the nearest schools of a probe that meet the search's conditions and come after its cursor.
/// Those without a location come last, by id. Some may be beyond the probe's radius by 1.3 m, or before the cursor by 1
/// m.
fn candidates_query(
    validated: &ValidatedSearch,
    radius: f64,
    limit: i64,
) -> impl LoadQuery<'_, AsyncPgConnection, SchoolSummary> + QueryFragment<Pg> + QueryId + Send {
    let mut query = schools::table.select(SchoolSummary::as_select()).into_boxed();
    for condition in filter_conditions(validated).all() {
        query = query.filter(condition);
    }
    match validated.after {
        Some(Position { km: Some(km), .. }) => {
            let is_later = distance(validated).ge(km - SLACK_KM);
            query = query.filter(is_later.or(schools::location.is_null().nullable()));
        }
        Some(Position { km: None, id, .. }) => {
            query = query.filter(schools::location.is_null()).filter(schools::id.gt(id));
        }
        None => {}
    }
    query = query.limit(limit);
    match validated.circle(radius) {
        // GiST provides the order, and has no second column to break ties.
        Some((point, km)) if km.get() <= EXPANSION.last_km => query
            .filter(within(point, km))
            .order_by(DistanceOrder::new(schools::location, beside(point).into_sql::<Geography>())),
        // A query that no index narrows is one scan, not an ordered walk of the index.
        _ => {
            if let Some(radius) = validated.radius() {
                query = query.filter(distance(validated).le(radius.get() + SLACK_KM));
            }
            query.order_by((distance(validated).asc().nulls_last(), schools::id.asc()))
        }
    }
}

/// Returns the condition that a school is within a radius plus a little slack, by PostGIS's distance. The GiST index
/// serves it.
fn within(point: LatLng, radius: Kilometres) -> Within {
    let metres = (radius.get() * WIDER_SPHERE + SLACK_KM) * 1_000.0;
    st_dwithin_metres(schools::location, beside(point), metres, false)
}

/// Returns the indexed condition that holds for all schools within the search's radius; `None` where it would exclude
/// few schools.
pub(super) fn index_condition(validated: &ValidatedSearch) -> Option<Condition> {
    let (point, radius) = validated.circle(f64::INFINITY)?;
    (radius.get() <= EXPANSION.last_km).then(|| Condition::new(within(point, radius)))
}
