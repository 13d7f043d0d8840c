//! What is found, and how it is told.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::TryStreamExt;
use school_finder_db::ids::Urn;
use school_finder_db::models::{LinkKind, NewLink};
use school_finder_db::request::WriteMode;
use school_finder_db::{SchoolSearch, connect};
use serde_json::{Value, json};
use tower::ServiceExt;
use web_service::Limits;

use crate::{Site, names, on_every_backend};

on_every_backend! {
    schools_come_nearest_first,
    filters_have_the_names_of_the_program,
    empty_parameters_count_as_missing,
    pages_are_linked,
    geojson_is_returned_to_those_who_accept_it,
    catchments_have_evidence,
    reach_lists_each_year,
    facets_count_what_is_found,
    outlines_are_drawn,
    outlines_are_as_fine_as_the_zoom,
    outlines_are_sent_part_by_part,
    outlines_that_fail_midway_are_not_complete,
    outlines_fail_with_a_problem_before_the_first_part,
    admissions_are_listed_for_several_schools,
    a_school_has_all_its_details,
    an_old_urn_leads_to_its_successor,
    a_postcode_places_a_home,
    schools_are_suggested,
}

const HOME: &str = "lat=52.0406&lng=-0.7594";

async fn schools_come_nearest_first(site: &Site) {
    let reply = site.get(&format!("/api/schools?{HOME}&within=0.5&limit=3")).await;
    let json = reply.json();
    let nearest = ["Little Acorns Nursery School", "Brackenford Sixth Form College", "Millpond Primary School"];
    assert_eq!(names(&json), nearest);
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("etag"), "");
    assert_eq!(reply.header("vary"), "accept");
    // As the crate's own model is written.
    let at_home = SchoolSearch::near(school_finder_db::sample::home()).limit(3);
    let page = site.database.repository().find_schools(&at_home).await.expect("an answer");
    assert_eq!(json["schools"], serde_json::to_value(&page.items).expect("JSON"));
}

async fn a_postcode_places_a_home(site: &Site) {
    let home = site.get("/api/locate?postcode=zz11qx").await.json();
    assert_eq!(
        (&home["postcode"], &home["source"], &home["uncertainty_m"]),
        (&json!("ZZ1 1QX"), &json!("school"), &json!(250))
    );
    assert!(home["lat"].as_f64().is_some_and(|lat| (51.9..52.2).contains(&lat)), "{home}");
    let unknown = site.get("/api/locate?postcode=ZZ1+9XX").await;
    assert_eq!((unknown.status, &unknown.parsed()["field"]), (StatusCode::NOT_FOUND, &json!("postcode")));
    assert!(unknown.parsed()["detail"].as_str().is_some_and(|detail| detail.contains("use that")));
    let invalid = site.get("/api/locate?postcode=somewhere").await;
    assert_eq!((invalid.status, &invalid.parsed()["field"]), (StatusCode::BAD_REQUEST, &json!("postcode")));
}

async fn schools_are_suggested(site: &Site) {
    let found = site.get("/api/suggest?text=osiths+st&limit=3").await.json();
    assert_eq!(names(&found), ["St Osyth's CE Primary School"]);
    assert_eq!((&found["schools"][0]["distance_km"], &found["next"]), (&Value::Null, &Value::Null));
    let near = site.get(&format!("/api/suggest?text=school&{HOME}&limit=2")).await;
    assert_eq!(names(&near.json()), ["Little Acorns Nursery School", "Millpond Primary School"]);
    assert_eq!(near.header("cache-control"), "no-store");
    assert_eq!(site.get("/api/suggest?text=a&lat=52").await.parsed()["field"], "lng");
    assert_eq!(site.get("/api/suggest?text=a&limit=101").await.parsed()["field"], "limit");
}

