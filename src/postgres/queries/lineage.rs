//! Which school came before which: links, the school of today, mergers, deletions.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

use super::lists::schools_by_urn_on_conn;
use crate::clauses;
use crate::error::{Error, Result};
use crate::ids::{SchoolId, Urn};
use crate::models::{DeleteCounts, LinkKind, MergeCounts, NewLink, School, Status, UpsertCounts, check_date};
use crate::postgres::run::RunQueryDsl;
use crate::postgres::schema::{
    admissions_history, private_school_details, private_school_fees, school_clubs, school_links, school_performance,
    school_reviews, school_term_dates, schools,
};
use crate::request::{MAX_IDS, Step, TxOutcome, Walk, WriteMode, refuse_repeated};

/// How many links are compared with what is stored, and inserted, at once.
const ROWS_A_BATCH: usize = 1_000;

/// Stores links by both URNs and kind. What a given link does not know stays as it is stored.
pub(in crate::postgres) async fn upsert_links_on_conn(
    connection: &mut AsyncPgConnection,
    new: &[NewLink],
    mode: WriteMode,
) -> Result<UpsertCounts> {
    new.iter().try_for_each(NewLink::validate)?;
    refuse_repeated(new)?;
    let ended = connection
        .transaction::<_, TxOutcome, _>(async |connection| {
            // One import at a time, so that what is read as missing is still missing when it is inserted.
            connection.batch_execute("LOCK TABLE school_links IN SHARE ROW EXCLUSIVE MODE").await?;
            let mut counts = UpsertCounts::default();
            for batch in new.chunks(ROWS_A_BATCH) {
                upsert_links_in_txn(connection, batch, &mut counts).await?;
            }
            TxOutcome::commit(counts, mode)
        })
        .await;
    TxOutcome::counts(ended)
}

async fn upsert_links_in_txn(
    connection: &mut AsyncPgConnection,
    batch: &[NewLink],
    counts: &mut UpsertCounts,
) -> Result<(), TxOutcome> {
    let urns: Vec<Urn> = batch.iter().map(|link| link.urn).collect();
    let stored: Vec<NewLink> = school_links::table
        .filter(school_links::urn.eq_any(urns))
        .select(clauses::link_columns!(school_links))
        .load(connection)
        .await?;
    let stored: HashMap<_, _> = stored.into_iter().map(|link| ((link.urn, link.linked_urn, link.kind), link)).collect();
    let mut inserts = Vec::new();
    for link in batch {
        let Some(stored) = stored.get(&(link.urn, link.linked_urn, link.kind)) else {
            inserts.push(clauses::link_values!(school_links, link));
            continue;
        };
        let link = &link.clone().over(stored);
        if link == stored {
            counts.unchanged += 1;
            continue;
        }
        let row = school_links::table
            .filter(school_links::urn.eq(link.urn))
            .filter(school_links::linked_urn.eq(link.linked_urn))
            .filter(school_links::kind.eq(link.kind));
        diesel::update(row).set(clauses::link_values!(school_links, link)).execute(connection).await?;
        counts.updated += 1;
    }
    counts.inserted += inserts.len() as u64;
    if !inserts.is_empty() {
        diesel::insert_into(school_links::table).values(inserts).execute(connection).await?;
    }
    Ok(())
}

/// The schools of today that a URN leads to, all of one moment.
pub(in crate::postgres) async fn schools_of_today_on_conn(
    connection: &mut AsyncPgConnection,
    urn: Urn,
) -> Result<Vec<School>> {
    let mut moment = connection.build_transaction().read_only().repeatable_read();
    moment.run(async |connection| schools_of_today_in_txn(connection, urn).await).await
}

