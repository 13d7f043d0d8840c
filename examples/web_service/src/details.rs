//! One school with all its details.

use axum::extract::{FromRequestParts, Path, State};
use axum::response::Response;
use school_finder_db::Error;
use school_finder_db::ids::Urn;
use school_finder_db::models::SchoolDetails;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Finder;
use super::problem::{Members, Problem, Refusals};
use super::response::{self, FeatureCollection, Format, NoParameters, Schools};

/// The parts of a school's path.
#[derive(Debug, Clone, Copy, Deserialize, FromRequestParts, IntoParams)]
#[from_request(via(Path), rejection(Problem))]
#[into_params(parameter_in = Path)]
pub struct SchoolPath {
    /// The school's number in the official register.
    #[param(value_type = Urn, inline)]
    urn: i64,
}

/// One school with all its details, whatever its status.
///
/// Where there is none, its successors by the register's links.
#[utoipa::path(get, path = "/api/schools/{urn}", params(SchoolPath), responses(
    (status = 200, description = "The school.", content(
        (Schools<SchoolDetails> = "application/json"), (FeatureCollection = "application/geo+json")
    )),
    (status = 404, description = "There is no such school; `leads_to` names its successors.", body = Members,
        content_type = "application/problem+json"),
    Refusals,
))]
pub async fn show_school(
    State(finder): State<Finder>,
    format: Format,
    SchoolPath { urn }: SchoolPath,
    _: NoParameters,
) -> Result<Response, Problem> {
    let urn = Urn::new(urn).map_err(Error::from)?;
    let details = match finder.school_by_urn(urn).await? {
        Some(school) => finder.school_details(school.id).await?,
        None => None,
    };
    match details {
        Some(details) => response::school(format, &details),
        None => Err(Problem::no_school(urn.get(), finder.schools_of_today(urn).await?)),
    }
}
