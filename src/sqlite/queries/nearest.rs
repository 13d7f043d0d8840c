//! The nearest schools, found by latitude bands.

use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::query_dsl::methods::LoadQuery;
use diesel::sqlite::Sqlite;

use super::conditions::{Condition, filter_conditions};
use crate::error::Result;
use crate::geo::BoundingBox;
use crate::ids::SchoolId;
use crate::models::{SchoolHit, SchoolSummary};
use crate::request::Page;
use crate::search::{Candidate, Expansion, Probe, SearchRadius, ValidatedSearch};
use crate::sqlite::functions::{IdIn, InBox, Unindexed};
use crate::sqlite::schema::schools;
use crate::sqlite::transactions::snapshot;

/// A probe costs little, and less the fewer schools it reads.
pub(super) const EXPANSION: Expansion = Expansion { first_km: 1.0, last_km: 400.0 };

/// Returns one page of the nearest schools that a search finds: probes farther until the page is full, and then reads
/// its schools, all from one snapshot.
pub(super) fn nearest_on_conn(
    connection: &mut SqliteConnection,
    validated: &ValidatedSearch,
) -> Result<Page<SchoolHit>> {
    snapshot(connection, |connection| {
        let mut probe = validated.first_probe(EXPANSION);
        let mut candidates = Vec::new();
        while let Some(this) = probe {
            candidates = this.nearest(candidates_query(validated, this.radius).load(connection)?);
            probe = validated.next_probe(&this, candidates.len(), EXPANSION);
        }
        let schools = page_query(&candidates).load(connection)?;
        Ok(validated.page_of_hits(Probe::rows(&candidates, schools)))
    })
}

/// Builds the query for the ids and locations of the schools in a probe's box, where it has one, that meet the search's
/// conditions.
pub(super) fn candidates_query(
    validated: &ValidatedSearch,
    radius: SearchRadius,
) -> impl LoadQuery<'_, SqliteConnection, (SchoolId, Option<f64>, Option<f64>)> + QueryFragment<Sqlite> + QueryId {
    let in_box = in_box(validated, radius);
    let conditions = filter_conditions(validated);
    // A database that was never analysed would prefer the index of a phase, which has a good part of the country. A
    // council has few of its schools: where there is no box, its index finds them.
    let council = conditions.council.map(|council| if in_box.is_some() { unindexed(council) } else { council });
    let mut query = schools::table.select((schools::id, schools::lat, schools::lng)).into_boxed();
    for condition in in_box.into_iter().chain(conditions.open).chain(council) {
        query = query.filter(condition);
    }
    for condition in conditions.others {
        query = query.filter(unindexed(condition));
    }
    query
}

/// Returns the condition that an index answers, and that holds for all schools within the search's radius; `None` where
/// it would leave out little.
pub(super) fn index_condition(validated: &ValidatedSearch) -> Option<Condition<'static>> {
    in_box(validated, SearchRadius::Whole)
}

fn in_box(validated: &ValidatedSearch, radius: SearchRadius) -> Option<Condition<'static>> {
    let (point, km) = validated.circle(radius).filter(|(_, km)| km.get() <= EXPANSION.last_km)?;
    Some(Condition::new(InBox::new(&BoundingBox::around(point, km))))
}

/// Returns a condition that SQLite does not look for an index for.
pub(super) fn unindexed(condition: Condition<'_>) -> Condition<'_> {
    Condition::new(Unindexed::new(condition))
}

/// Builds the query for the schools of a page, in no order.
fn page_query<'a>(candidates: &[Candidate]) -> impl LoadQuery<'a, SqliteConnection, SchoolSummary> {
    let ids = candidates.iter().map(|candidate| candidate.id);
    schools::table.filter(IdIn::new(ids)).select(SchoolSummary::as_select())
}
