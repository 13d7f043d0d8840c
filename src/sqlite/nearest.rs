//! The nearest schools, found by latitude bands.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::query_dsl::methods::LoadQuery;
use diesel::sqlite::Sqlite;

use super::caller::require_caller;
use super::functions::{IdIn, InBox, Unindexed};
use super::queries::conditions::{Condition, filter_conditions};
use super::schema::schools;
use super::transactions::snapshot;
use crate::error::Result;
use crate::geo::{BoundingBox, Latitude, Longitude};
use crate::ids::SchoolId;
use crate::models::{SchoolHit, SchoolSummary};
use crate::request::Page;
use crate::search::{Expansion, HitRow, Nearest, ValidatedSearch};

/// A school's id and location.
type Candidate = (SchoolId, Option<Latitude>, Option<Longitude>);

/// A probe is cheap, and cheaper the fewer schools it reads. A wide one under a filter that the index does not cover
/// reads most rows in the order of the index, which takes several times as long as a scan of the table.
const EXPANSION: Expansion = Expansion { first_km: 1.0, last_km: 100.0 };

/// The widest radius in kilometres that narrows a search in another order.
const WIDEST_KM: f64 = 400.0;

/// Returns one page of the nearest schools that a search finds, from one snapshot. Probes farther until the page is
/// full, and then reads its schools. A probe reads only ids and locations: an extra statement costs less than reading
/// whole rows.
pub(super) fn nearest_on_conn(
    connection: &mut SqliteConnection,
    validated: &ValidatedSearch,
) -> Result<Page<SchoolHit>> {
    snapshot(connection, |connection| {
        let mut radius = validated.first_radius(EXPANSION);
        loop {
            require_caller()?;
            let candidates = candidates_query(validated, radius).load(connection)?;
            match validated.nearest::<Candidate>(candidates, None, radius, EXPANSION) {
                Nearest::Page(rows) => return Ok(validated.page_of_hits(with_schools_in_txn(connection, &rows)?)),
                Nearest::WiderProbe(wider) => radius = wider,
                Nearest::MoreCandidates => unreachable!("a probe without a limit has all its candidates"),
            }
        }
    })
}

/// Returns the schools of these candidates, in their order.
fn with_schools_in_txn(
    connection: &mut SqliteConnection,
    candidates: &[(Candidate, Option<f64>)],
) -> QueryResult<Vec<HitRow>> {
    let ids = candidates.iter().map(|((id, ..), _)| *id);
    let schools = schools::table.filter(IdIn::new(ids)).select(SchoolSummary::as_select()).load(connection)?;
    let mut schools: HashMap<SchoolId, SchoolSummary> = schools.into_iter().map(|school| (school.id, school)).collect();
    Ok(candidates.iter().filter_map(|((id, ..), km)| Some((schools.remove(id)?, *km))).collect())
}

/// Builds the query of the first probe.
pub(super) fn first_query(
    validated: &ValidatedSearch,
) -> impl LoadQuery<'_, SqliteConnection, Candidate> + QueryFragment<Sqlite> + QueryId {
    candidates_query(validated, validated.first_radius(EXPANSION))
}

/// Builds the query for the ids and locations of the schools in a probe's box, if any, that meet the search's
/// conditions.
fn candidates_query(
    validated: &ValidatedSearch,
    radius: f64,
) -> impl LoadQuery<'_, SqliteConnection, Candidate> + QueryFragment<Sqlite> + QueryId {
    let in_box = in_box(validated, radius, EXPANSION.last_km);
    let conditions = filter_conditions(validated);
    // Without statistics, SQLite would prefer the index of a phase, which matches much of the country. A council has
    // few schools: without a box, its index finds them.
    let has_word = conditions.word.is_some();
    let in_box = in_box.map(|in_box| if has_word { unindexed(in_box) } else { in_box });
    let is_found = in_box.is_some() || has_word;
    let council = conditions.council.map(|council| if is_found { unindexed(council) } else { council });
    // Without either, the table is scanned: along an index, each row would be looked up by itself.
    let is_indexed = is_found || council.is_some();
    let open = conditions.open.map(|open| if is_indexed { open } else { unindexed(open) });
    let mut query = schools::table.select((schools::id, schools::lat, schools::lng)).into_boxed();
    for condition in in_box.into_iter().chain(open).chain(council).chain(conditions.word) {
        query = query.filter(condition);
    }
    for condition in conditions.others {
        query = query.filter(unindexed(condition));
    }
    query
}

/// Returns the indexed condition that holds for all schools within the search's radius; `None` where it would exclude
/// few schools.
pub(super) fn index_condition(validated: &ValidatedSearch) -> Option<Condition> {
    in_box(validated, f64::INFINITY, WIDEST_KM)
}

fn in_box(validated: &ValidatedSearch, radius: f64, widest_km: f64) -> Option<Condition> {
    let (point, km) = validated.circle(radius).filter(|(_, km)| km.get() <= widest_km)?;
    Some(Condition::new(InBox::new(&BoundingBox::around(point, km))))
}

/// Returns a condition for which SQLite uses no index.
pub(super) fn unindexed(condition: Condition) -> Condition {
    Condition::new(Unindexed::new(condition))
}
