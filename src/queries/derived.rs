//! Stored copies of other columns: finds the rows that disagree with those columns, and repairs them.
//!
//! Triggers keep the copies up to date, and refuse a name without its fold. Rows disagree only if a program disabled
//! the triggers, wrote to a copy directly, or folded names by the rules of another build.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::error::Result;
use crate::ids::{SchoolId, Urn};
use crate::search::{Texts, is_in_vocabulary, reversed};
use crate::text;

use super::super::schema::{folded_names, school_towns, school_vocabulary, school_words, schools};
use super::{COPIES, LOCK_COPIES, MigrationConnection};

/// A copy that the database can derive by itself.
pub(super) struct StoredCopy {
    /// A query for the rows that disagree, one sentence each.
    pub(super) stale: &'static str,
    /// The statements that write them again.
    pub(super) repair: &'static str,
}

/// The copies of both backends.
const SHARED: &[StoredCopy] = &[
    StoredCopy {
        stale: "SELECT 'link of ' || urn || ' to ' || linked_urn || ' (' || kind || '): it belongs to other schools'
            FROM school_links AS link
            WHERE school_id IS DISTINCT FROM (SELECT id FROM schools WHERE schools.urn = link.urn)
                OR linked_school_id IS DISTINCT FROM (SELECT id FROM schools WHERE schools.urn = link.linked_urn)
            ORDER BY urn, linked_urn, kind",
        repair: "UPDATE school_links
            SET school_id = (SELECT id FROM schools WHERE schools.urn = school_links.urn),
                linked_school_id = (SELECT id FROM schools WHERE schools.urn = school_links.linked_urn)
            WHERE school_id IS DISTINCT FROM (SELECT id FROM schools WHERE schools.urn = school_links.urn)
                OR linked_school_id
                    IS DISTINCT FROM (SELECT id FROM schools WHERE schools.urn = school_links.linked_urn)",
    },
    StoredCopy {
        // A merger moves reviews on, so that a review may belong to a school of another URN.
        stale: "SELECT 'review ' || id || ': it belongs to no school, and there is one with URN ' || urn
            FROM school_reviews WHERE school_id IS NULL AND urn IN (SELECT urn FROM schools) ORDER BY id",
        repair: "UPDATE school_reviews
            SET school_id = (SELECT id FROM schools WHERE schools.urn = school_reviews.urn) WHERE school_id IS NULL",
    },
    StoredCopy {
        stale: "WITH stored AS (SELECT school_id, intake, academic_year, recency, least_km FROM admissions_reach),
                fresh AS (SELECT school_id, intake, academic_year, recency, least_km FROM admissions_by_recency)
            SELECT 'school with id ' || school_id || ': its rows of admissions_reach are not those of its admissions'
            FROM (
                SELECT school_id FROM (SELECT * FROM stored EXCEPT SELECT * FROM fresh) AS wrong
                UNION SELECT school_id FROM (SELECT * FROM fresh EXCEPT SELECT * FROM stored) AS missing
                UNION SELECT school_id FROM stored GROUP BY school_id, intake, academic_year HAVING count(*) > 1
            ) AS stale
            ORDER BY school_id",
        repair: "DELETE FROM admissions_reach;
            INSERT INTO admissions_reach (school_id, intake, academic_year, recency, least_km)
                SELECT school_id, intake, academic_year, recency, least_km FROM admissions_by_recency",
    },
];

/// Returns the rows that disagree, one sentence each.
pub(super) fn stale_on_conn(connection: &mut MigrationConnection) -> Result<Vec<String>> {
    let mut sentences = Vec::new();
    for Named { urn, name, name_folded, stored } in stale_names(connection)? {
        let fold = text::fold(&name);
        sentences.push(if name_folded == fold {
            format!("school {urn}: folded_names has {stored:?} for its name, whose fold is {fold:?}")
        } else {
            format!("school {urn}: name_folded is {name_folded:?}, and the fold of its name is {fold:?}")
        });
    }
    let mut after = SchoolId::new(i64::MIN);
    while let Some((last, stale)) = stale_words_after(connection, after)? {
        after = last;
        let sentence = "school_words has not the words of its name, town, council and postcode";
        sentences.extend(stale.iter().map(|Worded { urn, .. }| format!("school {urn}: {sentence}")));
    }
    for copy in SHARED.iter().chain(COPIES) {
        sentences.extend(diesel::dsl::sql::<Text>(copy.stale).load::<String>(connection)?);
    }
    Ok(sentences)
}

/// Writes again the rows that disagree, and returns them as they were. Needs an open transaction.
pub(super) fn repair_in_txn(connection: &mut MigrationConnection) -> Result<Vec<String>> {
    connection.batch_execute(LOCK_COPIES)?;
    let stale = stale_on_conn(connection)?;
    for Named { urn, name, .. } in stale_names(connection)? {
        let fold = text::fold(&name);
        let row = (folded_names::name.eq(&name), folded_names::name_folded.eq(&fold));
        let stored = diesel::insert_into(folded_names::table).values(row).on_conflict(folded_names::name);
        stored.do_update().set(folded_names::name_folded.eq(&fold)).execute(connection)?;
        let school = diesel::update(schools::table.filter(schools::urn.eq(urn)));
        school.set(schools::name_folded.eq(&fold)).execute(connection)?;
    }
    repair_words_in_txn(connection)?;
    for copy in SHARED.iter().chain(COPIES) {
        connection.batch_execute(copy.repair)?;
    }
    Ok(stale)
}

