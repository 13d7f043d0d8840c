//! Links, the current schools of a URN, mergers and deletions.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;

use super::lists::schools_by_urn_on_conn;
use crate::columns::{self, row_values};
use crate::error::{Error, Result};
use crate::ids::{SchoolId, Urn};
use crate::models::{DeleteCounts, LinkKind, MergeCounts, NewLink, School, Status, UpsertCounts, check_date};
use crate::request::{MAX_IDS, WriteMode, refuse_repeated};
use crate::search::{Step, Walk};
use crate::transaction::TableLock;

use super::super::dialect::{Connection, RunQueryDsl, locked, maybe_async, snapshot, write};
use super::super::schema::{
    admissions_criteria, admissions_history, private_school_details, private_school_fees, school_clubs,
    school_identifiers, school_links, school_performance, school_reviews, school_term_dates, schools,
};

/// The number of links that are compared with the stored ones and inserted in one step.
const ROWS_A_BATCH: usize = 1_000;

/// Inserts or updates links by both URNs and kind. A value that is `None` leaves the stored one unchanged.
#[maybe_async]
pub(in super::super) async fn upsert_links_on_conn(
    connection: &mut Connection,
    new: &[NewLink],
    mode: WriteMode,
) -> Result<UpsertCounts> {
    new.iter().try_for_each(NewLink::validate)?;
    refuse_repeated(new.iter().map(|link| (link.urn, link.linked_urn, link.kind)), "uq_school_links")?;
    write(connection, &[TableLock::Import("school_links")], mode, async |connection| {
        let mut counts = UpsertCounts::default();
        for batch in new.chunks(ROWS_A_BATCH) {
            upsert_links_in_txn(connection, batch, &mut counts).await?;
        }
        Ok(counts)
    })
    .await
}

#[maybe_async]
async fn upsert_links_in_txn(
    connection: &mut Connection,
    batch: &[NewLink],
    counts: &mut UpsertCounts,
) -> QueryResult<()> {
    let urns: Vec<Urn> = batch.iter().map(|link| link.urn).collect();
    let stored: Vec<NewLink> = school_links::table
        .filter(school_links::urn.eq_any(urns))
        .select(NewLink::as_select())
        .load(connection)
        .await?;
    let stored: HashMap<_, _> = stored.into_iter().map(|link| ((link.urn, link.linked_urn, link.kind), link)).collect();
    let mut inserts = Vec::new();
    for link in batch {
        let Some(stored) = stored.get(&(link.urn, link.linked_urn, link.kind)) else {
            inserts.push(columns::new_links!(row_values!(link,)));
            continue;
        };
        let link = &link.clone().or_stored(stored);
        if link == stored {
            counts.unchanged += 1;
            continue;
        }
        let row = school_links::table
            .filter(school_links::urn.eq(link.urn))
            .filter(school_links::linked_urn.eq(link.linked_urn))
            .filter(school_links::kind.eq(link.kind));
        diesel::update(row).set(columns::new_links!(row_values!(link,))).execute(connection).await?;
        counts.updated += 1;
    }
    counts.inserted += inserts.len() as u64;
    if !inserts.is_empty() {
        diesel::insert_into(school_links::table).values(inserts).execute(connection).await?;
    }
    Ok(())
}

/// Returns the current schools of a URN, from one snapshot.
#[maybe_async]
pub(in super::super) async fn schools_of_today_on_conn(connection: &mut Connection, urn: Urn) -> Result<Vec<School>> {
    snapshot(connection, async |connection| schools_of_today_in_txn(connection, urn).await).await
}

#[maybe_async]
async fn schools_of_today_in_txn(connection: &mut Connection, urn: Urn) -> Result<Vec<School>> {
    let mut walk = Walk::from(urn);
    while let Some(step) = walk.step() {
        let schools = schools_by_urn_on_conn(connection, &step).await?;
        for urns in walk.record(&step, schools).chunks(MAX_IDS) {
            let query = school_links::table
                .filter(school_links::urn.eq_any(urns))
                .filter(school_links::kind.eq_any([LinkKind::Successor, LinkKind::Merged]))
                .select((school_links::urn, school_links::linked_urn, school_links::kind.eq(LinkKind::Merged)));
            walk.follow(query.load::<Step>(connection).await?);
            // The same links, which the register may have from the other side only.
            let query = school_links::table
                .filter(school_links::linked_urn.eq_any(urns))
                .filter(school_links::kind.eq_any([LinkKind::Predecessor, LinkKind::Merged]))
                .select((school_links::linked_urn, school_links::urn, school_links::kind.eq(LinkKind::Merged)));
            walk.follow(query.load::<Step>(connection).await?);
        }
    }
    Ok(walk.into_schools())
}

