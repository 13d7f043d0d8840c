//! The routes of the interface and their description.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use school_finder_db::models::{CatchmentHit, Facets, ReachHit, SchoolHit};
use school_finder_db::repository::Health;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{self, RefOr, Required};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::finder::Finder;
use super::observe::Metrics;
use super::problem::{Members, Problem, Refusals};
use super::response::{self, FeatureCollection, Format, NoParameters, Schools};
use super::search::Parameters;
use super::{Repository, details, homes, outlines, suggestions};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "School Finder",
        description = "Which schools serve this home, how far are they, and would my child have got in?",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(Members))
)]
struct Description;

/// Returns the routes that query schools, those that observe the service, and the description of both.
pub fn all(metrics: &Arc<Metrics>) -> (Router<Repository>, Router<Repository>, openapi::OpenApi) {
    let (interface, mut document) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(find_schools))
        .routes(routes!(details::show_school))
        .routes(routes!(find_catchments))
        .routes(routes!(find_reach))
        .routes(routes!(count_schools))
        .routes(routes!(details::list_admissions))
        .routes(routes!(homes::locate_home))
        .routes(routes!(suggestions::suggest_schools))
        .routes(routes!(outlines::draw_catchments))
        .split_for_parts();
    let (observed, more) = OpenApiRouter::new()
        .routes(routes!(check_health))
        .routes(routes!(scrape_metrics))
        .layer(axum::Extension(Arc::clone(metrics)))
        .split_for_parts();
    document.merge(more);
    for path in ["/api/catchment", "/api/reach"] {
        let operation = document.paths.paths.get_mut(path).and_then(|path| path.get.as_mut());
        operation.into_iter().for_each(require_point);
    }
    (interface, observed, document)
}

/// These parameters are required where they are optional in other searches.
fn require_point(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && ["lat", "lng"].contains(&parameter.name.as_str())
        {
            parameter.required = Required::True;
        }
    }
}

/// The nearest schools to a point, or all by name: one page of them.
#[utoipa::path(get, path = "/api/schools", params(Parameters), responses(
    (status = 200, description = "A page of schools.", content(
        (Schools<SchoolHit> = "application/json"), (FeatureCollection = "application/geo+json")
    )),
    Refusals,
))]
async fn find_schools(
    Finder(finder): Finder,
    format: Format,
    uri: Uri,
    parameters: Parameters,
) -> Result<Response, Problem> {
    response::page(format, &uri, &finder.find_schools(&parameters.search()?).await?)
}

/// The schools whose catchment contains a point, with the evidence. They have no margin to sort by.
#[utoipa::path(get, path = "/api/catchment", params(Parameters), responses(
    (status = 200, description = "A page of schools.", content(
        (Schools<CatchmentHit> = "application/json"), (FeatureCollection = "application/geo+json")
    )),
    Refusals,
))]
async fn find_catchments(
    Finder(finder): Finder,
    format: Format,
    uri: Uri,
    parameters: Parameters,
) -> Result<Response, Problem> {
    response::page(format, &uri, &finder.find_catchments(&parameters.search()?).await?)
}

/// The schools that would have offered a place to a child at a point in past years: an estimate.
///
/// They would have offered it by distance, or because every applicant was offered one.
#[utoipa::path(get, path = "/api/reach", params(Parameters), responses(
    (status = 200, description = "A page of schools.", content(
        (Schools<ReachHit> = "application/json"), (FeatureCollection = "application/geo+json")
    )),
    Refusals,
))]
async fn find_reach(
    Finder(finder): Finder,
    format: Format,
    uri: Uri,
    parameters: Parameters,
) -> Result<Response, Problem> {
    response::page(format, &uri, &finder.find_reach(&parameters.search()?).await?)
}

/// How many of the schools that a search finds have each value.
#[utoipa::path(get, path = "/api/facets", params(Parameters), responses(
    (status = 200, description = "The counts.", body = Facets),
    Refusals,
))]
async fn count_schools(Finder(finder): Finder, parameters: Parameters) -> Result<Json<Facets>, Problem> {
    Ok(Json(finder.facets(&parameters.search()?).await?))
}

/// Whether the database is available and has the schema of this build.
#[utoipa::path(get, path = "/health", responses(
    (status = 200, description = "The database is available.", body = Health),
    Refusals,
))]
async fn check_health(State(finder): State<Repository>, _: NoParameters) -> Result<Json<Health>, Problem> {
    finder.health().await.map(Json).map_err(|error| Problem::unhealthy(&error))
}

/// Requests, their latency, and the pools of connections, for Prometheus.
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, description = "The metrics.", body = String,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    Refusals,
))]
async fn scrape_metrics(
    State(finder): State<Repository>,
    axum::Extension(metrics): axum::Extension<Arc<Metrics>>,
    _: NoParameters,
) -> Response {
    metrics.page(finder.as_ref()).into_response()
}
