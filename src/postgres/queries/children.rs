//! What belongs to schools: read for many at once, replaced for one.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

use super::lists::schools_on_conn;
use crate::clauses::{self, child_values};
use crate::error::{Error, Result};
use crate::ids::{SchoolId, Urn};
use crate::models::{
    Admissions, Collections, NewCollections, Performance, PrivateDetails, PrivateFee, Review, SchoolClub,
    SchoolDetails, SchoolLink, TermDates,
};
use crate::postgres::functions::ByBytes;
use crate::postgres::run::RunQueryDsl;
use crate::postgres::schema::{
    admissions_history, private_school_details, private_school_fees, school_clubs, school_links, school_performance,
    school_reviews, school_term_dates, schools,
};
use crate::request::{MAX_IDS, TxOutcome, give};

/// How many rows one INSERT holds: 13 values each at most, well below Postgres's limit of 65,535 bound values.
const ROWS_AN_INSERT: usize = 1_000;

/// The rows of one collection of many schools, each with its school. One query for up to 10,000 schools.
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

/// These schools, in the order of the ids, with the collections that are asked for: one query each, at one moment.
pub(in crate::postgres) async fn details_on_conn(
    connection: &mut AsyncPgConnection,
    ids: &[SchoolId],
    collections: Collections,
) -> Result<Vec<SchoolDetails>> {
    let mut moment = connection.build_transaction().read_only().repeatable_read();
    moment.run(async |connection| details_in_txn(connection, ids, collections).await).await
}

async fn details_in_txn(
    connection: &mut AsyncPgConnection,
    ids: &[SchoolId],
    collections: Collections,
) -> Result<Vec<SchoolDetails>> {
    let schools = schools_on_conn(connection, ids).await?;
    let ids: Vec<SchoolId> = schools.iter().map(|school| school.id).collect();
    let mut details: Vec<SchoolDetails> = schools.into_iter().map(SchoolDetails::of).collect();
    let Collections { clubs, term_dates, performance, private_details, fees, admissions, reviews, links } = collections;
    if clubs {
        let rows = clauses::clubs!(of_schools!(connection, ids, (school_clubs::kind, school_clubs::id),));
        give(&mut details, rows, |school| &mut school.clubs);
    }
    if term_dates {
        let order = (school_term_dates::starts_on.desc(), school_term_dates::id);
        give(&mut details, clauses::term_dates!(of_schools!(connection, ids, order,)), |school| &mut school.term_dates);
    }
    if performance {
        let order = (ByBytes::new(school_performance::metric), school_performance::year.desc());
        give(&mut details, clauses::performance!(of_schools!(connection, ids, order,)), |school| {
            &mut school.performance
        });
    }
    if private_details {
        let rows = clauses::private_details!(of_schools!(connection, ids, private_school_details::id,));
        give(&mut details, rows, |school| &mut school.private_details);
    }
    if fees {
        let order =
            (private_school_fees::academic_year.desc(), private_school_fees::age_from, private_school_fees::age_to);
        give(&mut details, clauses::fees!(of_schools!(connection, ids, order,)), |school| &mut school.fees);
    }
    if admissions {
        give(&mut details, admissions_in_txn(connection, &ids).await?, |school| &mut school.admissions);
    }
    if reviews {
        let order = (school_reviews::reviewed_on.is_null(), school_reviews::reviewed_on.desc(), school_reviews::id);
        give(&mut details, clauses::reviews!(of_schools!(connection, ids, order,)), |school| &mut school.reviews);
    }
    if links {
        let order = (school_links::kind, school_links::linked_urn);
        give(&mut details, clauses::links!(of_schools!(connection, ids, order,)), |school| &mut school.links);
    }
    Ok(details)
}

/// The admissions of many schools, the newest year first, then by intake, unknown ones last.
pub(super) async fn admissions_in_txn(
    connection: &mut AsyncPgConnection,
    ids: &[SchoolId],
) -> Result<Vec<(SchoolId, Admissions)>> {
    let intake = ByBytes::new(admissions_history::intake);
    let order = (admissions_history::academic_year.desc(), admissions_history::intake.is_null(), intake);
    Ok(clauses::admissions!(of_schools!(connection, ids, order,)))
}

