//! The query plans of searches.

use diesel::QueryDsl;

use super::catchment_index::catchments_query;
use super::find::{find_query, margin_query, resolved};
use super::lists::facets_query;
use super::nearest::first_query;
use super::plan::explain;
use super::words::{matched_query, of_rank_query};
use crate::error::Result;
use crate::explain::{ExplainMode, ExplainedQuery, Explanation};
use crate::request::Sort;
use crate::search::ValidatedSearch;

use super::super::dialect::{Connection, maybe_async};

/// Explains the first query of a search, and runs it if the mode requires it.
#[maybe_async]
pub(in super::super) async fn explain_on_conn(
    connection: &mut Connection,
    query: ExplainedQuery,
    validated: &ValidatedSearch,
    mode: ExplainMode,
) -> Result<Explanation> {
    let validated = &resolved(connection, validated).await?;
    match (query, validated.search.sort) {
        (ExplainedQuery::Catchments, _) => explain(connection, catchments_query(validated), mode).await,
        (ExplainedQuery::Facets, _) => explain(connection, facets_query(validated), mode).await,
        (ExplainedQuery::Find | ExplainedQuery::Reach, Sort::Distance) => {
            explain(connection, first_query(validated), mode).await
        }
        (ExplainedQuery::Find | ExplainedQuery::Reach, Sort::Margin) => {
            explain(connection, margin_query(validated), mode).await
        }
        (ExplainedQuery::Find | ExplainedQuery::Reach, Sort::Match) => match &validated.words {
            Some(words) if words.driver.is_some() => explain(connection, matched_query(validated, words), mode).await,
            Some(words) => explain(connection, of_rank_query(validated, words, 0).limit(validated.fetch()), mode).await,
            None => explain(connection, find_query(validated), mode).await,
        },
        (ExplainedQuery::Find | ExplainedQuery::Reach, Sort::Name | Sort::Rating) => {
            explain(connection, find_query(validated), mode).await
        }
    }
}
