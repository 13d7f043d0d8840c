//! What a query does, by Postgres's own word.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Text;
use diesel_async::AsyncPgConnection;

use super::catchment_index::catchments_query;
use super::find::{find_query, margin_query, within_reach};
use super::nearest::{EXPANSION, first_limit, nearest_query};
use crate::error::Result;
use crate::explain::{Execution, Explanation};
use crate::postgres::run::RunQueryDsl;
use crate::request::Sort;
use crate::search::ValidatedSearch;

/// The query that a search begins with, and its plan.
pub(in crate::postgres) async fn explain_find_on_conn(
    connection: &mut AsyncPgConnection,
    validated: &ValidatedSearch,
) -> Result<Explanation> {
    plan_of_find(connection, validated, Plan::Alone).await
}

/// The query for the catchments that hold a search's point, and its plan.
pub(in crate::postgres) async fn explain_catchments_on_conn(
    connection: &mut AsyncPgConnection,
    validated: &ValidatedSearch,
) -> Result<Explanation> {
    explain_on_conn(connection, catchments_query(validated), Plan::Alone).await
}

/// As [`explain_find_on_conn`], and runs the query.
pub(in crate::postgres) async fn analyze_find_on_conn(
    connection: &mut AsyncPgConnection,
    validated: &ValidatedSearch,
) -> Result<Explanation> {
    plan_of_find(connection, validated, Plan::AndRun).await
}

/// As [`explain_catchments_on_conn`], and runs the query.
pub(in crate::postgres) async fn analyze_catchments_on_conn(
    connection: &mut AsyncPgConnection,
    validated: &ValidatedSearch,
) -> Result<Explanation> {
    explain_on_conn(connection, catchments_query(validated), Plan::AndRun).await
}

/// Whether a query is planned alone, or run as well.
#[derive(Debug, Clone, Copy)]
enum Plan {
    Alone,
    AndRun,
}

async fn plan_of_find(
    connection: &mut AsyncPgConnection,
    validated: &ValidatedSearch,
    plan: Plan,
) -> Result<Explanation> {
    let validated = &within_reach(connection, validated).await?;
    match validated.search.sort {
        Sort::Margin => explain_on_conn(connection, margin_query(validated), plan).await,
        Sort::Distance => {
            let query = nearest_query(validated, validated.first_radius(EXPANSION), first_limit(validated));
            explain_on_conn(connection, query, plan).await
        }
        Sort::Name | Sort::Rating => explain_on_conn(connection, find_query(validated), plan).await,
    }
}

async fn explain_on_conn<Q>(connection: &mut AsyncPgConnection, query: Q, plan: Plan) -> Result<Explanation>
where
    Q: QueryFragment<Pg> + QueryId + Send,
{
    let sql = diesel::debug_query::<Pg, _>(&query).to_string();
    let steps: Vec<String> = Planned { plan, query }.load(connection).await?;
    let mut indexes: Vec<String> = steps
        .iter()
        .filter_map(|step| word_after(step, &["Index Scan using ", "Index Only Scan using ", "Bitmap Index Scan on "]))
        .collect();
    indexes.sort();
    indexes.dedup();
    let scans = steps.iter().filter_map(|step| word_after(step, &["Seq Scan on "])).collect();
    let execution = match plan {
        Plan::Alone => None,
        Plan::AndRun => execution(&steps),
    };
    Ok(Explanation { sql, plan: steps, indexes, scans, execution })
}

/// What the server says of a run: the rows of the first step, and the time of the whole.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts and times, never negative")]
fn execution(steps: &[String]) -> Option<Execution> {
    let number = |step: &str, after: &str| {
        let digits = step.split_once(after)?.1;
        digits.split(|c: char| !c.is_ascii_digit() && c != '.').next()?.parse::<f64>().ok()
    };
    let rows = number(steps.first()?, " rows=")?;
    let milliseconds = steps.iter().find_map(|step| number(step, "Execution Time: "))?;
    Some(Execution { rows: rows.round() as u64, microseconds: (milliseconds * 1_000.0).round() as u64 })
}

/// The name that follows one of these phrases in a step of a plan.
fn word_after(step: &str, phrases: &[&str]) -> Option<String> {
    let (_, rest) = phrases.iter().find_map(|phrase| step.split_once(phrase))?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// `EXPLAIN` before a query, its bound values and all.
#[derive(Debug, QueryId)]
struct Planned<Q> {
    plan: Plan,
    query: Q,
}

impl<Q> Query for Planned<Q> {
    type SqlType = Text;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Planned<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // Its text is not the query's own, so it may not take the query's place among the prepared statements.
        out.unsafe_to_cache_prepared();
        out.push_sql(match self.plan {
            Plan::Alone => "EXPLAIN (COSTS OFF) ",
            Plan::AndRun => "EXPLAIN (ANALYZE, COSTS OFF) ",
        });
        self.query.walk_ast(out)
    }
}
