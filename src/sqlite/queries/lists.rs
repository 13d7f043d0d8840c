//! Counts, and schools by their ids.

use std::collections::BTreeMap;

use diesel::dsl::{case_when, count, count_star};
use diesel::prelude::*;

use super::find::{Reach, conditions};
use crate::error::Result;
use crate::ids::{SchoolId, Urn};
use crate::models::{CouncilCount, Facets, Gender, Phase, School, Status};
use crate::request::Settled;
use crate::sqlite::schema::schools;
use crate::twin::OpenNow;

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

type FacetRow = (Option<String>, Option<Phase>, Status, Option<i16>, Option<Gender>, Option<String>, Option<bool>, i64);

/// How many of the schools that a search finds have each value. One statement, so that all counts are of one moment.
pub(in crate::sqlite) fn facets_on_conn(connection: &mut SqliteConnection, settled: &Settled) -> Result<Facets> {
    let facets = (
        schools::council,
        schools::phase,
        schools::status,
        schools::ofsted_rating,
        schools::gender,
        schools::faith,
        schools::is_private,
    );
    let query = schools::table
        .group_by(facets)
        .select((
            schools::council,
            schools::phase,
            schools::status,
            schools::ofsted_rating,
            schools::gender,
            schools::faith,
            schools::is_private,
            count_star(),
        ))
        .filter(conditions(settled, Reach::Whole));
    let mut counts = Facets::default();
    for row in query.load_iter::<FacetRow, diesel::connection::DefaultLoadingMode>(connection)? {
        let (council, phase, status, rating, gender, faith, is_private, schools) = row?;
        let Facets {
            total,
            council: by_council,
            phase: by_phase,
            status: by_status,
            rating: by_rating,
            gender: by_gender,
            faith: by_faith,
            ownership: by_ownership,
        } = &mut counts;
        *total += schools;
        add(by_council, council, schools);
        add(by_phase, phase, schools);
        add(by_status, Some(status), schools);
        add(by_rating, rating, schools);
        add(by_gender, gender, schools);
        add(by_faith, faith, schools);
        add(by_ownership, is_private.map(|private| if private { "private" } else { "state" }), schools);
    }
    Ok(counts)
}

fn add(counts: &mut BTreeMap<String, i64>, value: Option<impl ToString>, schools: i64) {
    let key = value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
    *counts.entry(key).or_default() += schools;
}

fn sorted<T: Ord + Copy>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}
