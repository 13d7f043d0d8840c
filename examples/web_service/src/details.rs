//! One school with all its details, and the admissions of several.

use axum::extract::{FromRequestParts, Path};
use axum::response::Response;
use school_finder_db::Error;
use school_finder_db::ids::{SchoolId, Urn};
use school_finder_db::models::{Collections, SchoolDetails};
use serde::Deserialize;
use utoipa::IntoParams;

use super::finder::Finder;
use super::ids;
use super::problem::{Members, Problem, Refusals};
use super::query::Query;
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
    Finder(finder): Finder,
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
        Some(details) => response::named(format, &[details]),
        None => Err(Problem::no_school(urn.get(), finder.schools_of_today(urn).await?)),
    }
}

/// The query parameters of [`list_admissions`].
#[derive(Debug, Deserialize, FromRequestParts, IntoParams)]
#[serde(deny_unknown_fields)]
#[from_request(via(Query), rejection(Problem))]
#[into_params(parameter_in = Query)]
pub struct IdParameters {
    /// The schools, by the `id` of a search's result: up to 200.
    #[serde(rename = "id")]
    #[param(inline, min_items = 1, max_items = 200)]
    ids: Vec<SchoolId>,
}

/// Schools with the admissions of past years, of which a page says how near a home was to an offer.
#[utoipa::path(get, path = "/api/admissions", params(IdParameters), responses(
    (status = 200, description = "The schools.", content(
        (Schools<SchoolDetails> = "application/json"), (FeatureCollection = "application/geo+json")
    )),
    Refusals,
))]
pub async fn list_admissions(
    Finder(finder): Finder,
    format: Format,
    IdParameters { ids }: IdParameters,
) -> Result<Response, Problem> {
    ids::check(&ids)?;
    let admissions = Collections { admissions: true, ..Collections::default() };
    response::named(format, &finder.details(&ids, admissions).await?)
}
