//! Inserts and upserts of schools.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::children::identifiers_in_txn;
use super::conditions::OpenNow;
use super::insert::{
    Batches, ROWS_AN_INSERT, insert_in_txn, insert_vocabulary_in_txn, insert_words_in_txn, upsert_folds_in_txn,
    upsert_towns_in_txn,
};
use super::lists::schools_by_urn_on_conn;
use crate::columns::{self, child_values, row_values, school_values};
use crate::error::{Error, Result};
use crate::geo::LatLng;
use crate::ids::{SchoolId, Urn};
use crate::models::{NewSchool, RegisterCounts, School, SchoolIdentifiers, SchoolPatch, Status, UpsertCounts};
use crate::request::{
    MAX_IDS, MissingSchools, RegisterCoverage, RegisterSchool, RegisterStream, SchoolStream, WriteMode, distinct,
    refuse_twice,
};
use crate::search::{Texts, is_in_vocabulary};
use crate::text;
use crate::transaction::TableLock;

use super::super::dialect::{Connection, RunQueryDsl, locked, maybe_async, write};
use super::super::schema::{school_identifiers, school_towns, school_words, schools};

/// Inserts schools in one transaction, and returns their ids in the order given.
#[maybe_async]
pub(in super::super) async fn insert_schools_on_conn(
    connection: &mut Connection,
    new: &[NewSchool],
) -> Result<Vec<SchoolId>> {
    let mut seen = HashSet::with_capacity(new.len());
    for school in new {
        school.validate()?;
        refuse_twice(&mut seen, school.urn)?;
    }
    let inserted = write(connection, &[], WriteMode::Commit, async |connection| {
        let mut ids = Vec::with_capacity(new.len());
        for rows in new.chunks(ROWS_AN_INSERT) {
            store_folds_in_txn(connection, rows).await?;
            let inserted = insert_in_txn(connection, rows).await?;
            let texts = inserted.iter().zip(rows).map(|(id, school)| (*id, Texts::of(school, None))).collect();
            store_words_in_txn(connection, texts).await?;
            ids.extend(inserted);
        }
        Ok(ids)
    })
    .await;
    let is_duplicate =
        matches!(&inserted, Err(Error::Database(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _))));
    if is_duplicate && let Some(urn) = stored_urn_on_conn(connection, new).await {
        return Err(Error::DuplicateUrn { urn });
    }
    inserted
}

/// Returns the lowest of these schools' URNs that is stored, which the error of a violated UNIQUE does not contain.
#[maybe_async]
async fn stored_urn_on_conn(connection: &mut Connection, new: &[NewSchool]) -> Option<Urn> {
    let urns: Vec<Urn> = new.iter().map(|school| school.urn).collect();
    for urns in distinct(&urns).chunks(MAX_IDS) {
        let stored = schools::table.filter(schools::urn.eq_any(urns)).order_by(schools::urn).select(schools::urn);
        if let Ok(urn) = stored.first(connection).await {
            return Some(urn);
        }
    }
    None
}

/// Inserts new schools, and updates those that differ from the stored ones.
#[maybe_async]
pub(in super::super) async fn upsert_schools_on_conn(
    connection: &mut Connection,
    stream: SchoolStream,
    mode: WriteMode,
) -> Result<UpsertCounts> {
    let schools = Box::new(stream.map(|school| school.map(RegisterSchool::from)));
    let counts = upsert_register_on_conn(connection, schools, &RegisterCoverage::default(), mode).await?;
    Ok(counts.schools)
}

/// Inserts new schools of a register with their identifiers, updates those that differ from the stored ones, and finds
/// or closes the open ones that the register lacks.
#[maybe_async]
#[allow(clippy::while_let_on_iterator, reason = "the batches of Postgres are awaited")]
pub(in super::super) async fn upsert_register_on_conn(
    connection: &mut Connection,
    stream: RegisterStream,
    coverage: &RegisterCoverage,
    mode: WriteMode,
) -> Result<RegisterCounts> {
    let mut batches = Batches::new(stream, ROWS_AN_INSERT);
    write(connection, &[TableLock::Import("schools")], mode, async |connection| {
        let missing = missing_in_txn(connection, coverage).await?;
        let mut counts = RegisterCounts::default();
        while let Some(batch) = batches.next().await {
            upsert_batch_in_txn(connection, batch?, &mut counts.schools).await?;
        }
        if coverage.missing != MissingSchools::Keep {
            let ids: Vec<SchoolId> = missing.iter().map(|(id, _, _)| *id).collect();
            for ids in ids.chunks(MAX_IDS) {
                let closed = (schools::status.eq(Status::Closed), schools::version.eq(schools::version + 1));
                let schools = schools::table.filter(schools::id.eq_any(ids));
                counts.closed += diesel::update(schools).set(closed).execute(connection).await? as u64;
            }
        }
        counts.missing = missing.into_iter().map(|(_, urn, name)| (urn, name)).collect();
        Ok(counts)
    })
    .await
}

