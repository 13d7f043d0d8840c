//! The query plans of searches.

use super::catchment_index::catchments_query;
use super::find::{find_query, margin_query, within_reach};
use super::lists::facets_query;
use super::nearest::first_query;
use super::plan::explain;
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
    let validated = &within_reach(connection, validated).await?;
    match (query, validated.search.sort) {
        (ExplainedQuery::Catchments, _) => explain(connection, catchments_query(validated), mode).await,
        (ExplainedQuery::Facets, _) => explain(connection, facets_query(validated), mode).await,
        (ExplainedQuery::Find | ExplainedQuery::Reach, Sort::Distance) => {
            explain(connection, first_query(validated), mode).await
        }
        (ExplainedQuery::Find | ExplainedQuery::Reach, Sort::Margin) => {
            explain(connection, margin_query(validated), mode).await
        }
        (ExplainedQuery::Find | ExplainedQuery::Reach, Sort::Name | Sort::Rating) => {
            explain(connection, find_query(validated), mode).await
        }
    }
}
