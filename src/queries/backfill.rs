//! The reads and writes of a backfill.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::conditions::Condition;
use crate::error::Result;
use crate::ids::SchoolId;
use crate::models::{Phase, PhaseGap};
use crate::request::{MAX_IDS, PhaseGaps, WriteMode};
use crate::transaction::TableLock;

use super::super::dialect::{Connection, RunQueryDsl, maybe_async, write};
use super::super::schema::schools;

/// Returns the condition that a school lacks a phase.
fn lacks_phase(gaps: PhaseGaps) -> Condition {
    let or_not_applicable = (gaps == PhaseGaps::UnknownOrNotApplicable).into_sql::<Bool>().nullable();
    let not_applicable = or_not_applicable.and(schools::phase.eq(Phase::NotApplicable));
    Condition::new(schools::phase.is_null().nullable().or(not_applicable))
}

/// Returns how many schools lack a phase.
#[maybe_async]
pub(in super::super) async fn count_phase_gaps_on_conn(connection: &mut Connection, gaps: PhaseGaps) -> Result<u64> {
    let count: i64 = schools::table.filter(lacks_phase(gaps)).count().get_result(connection).await?;
    Ok(count.unsigned_abs())
}

/// Returns the schools that lack a phase, after an id.
#[maybe_async]
pub(in super::super) async fn phase_gaps_on_conn(
    connection: &mut Connection,
    gaps: PhaseGaps,
    after: Option<SchoolId>,
    limit: u32,
) -> Result<Vec<PhaseGap>> {
    let query = schools::table
        .filter(lacks_phase(gaps))
        .filter(schools::id.gt(after.unwrap_or(SchoolId::new(i64::MIN))))
        .order_by(schools::id)
        .limit(limit.into())
        .select((schools::id, schools::age_range_from, schools::age_range_to, schools::version));
    Ok(query.load(connection).await?)
}

/// Sets the phase of schools that still lack one and have the version that was read, as their next version.
#[maybe_async]
pub(in super::super) async fn fill_phases_on_conn(
    connection: &mut Connection,
    gaps: PhaseGaps,
    phases: &[(PhaseGap, Phase)],
) -> Result<BTreeMap<Phase, u64>> {
    let mut alike = BTreeMap::<(Phase, i32), Vec<SchoolId>>::new();
    for (gap, phase) in phases {
        alike.entry((*phase, gap.version)).or_default().push(gap.id);
    }
    write(connection, &[TableLock::Rows("schools")], WriteMode::Commit, async |connection| {
        let mut filled = BTreeMap::new();
        for ((phase, version), ids) in alike {
            for ids in ids.chunks(MAX_IDS) {
                let lacking = schools::table
                    .filter(schools::id.eq_any(ids))
                    .filter(schools::version.eq(version))
                    .filter(lacks_phase(gaps));
                let values = (schools::phase.eq(phase), schools::version.eq(schools::version + 1));
                let count = diesel::update(lacking).set(values).execute(connection).await?;
                *filled.entry(phase).or_default() += count as u64;
            }
        }
        Ok(filled)
    })
    .await
}
