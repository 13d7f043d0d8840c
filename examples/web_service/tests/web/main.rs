//! The web service, asked without a network: the same answers from every backend.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on should stop and say so")]

mod limits;
#[cfg(feature = "postgres")]
mod readers;
mod refusals;
mod running;
mod schools;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use school_finder_db::config::Backend;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{connect, sample};
use serde_json::Value;
use tower::ServiceExt;
use web_service::Limits;

/// The service over a database with the sample town.
struct Site {
    router: Router,
    database: TestDatabase,
}

/// What it answered.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Site {
    async fn on(backend: Backend) -> Self {
        let database = TestDatabase::new(backend).await.expect("a database");
        sample::fill(database.repository()).await.expect("an empty database");
        let finder = connect(database.config()).await.expect("the same database");
        Self { router: web_service::router(finder, &Limits::default()), database }
    }

    async fn get(&self, uri: &str) -> Reply {
        self.send(Request::get(uri).body(Body::empty()).expect("a request")).await
    }

    async fn get_as(&self, uri: &str, accept: &str) -> Reply {
        let request = Request::get(uri).header(header::ACCEPT, accept).header("x-request-id", "1").body(Body::empty());
        self.send(request.expect("a request")).await
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.expect("a service that cannot fail");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body").into();
        Reply { status: parts.status, headers: parts.headers, body }
    }
}

impl Reply {
    /// The answer, where it is one.
    fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        self.parsed()
    }

    fn parsed(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }
}

/// The names of the schools of an answer.
fn names(json: &Value) -> Vec<&str> {
    let schools = json["schools"].as_array().expect("schools");
    schools.iter().map(|school| school["name"].as_str().expect("a name")).collect()
}

/// Runs each of these test bodies on every backend of this build.
macro_rules! on_every_backend {
    ($($name:ident),+ $(,)?) => {
        $crate::on_backend!(sqlite, Sqlite, $($name),+);
        #[cfg(feature = "postgres")]
        $crate::on_backend!(postgres, Postgres, $($name),+);
    };
}

macro_rules! on_backend {
    ($module:ident, $backend:ident, $($name:ident),+) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $name() {
                    let site = $crate::Site::on(school_finder_db::config::Backend::$backend).await;
                    super::$name(&site).await;
                }
            )+
        }
    };
}

pub(crate) use {on_backend, on_every_backend};
