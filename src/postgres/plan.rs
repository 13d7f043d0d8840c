//! The plan of a query, as Postgres reports it.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Text;
use diesel_async::AsyncPgConnection;
use diesel_async::methods::LoadQuery;

use super::run::RunQueryDsl;
use crate::error::Result;
use crate::explain::{Execution, ExplainMode, Explanation};

/// Explains a query, and runs it if the mode requires it.
pub(super) async fn explain<'a, Q, U>(
    connection: &mut AsyncPgConnection,
    query: Q,
    mode: ExplainMode,
) -> Result<Explanation>
where
    Q: LoadQuery<'a, AsyncPgConnection, U> + QueryFragment<Pg> + QueryId + Send,
{
    let sql = diesel::debug_query::<Pg, _>(&query).to_string();
    let steps: Vec<String> = Planned { mode, query }.load(connection).await?;
    let mut indexes: Vec<String> = steps
        .iter()
        .filter_map(|step| word_after(step, &["Index Scan using ", "Index Only Scan using ", "Bitmap Index Scan on "]))
        .collect();
    indexes.sort();
    indexes.dedup();
    let scans = steps.iter().filter_map(|step| word_after(step, &["Seq Scan on "])).collect();
    let execution = match mode {
        ExplainMode::Plan => None,
        ExplainMode::Analyze => execution(&steps),
    };
    Ok(Explanation { sql, plan: steps, indexes, scans, execution })
}

/// Returns what the server reports of a run: the rows of the first step, and the total time.
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

/// Returns the name that follows one of these phrases in a step of a plan.
fn word_after(step: &str, phrases: &[&str]) -> Option<String> {
    let (_, rest) = phrases.iter().find_map(|phrase| step.split_once(phrase))?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// `EXPLAIN` in front of a query, with its bound values.
#[derive(Debug, QueryId)]
struct Planned<Q> {
    mode: ExplainMode,
    query: Q,
}

impl<Q> Query for Planned<Q> {
    type SqlType = Text;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Planned<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // The text differs from the query's own, so it must not replace the query in the cache of prepared statements.
        out.unsafe_to_cache_prepared();
        out.push_sql(match self.mode {
            ExplainMode::Plan => "EXPLAIN (COSTS OFF) ",
            ExplainMode::Analyze => "EXPLAIN (ANALYZE, COSTS OFF) ",
        });
        self.query.walk_ast(out)
    }
}
