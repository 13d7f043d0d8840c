//! The routes and their descriptions, in one list.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, http::header};
use school_finder_db::models::Facets;
use serde_json::{Value, json};

use super::Finder;
use super::describe::{self, Responses};
use super::details;
use super::observe::{self, Metrics};
use super::problem::Problem;
use super::query;
use super::response::{self, Format};
use super::search::{self, PARAMETERS, Search};
use super::shapes;

/// A route and its description: an OpenAPI operation.
pub struct Route {
    pub path: &'static str,
    pub serve: MethodRouter<Finder>,
    pub describe: Value,
}

/// Every route of the interface.
pub fn all(metrics: &Arc<Metrics>) -> Vec<Route> {
    let of_search = |required: &[&str]| -> Vec<Value> {
        PARAMETERS.iter().map(|parameter| parameter.describe(required.contains(&parameter.name))).collect()
    };
    let metrics = Arc::clone(metrics);
    vec![
        Route {
            path: "/api/schools",
            serve: get(schools),
            describe: describe::operation(
                "findSchools",
                "The nearest schools to a point, or all by name: one page of them.",
                of_search(&[]),
                Responses::schools(shapes::hit()),
            ),
        },
        Route {
            path: "/api/schools/{urn}",
            serve: get(details::school),
            describe: describe::operation(
                "showSchool",
                "One school with all its details, whatever its status. Where there is none, its successors by the \
                 register's links.",
                vec![details::describe_urn()],
                Responses::schools(shapes::details()).with_not_found(),
            ),
        },
        Route {
            path: "/api/catchment",
            serve: get(catchment),
            describe: describe::operation(
                "findCatchments",
                "The schools whose catchment contains a point, with the evidence.",
                search::without_margin(of_search(&["lat", "lng"])),
                Responses::schools(shapes::catchment_hit()),
            ),
        },
        Route {
            path: "/api/reach",
            serve: get(reach),
            describe: describe::operation(
                "findReach",
                "The schools that would have offered a child from a point a place by distance in past years: an \
                 estimate.",
                of_search(&["lat", "lng"]),
                Responses::schools(shapes::reach_hit()),
            ),
        },
        Route {
            path: "/api/facets",
            serve: get(facets),
            describe: describe::operation(
                "countSchools",
                "How many of the schools that a search finds have each value.",
                of_search(&[]),
                Responses::of(response::JSON, shapes::facets()),
            ),
        },
        Route {
            path: "/api/outlines",
            serve: get(details::outlines),
            describe: describe::operation(
                "drawCatchments",
                "The catchments of schools, to draw them: an outline, or a point with a radius. Schools without either \
                 are left out.",
                details::OUTLINE_PARAMETERS.iter().map(|parameter| parameter.describe(true)).collect(),
                Responses::of(response::GEOJSON, shapes::feature_collection()),
            ),
        },
        Route {
            path: "/health",
            serve: get(health),
            describe: describe::operation(
                "checkHealth",
                "Whether the database is available and has the schema of this build.",
                Vec::new(),
                Responses::of(response::JSON, shapes::health()),
            ),
        },
        Route {
            path: "/metrics",
            serve: get(move |State(finder): State<Finder>| async move { metrics.page(&finder.pool_status()) }),
            describe: describe::operation(
                "scrapeMetrics",
                "Requests, their latency, and the pool of connections, for Prometheus.",
                Vec::new(),
                Responses::of(observe::OPEN_METRICS, json!({ "type": "string" })),
            ),
        },
    ]
}

async fn schools(
    State(finder): State<Finder>,
    format: Format,
    uri: Uri,
    Search(search): Search,
) -> Result<Response, Problem> {
    response::page(format, &uri, &finder.find_schools(&search).await?)
}

async fn catchment(
    State(finder): State<Finder>,
    format: Format,
    uri: Uri,
    Search(search): Search,
) -> Result<Response, Problem> {
    response::page(format, &uri, &finder.find_catchments(&search).await?)
}

async fn reach(
    State(finder): State<Finder>,
    format: Format,
    uri: Uri,
    Search(search): Search,
) -> Result<Response, Problem> {
    response::page(format, &uri, &finder.find_reach(&search).await?)
}

async fn facets(State(finder): State<Finder>, Search(search): Search) -> Result<Json<Facets>, Problem> {
    Ok(Json(finder.facets(&search).await?))
}

async fn health(State(finder): State<Finder>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    query::read::<()>(&[], query.as_deref())?;
    match finder.health().await {
        Ok(health) => Ok(([(header::CACHE_CONTROL, "no-store")], Json(health)).into_response()),
        Err(error) => Err(Problem::unhealthy(&error)),
    }
}
