//! The query plans of searches.

use super::catchment_index::catchments_query;
use super::find::{find_query, margin_query, within_reach};
use super::nearest::first_query;
use super::plan::explain;
use crate::error::Result;
use crate::explain::{Explanation, Mode};
use crate::request::Sort;
use crate::search::{CatchmentRow, HitRow, ListedRow, ValidatedSearch};

use super::super::dialect::{Connection, maybe_async};

/// Explains the first query of a search.
#[maybe_async]
pub(in super::super) async fn explain_find_on_conn(
    connection: &mut Connection,
    validated: &ValidatedSearch,
) -> Result<Explanation> {
    find_plan_on_conn(connection, validated, Mode::Explain).await
}

/// As [`explain_find_on_conn`], and runs the query.
#[maybe_async]
pub(in super::super) async fn analyze_find_on_conn(
    connection: &mut Connection,
    validated: &ValidatedSearch,
) -> Result<Explanation> {
    find_plan_on_conn(connection, validated, Mode::Analyze).await
}

#[maybe_async]
async fn find_plan_on_conn(
    connection: &mut Connection,
    validated: &ValidatedSearch,
    mode: Mode,
) -> Result<Explanation> {
    let validated = &within_reach(connection, validated).await?;
    match validated.search.sort {
        Sort::Distance => explain(connection, first_query(validated), mode).await,
        Sort::Margin => explain::<_, HitRow>(connection, margin_query(validated), mode).await,
        Sort::Name | Sort::Rating => explain::<_, ListedRow>(connection, find_query(validated), mode).await,
    }
}

/// Explains the query for the catchments that contain a search's point.
#[maybe_async]
pub(in super::super) async fn explain_catchments_on_conn(
    connection: &mut Connection,
    validated: &ValidatedSearch,
) -> Result<Explanation> {
    explain::<_, CatchmentRow>(connection, catchments_query(validated), Mode::Explain).await
}

/// As [`explain_catchments_on_conn`], and runs the query.
#[maybe_async]
pub(in super::super) async fn analyze_catchments_on_conn(
    connection: &mut Connection,
    validated: &ValidatedSearch,
) -> Result<Explanation> {
    explain::<_, CatchmentRow>(connection, catchments_query(validated), Mode::Analyze).await
}