/// Replaces one collection of a school where it is given.
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

/// Replaces the collections of a school that are given, all or none.
pub(in crate::postgres) async fn replace_collections_on_conn(
    connection: &mut AsyncPgConnection,
    id: SchoolId,
    new: &NewCollections,
) -> Result<()> {
    new.validate()?;
    let ended = connection
        .transaction::<_, TxOutcome, _>(async |connection| {
            if new.admissions.is_some() {
                // The lock comes before the row's, as an import takes it, so that the two do not wait for each other.
                connection.batch_execute("LOCK TABLE admissions_history IN ROW EXCLUSIVE MODE").await?;
            }
            // Locked, so that two replacements at once do not add up.
            let known = schools::table.find(id).select(schools::id).for_no_key_update();
            known.first::<SchoolId>(connection).await.optional()?.ok_or(Error::UnknownSchool)?;
            let NewCollections { clubs, term_dates, performance, private_details, fees, admissions } = new;
            clauses::clubs!(replace!(connection, id, clubs,));
            clauses::term_dates!(replace!(connection, id, term_dates,));
            clauses::performance!(replace!(connection, id, performance,));
            clauses::private_details!(replace!(connection, id, private_details,));
            clauses::fees!(replace!(connection, id, fees,));
            clauses::admissions!(replace!(connection, id, admissions,));
            Ok(())
        })
        .await;
    ended.map_err(TxOutcome::error)
}

/// Adds reviews, all or none. Each belongs to the school with its URN, where there is one.
pub(in crate::postgres) async fn insert_reviews_on_conn(
    connection: &mut AsyncPgConnection,
    reviews: &[Review],
) -> Result<()> {
    reviews.iter().try_for_each(Review::validate)?;
    let ended = connection
        .transaction::<_, TxOutcome, _>(async |connection| {
            let urns: BTreeSet<Urn> = reviews.iter().map(|review| review.urn).collect();
            let of_urns = schools::table.filter(schools::urn.eq_any(&urns));
            let known: i64 = of_urns.clone().count().get_result(connection).await?;
            // A school that an import has inserted and not committed is waited for: neither would see the other's row.
            // Either lock comes before the rows', as a deletion takes them, so that the two do not wait for each other.
            let lock = if known < i64::try_from(urns.len()).unwrap_or(i64::MAX) {
                "LOCK TABLE school_reviews IN SHARE ROW EXCLUSIVE MODE"
            } else {
                "LOCK TABLE school_reviews IN ROW EXCLUSIVE MODE"
            };
            connection.batch_execute(lock).await?;
            let ids = of_urns.select((schools::urn, schools::id)).for_key_share();
            let ids: HashMap<Urn, SchoolId> = ids.load(connection).await?.into_iter().collect();
            for reviews in reviews.chunks(ROWS_AN_INSERT) {
                let values =
                    reviews.iter().map(|row| clauses::reviews!(child_values!(ids.get(&row.urn).copied(), row,)));
                diesel::insert_into(school_reviews::table)
                    .values(values.collect::<Vec<_>>())
                    .execute(connection)
                    .await?;
            }
            Ok(())
        })
        .await;
    ended.map_err(TxOutcome::error)
}

/// The ids of the schools with these URNs, as far as there are such.
pub(super) async fn ids_of_in_txn(
    connection: &mut AsyncPgConnection,
    urns: impl Iterator<Item = Urn>,
) -> QueryResult<HashMap<Urn, SchoolId>> {
    let urns: Vec<Urn> = urns.collect();
    let mut ids = HashMap::with_capacity(urns.len());
    for urns in urns.chunks(MAX_IDS) {
        let query = schools::table.filter(schools::urn.eq_any(urns)).select((schools::urn, schools::id));
        ids.extend(query.load::<(Urn, SchoolId)>(connection).await?);
    }
    Ok(ids)
}
