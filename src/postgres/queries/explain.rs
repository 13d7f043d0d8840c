//! What a query does, by Postgres's own word.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::catchments::catchments_query;
use super::find::{bounded_in_txn, find_query, margin_query};
use crate::error::Result;
use crate::explain::Explanation;
use crate::request::{Settled, Sort};

/// The query that a search begins with, and its plan.
pub(in crate::postgres) async fn explain_find_on_conn(
    connection: &mut AsyncPgConnection,
    settled: &Settled,
) -> Result<Explanation> {
    let settled = &bounded_in_txn(connection, settled).await?;
    match settled.search.sort {
        Sort::Margin => explain_on_conn(connection, margin_query(settled)).await,
        Sort::Distance | Sort::Name | Sort::Rating => {
            explain_on_conn(connection, find_query(settled, settled.first_reach())).await
        }
    }
}

/// The query for the catchments that hold a search's point, and its plan.
pub(in crate::postgres) async fn explain_catchments_on_conn(
    connection: &mut AsyncPgConnection,
    settled: &Settled,
) -> Result<Explanation> {
    explain_on_conn(connection, catchments_query(settled)).await
}

async fn explain_on_conn<Q>(connection: &mut AsyncPgConnection, query: Q) -> Result<Explanation>
where
    Q: QueryFragment<Pg> + QueryId + Send,
{
    let sql = diesel::debug_query::<Pg, _>(&query).to_string();
    let plan: Vec<String> = QueryPlan { query }.load(connection).await?;
    let mut indexes: Vec<String> = plan
        .iter()
        .filter_map(|step| word_after(step, &["Index Scan using ", "Index Only Scan using ", "Bitmap Index Scan on "]))
        .collect();
    indexes.sort();
    indexes.dedup();
    let scans = plan.iter().filter_map(|step| word_after(step, &["Seq Scan on "])).collect();
    Ok(Explanation { sql, plan, indexes, scans })
}

/// The name that follows one of these phrases in a step of a plan.
fn word_after(step: &str, phrases: &[&str]) -> Option<String> {
    let (_, rest) = phrases.iter().find_map(|phrase| step.split_once(phrase))?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// `EXPLAIN` before a query, its bound values and all.
#[derive(Debug, QueryId)]
struct QueryPlan<Q> {
    query: Q,
}

impl<Q> Query for QueryPlan<Q> {
    type SqlType = Text;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for QueryPlan<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // Its text is not the query's own, so it may not take the query's place among the prepared statements.
        out.unsafe_to_cache_prepared();
        out.push_sql("EXPLAIN (COSTS OFF) ");
        self.query.walk_ast(out)
    }
}
