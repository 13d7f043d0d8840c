//! Searches by words: typing errors, the order by match, and suggestions.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::conditions::{Rank, after_cursor, conditions, word_conditions, word_is};
use super::find::find_schools_on_conn;
use crate::error::Result;
use crate::ids::SchoolId;
use crate::models::{SchoolHit, SchoolSummary, Suggestion};
use crate::request::Page;
use crate::search::{
    ListedRow, MatchedRow, Misspelling, Position, Term, ValidatedSearch, Word, Words, end_of, parts, split,
};

use super::super::dialect::{Connection, Db, RunQueryDsl, maybe_async, snapshot};
use super::super::schema::{school_towns, school_vocabulary, school_words, schools};

/// How many schools may have a word that drives a search. Where more do, most schools in the order of a search match
/// soon.
const MOST_DRIVEN: i64 = 2_000;

/// Returns the search with the words to search for: as typed where a school matches them, and otherwise corrected. The
/// words of a cursor are not corrected again. The search's statuses count, and none of its other filters, so that they
/// do not change what the words mean.
#[maybe_async]
pub(super) async fn with_words<'a>(
    connection: &mut Connection,
    validated: &'a ValidatedSearch,
) -> Result<Cow<'a, ValidatedSearch>> {
    let Some(words) = &validated.words else { return Ok(Cow::Borrowed(validated)) };
    let typed = with_driver(connection, validated, words.clone()).await?;
    if words.is_corrected || validated.after.is_some() || is_match(connection, &typed).await? {
        return Ok(Cow::Owned(typed));
    }
    let corrected = corrected(connection, validated, &words.terms).await?;
    Ok(Cow::Owned(corrected.unwrap_or(typed)))
}

/// Returns a search for words, driven by one that few schools have.
#[maybe_async]
async fn with_driver(
    connection: &mut Connection,
    validated: &ValidatedSearch,
    mut words: Words,
) -> QueryResult<ValidatedSearch> {
    let order = words.by_selectivity();
    words.driver = None;
    for at in order {
        let is_rare = match &words.terms[at] {
            Term::Urn(_) | Term::Laestab(_) => true,
            Term::Word(word) => !has_more(connection, word, MOST_DRIVEN).await?,
        };
        if is_rare {
            words.driver = Some(at);
            break;
        }
    }
    Ok(validated.with_words(words))
}

/// Returns whether more than so many schools have a word.
#[maybe_async]
async fn has_more(connection: &mut Connection, word: &Word, schools: i64) -> QueryResult<bool> {
    let rows = school_words::table.filter(word_is(word)).select(school_words::school_id).offset(schools).limit(1);
    Ok(!rows.load::<SchoolId>(connection).await?.is_empty())
}

/// Returns whether a school of the search's statuses matches its words.
#[maybe_async]
async fn is_match(connection: &mut Connection, validated: &ValidatedSearch) -> QueryResult<bool> {
    let mut query = schools::table.select(schools::id).into_boxed();
    for condition in word_conditions(validated) {
        query = query.filter(condition);
    }
    Ok(!query.limit(1).load::<SchoolId>(connection).await?.is_empty())
}

/// Returns the search for the words that were probably meant, or `None` where no school matches any. Words that no
/// school has are split first, then corrected; then all are corrected; then two are joined.
#[maybe_async]
async fn corrected(
    connection: &mut Connection,
    validated: &ValidatedSearch,
    typed: &[Term],
) -> Result<Option<ValidatedSearch>> {
    let last = typed.len().saturating_sub(1);
    let (mut pieces, mut unknown, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for (at, term) in typed.iter().enumerate() {
        let Term::Word(word) = term else {
            for terms in [&mut pieces, &mut unknown, &mut all] {
                terms.push(term.or_urn());
            }
            continue;
        };
        let is_known = has_more(connection, word, 0).await?;
        let either = Term::Word(Word { whole: corrections(connection, word, at == last).await?, ..word.clone() });
        match is_known {
            true => pieces.push(term.clone()),
            false => pieces.extend(split_word(connection, word, at == last).await?.into_iter().map(Term::Word)),
        }
        unknown.push(if is_known { term.clone() } else { either.clone() });
        all.push(either);
    }
    let mut joined = Vec::new();
    for at in 1..typed.len() {
        if let (Term::Word(first), Term::Word(second)) = (&typed[at - 1], &typed[at]) {
            let text = format!("{}{}", first.text(), second.text());
            let word = if second.prefix.is_some() { Word::prefix(&text) } else { Word::whole(&text) };
            let mut terms = typed.to_vec();
            terms.splice(at - 1..=at, [Term::Word(word)]);
            joined.push(terms);
        }
    }
    for terms in [pieces, unknown, all].into_iter().chain(joined) {
        if terms == typed {
            continue;
        }
        let search = with_driver(connection, validated, Words::corrected(terms)).await?;
        if is_match(connection, &search).await? {
            return Ok(Some(search));
        }
    }
    Ok(None)
}

/// Returns the words that a mistyped one may have been, the most probable first.
#[maybe_async]
async fn corrections(connection: &mut Connection, word: &Word, is_last: bool) -> QueryResult<Vec<String>> {
    let Some(misspelling) = Misspelling::of(word, is_last) else { return Ok(word.whole.clone()) };
    let (beginning, ending) = (misspelling.beginning(), misspelling.ending());
    let mut candidates: Vec<String> = beginning_query(&beginning)
        .or_filter(school_vocabulary::word.eq(misspelling.swapped()))
        .load(connection)
        .await?;
    candidates.extend(ending_query(&ending).load::<String>(connection).await?);
    Ok(misspelling.corrections(candidates))
}

/// Returns the query for the words of the vocabulary with a beginning.
#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn beginning_query(beginning: &str) -> _ {
    let (least, end): (String, String) = (beginning.to_owned(), end_of(beginning));
    school_vocabulary::table
        .filter(school_vocabulary::word.ge(least).and(school_vocabulary::word.lt(end)))
        .select(school_vocabulary::word)
}

