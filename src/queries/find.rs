//! The main query: the schools that match a search.

use std::borrow::Cow;

use diesel::dsl::max;
use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};

use super::conditions::{after_cursor, conditions, margin};
use super::nearest::nearest_on_conn;
use super::words::{matched_on_conn, with_words};
use crate::error::Result;
use crate::models::{SchoolHit, SchoolSummary};
use crate::request::{MAX_LIMIT, Page, SchoolSearch, Sort};
use crate::search::{ALL_OFFERED_KM, HitRow, ListedRow, ValidatedSearch};

use super::super::dialect::{
    BatchExecute, Connection, Db, LoadQuery, RunQueryDsl, maybe_async, require_caller, snapshot,
};
use super::super::schema::{admissions_reach, schools};

/// Runs a statement that returns no rows.
#[maybe_async]
pub(in super::super) async fn execute_on_conn(connection: &mut Connection, statement: &str) -> Result<()> {
    Ok(connection.batch_execute(statement).await?)
}

/// Returns one page of the schools that match a search.
#[maybe_async]
pub(in super::super) async fn find_schools_on_conn(
    connection: &mut Connection,
    validated: &ValidatedSearch,
) -> Result<Page<SchoolHit>> {
    let validated = &resolved(connection, validated).await?;
    match validated.search.sort {
        Sort::Distance => nearest_on_conn(connection, validated).await,
        Sort::Margin => Ok(validated.page_of_hits(margin_query(validated).load(connection).await?)),
        Sort::Match => matched_on_conn(connection, validated).await,
        Sort::Name | Sort::Rating => Ok(validated.page_of_listed(find_query(validated).load(connection).await?)),
    }
}

/// Returns every school that a search finds, from one snapshot.
#[maybe_async]
pub(in super::super) async fn all_schools_on_conn(
    connection: &mut Connection,
    search: &SchoolSearch,
) -> Result<Vec<SchoolHit>> {
    snapshot(connection, async |connection| all_schools_in_txn(connection, search).await).await
}

/// As [`all_schools_on_conn`], in an open transaction.
#[maybe_async]
pub(super) async fn all_schools_in_txn(connection: &mut Connection, search: &SchoolSearch) -> Result<Vec<SchoolHit>> {
    let mut search = search.clone().limit(MAX_LIMIT);
    let mut all = Vec::new();
    loop {
        require_caller()?;
        let page = find_schools_on_conn(connection, &ValidatedSearch::new(&search)?).await?;
        all.extend(page.items);
        match page.next {
            Some(next) => search = search.after(next),
            None => return Ok(all),
        }
    }
}

/// Returns the search with what the database says about it: typing errors in its words are corrected, and one by
/// admissions reach is within a circle, its own or else the greatest distance that any school's offers reached.
#[maybe_async]
pub(in super::super) async fn resolved<'a>(
    connection: &mut Connection,
    validated: &'a ValidatedSearch,
) -> Result<Cow<'a, ValidatedSearch>> {
    let validated = with_words(connection, validated).await?;
    if validated.search.filter.reach.is_none() || validated.radius().is_some() {
        return Ok(validated);
    }
    let widest = admissions_reach::table
        .filter(admissions_reach::least_km.lt(ALL_OFFERED_KM))
        .select(max(admissions_reach::least_km));
    Ok(Cow::Owned(validated.bounded_by(widest.get_result(connection).await?)))
}

/// Returns the query of a search by name or rating, after its cursor: one row more than the page holds.
pub(in super::super) fn find_query(
    validated: &ValidatedSearch,
) -> impl LoadQuery<'_, Connection, ListedRow> + QueryFragment<Db> + QueryId + Send {
    let mut query = schools::table.select((SchoolSummary::as_select(), schools::name_folded)).into_boxed();
    for condition in conditions(validated).chain(after_cursor(validated)) {
        query = query.filter(condition);
    }
    query = match validated.search.sort {
        Sort::Rating => query.order_by((
            schools::ofsted_rating.is_null().asc(),
            schools::ofsted_rating.asc(),
            schools::name_folded.asc(),
            schools::id.asc(),
        )),
        // The other orders have queries of their own.
        Sort::Name | Sort::Distance | Sort::Margin | Sort::Match => {
            query.order_by((schools::name_folded.asc(), schools::id.asc()))
        }
    };
    query.limit(validated.fetch())
}

/// As [`find_query`], in the order of the margins, which replace the distances in the rows.
pub(in super::super) fn margin_query(
    validated: &ValidatedSearch,
) -> impl LoadQuery<'_, Connection, HitRow> + QueryFragment<Db> + QueryId + Send {
    let mut query = schools::table.select((SchoolSummary::as_select(), margin(validated))).into_boxed();
    for condition in conditions(validated).chain(after_cursor(validated)) {
        query = query.filter(condition);
    }
    query.order_by((margin(validated).desc(), schools::id.asc())).limit(validated.fetch())
}
