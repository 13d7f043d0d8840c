//! Observability: a span for each request, and Prometheus metrics.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use school_finder_db::SchoolRepository;
use school_finder_db::repository::PoolStatus;
use tower_http::metrics::in_flight_requests::InFlightRequestsCounter;
use tower_http::request_id::RequestId;
use tracing::Span;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use super::problem::Problem;
use super::queries;

/// The format of [`Metrics::page`].
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper ends of the latency buckets, in seconds: from a lookup in memory to the timeout of a request.
pub const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

/// Logs to standard error what the directives in `RUST_LOG` name, and measures the crate's calls.
///
/// # Errors
/// Those of [`log_filter`].
pub fn start_log() -> Result<(), ParseError> {
    let directives = std::env::var("RUST_LOG").ok().filter(|directives| !directives.is_empty());
    let filter = log_filter(directives.as_deref().unwrap_or("info"))?;
    let on_terminal = std::io::stderr().is_terminal();
    let log = fmt::layer().with_writer(std::io::stderr).with_ansi(on_terminal).with_filter(filter);
    tracing_subscriber::registry().with(log).with(queries::query_metrics()).init();
    Ok(())
}

/// Returns the log filter for directives in the syntax of `RUST_LOG`. The Postgres driver logs each statement with its
/// values, which contain homes, so it is limited to `info` unless a directive names it or a span.
///
/// # Errors
/// That of a directive that cannot be parsed.
pub fn log_filter(directives: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!("tokio_postgres=info,{directives}"))
}

/// Returns a span for a request. It has the route, and never the query string, which may contain a home. The spans of
/// the crate's queries are its children.
pub fn span(request: &Request) -> Span {
    tracing::info_span!(
        "request",
        http.request.method = method(request.method()),
        http.route = route(request),
        http.response.status_code = tracing::field::Empty,
        request.id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok()),
    )
}

/// Removes an id of a request that is empty, or too long or unusual for a log, so that the request gets a new one.
pub fn check_request_id(mut request: Request) -> Request {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if let Some(id) = request.headers().get("x-request-id")
        && (!(1..=64).contains(&id.len()) || !id.as_bytes().iter().copied().all(is_usual))
    {
        request.headers_mut().remove("x-request-id");
    }
    request
}

/// Logs a response.
pub fn on_response<B>(response: &Response<B>, took: Duration, span: &Span) {
    span.record("http.response.status_code", response.status().as_u16());
    tracing::info!(parent: span, ?took, "response");
}

/// Returns the route that a request matched, as the router spells it, or `none`, so that requests cannot add labels.
fn route(request: &Request) -> &str {
    request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str)
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    route: String,
    status: u16,
}

/// The metrics of the service.
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    latency: Family<Labels, Histogram>,
    in_flight: InFlightRequestsCounter,
    /// The latest of `in_flight`.
    in_flight_gauge: Gauge,
    pools: Pools,
}

/// The latest status of the pools of connections.
#[derive(Default)]
struct Pools {
    max: Family<Server, Gauge>,
    open: Family<Server, Gauge>,
    idle: Family<Server, Gauge>,
    waiting: Family<Server, Gauge>,
}

/// Whose pool it is: the writer's, or the reader's where reads have a server of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Server {
    server: &'static str,
}

impl Pools {
    fn set(&self, server: &'static str, status: &PoolStatus) {
        let server = Server { server };
        self.max.get_or_create(&server).set(status.max.into());
        self.open.get_or_create(&server).set(status.open.into());
        self.idle.get_or_create(&server).set(status.idle.into());
        self.waiting.get_or_create(&server).set(status.waiting.into());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::default();
        let latency = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let in_flight_gauge = Gauge::default();
        let pools = Pools::default();
        let mut registry = Registry::with_prefix("school_finder");
        registry.register("http_requests", "Completed requests", Family::clone(&requests));
        registry.register_with_unit(
            "http_request_duration",
            "Durations of requests",
            Unit::Seconds,
            Family::clone(&latency),
        );
        registry.register_with_unit(
            "query_duration",
            "Durations of calls of the repository",
            Unit::Seconds,
            Family::clone(&queries::CALLS),
        );
        registry.register("http_requests_in_flight", "Requests in flight", in_flight_gauge.clone());
        registry.register("pool_connections_max", "Connections that the pool may open", pools.max.clone());
        registry.register("pool_connections_open", "Connections that are open", pools.open.clone());
        registry.register("pool_connections_idle", "Idle connections", pools.idle.clone());
        registry.register("pool_waiting", "Calls that wait for a connection", pools.waiting.clone());
        let in_flight = InFlightRequestsCounter::new();
        Self { registry, requests, latency, in_flight, in_flight_gauge, pools }
    }
}

impl Metrics {
    /// Returns the counter of requests whose response is not sent completely.
    pub fn in_flight(&self) -> InFlightRequestsCounter {
        self.in_flight.clone()
    }

    /// Returns the metrics in the text format of Prometheus and OpenMetrics.
    pub fn page(&self, finder: &dyn SchoolRepository) -> Response {
        self.pools.set("writer", &finder.pool_status());
        if let Some(status) = finder.reader_status() {
            self.pools.set("reader", &status);
        }
        self.in_flight_gauge.set(i64::try_from(self.in_flight.get()).unwrap_or(i64::MAX));
        let mut page = String::new();
        match text::encode(&mut page, &self.registry) {
            Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], page).into_response(),
            Err(error) => Problem::unfinished(&error).into_response(),
        }
    }
}

/// Counts and times a request.
pub async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let (method, route) = (method(request.method()), route(&request).to_owned());
    let begun = Instant::now();
    let response = next.run(request).await;
    let labels = Labels { method, route, status: response.status().as_u16() };
    metrics.requests.get_or_create(&labels).inc();
    metrics.latency.get_or_create(&labels).observe(begun.elapsed().as_secs_f64());
    response
}