async fn filters_have_the_names_of_the_program(site: &Site) {
    for (query, found) in [
        ("name=%C3%A9cole", 1),
        ("phase=nursery&phase=16_plus", 4),
        ("phase=nursery&phase-by-ages=true", 5),
        ("status=closed", 1),
        ("max-rating=1", 5),
        ("max-rating=1&unrated=include", 12),
        ("unrated=exclude", 18),
        ("state=true", 21),
        ("private=true", 4),
        ("age=17&gender=boys", 6),
        ("faith=Roman+Catholic", 2),
        ("faith=any", 3),
        ("has-club=breakfast", 3),
        ("has-club=breakfast&has-club=after_school", 2),
        ("has-club=after_school&club-on=monday&club-until=18:00", 2),
        ("has-club=after_school&club-until=18:01", 0),
        ("council=Brackenford", 25),
        ("council=Elsewhere", 0),
        ("lat=52.0406&lng=-0.7594&within=1&reached=true", 2),
        ("lat=52.0406&lng=-0.7594&years=2&intake=Year+R", 1),
        ("limit=0", 0),
    ] {
        let limited = if query.starts_with("limit") { query.to_owned() } else { format!("{query}&limit=100") };
        let json = site.get(&format!("/api/schools?{limited}")).await.json();
        assert_eq!(names(&json).len(), found, "{query}: {:?}", names(&json));
    }
    let by_name = site.get("/api/schools?sort=name&lat=52.0406&lng=-0.7594&limit=1").await.json();
    assert_eq!(names(&by_name), ["Ashworth High School for Girls"]);
}

/// A form sends each of its fields.
async fn empty_parameters_count_as_missing(site: &Site) {
    let all = site.get("/api/schools").await.json();
    let document = site.get("/openapi.json").await.json();
    let parameters = document["paths"]["/api/schools"]["get"]["parameters"].as_array().expect("parameters");
    let names: Vec<_> = parameters.iter().map(|one| one["name"].as_str().expect("a name")).collect();
    for name in
        ["lat", "council", "phase", "status", "state", "max-rating", "has-club", "club-until", "reached", "sort"]
    {
        assert!(names.contains(&name), "{name} is not described");
    }
    for name in &names {
        assert_eq!(site.get(&format!("/api/schools?{name}=")).await.json(), all, "{name}");
    }
    let form = names.iter().map(|name| format!("{name}=")).collect::<Vec<_>>().join("&");
    assert_eq!(site.get(&format!("/api/schools?{form}")).await.json(), all);
    let nurseries = site.get("/api/schools?phase=nursery").await.json();
    assert_eq!(site.get("/api/schools?phase=&council=&phase=nursery&state=").await.json(), nurseries);
    assert_eq!(site.get("/api/suggest?text=osiths+st&lat=&lng=&limit=").await.status, StatusCode::OK);
    assert_eq!(site.get("/api/outlines?id=1&zoom=").await.status, StatusCode::OK);
}

async fn pages_are_linked(site: &Site) {
    let all = site.get(&format!("/api/schools?{HOME}&phase=primary&limit=100")).await;
    assert_eq!(all.header("link"), "");
    let all = all.json();
    assert_eq!(all["next"], Value::Null);
    let (mut found, mut uri) = (Vec::new(), format!("/api/schools?{HOME}&phase=primary&limit=4"));
    loop {
        let reply = site.get(&uri).await;
        let json = reply.json();
        found.extend(json["schools"].as_array().expect("schools").clone());
        let Some(rest) = reply.header("link").strip_prefix('<') else { break };
        uri = rest.strip_suffix(">; rel=\"next\"").expect("a link to the next page").to_owned();
        let cursor = json["next"].as_str().expect("a cursor");
        assert!(uri.starts_with("/api/schools?lat=52.0406&lng=-0.7594&phase=primary&limit=4&after="), "{uri}");
        assert!(uri.ends_with(cursor), "{uri}");
    }
    assert!(found.len() > 8);
    assert_eq!(Value::from(found), all["schools"]);
}