async fn schools_of_today_in_txn(connection: &mut AsyncPgConnection, urn: Urn) -> Result<Vec<School>> {
    let mut walk = Walk::from(urn);
    while let Some(step) = walk.step() {
        let schools = schools_by_urn_on_conn(connection, &step).await?;
        for urns in walk.arrive(&step, schools).chunks(MAX_IDS) {
            let query = school_links::table
                .filter(school_links::urn.eq_any(urns))
                .filter(school_links::kind.eq_any([LinkKind::Successor, LinkKind::Merged]))
                .select((school_links::urn, school_links::linked_urn, school_links::kind.eq(LinkKind::Merged)));
            walk.go_on(query.load::<Step>(connection).await?);
            // The same said from the other side.
            let query = school_links::table
                .filter(school_links::linked_urn.eq_any(urns))
                .filter(school_links::kind.eq_any([LinkKind::Predecessor, LinkKind::Merged]))
                .select((school_links::linked_urn, school_links::urn, school_links::kind.eq(LinkKind::Merged)));
            walk.go_on(query.load::<Step>(connection).await?);
        }
    }
    Ok(walk.ended())
}

/// Closes a school in favour of another: its reviews go there, links say so on both sides.
pub(in crate::postgres) async fn merge_schools_on_conn(
    connection: &mut AsyncPgConnection,
    from: Urn,
    into: Urn,
    on: NaiveDate,
) -> Result<MergeCounts> {
    if from == into {
        return Err(Error::MergeIntoSelf { urn: into });
    }
    check_date("on", Some(on))?;
    let ended = connection
        .transaction::<_, TxOutcome, _>(async |connection| {
            // These locks come before the rows', as imports take them, so that they do not wait for each other.
            let locks = "LOCK TABLE schools IN ROW EXCLUSIVE MODE; LOCK TABLE school_links IN SHARE ROW EXCLUSIVE MODE";
            connection.batch_execute(locks).await?;
            let [(old, old_name, _), (new, new_name, status)] =
                schools_to_merge_in_txn(connection, [from, into]).await?;
            if !status.is_open() {
                return Err(Error::MergeIntoClosed { urn: into }.into());
            }
            let reviews = diesel::update(school_reviews::table.filter(school_reviews::school_id.eq(old)))
                .set(school_reviews::school_id.eq(new))
                .execute(connection)
                .await?;
            let links = NewLink::merger((from, &old_name), (into, &new_name), on);
            let mut counts = UpsertCounts::default();
            upsert_links_in_txn(connection, &links, &mut counts).await?;
            // A school that closed before keeps its day.
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
        .await;
    ended.map_err(TxOutcome::error)
}

/// The ids, names and statuses of two schools, in the order given.
async fn schools_to_merge_in_txn(
    connection: &mut AsyncPgConnection,
    urns: [Urn; 2],
) -> Result<[(SchoolId, String, Status); 2], TxOutcome> {
    // Locked in the order of their ids, so that two mergers at once do not wait for each other.
    let query = schools::table
        .filter(schools::urn.eq_any(urns))
        .order_by(schools::id)
        .select((schools::urn, (schools::id, schools::name, schools::status)))
        .for_no_key_update();
    let schools: HashMap<Urn, (SchoolId, String, Status)> = query.load(connection).await?.into_iter().collect();
    let school = |urn: Urn| schools.get(&urn).cloned().ok_or(Error::UnknownUrn { urn });
    Ok([school(urns[0])?, school(urns[1])?])
}

/// Deletes a school, and tells what went with it and what was left without it.
pub(in crate::postgres) async fn delete_school_on_conn(
    connection: &mut AsyncPgConnection,
    id: SchoolId,
) -> Result<DeleteCounts> {
    let ended = connection
        .transaction::<_, TxOutcome, _>(async |connection| {
            // These locks come before the row's, as imports take them, so that they do not wait for each other.
            let locks = "LOCK TABLE schools, school_links, school_reviews, admissions_history IN ROW EXCLUSIVE MODE";
            connection.batch_execute(locks).await?;
            // Nothing is added to the school between the counting and the end.
            let query = schools::table.find(id).select(schools::id).for_update();
            query.first::<SchoolId>(connection).await.optional()?.ok_or(Error::UnknownSchool)?;
            let counts = clauses::delete_counts!(id, |query| query.get_result::<i64>(connection).await?);
            match diesel::delete(schools::table.find(id)).execute(connection).await? {
                0 => Err(Error::UnknownSchool.into()),
                _ => Ok(counts),
            }
        })
        .await;
    ended.map_err(TxOutcome::error)
}
