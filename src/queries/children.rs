//! The collections of schools: read for many schools, replaced for one.

use std::collections::HashMap;

use diesel::prelude::*;

use super::lists::schools_on_conn;
use crate::columns::{self, child_values};
use crate::error::{Error, Result};
use crate::ids::{SchoolId, Urn};
use crate::models::{
    Admissions, AdmissionsCriterion, Collections, NewCollections, Performance, PrivateDetails, PrivateFee, Review,
    SchoolClub, SchoolDetails, SchoolIdentifiers, SchoolLink, TermDates,
};
use crate::request::{MAX_IDS, WriteMode, distinct};
use crate::search::attach;
use crate::transaction::TableLock;

use super::super::dialect::{Connection, RunQueryDsl, by_bytes, locked, maybe_async, snapshot, write};
use super::super::schema::{
    admissions_criteria, admissions_history, private_school_details, private_school_fees, school_clubs,
    school_identifiers, school_links, school_performance, school_reviews, school_term_dates, schools,
};

/// The most rows of one INSERT. With at most 13 values each, they stay well below the limits of 32,766 bound values on
/// SQLite and 65,535 on Postgres.
const ROWS_AN_INSERT: usize = 1_000;

/// Loads the rows of one collection of many schools, each with its school's id.
#[maybe_async]
macro_rules! of_schools {
    ($connection:expr, $ids:expr, $order:expr, $model:ident, $table:ident { $($field:ident),+ }) => {{
        let mut rows = Vec::new();
        for ids in $ids.chunks(MAX_IDS) {
            let query = $table::table
                .filter($table::school_id.eq_any(ids))
                .order_by($order)
                .select(($table::school_id.assume_not_null(), $model::as_select()));
            rows.extend(query.load::<(SchoolId, $model)>($connection).await?);
        }
        rows
    }};
}

/// Returns these schools, in the order of the ids, with the requested collections: one query each, from one snapshot.
#[maybe_async]
pub(in super::super) async fn details_on_conn(
    connection: &mut Connection,
    ids: &[SchoolId],
    collections: Collections,
) -> Result<Vec<SchoolDetails>> {
    snapshot(connection, async |connection| details_in_txn(connection, ids, collections).await).await
}

#[maybe_async]
async fn details_in_txn(
    connection: &mut Connection,
    ids: &[SchoolId],
    collections: Collections,
) -> Result<Vec<SchoolDetails>> {
    let schools = schools_on_conn(connection, ids).await?;
    let ids: Vec<SchoolId> = schools.iter().map(|school| school.id).collect();
    let mut details: Vec<SchoolDetails> = schools.into_iter().map(SchoolDetails::new).collect();
    let Collections {
        clubs,
        term_dates,
        performance,
        private_details,
        fees,
        identifiers,
        admissions,
        admissions_criteria,
        reviews,
        links,
    } = collections;
    macro_rules! load {
        ($collection:ident, $order:expr) => {
            if $collection {
                let rows = columns::$collection!(of_schools!(connection, ids, $order,));
                attach(&mut details, rows, |school| &mut school.$collection);
            }
        };
    }
    load!(clubs, (school_clubs::kind, school_clubs::id));
    load!(term_dates, (school_term_dates::starts_on.desc(), school_term_dates::id));
    load!(performance, (by_bytes(school_performance::metric), school_performance::year.desc()));
    load!(private_details, private_school_details::id);
    load!(
        fees,
        (private_school_fees::academic_year.desc(), private_school_fees::age_from, private_school_fees::age_to)
    );
    if identifiers {
        attach(&mut details, identifiers_in_txn(connection, &ids).await?, |school| &mut school.identifiers);
    }
    if admissions {
        attach(&mut details, admissions_in_txn(connection, &ids).await?, |school| &mut school.admissions);
    }
    if admissions_criteria {
        attach(&mut details, criteria_in_txn(connection, &ids).await?, |school| &mut school.admissions_criteria);
    }
    load!(reviews, (school_reviews::reviewed_on.is_null(), school_reviews::reviewed_on.desc(), school_reviews::id));
    load!(links, (school_links::kind, school_links::linked_urn));
    Ok(details)
}

/// Returns the other identifiers of many schools.
#[maybe_async]
pub(super) async fn identifiers_in_txn(
    connection: &mut Connection,
    ids: &[SchoolId],
) -> Result<Vec<(SchoolId, SchoolIdentifiers)>> {
    Ok(columns::identifiers!(of_schools!(connection, ids, school_identifiers::id,)))
}

/// Returns the admissions of many schools, newest year first, then by intake, unknown ones last.
#[maybe_async]
pub(super) async fn admissions_in_txn(
    connection: &mut Connection,
    ids: &[SchoolId],
) -> Result<Vec<(SchoolId, Admissions)>> {
    let intake = by_bytes(admissions_history::intake);
    let order = (admissions_history::academic_year.desc(), admissions_history::intake.is_null(), intake);
    Ok(columns::admissions!(of_schools!(connection, ids, order,)))
}

