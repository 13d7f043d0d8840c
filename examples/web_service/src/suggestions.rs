//! Suggested schools while somebody types.

use axum::extract::FromRequestParts;
use axum::response::Response;
use school_finder_db::LatLng;
use school_finder_db::models::Suggestion;
use serde::Deserialize;
use utoipa::IntoParams;

use super::finder::Finder;
use super::problem::{Problem, Refusals};
use super::query::Query;
use super::response::{self, FeatureCollection, Format, Schools};
use super::search::{point, within};

/// How many schools are suggested unless the caller says.
const LIMIT: u32 = 10;

/// The query parameters of [`suggest_schools`].
#[derive(Debug, Deserialize, FromRequestParts, IntoParams)]
#[serde(deny_unknown_fields)]
#[from_request(via(Query), rejection(Problem))]
#[into_params(parameter_in = Query)]
pub struct SuggestParameters {
    /// What was typed so far: words of the name, the town, the council or the postcode; a URN or a LAESTAB.
    #[param(min_length = 1, max_length = 200, pattern = "^[^\\u0000]*$")]
    text: String,
    /// Degrees north of a home: nearer schools come first.
    #[param(minimum = -90, maximum = 90)]
    lat: Option<f64>,
    /// Degrees east of the home.
    #[param(minimum = -180, maximum = 180)]
    lng: Option<f64>,
    /// At most so many schools. Without it: 10.
    #[param(minimum = 0, maximum = 100)]
    limit: Option<u32>,
}

/// Open schools that match a text which may be unfinished: the best match first, or the nearest to a home.
#[utoipa::path(get, path = "/api/suggest", params(SuggestParameters), responses(
    (status = 200, description = "The schools.", content(
        (Schools<Suggestion> = "application/json"), (FeatureCollection = "application/geo+json")
    )),
    Refusals,
))]
pub async fn suggest_schools(
    Finder(finder): Finder,
    format: Format,
    SuggestParameters { text, lat, lng, limit }: SuggestParameters,
) -> Result<Response, Problem> {
    let home: Option<LatLng> = point(lat, lng)?;
    let limit = within("limit", limit, 0, 100)?.unwrap_or(LIMIT);
    response::listed(format, &finder.suggest(&text, home, limit).await?)
}
