//! What a backfill reads and writes.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

use crate::clauses::lacks_phase;
use crate::error::Result;
use crate::ids::SchoolId;
use crate::models::{Phase, PhaseGap};
use crate::postgres::run::RunQueryDsl;
use crate::postgres::schema::schools;
use crate::request::PhaseGaps;

/// How many ids one UPDATE names.
const IDS_AN_UPDATE: usize = 10_000;

/// How many schools lack a phase.
pub(in crate::postgres) async fn count_phase_gaps_on_conn(
    connection: &mut AsyncPgConnection,
    gaps: PhaseGaps,
) -> Result<u64> {
    let count: i64 = schools::table.filter(lacks_phase!(schools, gaps)).count().get_result(connection).await?;
    Ok(count.unsigned_abs())
}

/// The schools that lack a phase, from after an id.
pub(in crate::postgres) async fn phase_gaps_on_conn(
    connection: &mut AsyncPgConnection,
    gaps: PhaseGaps,
    after: Option<SchoolId>,
    limit: u32,
) -> Result<Vec<PhaseGap>> {
    let query = schools::table
        .filter(lacks_phase!(schools, gaps))
        .filter(schools::id.gt(after.unwrap_or(SchoolId::new(i64::MIN))))
        .order_by(schools::id)
        .limit(limit.into())
        .select((schools::id, schools::age_range_from, schools::age_range_to, schools::version));
    Ok(query.load(connection).await?)
}

/// Gives schools their phase where they still lack one and are as they were read, as their next version.
pub(in crate::postgres) async fn fill_phases_on_conn(
    connection: &mut AsyncPgConnection,
    gaps: PhaseGaps,
    phases: &[(PhaseGap, Phase)],
) -> Result<BTreeMap<Phase, u64>> {
    let mut alike = BTreeMap::<(Phase, i32), Vec<SchoolId>>::new();
    for (gap, phase) in phases {
        alike.entry((*phase, gap.version)).or_default().push(gap.id);
    }
    connection
        .transaction(async |connection| {
            // The lock comes before the rows', as an import takes it, so that the two do not wait for each other.
            connection.batch_execute("LOCK TABLE schools IN ROW EXCLUSIVE MODE").await?;
            let mut filled = BTreeMap::new();
            for ((phase, version), ids) in alike {
                for ids in ids.chunks(IDS_AN_UPDATE) {
                    let lacking = schools::table
                        .filter(schools::id.eq_any(ids))
                        .filter(schools::version.eq(version))
                        .filter(lacks_phase!(schools, gaps));
                    let values = (schools::phase.eq(phase), schools::version.eq(schools::version + 1));
                    let count = diesel::update(lacking).set(values).execute(connection).await?;
                    *filled.entry(phase).or_default() += count as u64;
                }
            }
            Ok(filled)
        })
        .await
}
