//! Homes by their postcodes.

use axum::Json;
use axum::extract::FromRequestParts;
use school_finder_db::Error;
use school_finder_db::models::Home;
use serde::Deserialize;
use utoipa::IntoParams;

use super::finder::Finder;
use super::problem::{Members, Problem, Refusals};
use super::query::Query;

/// The query parameters of [`locate_home`].
#[derive(Debug, Deserialize, FromRequestParts, IntoParams)]
#[serde(deny_unknown_fields)]
#[from_request(via(Query), rejection(Problem))]
#[into_params(parameter_in = Query)]
pub struct HomeParameters {
    /// A postcode as people type it, or the first part of one.
    // An outcode ends in a digit, or in a letter that `Postcode` knows there.
    #[param(
        pattern = "^([A-Za-z][0-9][0-9A-HJKPSTUWa-hjkpstuw]?|[A-Za-z]{2}[0-9][0-9ABEHMNPRV-Yabehmnprv-y]?)\
                   ( ?[0-9]([A-Za-z]{2})?)?$",
        example = "BF1 1AA"
    )]
    postcode: String,
}

/// Where a postcode places a home, and how far off that may be.
#[utoipa::path(get, path = "/api/locate", params(HomeParameters), responses(
    (status = 200, description = "The home.", body = Home),
    (status = 404, description = "There is no such postcode.", body = Members,
        content_type = "application/problem+json"),
    Refusals,
))]
pub async fn locate_home(
    Finder(finder): Finder,
    HomeParameters { postcode }: HomeParameters,
) -> Result<Json<Home>, Problem> {
    match finder.locate(&postcode).await {
        // It holds somebody's home, and so is not logged.
        Err(error @ Error::UnknownPostcode(_)) => Err(Problem::not_found(error.to_string()).of_field("postcode")),
        home => Ok(Json(home?)),
    }
}
