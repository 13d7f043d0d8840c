//! Counts, and schools by their ids.

use diesel::dsl::{case_when, count, count_star};
use diesel::prelude::*;
use diesel_async::AsyncPgConnection;

use super::find::{bounded_in_txn, distance, within_radius};
use crate::clauses::{self, OpenNow};
use crate::error::Result;
use crate::ids::{SchoolId, Urn};
use crate::models::{ClubKind, CouncilCount, Facets, School};
use crate::postgres::run::RunQueryDsl;
use crate::postgres::schema::{admissions_reach, private_school_fees, school_clubs, schools};
use crate::request::{FacetRow, ValidatedSearch, facets_of};

/// The schools with these ids, in the order of the ids.
pub(in crate::postgres) async fn schools_on_conn(
    connection: &mut AsyncPgConnection,
    ids: &[SchoolId],
) -> Result<Vec<School>> {
    // All ids are one bound value, an array.
    let query = schools::table.filter(schools::id.eq_any(ids)).order_by(schools::id).select(School::as_select());
    Ok(query.load(connection).await?)
}

/// The schools with these URNs, in the order of the URNs.
pub(in crate::postgres) async fn schools_by_urn_on_conn(
    connection: &mut AsyncPgConnection,
    urns: &[Urn],
) -> Result<Vec<School>> {
    let query = schools::table.filter(schools::urn.eq_any(urns)).order_by(schools::urn).select(School::as_select());
    Ok(query.load(connection).await?)
}

/// Every council with open schools.
pub(in crate::postgres) async fn councils_on_conn(connection: &mut AsyncPgConnection) -> Result<Vec<CouncilCount>> {
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

/// How many of the schools that a search finds have each value, all of one moment.
pub(in crate::postgres) async fn facets_on_conn(
    connection: &mut AsyncPgConnection,
    validated: &ValidatedSearch,
) -> Result<Facets> {
    connection
        .build_transaction()
        .read_only()
        .repeatable_read()
        .run(async |connection| facets_in_txn(connection, validated).await)
        .await
}

async fn facets_in_txn(connection: &mut AsyncPgConnection, validated: &ValidatedSearch) -> Result<Facets> {
    let validated = &bounded_in_txn(connection, validated).await?;
    let counted = clauses::facet_columns!(schools);
    let (council, phase, status, rating, gender, faith, is_private) = counted;
    let mut query = schools::table
        .group_by(counted)
        .select((council, phase, status, rating, gender, faith, is_private, count_star()))
        .into_boxed();
    clauses::within_radius!(query, validated, within_radius(validated));
    clauses::filter_schools!(query, schools, validated);
    let mut facets = facets_of(query.load::<FacetRow>(connection).await?);
    for kind in ClubKind::ALL {
        let schools = count_in_txn(connection, &validated.with_club(*kind)).await?;
        facets.clubs.insert(kind.to_string(), schools);
    }
    Ok(facets)
}

/// How many schools a search finds.
async fn count_in_txn(connection: &mut AsyncPgConnection, validated: &ValidatedSearch) -> QueryResult<i64> {
    let mut query = schools::table.select(count_star()).into_boxed();
    clauses::within_radius!(query, validated, within_radius(validated));
    clauses::filter_schools!(query, schools, validated);
    query.get_result(connection).await
}
