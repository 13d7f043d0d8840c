//! `DATABASE_URL=sqlite:sample.db cargo run -- --sample` makes a database of an invented town and serves it. Then
//! `curl 'http://127.0.0.1:3000/schools?lat=52.0406&lng=-0.7594&within=2'`. Without `--sample` it serves your own.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use school_finder_db::models::SchoolHit;
use school_finder_db::request::{Cursor, Page};
use school_finder_db::{Config, Error, Kilometres, LatLng, SchoolRepository, SchoolSearch, connect, create, sample};

#[derive(serde::Deserialize)]
struct Params {
    lat: f64,
    lng: f64,
    within: Option<f64>,
    after: Option<Cursor>,
}

/// The schools near a home, nearest first.
async fn schools(
    State(finder): State<Arc<dyn SchoolRepository>>,
    Query(params): Query<Params>,
) -> Result<Json<Page<SchoolHit>>, (StatusCode, String)> {
    let search = search(params).map_err(problem)?;
    finder.find_schools(&search).await.map(Json).map_err(problem)
}

fn search(params: Params) -> Result<SchoolSearch, Error> {
    let mut search = SchoolSearch::near(LatLng::from_lat_lng(params.lat, params.lng)?);
    search.within = params.within.map(Kilometres::new).transpose()?;
    search.after = params.after;
    Ok(search)
}

fn problem(error: Error) -> (StatusCode, String) {
    if error.is_invalid_input() {
        return (StatusCode::BAD_REQUEST, error.to_string());
    }
    eprintln!("{error}");
    (StatusCode::SERVICE_UNAVAILABLE, "the schools cannot be read at the moment".to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::from_env()?;
    let is_sample = std::env::args().any(|argument| argument == "--sample");
    let finder = if is_sample { create(&config).await? } else { connect(&config).await? };
    if is_sample && finder.facets(&SchoolSearch::open().any_status()).await?.total == 0 {
        sample::fill(finder.as_ref()).await?;
    }
    let app = Router::new().route("/schools", get(schools)).with_state(finder);
    let listener = tokio::net::TcpListener::bind(std::env::var("ADDRESS").unwrap_or("127.0.0.1:3000".into())).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
