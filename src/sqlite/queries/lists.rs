//! Counts, and schools by their ids.

use diesel::dsl::{case_when, count, count_star};
use diesel::prelude::*;

use super::find::{bounded_in_txn, distance, in_box};
use crate::clauses::{self, OpenNow};
use crate::error::Result;
use crate::ids::{SchoolId, Urn};
use crate::models::{ClubKind, CouncilCount, Facets, School};
use crate::request::{FacetRow, SearchRadius, ValidatedSearch, facets_of};
use crate::sqlite::schema::{admissions_reach, private_school_fees, school_clubs, schools};
use crate::sqlite::transactions::at_once;

/// How many ids one query takes: well below SQLite's limit of 32,766 bound values.
const IDS_A_QUERY: usize = 10_000;

/// The schools with these ids, in the order of the ids.
pub(in crate::sqlite) fn schools_on_conn(connection: &mut SqliteConnection, ids: &[SchoolId]) -> Result<Vec<School>> {
    let ids = sorted(ids);
    let mut schools = Vec::with_capacity(ids.len());
    for ids in ids.chunks(IDS_A_QUERY) {
        let query = schools::table.filter(schools::id.eq_any(ids)).order_by(schools::id).select(School::as_select());
        schools.extend(query.load(connection)?);
    }
    Ok(schools)
}

/// The schools with these URNs, in the order of the URNs.
pub(in crate::sqlite) fn schools_by_urn_on_conn(
    connection: &mut SqliteConnection,
    urns: &[Urn],
) -> Result<Vec<School>> {
    let urns = sorted(urns);
    let mut schools = Vec::with_capacity(urns.len());
    for urns in urns.chunks(IDS_A_QUERY) {
        let query = schools::table.filter(schools::urn.eq_any(urns)).order_by(schools::urn).select(School::as_select());
        schools.extend(query.load(connection)?);
    }
    Ok(schools)
}

/// Every council with open schools.
pub(in crate::sqlite) fn councils_on_conn(connection: &mut SqliteConnection) -> Result<Vec<CouncilCount>> {
    let query = schools::table
        .filter(OpenNow)
        .filter(schools::council.is_not_null())
        .group_by(schools::council)
        .order_by(schools::council)
        .select((
            schools::council.assume_not_null(),
            count_star(),
            count(case_when(schools::is_private.eq(false), schools::is_private)),
            count(case_when(schools::is_private.eq(true), schools::is_private)),
        ));
    Ok(query.load(connection)?)
}

/// How many of the schools that a search finds have each value, all of one moment.
pub(in crate::sqlite) fn facets_on_conn(
    connection: &mut SqliteConnection,
    validated: &ValidatedSearch,
) -> Result<Facets> {
    at_once(connection, |connection| facets_in_txn(connection, validated))
}

fn facets_in_txn(connection: &mut SqliteConnection, validated: &ValidatedSearch) -> Result<Facets> {
    let validated = &bounded_in_txn(connection, validated)?;
    let counted = clauses::facet_columns!(schools);
    let (council, phase, status, rating, gender, faith, is_private) = counted;
    let mut query = schools::table
        .group_by(counted)
        .select((council, phase, status, rating, gender, faith, is_private, count_star()))
        .into_boxed();
    clauses::within_radius!(query, validated, in_box(validated, SearchRadius::Whole));
    clauses::filter_schools!(query, schools, validated);
    let mut facets = facets_of(query.load::<FacetRow>(connection)?);
    for kind in ClubKind::ALL {
        let schools = count_in_txn(connection, &validated.with_club(*kind))?;
        facets.clubs.insert(kind.to_string(), schools);
    }
    Ok(facets)
}

/// How many schools a search finds.
fn count_in_txn(connection: &mut SqliteConnection, validated: &ValidatedSearch) -> QueryResult<i64> {
    let mut query = schools::table.select(count_star()).into_boxed();
    clauses::within_radius!(query, validated, in_box(validated, SearchRadius::Whole));
    clauses::filter_schools!(query, schools, validated);
    query.get_result(connection)
}

fn sorted<T: Ord + Copy>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}
