//! Counts, and schools by their ids.

use diesel::dsl::{case_when, count, count_star};
use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};

use super::conditions::{OpenNow, conditions};
use super::find::resolved;
use crate::error::Result;
use crate::ids::{Laestab, SchoolId, Ukprn, Urn};
use crate::models::{ClubKind, CouncilCount, Facets, School, SchoolIdentifiers};
use crate::request::{MAX_IDS, distinct};
use crate::search::{FacetRow, ValidatedSearch, facets_of, of_today};

use super::super::dialect::{Connection, Db, LoadQuery, RunQueryDsl, maybe_async, require_caller, snapshot};
use super::super::schema::{school_identifiers, schools};

/// Loads the schools that have one of the values in a column, in the order of the values.
#[maybe_async]
macro_rules! schools_by {
    ($connection:expr, $column:expr, $values:expr) => {{
        let mut schools = Vec::with_capacity($values.len());
        for values in distinct($values).chunks(MAX_IDS) {
            let query = schools::table.filter($column.eq_any(values)).order_by($column).select(School::as_select());
            schools.extend(query.load($connection).await?);
        }
        Ok(schools)
    }};
}

/// Returns the schools with these ids, in the order of the ids.
#[maybe_async]
pub(in super::super) async fn schools_on_conn(connection: &mut Connection, ids: &[SchoolId]) -> Result<Vec<School>> {
    schools_by!(connection, schools::id, ids)
}

/// Returns the schools with these URNs, in the order of the URNs.
#[maybe_async]
pub(in super::super) async fn schools_by_urn_on_conn(connection: &mut Connection, urns: &[Urn]) -> Result<Vec<School>> {
    schools_by!(connection, schools::urn, urns)
}

/// Returns the schools with these LAESTABs, in the order of the LAESTABs and then of the ids: of each, the open ones,
/// or every one where none is open.
#[maybe_async]
pub(in super::super) async fn schools_by_laestab_on_conn(
    connection: &mut Connection,
    laestabs: &[Laestab],
) -> Result<Vec<(Laestab, School)>> {
    let laestabs = distinct(laestabs);
    let mut found = Vec::with_capacity(laestabs.len());
    for of_council in laestabs.chunk_by(|one, next| one.la_code() == next.la_code()) {
        let numbers: Vec<i16> = of_council.iter().map(|laestab| laestab.establishment_number()).collect();
        for numbers in numbers.chunks(MAX_IDS) {
            let query = schools::table
                .inner_join(school_identifiers::table)
                .filter(school_identifiers::la_code.eq(of_council[0].la_code()))
                .filter(school_identifiers::establishment_number.eq_any(numbers))
                .order_by((school_identifiers::establishment_number, schools::id))
                .select((SchoolIdentifiers::as_select(), School::as_select()));
            let schools = query.load::<(SchoolIdentifiers, School)>(connection).await?.into_iter();
            found.extend(schools.filter_map(|(identifiers, school)| Some((identifiers.laestab()?, school))));
        }
    }
    Ok(of_today(found))
}

/// Returns the schools with these UKPRNs, in the order of the UKPRNs and then of the ids: of each, the open ones, or
/// every one where none is open.
#[maybe_async]
pub(in super::super) async fn schools_by_ukprn_on_conn(
    connection: &mut Connection,
    ukprns: &[Ukprn],
) -> Result<Vec<(Ukprn, School)>> {
    let mut found = Vec::with_capacity(ukprns.len());
    for ukprns in distinct(ukprns).chunks(MAX_IDS) {
        let query = schools::table
            .inner_join(school_identifiers::table)
            .filter(school_identifiers::ukprn.eq_any(ukprns))
            .order_by((school_identifiers::ukprn, schools::id))
            .select((school_identifiers::ukprn.assume_not_null(), School::as_select()));
        found.extend(query.load::<(Ukprn, School)>(connection).await?);
    }
    Ok(of_today(found))
}

/// Returns every council with open schools.
#[maybe_async]
pub(in super::super) async fn councils_on_conn(connection: &mut Connection) -> Result<Vec<CouncilCount>> {
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
    Ok(query.load(connection).await?)
}

/// Returns how many of the schools that match a search have each value, from one snapshot.
#[maybe_async]
pub(in super::super) async fn facets_on_conn(
    connection: &mut Connection,
    validated: &ValidatedSearch,
) -> Result<Facets> {
    snapshot(connection, async |connection| facets_in_txn(connection, validated).await).await
}

#[maybe_async]
async fn facets_in_txn(connection: &mut Connection, validated: &ValidatedSearch) -> Result<Facets> {
    let validated = &resolved(connection, validated).await?;
    let mut facets = facets_of(facets_query(validated).load::<FacetRow>(connection).await?);
    for kind in ClubKind::ALL {
        require_caller()?;
        let schools = count_in_txn(connection, &validated.with_club(*kind)).await?;
        facets.clubs.insert(kind.to_string(), schools);
    }
    Ok(facets)
}

/// Returns the query that counts the schools of a search by the values of seven columns.
pub(super) fn facets_query(
    validated: &ValidatedSearch,
) -> impl LoadQuery<'_, Connection, FacetRow> + QueryFragment<Db> + QueryId + Send {
    let counted = (
        schools::council,
        schools::phase,
        schools::status,
        schools::ofsted_rating,
        schools::gender,
        schools::faith,
        schools::is_private,
    );
    let (council, phase, status, rating, gender, faith, is_private) = counted;
    let mut query = schools::table
        .group_by(counted)
        .select((council, phase, status, rating, gender, faith, is_private, count_star()))
        .into_boxed();
    for condition in conditions(validated) {
        query = query.filter(condition);
    }
    query
}

/// Returns how many schools match a search.
#[maybe_async]
async fn count_in_txn(connection: &mut Connection, validated: &ValidatedSearch) -> QueryResult<u64> {
    let mut query = schools::table.select(count_star()).into_boxed();
    for condition in conditions(validated) {
        query = query.filter(condition);
    }
    Ok(query.get_result::<i64>(connection).await?.unsigned_abs())
}
