//! What a query does, by SQLite's own word.

use std::collections::HashMap;
use std::time::Instant;

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Integer, Text};
use diesel::sqlite::Sqlite;

use super::catchment_index::catchments_query;
use super::find::{find_query, margin_query, within_reach};
use super::nearest::{EXPANSION, candidates_query};
use crate::error::Result;
use crate::explain::{Execution, Explanation};
use crate::request::Sort;
use crate::search::{CatchmentRow, HitRow, ValidatedSearch};

/// The query that a search begins with, and its plan.
pub(in crate::sqlite) fn explain_find_on_conn(
    connection: &mut SqliteConnection,
    validated: &ValidatedSearch,
) -> Result<Explanation> {
    let validated = &within_reach(connection, validated)?;
    match (validated.search.sort, validated.first_probe(EXPANSION)) {
        (Sort::Margin, _) => explain_on_conn(connection, margin_query(validated)),
        (_, Some(probe)) => explain_on_conn(connection, candidates_query(validated, probe.radius)),
        (_, None) => explain_on_conn(connection, find_query(validated)),
    }
}

/// The query for the catchments that hold a search's point, and its plan.
pub(in crate::sqlite) fn explain_catchments_on_conn(
    connection: &mut SqliteConnection,
    validated: &ValidatedSearch,
) -> Result<Explanation> {
    explain_on_conn(connection, catchments_query(validated))
}

/// As [`explain_find_on_conn`], and runs the query.
pub(in crate::sqlite) fn analyze_find_on_conn(
    connection: &mut SqliteConnection,
    validated: &ValidatedSearch,
) -> Result<Explanation> {
    let explanation = explain_find_on_conn(connection, validated)?;
    let validated = &within_reach(connection, validated)?;
    timed(explanation, || {
        Ok(match (validated.search.sort, validated.first_probe(EXPANSION)) {
            (Sort::Margin, _) => margin_query(validated).load::<HitRow>(connection)?.len(),
            (_, Some(probe)) => candidates_query(validated, probe.radius).load(connection)?.len(),
            (_, None) => find_query(validated).load(connection)?.len(),
        })
    })
}

/// As [`explain_catchments_on_conn`], and runs the query.
pub(in crate::sqlite) fn analyze_catchments_on_conn(
    connection: &mut SqliteConnection,
    validated: &ValidatedSearch,
) -> Result<Explanation> {
    let explanation = explain_catchments_on_conn(connection, validated)?;
    timed(explanation, || Ok(catchments_query(validated).load::<CatchmentRow>(connection)?.len()))
}

/// SQLite has no plan with times, so that the whole is timed.
fn timed(explanation: Explanation, run: impl FnOnce() -> Result<usize>) -> Result<Explanation> {
    let begun = Instant::now();
    let rows = run()? as u64;
    let microseconds = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(Explanation { execution: Some(Execution { rows, microseconds }), ..explanation })
}

fn explain_on_conn<Q>(connection: &mut SqliteConnection, query: Q) -> Result<Explanation>
where
    Q: QueryFragment<Sqlite> + QueryId,
{
    let sql = diesel::debug_query::<Sqlite, _>(&query).to_string();
    let steps: Vec<(i32, i32, i32, String)> = QueryPlan { query }.load(connection)?;
    let mut depths: HashMap<i32, usize> = HashMap::new();
    let (mut plan, mut indexes, mut scans) = (Vec::new(), Vec::new(), Vec::new());
    for (id, parent, _, detail) in steps {
        let depth = depths.get(&parent).map_or(0, |depth| depth + 1);
        depths.insert(id, depth);
        plan.push(format!("{}{detail}", "  ".repeat(depth)));
        indexes.extend(index_of(&detail));
        scans.extend(scanned_table(&detail));
    }
    indexes.sort();
    indexes.dedup();
    Ok(Explanation { sql, plan, indexes, scans, execution: None })
}

/// The index in a step such as `SEARCH schools USING INDEX ix_schools_open_name (name_folded>?)`, an R*Tree in one such
/// as `SCAN schools_catchment VIRTUAL TABLE INDEX 2:D1B0D3B2`. A list that was given as JSON is none.
fn index_of(step: &str) -> Option<String> {
    if step.contains(" VIRTUAL TABLE INDEX ") {
        return step.split_whitespace().nth(1).filter(|table| *table != "json_each").map(str::to_owned);
    }
    if step.contains(" USING INTEGER PRIMARY KEY") {
        return Some("primary key".to_owned());
    }
    let (_, rest) = step.split_once(" INDEX ")?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// The table in a step such as `SCAN schools`. A walk along an index, which may stop early, is no scan of the table,
/// and one of an R*Tree with a box is not one either.
fn scanned_table(step: &str) -> Option<String> {
    let table = step.strip_prefix("SCAN ")?;
    (!table.contains(" INDEX ") && !table.starts_with("CONSTANT ROW")).then(|| table.to_owned())
}

/// `EXPLAIN QUERY PLAN` before a query, its bound values and all.
#[derive(Debug, QueryId)]
struct QueryPlan<Q> {
    query: Q,
}

impl<Q> Query for QueryPlan<Q> {
    type SqlType = (Integer, Integer, Integer, Text);
}

impl<Q> RunQueryDsl<SqliteConnection> for QueryPlan<Q> {}

impl<Q: QueryFragment<Sqlite>> QueryFragment<Sqlite> for QueryPlan<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        // Its text is not the query's own, so it may not take the query's place among the prepared statements.
        out.unsafe_to_cache_prepared();
        out.push_sql("EXPLAIN QUERY PLAN ");
        self.query.walk_ast(out)
    }
}
