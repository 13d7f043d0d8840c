//! What holds while it runs: health, figures, the log, the page, and the description.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use school_finder_db::connect;
use school_finder_db::models::{ClubKind, Gender, Phase, Status};
use serde_json::{Value, json};
use tower::ServiceExt;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{Site, on_every_backend};
use web_service::{Limits, log_filter};

on_every_backend! {
    health_names_the_backend,
    requests_are_counted_by_route_and_status,
    calls_of_the_crate_are_timed,
    the_log_never_contains_a_home,
    refused_requests_are_no_failures,
    requests_have_ids,
    answers_are_compressed_for_those_who_accept_it,
    what_may_be_stored_is_revalidated,
    the_page_may_ask_where_it_is,
    the_files_that_the_page_names_exist,
    the_description_matches_the_responses,
    the_pattern_of_postcodes_matches_them,
}

async fn health_names_the_backend(site: &Site) {
    let json = site.get("/health").await.json();
    assert_eq!(json["backend"], site.database.config().backend().as_str());
    assert!(json["migration"].is_string() && json["version"].is_string(), "{json}");
}

async fn requests_are_counted_by_route_and_status(site: &Site) {
    site.get("/api/schools/9990001").await.json();
    site.get("/api/schools/9990002").await.json();
    site.get("/api/schools/1").await;
    site.get("/made-up").await;
    let reply = site.get("/metrics").await;
    assert_eq!(reply.status, StatusCode::OK);
    let page = reply.text();
    let has = |line: &str| assert!(page.lines().any(|there| there == line), "{line} is not in\n{page}");
    let labels = |status| format!("{{method=\"GET\",route=\"/api/schools/{{urn}}\",status=\"{status}\"}}");
    has(&format!("school_finder_http_requests_total{} 2", labels(200)));
    has(&format!("school_finder_http_requests_total{} 1", labels(404)));
    has(&format!("school_finder_http_request_duration_seconds_count{} 2", labels(200)));
    has("school_finder_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1");
    has("school_finder_http_requests_in_flight 1");
    has(&format!("school_finder_pool_connections_max{{server=\"writer\"}} {}", site.database.config().pool.max_size));
    has("school_finder_pool_waiting{server=\"writer\"} 0");
    assert!(!page.contains("server=\"reader\""), "reads have no server of their own");
    assert!(!page.contains("9990001"), "a label of its own for every school");
}

async fn calls_of_the_crate_are_timed(site: &Site) {
    LazyLock::force(&LOG);
    site.get("/api/schools/9990001").await.json();
    let page = site.get("/metrics").await.text();
    for operation in ["schools_by_urn", "details"] {
        let count = format!("school_finder_query_duration_seconds_count{{operation=\"{operation}\",error=\"none\"}}");
        assert!(page.lines().any(|line| line.starts_with(&count)), "{count} is not in\n{page}");
    }
}

/// What is logged, kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no test panicked with it").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What is logged by all tests of this program: a subscriber of one thread misses spans that another thread met first.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let shown = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
        // A time has digits that may be those of a place.
        .without_time()
        .with_writer(log.clone())
        .with_filter(log_filter("debug").expect("a directive"));
    tracing_subscriber::registry().with(shown).with(web_service::query_metrics()).init();
    log
});

async fn the_log_never_contains_a_home(site: &Site) {
    let log = LOG.clone();
    site.get("/api/schools?lat=52.04061&lng=-0.75941").await.json();
    site.get("/api/schools?lat=52.04061&lng=-0.75941&after=x").await;
    let log = String::from_utf8(log.0.lock().expect("no test panicked with it").clone()).expect("UTF-8");
    assert!(log.contains("http.route=\"/api/schools\"") && log.contains("http.response.status_code=200"), "{log}");
    assert!(log.contains("http.response.status_code=400"), "{log}");
    // The crate's own spans lie inside the request's.
    assert!(log.lines().any(|line| line.contains("request{") && line.contains("db.operation.name")), "{log}");
    let place = [52.040_61_f64, -0.759_41];
    assert!(!log.contains("tokio_postgres"), "the driver shows what it sends");
    // As it is written, and as the driver shows what it sends to a server.
    let shown = place.iter().flat_map(|degrees| [degrees.to_string(), format!("{:?}", degrees.to_be_bytes())]);
    for private in shown.chain(["lat=".to_owned(), "lng=".to_owned()]) {
        assert_eq!(log.lines().find(|line| line.contains(&private)), None, "{private}");
    }
}

