//! Reads that have a server of their own. The reader is another database of the test server, to which nothing is
//! replicated: each response shows where it was read.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use school_finder_db::config::Backend;
use school_finder_db::connect;
use school_finder_db::testing::TestDatabase;
use serde_json::json;
use web_service::{Limits, router};

use crate::{Reply, Site};

/// The service over a writer with the sample town, and over a reader without any school.
async fn site() -> (Site, TestDatabase) {
    let mut site = Site::on(Backend::Postgres).await;
    let reader = TestDatabase::new(Backend::Postgres).await.expect("a database");
    // The service's own URL has no password.
    let server = std::env::var("TEST_DATABASE_URL").expect("a server");
    let (address, parameters) = server.split_once('?').unwrap_or((&server, ""));
    let (host, _) = address.rsplit_once('/').expect("a database");
    let shown = reader.owner().to_string();
    let (_, name) = shown.rsplit_once('/').expect("a database");
    let config = site.database.config().clone().with_reader(&format!("{host}/{name}?{parameters}")).expect("a URL");
    site.router = router(connect(&config).await.expect("both"), &Limits::default());
    (site, reader)
}

async fn with_cookie(site: &Site, cookie: &str) -> Reply {
    let request = Request::get("/api/schools/9990001").header("cookie", cookie).body(Body::empty());
    site.send(request.expect("a request")).await
}

#[tokio::test]
async fn both_servers_are_in_health_and_metrics() {
    let (site, _reader) = site().await;
    assert_eq!(site.get("/health").await.json()["servers"], json!({ "writer": "usable", "reader": "usable" }));
    let page = site.get("/metrics").await.text();
    for server in ["writer", "reader"] {
        for gauge in ["connections_max", "connections_open", "connections_idle", "waiting"] {
            let gauge = format!("school_finder_pool_{gauge}{{server=\"{server}\"}} ");
            assert!(page.lines().any(|line| line.starts_with(&gauge)), "{gauge} is not in\n{page}");
        }
    }
}

#[tokio::test]
async fn a_position_in_the_cookie_is_read_at_least() {
    let (site, _reader) = site().await;
    assert_eq!(site.get("/api/schools/9990001").await.status, StatusCode::NOT_FOUND, "the reader has no school");
    // The reader does not reach it in time, so the writer is read.
    for cookie in ["position=1-7fffffffffffffff", "theme=dark; position=1-7fffffffffffffff"] {
        assert_eq!(with_cookie(&site, cookie).await.json()["schools"][0]["urn"], 9_990_001, "{cookie}");
    }
    for reached in ["position=0-0", "position=embedded", "other=1-7fffffffffffffff"] {
        assert_eq!(with_cookie(&site, reached).await.status, StatusCode::NOT_FOUND, "{reached}");
    }
}

#[tokio::test]
async fn a_forged_cookie_is_ignored() {
    let (site, _reader) = site().await;
    for forged in ["position=forged", "position=", "position", "position=1-7fffffffffffffff-", ";;=", "position=\u{e9}"]
    {
        assert_eq!(with_cookie(&site, forged).await.status, StatusCode::NOT_FOUND, "{forged}");
    }
}