/// Returns the query for the words of the vocabulary with an ending, which is given backwards.
#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn ending_query(ending: &str) -> _ {
    let (least, end): (String, String) = (ending.to_owned(), end_of(ending));
    school_vocabulary::table
        .filter(school_vocabulary::reversed.ge(least).and(school_vocabulary::reversed.lt(end)))
        .select(school_vocabulary::word)
}

/// Returns the words that were written as one, or the word itself.
#[maybe_async]
async fn split_word(connection: &mut Connection, word: &Word, is_last: bool) -> QueryResult<Vec<Word>> {
    let parts = parts(word.text());
    let known = school_vocabulary::table.filter(school_vocabulary::word.eq_any(parts)).select(school_vocabulary::word);
    let known: HashSet<String> = known.load(connection).await?.into_iter().collect();
    Ok(split(word.text(), &known, is_last && word.prefix.is_some()).unwrap_or_else(|| vec![word.clone()]))
}

/// Returns one page of the schools that match a search's words, the best match first.
#[maybe_async]
pub(super) async fn matched_on_conn(
    connection: &mut Connection,
    validated: &ValidatedSearch,
) -> Result<Page<SchoolHit>> {
    let Some(words) = &validated.words else { return Ok(Page::new(Vec::new(), None)) };
    if words.driver.is_some() {
        return Ok(validated.page_of_matched(matched_query(validated, words).load(connection).await?));
    }
    // Every word is frequent. The best matches are first in the order of an index, and fill most pages.
    snapshot(connection, async |connection| {
        let mut rows: Vec<MatchedRow> = Vec::new();
        let first = validated.after.as_ref().and_then(|after| after.rank).unwrap_or_default();
        for rank in Rank::INDEXED.into_iter().filter(|rank| *rank >= first) {
            let missing = validated.fetch() - i64::try_from(rows.len()).unwrap_or(i64::MAX);
            if missing > 0 {
                let found = of_rank_query(validated, words, rank).limit(missing).load::<ListedRow>(connection).await?;
                rows.extend(found.into_iter().map(|(school, name)| (school, name, rank)));
            }
        }
        if i64::try_from(rows.len()).unwrap_or(i64::MAX) < validated.fetch() {
            let others = matched_query(validated, words).filter(Rank::new(words).gt(Rank::ALL));
            rows.extend(others.load::<MatchedRow>(connection).await?);
        }
        Ok(validated.page_of_matched(rows))
    })
    .await
}

type MatchedQuery<'a> = schools::BoxedQuery<
    'a,
    Db,
    diesel::dsl::SqlTypeOf<(diesel::dsl::AsSelect<SchoolSummary, Db>, schools::name_folded, Rank)>,
>;
type OfRankQuery<'a> = schools::BoxedQuery<
    'a,
    Db,
    diesel::dsl::SqlTypeOf<(diesel::dsl::AsSelect<SchoolSummary, Db>, schools::name_folded)>,
>;

/// Returns the query of a search by match, after its cursor: one row more than the page holds.
pub(super) fn matched_query<'a>(validated: &ValidatedSearch, words: &Words) -> MatchedQuery<'a> {
    let rank = || Rank::new(words);
    let mut query = schools::table.select((SchoolSummary::as_select(), schools::name_folded, rank())).into_boxed();
    for condition in conditions(validated).chain(after_cursor(validated)) {
        query = query.filter(condition);
    }
    query.order_by((rank().asc(), schools::name_folded.asc(), schools::id.asc())).limit(validated.fetch())
}

/// As [`matched_query`], for the schools of one rank, up to [`Rank::ALL`].
pub(super) fn of_rank_query<'a>(validated: &ValidatedSearch, words: &Words, rank: i32) -> OfRankQuery<'a> {
    let mut query = schools::table.select((SchoolSummary::as_select(), schools::name_folded)).into_boxed();
    let mut others = validated.clone();
    if rank == Rank::ALL {
        // A word in the name is one of the school's. With both conditions, Postgres expects too few schools to walk.
        others.words = None;
    }
    for condition in conditions(&others).chain(Rank::is(words, rank)) {
        query = query.filter(condition);
    }
    if let Some(Position { name, id, .. }) = validated.after.as_ref().filter(|after| after.rank == Some(rank)) {
        let is_tied = schools::name_folded.eq(name.clone()).and(schools::id.gt(*id));
        let is_later = schools::name_folded.gt(name.clone()).or(is_tied);
        query = query.filter(schools::name_folded.ge(name.clone()).and(is_later));
    }
    query.order_by((schools::name_folded.asc(), schools::id.asc()))
}

/// Returns the schools of a search's first page, each with its town.
#[maybe_async]
pub(in super::super) async fn suggest_on_conn(
    connection: &mut Connection,
    validated: &ValidatedSearch,
) -> Result<Vec<Suggestion>> {
    let hits = find_schools_on_conn(connection, validated).await?.items;
    let ids: Vec<SchoolId> = hits.iter().map(|hit| hit.school.id).collect();
    let towns = school_towns::table.filter(school_towns::school_id.eq_any(ids));
    let towns =
        towns.select((school_towns::school_id, school_towns::town)).load::<(SchoolId, Option<String>)>(connection);
    let mut towns: HashMap<SchoolId, Option<String>> = towns.await?.into_iter().collect();
    let suggestion = |hit: SchoolHit| Suggestion { town: towns.remove(&hit.school.id).flatten(), hit };
    Ok(hits.into_iter().map(suggestion).collect())
}
