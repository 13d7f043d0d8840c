//! The parts of a search, for a service's own queries.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::conditions::{Distance, conditions, distance_from};
use crate::error::Result;
use crate::geo::LatLng;
use crate::request::SchoolSearch;
use crate::search::ValidatedSearch;

use super::super::dialect::Db;
use super::super::schema::schools;

/// The ids of the schools that match a search, as a subquery for `eq_any`. Returned by [`ids`].
pub type SchoolIds = schools::BoxedQuery<'static, Db, BigInt>;

/// Returns the ids of the schools that match a search's filters and its radius, as a subquery for any query with a
/// column of school ids: `schools::id.eq_any(ids(&search)?)`. The database plans it as a part of that query.
///
/// The search's order, limit and cursor are ignored, as [`facets`](crate::repository::CountSchools::facets) ignores
/// them: they belong to the outer query. Set a radius where the search has a
/// [`ReachFilter`](crate::request::ReachFilter): without one, the distance of each school is computed.
///
/// # Errors
/// One of the errors that [`SchoolSearch`] lists for an invalid search.
pub fn ids(search: &SchoolSearch) -> Result<SchoolIds> {
    let validated = ValidatedSearch::new(search)?;
    let mut query = schools::table.select(schools::id).into_boxed();
    for condition in conditions(&validated) {
        query = query.filter(condition);
    }
    Ok(query)
}

/// Returns the distance of a school from a point, to select or to order by: great-circle kilometres, NULL where the
/// school has no location.
pub fn distance(point: LatLng) -> Distance {
    distance_from(Some(point))
}
