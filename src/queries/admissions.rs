//! Admissions of past years, and the admissions reach.

use std::collections::HashMap;

use diesel::prelude::*;

use super::children::{admissions_in_txn, criteria_in_txn, ids_of_on_conn};
use super::find::find_schools_on_conn;
use crate::columns::{self, child_values};
use crate::error::{Error, Result};
use crate::ids::SchoolId;
use crate::models::{Admissions, AdmissionsCriterion, NewAdmissions, NewAdmissionsCriterion, ReachHit, UpsertCounts};
use crate::request::{Page, WriteMode, refuse_repeated};
use crate::search::ValidatedSearch;
use crate::transaction::TableLock;
use crate::units::AcademicYear;

use super::super::dialect::{Connection, RunQueryDsl, is_same, maybe_async, snapshot, write};
use super::super::schema::{admissions_criteria, admissions_history, schools};

/// The number of rows that are compared with the stored ones and inserted in one step.
const ROWS_A_BATCH: usize = 1_000;

/// Inserts or updates admissions by school, year and intake, and offers by other criteria by their criterion too. A
/// value that is `None` leaves the stored one unchanged.
#[maybe_async]
pub(in super::super) async fn upsert_admissions_on_conn(
    connection: &mut Connection,
    new: &[NewAdmissions],
    criteria: &[NewAdmissionsCriterion],
    mode: WriteMode,
) -> Result<UpsertCounts> {
    new.iter().try_for_each(|new| new.admissions.validate())?;
    criteria.iter().try_for_each(|new| new.offers.validate())?;
    refuse_repeated(criteria.iter().map(|new| (new.urn, key_of(&new.offers))), "uq_admissions_criteria")?;
    let keys = new.iter().map(|new| (new.urn, new.admissions.academic_year, new.admissions.intake.as_deref()));
    refuse_repeated(keys, "uq_admissions_school_year")?;
    write(connection, &[TableLock::Import("admissions_history")], mode, async |connection| {
        let mut counts = UpsertCounts::default();
        for batch in new.chunks(ROWS_A_BATCH) {
            upsert_admissions_in_txn(connection, batch, &mut counts).await?;
        }
        for batch in criteria.chunks(ROWS_A_BATCH) {
            upsert_criteria_in_txn(connection, batch, &mut counts).await?;
        }
        Ok(counts)
    })
    .await
}

#[maybe_async]
async fn upsert_admissions_in_txn(
    connection: &mut Connection,
    batch: &[NewAdmissions],
    counts: &mut UpsertCounts,
) -> Result<()> {
    let ids = ids_of_on_conn(connection, batch.iter().map(|new| new.urn)).await?;
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
            inserts.push(columns::admissions!(child_values!(id, admissions,)));
            continue;
        };
        let admissions = &admissions.clone().or_stored(stored);
        if admissions == stored {
            counts.unchanged += 1;
            continue;
        }
        let row = admissions_history::table
            .filter(admissions_history::school_id.eq(id))
            .filter(admissions_history::academic_year.eq(admissions.academic_year))
            .filter(is_same!(admissions_history::intake, &admissions.intake));
        diesel::update(row).set(columns::admissions!(child_values!(id, admissions,))).execute(connection).await?;
        counts.updated += 1;
    }
    counts.inserted += inserts.len() as u64;
    if !inserts.is_empty() {
        diesel::insert_into(admissions_history::table).values(inserts).execute(connection).await?;
    }
    Ok(())
}

/// What identifies a criterion's offers of a school.
fn key_of(offers: &AdmissionsCriterion) -> (AcademicYear, Option<String>, String) {
    (offers.academic_year, offers.intake.clone(), offers.criterion.clone())
}

#[maybe_async]
async fn upsert_criteria_in_txn(
    connection: &mut Connection,
    batch: &[NewAdmissionsCriterion],
    counts: &mut UpsertCounts,
) -> Result<()> {
    let ids = ids_of_on_conn(connection, batch.iter().map(|new| new.urn)).await?;
    let known: Vec<SchoolId> = ids.values().copied().collect();
    let stored = criteria_in_txn(connection, &known).await?.into_iter();
    let stored: HashMap<_, AdmissionsCriterion> = stored.map(|(id, offers)| ((id, key_of(&offers)), offers)).collect();
    let mut inserts = Vec::new();
    for NewAdmissionsCriterion { urn, offers } in batch {
        let id = *ids.get(urn).ok_or(Error::UnknownUrn { urn: *urn })?;
        let Some(stored) = stored.get(&(id, key_of(offers))) else {
            inserts.push(columns::admissions_criteria!(child_values!(id, offers,)));
            continue;
        };
        let offers = &offers.clone().or_stored(stored);
        if offers == stored {
            counts.unchanged += 1;
            continue;
        }
        let row = admissions_criteria::table
            .filter(admissions_criteria::school_id.eq(id))
            .filter(admissions_criteria::academic_year.eq(offers.academic_year))
            .filter(is_same!(admissions_criteria::intake, &offers.intake))
            .filter(admissions_criteria::criterion.eq(&offers.criterion));
        let values = columns::admissions_criteria!(child_values!(id, offers,));
        diesel::update(row).set(values).execute(connection).await?;
        counts.updated += 1;
    }
    counts.inserted += inserts.len() as u64;
    if !inserts.is_empty() {
        diesel::insert_into(admissions_criteria::table).values(inserts).execute(connection).await?;
    }
    Ok(())
}

/// Returns one page of the schools that would have offered a place by distance, each with its years, from one snapshot.
#[maybe_async]
pub(in super::super) async fn find_reach_on_conn(
    connection: &mut Connection,
    validated: &ValidatedSearch,
) -> Result<Page<ReachHit>> {
    snapshot(connection, async |connection| {
        let page = find_schools_on_conn(connection, validated).await?;
        let ids: Vec<SchoolId> = page.items.iter().map(|hit| hit.school.id).collect();
        let admissions = admissions_in_txn(connection, &ids).await?;
        let query = schools::table.filter(schools::id.eq_any(ids)).select((schools::id, schools::is_selective));
        let selective = query.load(connection).await?.into_iter().collect();
        Ok(validated.page_of_reach(page, admissions, &selective))
    })
    .await
}
