//! Admissions of past years, and how far they reached.

use std::collections::HashMap;

use diesel::prelude::*;

use super::children::{admissions_in_txn, ids_of_in_txn};
use super::find::find_schools_on_conn;
use crate::clauses::{self, child_values};
use crate::error::{Error, Result};
use crate::ids::SchoolId;
use crate::models::{Admissions, NewAdmissions, UpsertCounts};
use crate::request::{Page, ReachHit, TxOutcome, ValidatedSearch, WriteMode, refuse_repeated};
use crate::sqlite::schema::admissions_history;
use crate::sqlite::transactions::{at_once, whole};

/// How many rows are compared with what is stored, and inserted, at once.
const ROWS_A_BATCH: usize = 1_000;

/// Stores years of admissions by school, year and intake. What a given year does not know stays as it is stored.
pub(in crate::sqlite) fn upsert_admissions_on_conn(
    connection: &mut SqliteConnection,
    new: &[NewAdmissions],
    mode: WriteMode,
) -> Result<UpsertCounts> {
    new.iter().try_for_each(|new| new.admissions.validate())?;
    refuse_repeated(new)?;
    let ended = whole(connection, |connection| {
        let mut counts = UpsertCounts::default();
        for batch in new.chunks(ROWS_A_BATCH) {
            upsert_admissions_in_txn(connection, batch, &mut counts)?;
        }
        TxOutcome::commit(counts, mode)
    });
    TxOutcome::counts(ended)
}

fn upsert_admissions_in_txn(
    connection: &mut SqliteConnection,
    batch: &[NewAdmissions],
    counts: &mut UpsertCounts,
) -> Result<(), TxOutcome> {
    let ids = ids_of_in_txn(connection, batch.iter().map(|new| new.urn))?;
    let known: Vec<SchoolId> = ids.values().copied().collect();
    let stored = admissions_in_txn(connection, &known)?;
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
            .filter(admissions_history::intake.is(&admissions.intake));
        diesel::update(row).set(clauses::admissions!(child_values!(id, admissions,))).execute(connection)?;
        counts.updated += 1;
    }
    counts.inserted += inserts.len() as u64;
    if !inserts.is_empty() {
        diesel::insert_into(admissions_history::table).values(inserts).execute(connection)?;
    }
    Ok(())
}

/// One page of the schools that would have offered a place by distance, each with its years, all of one moment.
pub(in crate::sqlite) fn find_reach_on_conn(
    connection: &mut SqliteConnection,
    validated: &ValidatedSearch,
) -> Result<Page<ReachHit>> {
    at_once(connection, |connection| find_reach_in_txn(connection, validated))
}

fn find_reach_in_txn(connection: &mut SqliteConnection, validated: &ValidatedSearch) -> Result<Page<ReachHit>> {
    let page = find_schools_on_conn(connection, validated)?;
    let ids: Vec<SchoolId> = page.items.iter().map(|hit| hit.school.id).collect();
    let admissions = admissions_in_txn(connection, &ids)?;
    Ok(validated.page_of_reach(page, admissions))
}