async fn refused_requests_are_no_failures(site: &Site) {
    let log = LOG.clone();
    let id = format!("refused-{}", site.database.config().backend());
    let finder = connect(site.database.config()).await.expect("the same database");
    let full = web_service::router(finder, &Limits { max_queries: 0, ..Limits::default() });
    let request = Request::get("/api/schools").header("x-request-id", &id).body(Body::empty()).expect("a request");
    assert_eq!(full.oneshot(request).await.expect("a response").status(), StatusCode::SERVICE_UNAVAILABLE);
    let log = String::from_utf8(log.0.lock().expect("no test panicked with it").clone()).expect("UTF-8");
    let lines: Vec<_> = log.lines().filter(|line| line.contains(&id)).collect();
    assert!(lines.iter().any(|line| line.contains("http.response.status_code=503")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("ERROR")), "{lines:?}");
}

#[test]
fn an_invalid_log_filter_is_reported_at_the_start() {
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_web_service"))
        .env("RUST_LOG", "web_service=loud")
        .env("PORT", "none")
        .output()
        .expect("the program runs");
    let error = String::from_utf8_lossy(&program.stderr);
    assert_eq!(program.status.code(), Some(1), "{error}");
    assert!(error.starts_with("web_service: RUST_LOG: "), "{error}");
}

async fn requests_have_ids(site: &Site) {
    let id = async |given: &str| {
        let request = Request::get("/health").header("x-request-id", given).body(Body::empty());
        site.send(request.expect("a request")).await.header("x-request-id").to_owned()
    };
    assert_eq!(id("3f2a-17").await, "3f2a-17");
    let long = "1".repeat(65);
    for unusual in ["a b", "<script>", &long, ""] {
        assert_eq!(id(unusual).await.len(), 36, "{unusual:?} is in the log");
    }
    assert_ne!(site.get("/x").await.header("x-request-id"), site.get("/x").await.header("x-request-id"));
}

async fn answers_are_compressed_for_those_who_accept_it(site: &Site) {
    for uri in ["/leaflet/leaflet.js", "/api/schools"] {
        let request = Request::get(uri).header("accept-encoding", "gzip").body(Body::empty());
        let compressed = site.send(request.expect("a request")).await;
        assert_eq!(compressed.header("content-encoding"), "gzip");
        let plain = site.get(uri).await;
        assert_eq!(plain.header("content-encoding"), "");
        assert!(compressed.body.len() * 2 < plain.body.len(), "{uri}: {} bytes", compressed.body.len());
    }
}

async fn what_may_be_stored_is_revalidated(site: &Site) {
    let again = async |uri: &str, tag: &str| {
        site.send(Request::get(uri).header("if-none-match", tag).body(Body::empty()).expect("a request")).await
    };
    for uri in ["/", "/map.js", "/openapi.json", "/api/schools/9990001"] {
        let first = site.get(uri).await;
        let tag = first.header("etag");
        assert!(tag.starts_with("W/\""), "{uri}: {tag}");
        let second = again(uri, tag).await;
        assert_eq!((second.status, second.body.len()), (StatusCode::NOT_MODIFIED, 0), "{uri}");
        assert_eq!((second.header("etag"), second.header("cache-control")), (tag, first.header("cache-control")));
        assert_eq!(again(uri, "W/\"0\"").await.status, StatusCode::OK, "{uri}");
    }
    // Drawn while it is sent, and so not tagged.
    let drawn = site.get("/api/outlines?id=1&id=2&zoom=12").await;
    assert_eq!((drawn.header("cache-control"), drawn.header("etag")), ("private, max-age=300", ""));
    assert_eq!(drawn.header("vary"), "cookie", "who has just written is not given an old one");
    // A home is in the address of these.
    for uri in ["/api/schools?lat=52.0406&lng=-0.7594", "/api/facets?lat=52.0406&lng=-0.7594", "/health"] {
        let reply = site.get(uri).await;
        assert_eq!((reply.header("cache-control"), reply.header("etag")), ("no-store", ""), "{uri}");
    }
}

async fn the_page_may_ask_where_it_is(site: &Site) {
    assert!(site.get("/").await.header("permissions-policy").contains("geolocation=(self)"));
}

