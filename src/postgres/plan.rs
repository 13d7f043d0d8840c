//! The plan of a query, as Postgres reports it.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Text;
use diesel_async::AsyncPgConnection;

use super::run::RunQueryDsl;
use crate::error::Result;
use crate::explain::{Execution, ExplainMode, Explanation};

/// Returns the plan of any Diesel query. [`ExplainMode::Analyze`] also **runs** the query, which writes where it is a
/// write.
///
/// # Errors
/// Those of the query.
pub async fn explain<Q>(connection: &mut AsyncPgConnection, query: Q, mode: ExplainMode) -> Result<Explanation>
where
    Q: QueryFragment<Pg> + QueryId + Send,
{
    let sql = diesel::debug_query::<Pg, _>(&query).to_string();
    let steps: Vec<String> = Planned { mode, query }.load(connection).await?;
    let (mut indexes, mut index_walks) = (Vec::new(), Vec::new());
    for (at, step) in steps.iter().enumerate() {
        let Some(index) = word_after(step, &["Index Scan using ", "Index Only Scan using ", "Bitmap Index Scan on "])
        else {
            continue;
        };
        // The lines of a step, up to the next step.
        let mut details =
            steps[at + 1..].iter().map(|line| line.trim_start()).take_while(|line| !line.starts_with("->"));
        if !details.any(|line| line.starts_with("Index Cond:")) {
            index_walks.push(index.clone());
        }
        indexes.push(index);
    }
    indexes.sort();
    indexes.dedup();
    let scans = steps.iter().filter_map(|step| word_after(step, &["Seq Scan on "])).collect();
    let execution = match mode {
        ExplainMode::Plan => None,
        ExplainMode::Analyze => execution(&steps),
    };
    Ok(Explanation { sql, plan: steps, indexes, scans, index_walks, execution })
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
            ExplainMode::Analyze => "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) ",
        });
        self.query.walk_ast(out)
    }
}