async fn geojson_is_returned_to_those_who_accept_it(site: &Site) {
    let uri = format!("/api/schools?{HOME}&limit=1");
    for accept in ["application/geo+json", "application/geo+json;q=0.9, */*;q=0.1", "text/html, application/geo+json"] {
        let reply = site.get_as(&uri, accept).await;
        assert_eq!(reply.header("content-type"), "application/geo+json", "{accept}");
        let json = reply.json();
        assert_eq!(json["type"], "FeatureCollection");
        assert_eq!(json["features"][0]["geometry"], json!({ "type": "Point", "coordinates": [-0.7613, 52.0412] }));
        assert_eq!(json["features"][0]["id"], 9_990_010);
        assert_eq!(json["features"][0]["properties"]["name"], "Little Acorns Nursery School");
        assert!(json["next"].is_string());
    }
    for accept in ["*/*", "application/json", "application/geo+json;q=0.5, application/json", "text/html, */*;q=0.8"] {
        assert_eq!(site.get_as(&uri, accept).await.header("content-type"), "application/json", "{accept}");
    }
    for accept in ["text/csv", "application/json;q=0", "nonsense"] {
        let reply = site.get_as(&uri, accept).await;
        assert_eq!(reply.status, StatusCode::NOT_ACCEPTABLE, "{accept}");
        assert_eq!(reply.parsed()["error"], "NotAcceptable");
    }
    // It is not known where this one stands.
    let missing = site.get_as("/api/schools?name=forest", "application/geo+json").await.json();
    assert_eq!(missing["features"][0]["geometry"], Value::Null);
}

async fn catchments_have_evidence(site: &Site) {
    let json = site.get(&format!("/api/catchment?{HOME}")).await.json();
    let evidence: Vec<_> = json["schools"].as_array().expect("schools").iter().map(|s| &s["evidence"]).collect();
    assert_eq!(names(&json)[0], "Millpond Primary School");
    assert_eq!(evidence, ["radius", "polygon", "polygon", "polygon"]);
}

async fn reach_lists_each_year(site: &Site) {
    let json = site.get(&format!("/api/reach?{HOME}&limit=1")).await.json();
    let school = &json["schools"][0];
    assert_eq!(school["name"], "Millpond Primary School");
    let years: Vec<_> = school["years"].as_array().expect("years").iter().map(|year| &year["academic_year"]).collect();
    assert_eq!(years, ["2025/2026", "2024/2025"]);
    assert!(school["years"][0]["margin_km"].as_f64().expect("a margin") > 0.0);
    assert_eq!(school["estimate"], true);
}

async fn facets_count_what_is_found(site: &Site) {
    let json = site.get("/api/facets?phase=nursery").await.json();
    assert_eq!(json["total"], 3);
    assert_eq!(json["ownership"], json!({ "private": 1, "state": 2 }));
}

async fn outlines_are_drawn(site: &Site) {
    // One with a radius, one with an outline, one with neither, one that is not there.
    let reply = site.get("/api/outlines?id=1&id=2&id=5&id=4000").await;
    assert_eq!(reply.header("content-type"), "application/geo+json");
    let json = reply.json();
    let features = json["features"].as_array().expect("features");
    let drawn_features: Vec<_> =
        features.iter().map(|f| (&f["id"], &f["geometry"]["type"], &f["properties"])).collect();
    assert_eq!(
        json!(drawn_features),
        json!([
            [9_990_002, "MultiPolygon", { "id": 2, "radius_km": null }],
            [9_990_001, "Point", { "id": 1, "radius_km": 1.2 }],
        ])
    );
    assert_eq!(features[0]["geometry"]["coordinates"][0][0][0], json!([-0.785, 52.03]));
}

async fn outlines_are_as_fine_as_the_zoom(site: &Site) {
    let vertices = async |uri: &str| {
        let json = site.get(uri).await.json();
        let of = |feature: &Value| feature["geometry"]["coordinates"][0][0].as_array().map_or(0, Vec::len);
        json["features"].as_array().expect("features").iter().map(of).sum::<usize>()
    };
    let whole = vertices("/api/outlines?id=2").await;
    assert_eq!(vertices("/api/outlines?id=2&zoom=18").await, whole);
    assert!(vertices("/api/outlines?id=2&zoom=9").await <= whole);
    assert_eq!(vertices("/api/outlines?id=2&zoom=0").await, 5, "a box");
}

