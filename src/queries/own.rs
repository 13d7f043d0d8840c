//! The parts of a search, for a service's own queries.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::conditions::{Distance, conditions, distance_from};
use super::words::with_words;
use crate::error::Result;
use crate::geo::LatLng;
use crate::request::SchoolSearch;
use crate::search::ValidatedSearch;

use super::super::dialect::{Connection, Db, maybe_async};
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
/// Without a connection, typing errors in the search's [`name`](crate::request::SchoolFilter::name) are not corrected:
/// [`corrected_ids`] does that.
///
/// # Errors
/// One of the errors that [`SchoolSearch`] lists for an invalid search.
pub fn ids(search: &SchoolSearch) -> Result<SchoolIds> {
    Ok(ids_of(&ValidatedSearch::new(search)?))
}

/// As [`ids`], with typing errors corrected as [`find_schools`](crate::repository::FindSchools::find_schools) corrects
/// them, by the words that are stored now.
///
/// # Errors
/// As [`ids`], and those of the database.
#[maybe_async]
pub async fn corrected_ids(connection: &mut Connection, search: &SchoolSearch) -> Result<SchoolIds> {
    let validated = ValidatedSearch::new(search)?;
    let corrected = with_words(connection, &validated).await?;
    Ok(ids_of(&corrected))
}

fn ids_of(validated: &ValidatedSearch) -> SchoolIds {
    let mut query = schools::table.select(schools::id).into_boxed();
    for condition in conditions(validated) {
        query = query.filter(condition);
    }
    query
}

/// Returns the distance of a school from a point, to select or to order by: great-circle kilometres, NULL where the
/// school has no location.
pub fn distance(point: LatLng) -> Distance {
    distance_from(Some(point))
}