/// Closes a school and merges it into another: its reviews move there, and links on both sides record the merger.
#[maybe_async]
pub(in super::super) async fn merge_schools_on_conn(
    connection: &mut Connection,
    from: Urn,
    into: Urn,
    on: NaiveDate,
) -> Result<MergeCounts> {
    if from == into {
        return Err(Error::MergeIntoSelf { urn: into });
    }
    check_date("on", Some(on))?;
    // In the order in which imports take these locks, so that they cannot deadlock.
    let locks = [TableLock::Rows("schools"), TableLock::Import("school_links")];
    write(connection, &locks, WriteMode::Commit, async |connection| {
        let [(old, old_name, _), (new, new_name, status)] = schools_to_merge_in_txn(connection, [from, into]).await?;
        if !status.is_open() {
            return Err(Error::MergeIntoClosed { urn: into });
        }
        let reviews = diesel::update(school_reviews::table.filter(school_reviews::school_id.eq(old)))
            .set(school_reviews::school_id.eq(new))
            .execute(connection)
            .await?;
        let links = NewLink::merger((from, &old_name), (into, &new_name), on);
        let mut counts = UpsertCounts::default();
        upsert_links_in_txn(connection, &links, &mut counts).await?;
        // A school that is already closed keeps its closing date.
        diesel::update(schools::table.find(old).filter(schools::status.ne(Status::Closed)))
            .set((
                schools::status.eq(Status::Closed),
                schools::closed_on.eq(on),
                schools::version.eq(schools::version + 1),
            ))
            .execute(connection)
            .await?;
        Ok(MergeCounts { reviews: reviews as u64, links: counts.inserted })
    })
    .await
}

/// Returns the ids, names and statuses of two schools, in the order given.
#[maybe_async]
async fn schools_to_merge_in_txn(
    connection: &mut Connection,
    urns: [Urn; 2],
) -> Result<[(SchoolId, String, Status); 2]> {
    // Locked in the order of their ids, so that two mergers cannot deadlock.
    let query = schools::table
        .filter(schools::urn.eq_any(urns))
        .order_by(schools::id)
        .select((schools::urn, (schools::id, schools::name, schools::status)));
    let schools = locked!(for_no_key_update, query).load::<(Urn, (SchoolId, String, Status))>(connection).await?;
    let schools: HashMap<_, _> = schools.into_iter().collect();
    let school = |urn: Urn| schools.get(&urn).cloned().ok_or(Error::UnknownUrn { urn });
    Ok([school(urns[0])?, school(urns[1])?])
}

/// Deletes a school, and returns how many rows were deleted with it and how many remain.
#[maybe_async]
pub(in super::super) async fn delete_school_on_conn(connection: &mut Connection, id: SchoolId) -> Result<DeleteCounts> {
    // In the order in which imports take these locks, so that they cannot deadlock.
    let locks = ["schools", "school_links", "school_reviews", "admissions_history"].map(TableLock::Rows);
    write(connection, &locks, WriteMode::Commit, async |connection| {
        // Locked, so that nothing is added to the school after its rows are counted.
        let school = locked!(for_update, schools::table.find(id).select(schools::id));
        school.first::<SchoolId>(connection).await.optional()?.ok_or(Error::UnknownSchool)?;
        macro_rules! count {
            ($table:ident::$column:ident) => {
                $table::table.filter($table::$column.eq(id)).count().get_result::<i64>(connection).await?.unsigned_abs()
            };
        }
        let counts = DeleteCounts {
            clubs: count!(school_clubs::school_id),
            term_dates: count!(school_term_dates::school_id),
            performance: count!(school_performance::school_id),
            private_details: count!(private_school_details::school_id),
            fees: count!(private_school_fees::school_id),
            identifiers: count!(school_identifiers::school_id),
            admissions: count!(admissions_history::school_id),
            admissions_criteria: count!(admissions_criteria::school_id),
            links: count!(school_links::school_id),
            reviews_kept: count!(school_reviews::school_id),
            links_kept: count!(school_links::linked_school_id),
        };
        diesel::delete(schools::table.find(id)).execute(connection).await?;
        Ok(counts)
    })
    .await
}
