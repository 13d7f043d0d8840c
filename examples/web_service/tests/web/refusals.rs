//! What is refused, and how callers are told.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

use crate::{Site, on_every_backend};

on_every_backend! {
    invalid_parameters_are_reported_with_their_field,
    unknown_paths_methods_and_long_bodies_are_refused,
    a_broken_database_is_unavailable_without_its_internals,
}

async fn invalid_parameters_are_reported_with_their_field(site: &Site) {
    for (uri, error, field) in [
        ("/api/schools?postcode=MK1", "UnknownParameter", Some("postcode")),
        ("/api/schools?has_club=breakfast", "UnknownParameter", Some("has_club")),
        ("/api/schools/9990001?limit=1", "UnknownParameter", Some("limit")),
        ("/health?x", "UnknownParameter", Some("x")),
        ("/api/schools?postcode=&phase=", "UnknownParameter", Some("postcode")),
        ("/api/schools?phase=&phase=college", "InvalidParameter", Some("phase")),
        ("/api/admissions?id=", "MissingParameter", Some("id")),
        ("/api/suggest?text=", "MissingParameter", Some("text")),
        ("/api/locate?postcode=", "MissingParameter", Some("postcode")),
        ("/api/schools?lat=52&lat=53&lng=0", "RepeatedParameter", Some("lat")),
        ("/api/schools?lat=52", "InvalidSearch", Some("lng")),
        ("/api/schools?lng=0", "InvalidSearch", Some("lat")),
        ("/api/schools?lat=north&lng=0", "InvalidParameter", Some("lat")),
        ("/api/schools?lat=91&lng=0", "InvalidCoordinate", Some("lat")),
        ("/api/schools?lat=NaN&lng=0", "InvalidCoordinate", Some("lat")),
        ("/api/schools?lat=52&lng=0&within=0", "InvalidRadius", Some("within")),
        ("/api/schools?lat=52&lng=0&within=-1", "InvalidRadius", Some("within")),
        ("/api/schools?within=1", "InvalidSearch", Some("within")),
        ("/api/schools?limit=1001", "InvalidParameter", Some("limit")),
        ("/api/schools?limit=-1", "InvalidParameter", Some("limit")),
        ("/api/schools?after=nonsense", "InvalidCursor", Some("after")),
        ("/api/schools?phase=college", "InvalidParameter", Some("phase")),
        ("/api/schools?max-rating=5", "InvalidParameter", Some("max-rating")),
        ("/api/schools?state=yes", "InvalidParameter", Some("state")),
        ("/api/schools?state=true&private=true", "InvalidSearch", Some("private")),
        ("/api/schools?club-on=monday", "InvalidSearch", Some("has-club")),
        ("/api/schools?has-club=breakfast&club-on=sunday", "InvalidParameter", Some("club-on")),
        ("/api/schools?has-club=breakfast&club-until=7", "InvalidParameter", Some("club-until")),
        ("/api/schools?phase-by-ages=true", "InvalidSearch", Some("phase")),
        ("/api/schools?name=%27", "InvalidText", Some("name")),
        ("/api/schools?council=%00", "InvalidText", Some("council")),
        ("/api/schools?sort=margin&lat=52&lng=0", "InvalidSearch", Some("sort")),
        ("/api/schools/zero", "InvalidParameter", Some("urn")),
        ("/api/schools/0", "InvalidUrn", Some("urn")),
        ("/api/catchment", "InvalidSearch", Some("lat")),
        ("/api/reach", "InvalidSearch", Some("lat")),
        ("/api/outlines", "MissingParameter", Some("id")),
        ("/api/schools/%ff", "InvalidParameter", Some("urn")),
        ("/api/schools?age=100", "InvalidParameter", Some("age")),
        ("/api/schools?lat=52&lng=0&years=0", "InvalidParameter", Some("years")),
        ("/api/admissions", "MissingParameter", Some("id")),
        ("/api/admissions?id=one", "InvalidParameter", Some("id")),
        ("/api/outlines?id=0", "InvalidParameter", Some("id")),
        ("/api/outlines?id=1&zoom=23", "InvalidParameter", Some("zoom")),
        ("/api/outlines?id=1&zoom=NaN", "InvalidParameter", Some("zoom")),
    ] {
        let reply = site.get(uri).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{uri}: {}", reply.text());
        assert_eq!(reply.header("content-type"), "application/problem+json", "{uri}");
        let problem = reply.parsed();
        assert_eq!((problem["error"].as_str(), problem["field"].as_str()), (Some(error), field), "{uri}: {problem}");
        assert_eq!(problem["status"], 400, "{uri}");
        assert_eq!(problem["title"], "Bad Request", "{uri}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{uri}");
    }
    // The page after a search is not that of another.
    let next = site.get("/api/schools?limit=1").await.json()["next"].as_str().expect("a cursor").to_owned();
    let other = site.get(&format!("/api/schools?sort=rating&after={next}")).await;
    assert_eq!((other.status, other.parsed()["error"].as_str()), (StatusCode::BAD_REQUEST, Some("InvalidCursor")));
    let many = "id=1&".repeat(201);
    assert_eq!(site.get(&format!("/api/outlines?{many}")).await.status, StatusCode::BAD_REQUEST);
}

async fn unknown_paths_methods_and_long_bodies_are_refused(site: &Site) {
    let reply = site.get("/api/school").await;
    assert_eq!((reply.status, reply.header("content-type")), (StatusCode::NOT_FOUND, "application/problem+json"));
    let posted = site.send(Request::post("/api/schools").body(Body::empty()).expect("a request")).await;
    assert_eq!((posted.status, posted.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
    assert_eq!(posted.parsed()["error"], "MethodNotAllowed");
    let long = Request::post("/api/schools").header("content-length", "1000000").body(Body::empty());
    let long = site.send(long.expect("a request")).await;
    assert_eq!((long.status, long.header("content-type")), (StatusCode::PAYLOAD_TOO_LARGE, "application/problem+json"));
    assert_eq!((&long.parsed()["error"], &long.parsed()["status"]), (&json!("BodyTooLong"), &json!(413)));
}

async fn a_broken_database_is_unavailable_without_its_internals(site: &Site) {
    assert_eq!(site.get("/health").await.status, StatusCode::OK);
    site.database.execute("ALTER TABLE school_clubs RENAME TO lost_clubs").await.expect("a broken database");
    let reply = site.get("/api/schools/9990001").await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert!(!reply.text().contains("clubs"), "{}", reply.text());

    let newest = "DELETE FROM school_finder_migrations \
                  WHERE version = (SELECT max(version) FROM school_finder_migrations)";
    site.database.execute(newest).await.expect("an older database");
    let reply = site.get("/health").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!reply.header("retry-after").is_empty());
    let problem = reply.parsed();
    assert_eq!(problem["error"], "SchemaPending");
    let detail = problem["detail"].as_str().expect("words");
    assert!(detail.contains("log") && !detail.contains("migration"), "{problem}");
}
