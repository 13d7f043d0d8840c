//! The plan of a query, as SQLite reports it.

use std::collections::HashMap;
use std::time::Instant;

use diesel::connection::{DefaultLoadingMode, LoadConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Integer, Text};
use diesel::sqlite::Sqlite;

use crate::error::Result;
use crate::explain::{Execution, ExplainMode, Explanation};

/// Returns the plan of any Diesel query. [`ExplainMode::Analyze`] also **runs** the query, which writes where it is a
/// write.
///
/// # Errors
/// Those of the query.
pub fn explain<Q>(connection: &mut SqliteConnection, query: Q, mode: ExplainMode) -> Result<Explanation>
where
    Q: QueryFragment<Sqlite> + QueryId,
{
    let sql = diesel::debug_query::<Sqlite, _>(&query).to_string();
    let steps: Vec<(i32, i32, i32, String)> = QueryPlan { query: &query }.load(connection)?;
    let mut depths: HashMap<i32, usize> = HashMap::new();
    let (mut plan, mut indexes, mut scans, mut index_walks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (id, parent, _, detail) in steps {
        let depth = depths.get(&parent).map_or(0, |depth| depth + 1);
        depths.insert(id, depth);
        plan.push(format!("{}{detail}", "  ".repeat(depth)));
        // A virtual table, such as an R*Tree, is searched, and yet its step is called a scan.
        let scan = detail.strip_prefix("SCAN ").filter(|scan| !scan.contains(" VIRTUAL TABLE INDEX "));
        match (index_of(&detail), scan) {
            (Some(index), Some(_)) => index_walks.push(index),
            (Some(index), None) => indexes.push(index),
            (None, Some(table)) if !table.starts_with("CONSTANT ROW") => scans.push(table.to_owned()),
            (None, _) => {}
        }
    }
    indexes.extend_from_slice(&index_walks);
    indexes.sort();
    indexes.dedup();
    let execution = match mode {
        ExplainMode::Plan => None,
        ExplainMode::Analyze => {
            // SQLite reports no times in a plan.
            let begun = Instant::now();
            let rows = LoadConnection::<DefaultLoadingMode>::load(connection, Untyped(query))?;
            let rows = rows.map(|row| row.map(drop)).collect::<QueryResult<Vec<()>>>()?.len() as u64;
            Some(Execution { rows, microseconds: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX) })
        }
    };
    Ok(Explanation { sql, plan, indexes, scans, index_walks, execution })
}

/// Returns the index in a step such as `SEARCH schools USING INDEX ix_schools_open_name (name_folded>?)`, or the R*Tree
/// in one such as `SCAN schools_catchment VIRTUAL TABLE INDEX 2:D1B0D3B2`. A list passed as JSON is not an index.
fn index_of(step: &str) -> Option<String> {
    if step.contains(" VIRTUAL TABLE INDEX ") {
        return step.split_whitespace().nth(1).filter(|table| *table != "json_each").map(str::to_owned);
    }
    if step.contains(" USING INTEGER PRIMARY KEY") || step.contains(" USING PRIMARY KEY") {
        return Some("primary key".to_owned());
    }
    let (_, rest) = step.split_once(" INDEX ")?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// `EXPLAIN QUERY PLAN` in front of a query, with its bound values.
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
        // The text differs from the query's own, so it must not replace the query in the cache of prepared statements.
        out.unsafe_to_cache_prepared();
        out.push_sql("EXPLAIN QUERY PLAN ");
        self.query.walk_ast(out)
    }
}

/// A query whose rows are counted and not read, so that their type does not matter.
#[derive(Debug, QueryId)]
struct Untyped<Q>(Q);

impl<Q> Query for Untyped<Q> {
    type SqlType = Integer;
}

impl<Q: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Untyped<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }
}