async fn the_files_that_the_page_names_exist(site: &Site) {
    let page = site.get("/").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    for (header, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")] {
        assert_eq!(page.header(header), value);
        assert_eq!(site.get("/api/schools?x").await.header(header), value, "on refusals as well");
    }
    let html = page.text() + &site.get("/schools/9990001").await.text();
    assert!(!html.contains("style=") && !html.contains("onclick") && !html.contains("<script>"), "{html}");
    // Whatever the page and its scripts name is there.
    let quoted = |text: &str| -> Vec<String> { text.split('"').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut files: Vec<String> = quoted(&html).into_iter().filter(|text| text.starts_with('/')).collect();
    assert!(files.contains(&"/map.js".to_owned()));
    let mut at = 0;
    while at < files.len() {
        let reply = site.get(&files[at]).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", files[at]);
        if files[at].ends_with(".js") && !files[at].starts_with("/leaflet") {
            let imports =
                reply.text().lines().filter(|line| line.starts_with("import")).flat_map(quoted).collect::<Vec<_>>();
            let imports = imports.into_iter().map(|name| name.replacen("./", "/", 1));
            let new: Vec<_> = imports.filter(|name| !files.contains(name)).collect();
            files.extend(new);
        }
        at += 1;
    }
    assert!(files.contains(&"/graticule.js".to_owned()), "{files:?}");
}

async fn the_pattern_of_postcodes_matches_them(site: &Site) {
    let document = site.get("/openapi.json").await.json();
    let pattern = &document["paths"]["/api/locate"]["get"]["parameters"][0]["schema"]["pattern"];
    let pattern = regex::Regex::new(pattern.as_str().expect("a pattern")).expect("a regular expression");
    for postcode in [
        "SW1A 1AA", "EC1A 1BB", "W1A 0AX", "M1 1AE", "B33 8TH", "CR2 6XH", "DN55 1PT", "BF1 1AA", "sw1a1aa", "w1a0ax",
        "E1W", "MK9", "mk93", "MK9 3",
    ] {
        assert!(pattern.is_match(postcode), "{postcode}");
        let status = site.get(&format!("/api/locate?postcode={}", postcode.replace(' ', "+"))).await.status;
        assert_ne!(status, StatusCode::BAD_REQUEST, "{postcode}");
    }
    for text in ["SW1I 1AA", "W1Z 0AX", "MK", "MK999 3EP", "MK9 3E", "Milton Keynes"] {
        assert!(!pattern.is_match(text), "{text}");
    }
}

async fn the_description_matches_the_responses(site: &Site) {
    let document = site.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().expect("paths");
    for path in
        ["/api/schools", "/api/schools/{urn}", "/api/catchment", "/api/reach", "/api/facets", "/health", "/metrics"]
    {
        assert!(paths.contains_key(path), "{path}");
    }
    let parameters = document["paths"]["/api/schools"]["get"]["parameters"].as_array().expect("parameters");
    let schema = |name: &str| {
        let of_name = parameters.iter().find(|parameter| parameter["name"] == name);
        of_name.unwrap_or_else(|| panic!("{name} is not described"))["schema"].clone()
    };
    let words = |words: Vec<&str>| json!({ "type": "string", "enum": words });
    assert_eq!(schema("phase")["items"], words(Phase::ALL.iter().map(|word| word.as_str()).collect()));
    assert_eq!(schema("status")["items"], words(Status::ALL.iter().map(|word| word.as_str()).collect()));
    assert_eq!(schema("has-club")["items"], words(ClubKind::ALL.iter().map(|word| word.as_str()).collect()));
    assert_eq!(schema("gender"), words(Gender::ALL.iter().map(|word| word.as_str()).collect()));
    let required = |path: &str| -> Vec<Value> {
        let all = document["paths"][path]["get"]["parameters"].as_array().expect("parameters");
        all.iter().filter(|one| one["required"] == true).map(|one| one["name"].clone()).collect()
    };
    assert_eq!(required("/api/reach"), ["lat", "lng"]);
    for (path, operation) in paths {
        let long = &operation["get"]["responses"]["413"]["content"];
        assert!(long["application/problem+json"].is_object(), "{path}: {operation}");
    }
    // Years without a last distance count as well.
    let reached = parameters.iter().find(|parameter| parameter["name"] == "reached").expect("it is described");
    for text in [&reached["description"], &document["paths"]["/api/reach"]["get"]["description"]] {
        assert!(text.as_str().is_some_and(|text| text.contains("every applicant was offered one")), "{text}");
    }
    assert!(required("/api/schools").is_empty());
}
