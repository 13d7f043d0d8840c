//! Admissions of past years, and how far they reached.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

use super::children::{admissions_in_txn, ids_of_in_txn};
use super::find::find_schools_on_conn;
use crate::clauses::{self, child_values};
use crate::error::{Error, Result};
use crate::ids::SchoolId;
use crate::models::{Admissions, NewAdmissions, UpsertCounts};
use crate::postgres::run::RunQueryDsl;
use crate::postgres::schema::admissions_history;
use crate::request::{Page, ReachHit, TxOutcome, ValidatedSearch, WriteMode, refuse_repeated};

/// How many rows are compared with what is stored, and inserted, at once.
const ROWS_A_BATCH: usize = 1_000;

/// Stores years of admissions by school, year and intake. What a given year does not know stays as it is stored.
pub(in crate::postgres) async fn upsert_admissions_on_conn(
    connection: &mut AsyncPgConnection,
    new: &[NewAdmissions],
    mode: WriteMode,
) -> Result<UpsertCounts> {
    new.iter().try_for_each(|new| new.admissions.validate())?;
    refuse_repeated(new)?;
    let ended = connection
        .transaction::<_, TxOutcome, _>(async |connection| {
            // One import at a time, so that what is read as missing is still missing when it is inserted.
            connection.batch_execute("LOCK TABLE admissions_history IN SHARE ROW EXCLUSIVE MODE").await?;
            let mut counts = UpsertCounts::default();
            for batch in new.chunks(ROWS_A_BATCH) {
                upsert_admissions_in_txn(connection, batch, &mut counts).await?;
            }
            TxOutcome::commit(counts, mode)
        })
        .await;
    TxOutcome::counts(ended)
}

async fn upsert_admissions_in_txn(
    connection: &mut AsyncPgConnection,
    batch: &[NewAdmissions],
    counts: &mut UpsertCounts,
) -> Result<(), TxOutcome> {
    let ids = ids_of_in_txn(connection, batch.iter().map(|new| new.urn)).await?;
    let known: Vec<SchoolId> = ids.values().copied().collect();
    let stored = admissions_in_txn(connection, &known).await?;
    let stored: HashMap<_, Admissions> = stored
        .into_iter()
        .map(|(id, admissions)| ((id, admissions.academic_year, admissions.intake.clone()), admissions))
        .collect();
    let mut inserts = Vec::new();
    for NewAdmissions { urn, admissions } in batch {
        let id = *ids.get(urn).ok_or(Error::UnknownUrn { urn: *urn })?;
        let Some(stored) = stored.get(&(id, admissions.academic_year, admissions.intake.clone())) else {
            inserts.push(clauses::admissions!(child_values!(id, admissions,)));
            continue;
        };
        let admissions = &admissions.clone().over(stored);
        if admissions == stored {
            counts.unchanged += 1;
            continue;
        }
        let row = admissions_history::table
            .filter(admissions_history::school_id.eq(id))
            .filter(admissions_history::academic_year.eq(admissions.academic_year))
            .filter(admissions_history::intake.is_not_distinct_from(&admissions.intake));
        diesel::update(row).set(clauses::admissions!(child_values!(id, admissions,))).execute(connection).await?;
        counts.updated += 1;
    }
    counts.inserted += inserts.len() as u64;
    if !inserts.is_empty() {
        diesel::insert_into(admissions_history::table).values(inserts).execute(connection).await?;
    }
    Ok(())
}

/// One page of the schools that would have offered a place by distance, each with its years, all of one moment.
pub(in crate::postgres) async fn find_reach_on_conn(
    connection: &mut AsyncPgConnection,
    validated: &ValidatedSearch,
) -> Result<Page<ReachHit>> {
    let mut moment = connection.build_transaction().read_only().repeatable_read();
    moment.run(async |connection| find_reach_in_txn(connection, validated).await).await
}

async fn find_reach_in_txn(connection: &mut AsyncPgConnection, validated: &ValidatedSearch) -> Result<Page<ReachHit>> {
    let page = find_schools_on_conn(connection, validated).await?;
    let ids: Vec<SchoolId> = page.items.iter().map(|hit| hit.school.id).collect();
    let admissions = admissions_in_txn(connection, &ids).await?;
    Ok(validated.page_of_reach(page, admissions))
}