/// A request for enough outlines for several parts.
fn many_outlines() -> Request<Body> {
    let ids = (1..=25).map(|id| format!("id={id}")).collect::<Vec<_>>().join("&");
    Request::get(format!("/api/outlines?{ids}")).body(Body::empty()).expect("a request")
}

async fn outlines_are_sent_part_by_part(site: &Site) {
    let finder = connect(site.database.config()).await.expect("the same database");
    let router = web_service::router(finder, &Limits { max_queries: 1, ..Limits::default() });
    let drawn = router.clone().oneshot(many_outlines()).await.expect("a response");
    // It is not complete, and keeps nobody waiting until the caller reads on.
    let other = Request::get("/api/schools").body(Body::empty()).expect("a request");
    assert_eq!(router.oneshot(other).await.expect("a response").status(), StatusCode::OK);
    let parts: Vec<_> = drawn.into_body().into_data_stream().try_collect().await.expect("all parts");
    assert_eq!(parts.len(), 7, "four schools in each: {parts:?}");
    let json: Value = serde_json::from_slice(&parts.concat()).expect("JSON");
    let one_by_one = async |id: i64| site.get(&format!("/api/outlines?id={id}")).await.json()["features"][0].clone();
    let features = json["features"].as_array().expect("features");
    assert!(features.len() > 3 && features.last().expect("one")["geometry"]["type"] == "Point", "{features:?}");
    for feature in features {
        assert_eq!(*feature, one_by_one(feature["properties"]["id"].as_i64().expect("an id")).await);
    }
    assert_eq!(
        site.get("/api/outlines?id=5&id=4000").await.json(),
        json!({ "type": "FeatureCollection", "features": [] })
    );
}

async fn outlines_that_fail_midway_are_not_complete(site: &Site) {
    let drawn = site.router.clone().oneshot(many_outlines()).await.expect("a response");
    assert_eq!(drawn.status(), StatusCode::OK);
    site.database.execute("ALTER TABLE schools RENAME TO lost_schools").await.expect("a broken database");
    let mut parts = drawn.into_body().into_data_stream();
    assert!(parts.try_next().await.expect("the first part").is_some());
    let failed = parts.try_collect::<Vec<_>>().await.expect_err("it cannot be completed");
    assert!(failed.to_string().contains("could not be completed"), "{failed}");
}

async fn outlines_fail_with_a_problem_before_the_first_part(site: &Site) {
    site.database.execute("ALTER TABLE schools RENAME TO lost_schools").await.expect("a broken database");
    let reply = site.send(many_outlines()).await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert_eq!(reply.header("cache-control"), "no-store");
}

async fn admissions_are_listed_for_several_schools(site: &Site) {
    let json = site.get("/api/admissions?id=1&id=10").await.json();
    assert_eq!(names(&json), ["Millpond Primary School", "Little Acorns Nursery School"]);
    assert_eq!(json["schools"][0]["admissions"][0]["places_offered"], 60);
    assert_eq!((&json["schools"][1]["admissions"], &json["schools"][0]["clubs"]), (&json!([]), &Value::Null));
}

async fn a_school_has_all_its_details(site: &Site) {
    let json = site.get("/api/schools/9990001").await.json();
    let school = &json["schools"][0];
    assert_eq!(school["name"], "Millpond Primary School");
    assert_eq!(school["clubs"][0]["cost"], "6.50");
    assert_eq!(school["admissions"][0]["places_offered"], 60);
    assert_eq!(school["reviews"], json!([]));
    assert_eq!(json["next"], Value::Null);
    // A closed one too.
    assert_eq!(site.get("/api/schools/9990025").await.json()["schools"][0]["status"], "closed");
    let drawn = site.get_as("/api/schools/9990001", "application/geo+json").await.json();
    assert_eq!(drawn["features"][0]["properties"]["clubs"], school["clubs"]);
}