/// How many schools' words are compared at a time: about fifteen words each.
const SCHOOLS_A_STEP: i64 = 1_000;

/// How many rows one INSERT has.
const ROWS_AN_INSERT: usize = 2_000;

/// A school, and the texts that its words are to be computed from.
struct Worded {
    id: SchoolId,
    urn: Urn,
    texts: Texts,
}

/// Writes the words of schools again that disagree. Needs an open transaction.
pub(super) fn repair_words_in_txn(connection: &mut MigrationConnection) -> Result<()> {
    let mut after = SchoolId::new(i64::MIN);
    while let Some((last, stale)) = stale_words_after(connection, after)? {
        after = last;
        let (mut vocabulary, mut words) = (BTreeSet::new(), Vec::new());
        for Worded { id, texts, .. } in stale {
            diesel::delete(school_words::table.filter(school_words::school_id.eq(id))).execute(connection)?;
            for (word, in_name) in texts.words() {
                if is_in_vocabulary(&word) {
                    vocabulary.insert(word.clone());
                }
                let in_name = school_words::in_name.eq(in_name);
                words.push((school_words::word.eq(word), school_words::school_id.eq(id), in_name));
            }
            let Texts { town, name, council, postcode } = texts;
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
        for words in words.chunks(ROWS_AN_INSERT) {
            diesel::insert_into(school_words::table).values(words.to_vec()).execute(connection)?;
        }
        for word in vocabulary {
            let (word, backwards) =
                (school_vocabulary::word.eq(&word), school_vocabulary::reversed.eq(reversed(&word)));
            let insert = diesel::insert_into(school_vocabulary::table).values((word, backwards.clone()));
            insert.on_conflict(school_vocabulary::word).do_update().set(backwards).execute(connection)?;
        }
    }
    Ok(())
}

/// Returns those of the next schools after an id whose words are not those of their texts, or are not in the
/// vocabulary, and the last id. `None` after the last school.
fn stale_words_after(connection: &mut MigrationConnection, after: SchoolId) -> Result<Option<(SchoolId, Vec<Worded>)>> {
    let texts = (school_towns::town, school_towns::name, school_towns::council, school_towns::postcode);
    let schools = schools::table
        .left_join(school_towns::table)
        .filter(schools::id.gt(after))
        .select((schools::id, schools::urn, schools::name, schools::council, schools::postcode, texts.nullable()))
        .order_by(schools::id)
        .limit(SCHOOLS_A_STEP)
        .load::<(SchoolId, Urn, String, Option<String>, Option<String>, Option<Texts>)>(connection)?;
    let (Some((first, ..)), Some((last, ..))) = (schools.first(), schools.last()) else { return Ok(None) };
    let last = *last;
    let words = school_words::table.filter(school_words::school_id.between(*first, last)).select((
        school_words::school_id,
        school_words::word,
        school_words::in_name,
    ));
    let mut stored: HashMap<SchoolId, BTreeMap<String, bool>> = HashMap::new();
    for (id, word, in_name) in words.load::<(SchoolId, String, bool)>(connection)? {
        stored.entry(id).or_default().insert(word, in_name);
    }
    let known: BTreeSet<&String> = stored.values().flat_map(BTreeMap::keys).collect();
    let vocabulary = school_vocabulary::table
        .filter(school_vocabulary::word.eq_any(known))
        .select((school_vocabulary::word, school_vocabulary::reversed));
    let vocabulary: HashMap<String, String> = vocabulary.load(connection)?.into_iter().collect();
    let is_listed = |word: &String| vocabulary.get(word).is_some_and(|stored| *stored == reversed(word));
    let mut stale = Vec::new();
    for (id, urn, name, council, postcode, stored_texts) in schools {
        let town = stored_texts.as_ref().and_then(|texts| texts.town.clone());
        let texts = Texts { town, name, council, postcode };
        let words = texts.words();
        let is_same = stored_texts.as_ref() == Some(&texts)
            && stored.get(&id) == Some(&words)
            && words.keys().all(|word| !is_in_vocabulary(word) || is_listed(word));
        if !is_same {
            stale.push(Worded { id, urn, texts });
        }
    }
    Ok(Some((last, stale)))
}

/// A school's name with its folds: the school's own, and that of `folded_names`.
#[derive(Queryable)]
struct Named {
    urn: Urn,
    name: String,
    name_folded: String,
    stored: Option<String>,
}

/// Returns the names whose folds are not those of [`text::fold`], which no database can compute.
fn stale_names(connection: &mut MigrationConnection) -> Result<Vec<Named>> {
    let folds = folded_names::table.on(folded_names::name.eq(schools::name));
    let folded = (schools::urn, schools::name, schools::name_folded, folded_names::name_folded.nullable());
    let names = schools::table.left_join(folds).select(folded).order_by(schools::urn);
    let mut stale = Vec::new();
    for named in names.load_iter::<Named, _>(connection)? {
        let named = named?;
        let fold = text::fold(&named.name);
        if named.name_folded != fold || named.stored.as_ref() != Some(&fold) {
            stale.push(named);
        }
    }
    Ok(stale)
}
