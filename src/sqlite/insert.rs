//! INSERTs of schools and postcodes on SQLite.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::schema::{folded_names, postcodes, school_towns, school_vocabulary, school_words, schools};
use crate::columns::school_values;
use crate::geo::LatLng;
use crate::ids::{SchoolId, Urn};
use crate::models::{NewSchool, PostcodeRow};
pub(super) use crate::request::Batches;
use crate::search::{Texts, reversed};

/// How many schools one INSERT has: 26 values each, well below SQLite's limit of 32,766 bound values.
pub(super) const ROWS_AN_INSERT: usize = 250;

/// Inserts at most [`ROWS_AN_INSERT`] schools and returns their ids in the given order.
pub(super) fn insert_in_txn(connection: &mut SqliteConnection, new: &[NewSchool]) -> QueryResult<Vec<SchoolId>> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<_> = new.iter().map(|school| school_values!(schools, school)).collect();
    let insert = diesel::insert_into(schools::table).values(values).returning((schools::urn, schools::id));
    // SQL does not guarantee the order of returned rows.
    let ids: HashMap<Urn, SchoolId> = insert.load(connection)?.into_iter().collect();
    Ok(new.iter().filter_map(|school| ids.get(&school.urn).copied()).collect())
}

/// Stores names with their folds. A fold of an older build, whose rules differ, is replaced.
pub(super) fn upsert_folds_in_txn(connection: &mut SqliteConnection, folds: Vec<(&str, String)>) -> QueryResult<()> {
    for (name, fold) in folds {
        let row = (folded_names::name.eq(name), folded_names::name_folded.eq(fold));
        let insert = diesel::insert_into(folded_names::table).values(row).on_conflict(folded_names::name).do_update();
        insert.set(folded_names::name_folded.eq(excluded(folded_names::name_folded))).execute(connection)?;
    }
    Ok(())
}

/// Returns an iterator that may read a file: a query of SQLite blocks its thread in any case.
pub(super) const fn ahead<I: Iterator>(iterator: I) -> I {
    iterator
}

/// Stores postcodes, over those that are stored.
pub(super) fn upsert_postcodes_in_txn(connection: &mut SqliteConnection, rows: &[PostcodeRow]) -> QueryResult<()> {
    for PostcodeRow { postcode, lat, lng, uncertainty_m, terminated_on, is_withdrawn } in rows {
        let values = (
            postcodes::lat.eq(lat),
            postcodes::lng.eq(lng),
            postcodes::uncertainty_m.eq(uncertainty_m),
            postcodes::terminated_on.eq(terminated_on),
            postcodes::is_withdrawn.eq(is_withdrawn),
        );
        // One row a statement, which is prepared once. Diesel prepares an upsert anew for each row.
        let row = (postcodes::postcode.eq(postcode), values);
        if diesel::insert_or_ignore_into(postcodes::table).values(row).execute(connection)? == 1 {
            continue;
        }
        // It is stored already, or a constraint refuses it, as this statement will say.
        diesel::insert_into(postcodes::table)
            .values(row)
            .on_conflict(postcodes::postcode)
            .do_update()
            .set(values)
            .execute(connection)?;
    }
    Ok(())
}

/// How many words one INSERT has, of three values each.
const WORDS_AN_INSERT: usize = 2_000;

/// Inserts words of schools, each with whether it is in the name.
pub(super) fn insert_words_in_txn(
    connection: &mut SqliteConnection,
    words: Vec<(String, SchoolId, bool)>,
) -> QueryResult<()> {
    for words in words.chunks(WORDS_AN_INSERT) {
        let row = |(word, id, in_name): &(String, SchoolId, bool)| {
            (school_words::word.eq(word.clone()), school_words::school_id.eq(*id), school_words::in_name.eq(*in_name))
        };
        let rows: Vec<_> = words.iter().map(row).collect();
        diesel::insert_into(school_words::table).values(rows).execute(connection)?;
    }
    Ok(())
}

/// Adds words to the vocabulary.
pub(super) fn insert_vocabulary_in_txn(connection: &mut SqliteConnection, words: BTreeSet<String>) -> QueryResult<()> {
    let words: Vec<String> = words.into_iter().collect();
    for words in words.chunks(WORDS_AN_INSERT) {
        let row =
            |word: &String| (school_vocabulary::word.eq(word.clone()), school_vocabulary::reversed.eq(reversed(word)));
        let rows: Vec<_> = words.iter().map(row).collect();
        diesel::insert_or_ignore_into(school_vocabulary::table).values(rows).execute(connection)?;
    }
    Ok(())
}

/// Stores the texts that schools' words are computed from.
pub(super) fn upsert_towns_in_txn(connection: &mut SqliteConnection, texts: Vec<(SchoolId, Texts)>) -> QueryResult<()> {
    for (id, Texts { town, name, council, postcode }) in texts {
        let texts = (
            school_towns::town.eq(town),
            school_towns::name.eq(name),
            school_towns::council.eq(council),
            school_towns::postcode.eq(postcode),
        );
        let row = (school_towns::school_id.eq(id), texts.clone());
        let insert = diesel::insert_into(school_towns::table).values(row).on_conflict(school_towns::school_id);
        insert.do_update().set(texts).execute(connection)?;
    }
    Ok(())
}
