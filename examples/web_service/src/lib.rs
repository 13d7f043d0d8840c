//! The service: its routes and the middleware for all of them.

/// The example of the crate's guide, which runs here, where axum is.
#[cfg(doctest)]
#[doc = include_str!("../../../src/guide/service.md")]
mod guide {}

mod details;
mod finder;
mod headers;
mod homes;
mod ids;
mod limits;
mod observe;
mod outlines;
mod page;
mod problem;
mod queries;
mod query;
mod response;
mod routes;
mod search;
mod serve;
mod suggestions;

use std::sync::Arc;

use axum::error_handling::HandleErrorLayer;
use axum::routing::get;
use axum::{Extension, Json, Router, middleware};
use school_finder_db::SchoolRepository;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::metrics::InFlightRequestsLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::RequestBodyTimeoutLayer;
use tower_http::trace::TraceLayer;

pub use limits::Limits;
pub use observe::{Metrics, log_filter, start_log};
pub use queries::query_metrics;
pub use serve::serve;

use limits::Turns;
use problem::Problem;

/// The repository of the service, whatever its backend.
pub type Repository = Arc<dyn SchoolRepository>;

/// The largest body of a request, in bytes: none is needed.
const MAX_BODY: usize = 4 * 1024;

/// Returns the service over a repository.
pub fn router(repository: Repository, limits: &Limits) -> Router {
    let metrics = Arc::new(Metrics::default());
    let (interface, observed, document) = routes::all(&metrics);
    let others = page::files(observed).route("/openapi.json", get(async move || headers::revalidated(Json(document))));
    with_middleware(interface, others, metrics, limits).with_state(repository)
}

/// Adds the service's middleware to all routes. Those of `interface` query schools, and have a limit.
pub fn with_middleware<S: Clone + Send + Sync + 'static>(
    interface: Router<S>,
    others: Router<S>,
    metrics: Arc<Metrics>,
    limits: &Limits,
) -> Router<S> {
    // Past the limit a request is refused immediately. Within it, it may wait for a connection of the pool, up to the
    // timeout.
    let queries = Arc::new(Semaphore::new(limits.max_queries));
    let interface = interface.route_layer(
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(async |error| Problem::not_served(&error)))
            .layer(LoadShedLayer::new())
            .layer(GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&queries)))
            .layer(Extension(Turns::new(queries, limits))),
    );
    interface
        .merge(others)
        .fallback(async || Problem::not_found("there is no such path: /openapi.json lists the paths".to_owned()))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(
            // The first layer is the outermost.
            ServiceBuilder::new()
                .map_request(observe::check_request_id)
                .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
                .layer(PropagateRequestIdLayer::x_request_id())
                .layer(
                    TraceLayer::new_for_http()
                        .make_span_with(observe::span)
                        .on_request(())
                        .on_response(observe::on_response)
                        // What failed is logged where its problem is made; a request that is refused is no failure.
                        .on_failure(()),
                )
                .layer(InFlightRequestsLayer::new(metrics.in_flight()))
                .layer(middleware::from_fn_with_state(metrics, observe::count))
                .map_response(headers::complete)
                .layer(CompressionLayer::new())
                .layer(middleware::from_fn(headers::not_modified))
                .layer(CatchPanicLayer::custom(|_| Problem::panicked()))
                .layer(HandleErrorLayer::new(async |error| Problem::not_served(&error)))
                .layer(TimeoutLayer::new(limits.request_timeout))
                .layer(RequestBodyTimeoutLayer::new(limits.body_timeout))
                .map_response(Problem::for_long_body)
                .layer(RequestBodyLimitLayer::new(MAX_BODY)),
        )
}
