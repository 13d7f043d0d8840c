//! The service: its routes and the middleware for all of them.

/// The example of the crate's guide, which runs here, where axum is.
#[cfg(doctest)]
#[doc = include_str!("../../../src/guide/service.md")]
mod guide {}

mod answer;
mod describe;
mod details;
mod observe;
mod page;
mod problem;
mod query;
mod routes;
mod search;
mod shapes;

use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::http::header;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware;
use axum::routing::get;
use school_finder_db::SchoolRepository;
use tower::ServiceBuilder;
use tower::timeout::TimeoutLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;

pub use observe::log_filter;

use observe::Metrics;
use problem::Problem;

/// What every handler asks: it does not know which database answers.
pub type Finder = Arc<dyn SchoolRepository>;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How many bytes a request may bring along: none is needed.
const LARGEST_BODY: usize = 4 * 1024;

/// What browsers are told of every answer. The page needs nothing but its own files and this service. An address may
/// name a home, so that no cache keeps what does not say otherwise.
const SECURITY: [(HeaderName, &str); 7] = [
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "geolocation=(), camera=(), microphone=()"),
];

/// The whole service over a database.
pub fn router(finder: Finder) -> Router {
    let metrics = Arc::new(Metrics::new());
    let routes = routes::all(&metrics);
    let document = describe::document(&routes);

    let mut router = page::files(Router::new());
    for route in routes {
        router = router.route(route.path, route.serve);
    }
    router = router
        .route("/openapi.json", get(move || async move { axum::Json(document) }))
        .fallback(|| async {
            Problem::not_found("there is nothing here: /openapi.json lists what there is".to_owned())
        })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(
            // The first layer is the outermost.
            ServiceBuilder::new()
                .layer(
                    TraceLayer::new_for_http()
                        .make_span_with(observe::span)
                        .on_request(())
                        .on_response(observe::answered),
                )
                .layer(middleware::from_fn_with_state(metrics, observe::count))
                .layer(CatchPanicLayer::custom(|_| Problem::panicked()))
                .layer(HandleErrorLayer::new(|_: BoxError| async { Problem::too_slow() }))
                .layer(TimeoutLayer::new(PATIENCE))
                .layer(RequestBodyLimitLayer::new(LARGEST_BODY)),
        );
    for (name, value) in SECURITY {
        router = router.layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)));
    }
    router.with_state(finder)
}
