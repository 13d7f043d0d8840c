//! The service: its routes and the middleware for all of them.

/// The example of the crate's guide, which runs here, where axum is.
#[cfg(doctest)]
#[doc = include_str!("../../../src/guide/service.md")]
mod guide {}

mod describe;
mod details;
mod observe;
mod page;
mod problem;
mod query;
mod response;
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

/// The repository that every handler queries, whatever its backend.
pub type Finder = Arc<dyn SchoolRepository>;

/// The longest duration of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// The largest body of a request, in bytes: none is needed.
const MAX_BODY: usize = 4 * 1024;

/// The headers of every response. The page needs only its own files and this service. An address may contain a home, so
/// caches may store a response only where its handler allows it.
const SECURITY_HEADERS: [(HeaderName, &str); 7] = [
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

/// Returns the service over a repository.
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
        .fallback(|| async { Problem::not_found("there is no such path: /openapi.json lists the paths".to_owned()) })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(
            // The first layer is the outermost.
            ServiceBuilder::new()
                .layer(
                    TraceLayer::new_for_http()
                        .make_span_with(observe::span)
                        .on_request(())
                        .on_response(observe::on_response),
                )
                .layer(middleware::from_fn_with_state(metrics, observe::count))
                .layer(CatchPanicLayer::custom(|_| Problem::panicked()))
                .layer(HandleErrorLayer::new(|_: BoxError| async { Problem::too_slow() }))
                .layer(TimeoutLayer::new(REQUEST_TIMEOUT))
                .layer(RequestBodyLimitLayer::new(MAX_BODY)),
        );
    for (name, value) in SECURITY_HEADERS {
        router = router.layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)));
    }
    router.with_state(finder)
}