async fn an_old_urn_leads_to_its_successor(site: &Site) {
    let urn = |number| Urn::new(number).expect("a URN");
    let link = NewLink {
        urn: urn(9_980_001),
        linked_urn: urn(9_990_001),
        kind: LinkKind::Successor,
        linked_name: None,
        link_type: None,
        linked_on: None,
    };
    site.database.repository().upsert_links(vec![link], WriteMode::Commit).await.expect("a link");
    let reply = site.get("/api/schools/9980001").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    let problem = reply.parsed();
    assert_eq!(
        problem["detail"],
        "no school in this database has URN 9980001; its links lead to 9990001 (Millpond Primary School)"
    );
    let today = json!([{ "urn": 9_990_001, "name": "Millpond Primary School", "href": "/api/schools/9990001" }]);
    assert_eq!(problem["leads_to"], today);
    let missing = site.get("/api/schools/9980002").await;
    assert_eq!((missing.status, &missing.parsed()["leads_to"]), (StatusCode::NOT_FOUND, &json!([])));
    assert_eq!((&problem["field"], &missing.parsed()["field"]), (&json!("urn"), &json!("urn")));
}

/// Both backends, byte by byte.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn backends_respond_with_the_same_bytes() {
    use school_finder_db::config::Backend;

    let (sqlite, postgres) = (Site::on(Backend::Sqlite).await, Site::on(Backend::Postgres).await);
    let mut uris = vec![
        "/api/schools".to_owned(),
        "/api/schools?sort=rating&limit=7".to_owned(),
        "/api/facets".to_owned(),
        "/api/facets?phase=primary&lat=52.0406&lng=-0.7594&within=2".to_owned(),
        "/api/outlines?id=1&id=2&id=3&id=4&id=12".to_owned(),
        "/api/schools/1".to_owned(),
        "/api/schools?phase=college".to_owned(),
    ];
    uris.extend((9_990_001..=9_990_027).map(|urn| format!("/api/schools/{urn}")));
    for path in ["schools", "catchment", "reach"] {
        for (lat, lng) in [(52.0406, -0.7594), (52.0389, -0.7651), (52.05, -0.759), (51.0, 0.5)] {
            uris.push(format!("/api/{path}?lat={lat}&lng={lng}&limit=5"));
        }
    }
    for uri in uris {
        for accept in ["application/json", "application/geo+json, */*;q=0.1"] {
            let (one, other) = (sqlite.get_as(&uri, accept).await, postgres.get_as(&uri, accept).await);
            assert_eq!(one.text(), other.text(), "{uri}");
            assert_eq!((one.status, &one.headers), (other.status, &other.headers), "{uri}");
        }
    }
}

/// The crate's program, which is built beside this test: `cargo test --all-features`.
#[cfg(feature = "cli")]
fn program() -> std::path::PathBuf {
    let test = std::env::current_exe().expect("a path");
    let program = test.ancestors().nth(2).expect("the folder of programs").join("school-finder");
    assert!(program.exists(), "{program:?} is not built: cargo build --all-features");
    program
}

/// The program and the service say the same.
#[cfg(feature = "cli")]
#[tokio::test]
async fn program_and_service_return_the_same_json() {
    let site = Site::on(school_finder_db::config::Backend::Sqlite).await;
    let home = ["--lat", "52.0406", "--lng=-0.7594"];
    for (arguments, uri) in [
        ([&["find"], &home[..], &["--phase", "primary"]].concat(), format!("/api/schools?{HOME}&phase=primary")),
        ([&["catchment"], &home[..]].concat(), format!("/api/catchment?{HOME}")),
        ([&["reach"], &home[..]].concat(), format!("/api/reach?{HOME}")),
        (vec!["show", "9990001"], "/api/schools/9990001".to_owned()),
    ] {
        for (format, accept) in [("json", "application/json"), ("geojson", "application/geo+json")] {
            let printed = std::process::Command::new(program())
                .args(["--database", &site.database.config().to_string()])
                .args(&arguments)
                .args(["--format", format])
                .output()
                .expect("the program runs");
            let printed: Value = serde_json::from_slice(&printed.stdout).expect("JSON");
            assert_eq!(printed, site.get_as(&uri, accept).await.json(), "{uri} as {format}");
        }
    }
}
