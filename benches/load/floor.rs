//! What `scripts/load` compares the web service with: a route that answers a constant page, and two that query the same
//! databases in raw SQL, without the crate. They are served as the service is, with its middleware. `SQLITE` names the
//! file, `DATABASE_URL` the Postgres database.
#![allow(clippy::expect_used, reason = "a bench that cannot go on should stop and say so")]
// The benches use the rest.
#![allow(dead_code)]

#[path = "../support/mod.rs"]
mod support;

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Query as Parameters, State};
use axum::routing::get;
use axum::{Json, Router};
use school_finder_db::LatLng;
use school_finder_db::models::SchoolHit;
use support::postgres::Postgres;
use support::raw_sql::Sqlite;
use support::{Case, Query};
use tokio::sync::{Mutex, Semaphore};
use web_service::{Limits, Metrics, serve, start_log, with_middleware};

/// How many connections a service of the crate has to Postgres at most, and so these routes.
const CONNECTIONS: usize = 15;

/// How many threads query SQLite, as in the crate's pool.
const THREADS: usize = 8;

#[derive(serde::Deserialize)]
struct Home {
    lat: f64,
    lng: f64,
}

/// The `schools` and `next` of the web service.
#[derive(Clone, serde::Serialize)]
struct Answer {
    schools: Vec<SchoolHit>,
    next: Option<String>,
}

/// What the routes share.
struct Floor {
    sqlite: PathBuf,
    free: Semaphore,
    postgres: Mutex<Vec<Postgres>>,
    constant: Answer,
}

thread_local! {
    static CONNECTION: RefCell<Option<Sqlite>> = const { RefCell::new(None) };
}

fn case(home: &Home) -> Case {
    Case { home: LatLng::from_lat_lng(home.lat, home.lng).expect("a home"), council: String::new() }
}

fn answer(schools: Vec<SchoolHit>) -> Answer {
    // A full page has another one after it.
    let next = schools.last().filter(|_| schools.len() == support::LIMIT).map(|last| format!("n.{}", last.school.id));
    Answer { schools, next }
}

impl Floor {
    async fn new() -> Self {
        let settings: tokio_postgres::Config = std::env::var("DATABASE_URL").expect("a URL").parse().expect("a URL");
        let mut postgres = Vec::new();
        for _ in 0..CONNECTIONS {
            postgres.push(Postgres::connect(&settings).await);
        }
        let sqlite = PathBuf::from(std::env::var_os("SQLITE").expect("a file"));
        let of = Case { home: LatLng::from_lat_lng(51.5, -0.12).expect("London"), council: String::new() };
        let constant = answer(Sqlite::open(&sqlite).run(Query::Radius, &of));
        Self { sqlite, free: Semaphore::new(CONNECTIONS), postgres: Mutex::new(postgres), constant }
    }
}

async fn constant(State(floor): State<Arc<Floor>>) -> Json<Answer> {
    Json(floor.constant.clone())
}

async fn sqlite(State(floor): State<Arc<Floor>>, Parameters(home): Parameters<Home>) -> Json<Answer> {
    let query = move || {
        CONNECTION.with_borrow_mut(|connection| {
            connection.get_or_insert_with(|| Sqlite::open(&floor.sqlite)).run(Query::Radius, &case(&home))
        })
    };
    Json(answer(tokio::task::spawn_blocking(query).await.expect("no panic")))
}

async fn postgres(State(floor): State<Arc<Floor>>, Parameters(home): Parameters<Home>) -> Json<Answer> {
    // A task of its own, so that a client who leaves takes no connection along.
    let query = async move {
        let _permit = floor.free.acquire().await.expect("open");
        let connection = floor.postgres.lock().await.pop().expect("as many as permits");
        let schools = connection.run(Query::Radius, &case(&home)).await;
        floor.postgres.lock().await.push(connection);
        schools
    };
    Json(answer(tokio::spawn(query).await.expect("no panic")))
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(THREADS).build();
    runtime.expect("a runtime").block_on(async {
        start_log().expect("a log filter");
        let routes = Router::new()
            .route("/constant", get(constant))
            .route("/sqlite", get(sqlite))
            .route("/postgres", get(postgres));
        let limits = Limits::default();
        let routes = with_middleware(routes, Router::new(), Arc::new(Metrics::default()), &limits);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("http://{}", listener.local_addr().expect("an address"));
        serve(listener, routes.with_state(Arc::new(Floor::new().await)), limits, std::future::pending()).await;
    });
}