/// Returns the offers by other criteria of many schools, newest year first, then by intake and criterion.
#[maybe_async]
pub(super) async fn criteria_in_txn(
    connection: &mut Connection,
    ids: &[SchoolId],
) -> Result<Vec<(SchoolId, AdmissionsCriterion)>> {
    let (intake, criterion) = (by_bytes(admissions_criteria::intake), by_bytes(admissions_criteria::criterion));
    let order = (admissions_criteria::academic_year.desc(), admissions_criteria::intake.is_null(), intake, criterion);
    Ok(columns::admissions_criteria!(of_schools!(connection, ids, order,)))
}

/// Replaces a collection of a school if it is given.
#[maybe_async]
macro_rules! replace {
    ($connection:expr, $id:expr, $rows:expr, $model:ident, $table:ident { $($field:ident),+ }) => {
        if let Some(rows) = $rows {
            diesel::delete($table::table.filter($table::school_id.eq($id))).execute($connection).await?;
            for rows in rows.chunks(ROWS_AN_INSERT) {
                let values = rows.iter().map(|row| child_values!($id, row, $model, $table { $($field),+ }));
                diesel::insert_into($table::table).values(values.collect::<Vec<_>>()).execute($connection).await?;
            }
        }
    };
}

/// Replaces the given collections of a school in one transaction.
#[maybe_async]
pub(in super::super) async fn replace_collections_on_conn(
    connection: &mut Connection,
    id: SchoolId,
    version: i32,
    new: &NewCollections,
) -> Result<i32> {
    new.validate()?;
    // Imports also lock the table before its rows, so that the two cannot deadlock.
    let identifiers = new.identifiers.iter().map(|_| TableLock::Rows("schools"));
    let has_admissions = new.admissions.is_some() || new.admissions_criteria.is_some();
    let locks = identifiers.chain(has_admissions.then_some(TableLock::Rows("admissions_history")));
    let locks = locks.collect::<Vec<_>>();
    write(connection, &locks, WriteMode::Commit, async |connection| {
        // Locked, so that two concurrent replacements do not both insert.
        let school = locked!(for_no_key_update, schools::table.find(id).select(schools::version));
        let stored = school.first(connection).await.optional()?.ok_or(Error::UnknownSchool)?;
        if stored != version {
            return Err(Error::Stale { given: version, stored });
        }
        let NewCollections {
            clubs,
            term_dates,
            performance,
            private_details,
            fees,
            identifiers,
            admissions,
            admissions_criteria,
        } = new;
        columns::clubs!(replace!(connection, id, clubs,));
        columns::term_dates!(replace!(connection, id, term_dates,));
        columns::performance!(replace!(connection, id, performance,));
        columns::private_details!(replace!(connection, id, private_details,));
        columns::fees!(replace!(connection, id, fees,));
        columns::identifiers!(replace!(connection, id, identifiers,));
        columns::admissions!(replace!(connection, id, admissions,));
        columns::admissions_criteria!(replace!(connection, id, admissions_criteria,));
        diesel::update(schools::table.find(id)).set(schools::version.eq(version + 1)).execute(connection).await?;
        Ok(version + 1)
    })
    .await
}

/// Inserts reviews in one transaction. Each belongs to the school with its URN, where there is one.
#[maybe_async]
pub(in super::super) async fn insert_reviews_on_conn(connection: &mut Connection, reviews: &[Review]) -> Result<()> {
    reviews.iter().try_for_each(Review::validate)?;
    let urns: Vec<Urn> = distinct(&reviews.iter().map(|review| review.urn).collect::<Vec<_>>());
    // An import may have inserted a school and not committed it yet, and neither would see the other's row. So a review
    // of a school that is not stored waits for the import.
    let lock = match ids_of_on_conn(connection, urns.iter().copied()).await?.len() == urns.len() {
        true => TableLock::Rows("school_reviews"),
        false => TableLock::Import("school_reviews"),
    };
    write(connection, &[lock], WriteMode::Commit, async |connection| {
        let mut ids = HashMap::with_capacity(urns.len());
        for urns in urns.chunks(MAX_IDS) {
            // Locked, so that no school is deleted before its reviews refer to it.
            let query = schools::table.filter(schools::urn.eq_any(urns)).select((schools::urn, schools::id));
            ids.extend(locked!(for_key_share, query).load::<(Urn, SchoolId)>(connection).await?);
        }
        for reviews in reviews.chunks(ROWS_AN_INSERT) {
            let values = reviews.iter().map(|row| columns::reviews!(child_values!(ids.get(&row.urn).copied(), row,)));
            diesel::insert_into(school_reviews::table).values(values.collect::<Vec<_>>()).execute(connection).await?;
        }
        Ok(())
    })
    .await
}

/// Returns the ids of the schools with these URNs. URNs without a school are skipped.
#[maybe_async]
pub(super) async fn ids_of_on_conn(
    connection: &mut Connection,
    urns: impl Iterator<Item = Urn> + Send,
) -> QueryResult<HashMap<Urn, SchoolId>> {
    let urns: Vec<Urn> = urns.collect();
    let mut ids = HashMap::with_capacity(urns.len());
    for urns in urns.chunks(MAX_IDS) {
        let query = schools::table.filter(schools::urn.eq_any(urns)).select((schools::urn, schools::id));
        ids.extend(query.load::<(Urn, SchoolId)>(connection).await?);
    }
    Ok(ids)
}
