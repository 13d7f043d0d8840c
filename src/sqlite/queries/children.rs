//! What belongs to schools: read for many at once, replaced for one.

use diesel::prelude::*;

use super::lists::schools_on_conn;
use crate::clauses::{self, child_values};
use crate::error::{Error, Result};
use crate::ids::{SchoolId, Urn};
use crate::models::{
    Admissions, Collections, NewCollections, Performance, PrivateDetails, PrivateFee, Review, SchoolClub,
    SchoolDetails, SchoolLink, TermDates,
};
use crate::request::{MAX_IDS, TxOutcome, give};
use crate::sqlite::schema::{
    admissions_history, private_school_details, private_school_fees, school_clubs, school_links, school_performance,
    school_reviews, school_term_dates, schools,
};
use crate::sqlite::transactions::{at_once, whole};

/// How many rows one INSERT holds: 13 values each at most, well below SQLite's limit of 32,766 bound values.
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
            rows.extend(query.load::<(SchoolId, $model)>($connection)?);
        }
        rows
    }};
}

/// These schools, in the order of the ids, with the collections that are asked for: one query each, at one moment.
pub(in crate::sqlite) fn details_on_conn(
    connection: &mut SqliteConnection,
    ids: &[SchoolId],
    collections: Collections,
) -> Result<Vec<SchoolDetails>> {
    at_once(connection, |connection| details_in_txn(connection, ids, collections))
}

fn details_in_txn(
    connection: &mut SqliteConnection,
    ids: &[SchoolId],
    collections: Collections,
) -> Result<Vec<SchoolDetails>> {
    let schools = schools_on_conn(connection, ids)?;
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
        let order = (school_performance::metric, school_performance::year.desc());
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
        give(&mut details, admissions_in_txn(connection, &ids)?, |school| &mut school.admissions);
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
pub(super) fn admissions_in_txn(
    connection: &mut SqliteConnection,
    ids: &[SchoolId],
) -> Result<Vec<(SchoolId, Admissions)>> {
    let order =
        (admissions_history::academic_year.desc(), admissions_history::intake.is_null(), admissions_history::intake);
    Ok(clauses::admissions!(of_schools!(connection, ids, order,)))
}

/// Replaces one collection of a school where it is given.
macro_rules! replace {
    ($connection:expr, $id:expr, $rows:expr, $model:ident, $table:ident { $($field:ident),+ }) => {
        if let Some(rows) = $rows {
            diesel::delete($table::table.filter($table::school_id.eq($id))).execute($connection)?;
            for rows in rows.chunks(ROWS_AN_INSERT) {
                let values = rows.iter().map(|row| child_values!($id, row, $model, $table { $($field),+ }));
                diesel::insert_into($table::table).values(values.collect::<Vec<_>>()).execute($connection)?;
            }
        }
    };
}

/// Replaces the collections of a school that are given, all or none.
pub(in crate::sqlite) fn replace_collections_on_conn(
    connection: &mut SqliteConnection,
    id: SchoolId,
    new: &NewCollections,
) -> Result<()> {
    new.validate()?;
    let ended = whole(connection, |connection| {
        let known = schools::table.find(id).select(schools::id).first::<SchoolId>(connection).optional()?;
        known.ok_or(Error::UnknownSchool)?;
        let NewCollections { clubs, term_dates, performance, private_details, fees, admissions } = new;
        clauses::clubs!(replace!(connection, id, clubs,));
        clauses::term_dates!(replace!(connection, id, term_dates,));
        clauses::performance!(replace!(connection, id, performance,));
        clauses::private_details!(replace!(connection, id, private_details,));
        clauses::fees!(replace!(connection, id, fees,));
        clauses::admissions!(replace!(connection, id, admissions,));
        Ok(())
    });
    ended.map_err(TxOutcome::error)
}

/// Adds reviews, all or none. Each belongs to the school with its URN, where there is one.
pub(in crate::sqlite) fn insert_reviews_on_conn(connection: &mut SqliteConnection, reviews: &[Review]) -> Result<()> {
    reviews.iter().try_for_each(Review::validate)?;
    let ended = whole(connection, |connection| {
        for reviews in reviews.chunks(ROWS_AN_INSERT) {
            let ids = ids_of_in_txn(connection, reviews.iter().map(|review| review.urn))?;
            let values = reviews.iter().map(|row| clauses::reviews!(child_values!(ids.get(&row.urn).copied(), row,)));
            diesel::insert_into(school_reviews::table).values(values.collect::<Vec<_>>()).execute(connection)?;
        }
        Ok(())
    });
    ended.map_err(TxOutcome::error)
}

/// The ids of the schools with these URNs, as far as there are such.
pub(super) fn ids_of_in_txn(
    connection: &mut SqliteConnection,
    urns: impl Iterator<Item = Urn>,
) -> QueryResult<std::collections::HashMap<Urn, SchoolId>> {
    let urns: Vec<Urn> = urns.collect();
    let mut ids = std::collections::HashMap::with_capacity(urns.len());
    for urns in urns.chunks(MAX_IDS) {
        let query = schools::table.filter(schools::urn.eq_any(urns)).select((schools::urn, schools::id));
        ids.extend(query.load::<(Urn, SchoolId)>(connection)?);
    }
    Ok(ids)
}