/// Returns the schools that are open in a register's councils, are from it, and that it lacks.
#[maybe_async]
async fn missing_in_txn(
    connection: &mut Connection,
    coverage: &RegisterCoverage,
) -> Result<Vec<(SchoolId, Urn, String)>> {
    let (mut open, mut missing) = (0, Vec::new());
    for councils in coverage.councils.chunks(MAX_IDS) {
        let listed = school_identifiers::table.filter(school_identifiers::source.eq(&coverage.source));
        let query = schools::table
            .filter(OpenNow)
            .filter(schools::council.eq_any(councils))
            .filter(schools::id.eq_any(listed.select(school_identifiers::school_id)))
            .order_by(schools::urn)
            .select((schools::id, schools::urn, schools::name));
        let schools = query.load::<(SchoolId, Urn, String)>(connection).await?;
        open += schools.len();
        missing.extend(schools.into_iter().filter(|(_, urn, _)| !coverage.urns.contains(urn)));
    }
    if coverage.missing == MissingSchools::Close && missing.len() * 20 > open {
        return Err(Error::TooManyMissing { missing: missing.len(), open });
    }
    Ok(missing)
}

/// Reads the stored schools, and writes only those that differ. So the counts are exact, and an unchanged register
/// costs no writes.
#[maybe_async]
async fn upsert_batch_in_txn(
    connection: &mut Connection,
    batch: Vec<RegisterSchool>,
    counts: &mut UpsertCounts,
) -> Result<()> {
    let urns: Vec<Urn> = batch.iter().map(|school| school.school.urn).collect();
    let stored = schools_by_urn_on_conn(connection, &urns).await?;
    let mut stored: HashMap<Urn, (SchoolId, NewSchool)> =
        stored.into_iter().map(|school| (school.urn, (school.id, school.into()))).collect();
    let ids: Vec<SchoolId> = stored.values().map(|(id, _)| *id).collect();
    let stored_identifiers = match batch.iter().any(|school| school.identifiers.is_some()) {
        true => identifiers_in_txn(connection, &ids).await?.into_iter().collect(),
        false => HashMap::new(),
    };
    let mut stored_texts = texts_in_txn(connection, &ids).await?;
    let (mut new, mut new_others, mut inserts, mut texts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut updates = Vec::new();
    for RegisterSchool { school, identifiers, town, patch } in batch {
        let Some((id, stored)) = stored.remove(&school.urn) else {
            new.push(school);
            new_others.push((identifiers, town));
            continue;
        };
        let mut school = school.or_stored(&stored);
        if let Some(patch) = patch {
            school = patch.apply(school);
        }
        let stored_text = stored_texts.remove(&id);
        let stored_town = stored_text.as_ref().and_then(|texts| texts.town.clone());
        let text = Texts::of(&school, town.or_else(|| stored_town.clone()));
        let is_same = school == stored && text.town == stored_town;
        if stored_text.as_ref() != Some(&text) {
            texts.push((id, text));
        }
        if school != stored {
            if school.name != stored.name {
                store_folds_in_txn(connection, std::slice::from_ref(&school)).await?;
            }
            updates.push((id, school));
        }
        let identifiers = identifiers.map(|identifiers| match stored_identifiers.get(&id) {
            Some(stored) => (identifiers.or_stored(stored), Some(stored)),
            None => (identifiers, None),
        });
        match identifiers {
            Some((identifiers, None)) => inserts.push((id, identifiers)),
            Some((identifiers, Some(stored))) if identifiers != *stored => {
                let row = school_identifiers::table.filter(school_identifiers::school_id.eq(id));
                let values = columns::identifiers!(row_values!(&identifiers,));
                diesel::update(row).set(values).execute(connection).await?;
            }
            _ if is_same => {
                counts.unchanged += 1;
                continue;
            }
            _ => {}
        }
        counts.updated += 1;
    }
    // A school's name has its words first.
    store_words_in_txn(connection, texts).await?;
    for (id, school) in updates {
        update_in_txn(connection, id, &school).await?;
    }
    store_folds_in_txn(connection, &new).await?;
    let ids = insert_in_txn(connection, &new).await?;
    counts.inserted += ids.len() as u64;
    let mut texts = Vec::with_capacity(ids.len());
    for ((id, school), (identifiers, town)) in ids.into_iter().zip(&new).zip(new_others) {
        texts.push((id, Texts::of(school, town)));
        inserts.extend(identifiers.map(|identifiers| (id, identifiers)));
    }
    store_words_in_txn(connection, texts).await?;
    if !inserts.is_empty() {
        let rows = inserts.iter().map(|(id, row)| columns::identifiers!(child_values!(*id, row,)));
        let rows = rows.collect::<Vec<_>>();
        diesel::insert_into(school_identifiers::table).values(rows).execute(connection).await?;
    }
    Ok(())
}

/// Updates a school that still has the version that was read, and returns it as stored.
#[maybe_async]
pub(in super::super) async fn update_school_on_conn(
    connection: &mut Connection,
    id: SchoolId,
    version: i32,
    patch: &SchoolPatch,
) -> Result<School> {
    write(connection, &[TableLock::Rows("schools")], WriteMode::Commit, async |connection| {
        let query = schools::table.find(id).select(School::as_select());
        let stored = locked!(for_no_key_update, query).first::<School>(connection).await.optional()?;
        let stored = stored.ok_or(Error::UnknownSchool)?;
        if stored.version != version {
            return Err(Error::Stale { given: version, stored: stored.version });
        }
        let school = patch.apply(stored.into());
        school.validate()?;
        store_folds_in_txn(connection, std::slice::from_ref(&school)).await?;
        let stored_text = texts_in_txn(connection, &[id]).await?.remove(&id);
        let text = Texts::of(&school, stored_text.as_ref().and_then(|texts| texts.town.clone()));
        if stored_text.as_ref() != Some(&text) {
            store_words_in_txn(connection, vec![(id, text)]).await?;
        }
        update_in_txn(connection, id, &school).await?;
        Ok(query.first(connection).await?)
    })
    .await
}

/// Stores the folds of schools' names, with which triggers compare `schools.name_folded`.
#[maybe_async]
async fn store_folds_in_txn(connection: &mut Connection, written: &[NewSchool]) -> QueryResult<()> {
    // In one order, so that two writers wait for each other at most once.
    let names: BTreeSet<&str> = written.iter().map(|school| school.name.as_str()).collect();
    upsert_folds_in_txn(connection, names.into_iter().map(|name| (name, text::fold(name))).collect()).await
}

/// Returns the texts that schools' words were computed from.
#[maybe_async]
async fn texts_in_txn(connection: &mut Connection, ids: &[SchoolId]) -> QueryResult<HashMap<SchoolId, Texts>> {
    let texts = (school_towns::town, school_towns::name, school_towns::council, school_towns::postcode);
    let stored = school_towns::table.filter(school_towns::school_id.eq_any(ids.to_vec()));
    Ok(stored.select((school_towns::school_id, texts)).load(connection).await?.into_iter().collect())
}

/// Stores schools' words and the texts that they are computed from, with which a trigger compares the schools.
#[maybe_async]
async fn store_words_in_txn(connection: &mut Connection, texts: Vec<(SchoolId, Texts)>) -> QueryResult<()> {
    if texts.is_empty() {
        return Ok(());
    }
    let ids: Vec<SchoolId> = texts.iter().map(|(id, _)| *id).collect();
    diesel::delete(school_words::table.filter(school_words::school_id.eq_any(ids))).execute(connection).await?;
    // In one order, so that two writers wait for each other at most once.
    let (mut words, mut vocabulary) = (Vec::new(), BTreeSet::new());
    for (id, texts) in &texts {
        for (word, in_name) in texts.words() {
            if is_in_vocabulary(&word) {
                vocabulary.insert(word.clone());
            }
            words.push((word, *id, in_name));
        }
    }
    upsert_towns_in_txn(connection, texts).await?;
    insert_words_in_txn(connection, words).await?;
    insert_vocabulary_in_txn(connection, vocabulary).await
}

/// Writes a school over the stored one, as its next version.
#[maybe_async]
async fn update_in_txn(connection: &mut Connection, id: SchoolId, school: &NewSchool) -> QueryResult<()> {
    let values = (school_values!(schools, school), schools::version.eq(schools::version + 1));
    diesel::update(schools::table.find(id)).set(values).execute(connection).await?;
    Ok(())
}
