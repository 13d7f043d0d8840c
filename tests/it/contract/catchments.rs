//! Catchments: who serves a place, and what says so.

use school_finder_db::geo::Catchment;
use school_finder_db::ids::SchoolId;
use school_finder_db::models::{Evidence, NewCatchment, NewSchool, Phase, Rating, Status, UpsertCounts};
use school_finder_db::request::{ReachFilter, WriteMode};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, SchoolSearch, Sort};

use super::on_every_backend;
use crate::support::{at, km, school, urn};

on_every_backend! {
    outlines_cover_their_boundary_and_not_their_holes,
    an_outline_decides_before_a_circle,
    circles_cover_their_boundary,
    circles_reach_over_poles_and_the_dateline,
    a_school_without_a_catchment_serves_no_home,
    filters_orders_and_pages_are_those_of_a_search,
    storing_catchments_is_atomic,
    removing_an_outline_leaves_the_circle,
    outlines_come_back_as_they_were_stored,
    other_writes_do_not_change_outlines,
    deleted_schools_serve_nobody,
}

/// A square with a square hole, and an island.
const OUTLINE: &str = "MULTIPOLYGON(((-1 52,0 52,0 53,-1 53,-1 52),(-0.75 52.25,-0.75 52.75,-0.25 52.75,-0.25 52.25,-0.75 52.25)),\
                       ((0.25 52,0.5 52,0.5 52.25,0.25 52.25,0.25 52)))";

fn outline(wkt: &str) -> Catchment {
    wkt.parse().expect("an outline")
}

fn of(number: i64, wkt: &str) -> NewCatchment {
    NewCatchment { urn: urn(number), outline: Some(outline(wkt)) }
}

async fn insert(database: &TestDatabase, schools: Vec<NewSchool>) -> Vec<SchoolId> {
    database.repository().insert_schools(schools).await.expect("schools that fit")
}

async fn store(database: &TestDatabase, catchments: Vec<NewCatchment>) -> UpsertCounts {
    database.repository().upsert_catchments(catchments, WriteMode::Commit).await.expect("catchments that fit")
}

/// The numbers of the schools that serve a place, with what says so.
async fn serving(database: &TestDatabase, lat: f64, lng: f64) -> Vec<(i32, Evidence)> {
    let page = database.repository().find_catchments(&SchoolSearch::near(at(lat, lng))).await.expect("a result");
    page.items.iter().map(|catchment| (catchment.hit.school.urn.get(), catchment.evidence)).collect()
}

async fn outlines_cover_their_boundary_and_not_their_holes(database: &TestDatabase) {
    insert(database, vec![school(1)]).await;
    store(database, vec![of(1, OUTLINE)]).await;
    for (lat, lng, holds) in [
        (52.1, -0.5, true),
        (52.0, -1.0, true),
        (52.0, -0.5, true),
        (53.0, -0.123, true),
        (52.5, -0.5, false),
        (52.25, -0.75, true),
        (52.5, -0.75, true),
        (52.1, 0.3, true),
        (52.1, 0.1, false),
        (51.999_999_9, -0.5, false),
        (0.0, 0.0, false),
        (90.0, 180.0, false),
    ] {
        let found = serving(database, lat, lng).await;
        assert_eq!(found, if holds { vec![(1, Evidence::Polygon)] } else { vec![] }, "lat {lat}, lng {lng}");
        assert_eq!(outline(OUTLINE).covers(at(lat, lng)), holds, "lat {lat}, lng {lng} without a database");
    }
}

async fn an_outline_decides_before_a_circle(database: &TestDatabase) {
    let circle = NewSchool { location: Some(at(52.5, -0.5)), catchment_radius_km: Some(km(500.0)), ..school(1) };
    insert(database, vec![circle.clone(), NewSchool { urn: urn(2), ..circle }]).await;
    store(database, vec![of(1, OUTLINE)]).await;
    assert_eq!(serving(database, 52.1, -0.5).await, [(1, Evidence::Polygon), (2, Evidence::Radius)]);
    assert_eq!(serving(database, 52.5, -0.5).await, [(2, Evidence::Radius)], "in the hole");
}

async fn circles_cover_their_boundary(database: &TestDatabase) {
    let (school_at, home) = (at(52.03, -0.72), at(52.0, -0.7));
    let exactly = home.distance_to(school_at).get();
    let within = |number, radius| NewSchool {
        location: Some(school_at),
        catchment_radius_km: Some(km(radius)),
        ..school(number)
    };
    insert(database, vec![within(1, exactly), within(2, exactly.next_down()), within(3, 20_000.0)]).await;
    assert_eq!(serving(database, 52.0, -0.7).await, [(1, Evidence::Radius), (3, Evidence::Radius)]);
    assert_eq!(serving(database, -52.0, 179.0).await, [(3, Evidence::Radius)]);
}

async fn circles_reach_over_poles_and_the_dateline(database: &TestDatabase) {
    let circle = |number, lat, lng, radius| NewSchool {
        location: Some(at(lat, lng)),
        catchment_radius_km: Some(km(radius)),
        ..school(number)
    };
    let schools = vec![
        circle(1, 89.99, 0.0, 5.0),
        circle(2, -17.0, 179.99, 5.0),
        circle(3, 70.0, 10.0, 1000.0),
        circle(4, -89.0, 0.0, 300.0),
    ];
    insert(database, schools.clone()).await;
    for (lat, lng) in [
        (89.99, 179.0),
        (90.0, 77.0),
        (-17.0, -179.99),
        (-17.03, -179.98),
        (72.0, -13.0),
        (75.0, 40.0),
        (-90.0, 5.0),
        (-88.0, -170.0),
        (61.1, 10.0),
        (-86.5, 0.0),
    ] {
        let expected: Vec<_> = schools
            .iter()
            .filter(|school| {
                at(lat, lng).distance_to(school.location.expect("a place"))
                    <= school.catchment_radius_km.expect("a radius")
            })
            .map(|school| school.urn.get())
            .collect();
        let found: Vec<_> = serving(database, lat, lng).await.into_iter().map(|(urn, _)| urn).collect();
        assert_eq!(found, expected, "lat {lat}, lng {lng}");
    }
}

async fn a_school_without_a_catchment_serves_no_home(database: &TestDatabase) {
    let placed = NewSchool { location: Some(at(52.1, -0.5)), ..school(1) };
    // A radius round nowhere is no circle.
    insert(database, vec![placed, NewSchool { catchment_radius_km: Some(km(5.0)), ..school(2) }]).await;
    assert!(serving(database, 52.1, -0.5).await.is_empty());
    let nowhere = database.repository().find_catchments(&SchoolSearch::open()).await;
    assert!(matches!(nowhere, Err(Error::InvalidSearch { .. })), "{nowhere:?}");
}

async fn filters_orders_and_pages_are_those_of_a_search(database: &TestDatabase) {
    let rated_primary = |number, name: &str| NewSchool {
        phase: Some(Phase::Primary),
        ofsted_rating: Some(Rating::Good),
        ..NewSchool::new(urn(number), name)
    };
    let schools = vec![
        NewSchool { location: Some(at(52.4, -0.9)), ..rated_primary(1, "Cedar") },
        NewSchool { location: Some(at(52.1, -0.5)), ..rated_primary(2, "Beech") },
        NewSchool { phase: Some(Phase::Secondary), ..NewSchool::new(urn(3), "Ash") },
        NewSchool { status: Status::Closed, location: Some(at(52.1, -0.5)), ..NewSchool::new(urn(4), "Oak") },
        NewSchool { location: Some(at(52.1, -0.5)), ..NewSchool::new(urn(5), "Elm") },
    ];
    insert(database, schools).await;
    store(database, (1..=5).map(|number| of(number, OUTLINE)).collect()).await;
    let near = SchoolSearch::near(at(52.1, -0.5));
    let urns = async |search: &SchoolSearch| {
        let page = database.repository().find_catchments(search).await.expect("a result");
        (page.items.iter().map(|catchment| catchment.hit.school.urn.get()).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(
        urns(&near).await.0,
        [2, 5, 1, 3],
        "the nearest first, one that stands nowhere last, none that is closed"
    );
    assert_eq!(urns(&near.clone().phase(Phase::Primary)).await.0, [2, 1]);
    assert_eq!(urns(&near.clone().sort(Sort::Name)).await.0, [3, 2, 1, 5]);
    assert_eq!(urns(&near.clone().status(Status::Closed)).await.0, [4]);
    assert_eq!(urns(&near.clone().within(km(10.0))).await.0, [2, 5]);
    assert_eq!(urns(&near.clone().limit(0)).await, (vec![], None));
    let by_margin = near.clone().reached(ReachFilter::default()).sort(Sort::Margin);
    let refused = database.repository().find_catchments(&by_margin).await;
    assert!(matches!(refused, Err(Error::InvalidSearch { .. })), "{refused:?}");
    // Cedar and Beech are rated alike, and the other two are not rated.
    for (sort, expected) in [(Sort::Distance, [2, 5, 1, 3]), (Sort::Name, [3, 2, 1, 5]), (Sort::Rating, [2, 1, 3, 5])] {
        let (mut search, mut all) = (near.clone().sort(sort).limit(1), Vec::new());
        while let (mut page, Some(next)) = urns(&search).await {
            all.append(&mut page);
            search = search.after(next);
        }
        all.append(&mut urns(&search).await.0);
        assert_eq!(all, expected, "{sort:?}");
    }
}

async fn storing_catchments_is_atomic(database: &TestDatabase) {
    insert(database, (1..=3).map(school).collect()).await;
    let repository = database.repository();
    let unknown = repository.upsert_catchments(vec![of(1, OUTLINE), of(99, OUTLINE)], WriteMode::Commit).await;
    assert!(matches!(unknown, Err(Error::UnknownUrn { urn }) if urn.get() == 99), "{unknown:?}");
    let twice = repository.upsert_catchments(vec![of(1, OUTLINE), of(1, OUTLINE)], WriteMode::Commit).await;
    assert!(matches!(twice, Err(Error::DuplicateUrn { urn }) if urn.get() == 1), "{twice:?}");
    let swapped = NewCatchment { outline: Some(outline("POLYGON((52 -1,53 -1,53 -0.5,52 -1))")), ..of(1, OUTLINE) };
    let swapped = repository.upsert_catchments(vec![of(2, OUTLINE), swapped], WriteMode::Commit).await;
    assert!(matches!(swapped, Err(Error::SuspectSwapped { .. })), "{swapped:?}");
    let counts = repository.upsert_catchments(vec![of(1, OUTLINE)], WriteMode::DryRun).await.expect("a dry run");
    assert_eq!((counts.inserted, counts.updated, counts.unchanged), (1, 0, 0));
    assert!(serving(database, 52.1, -0.5).await.is_empty(), "nothing was written by any of these");

    let smaller = "POLYGON((-1 52,-0.4 52,-0.4 52.2,-1 52.2,-1 52))";
    let counts = store(database, vec![of(1, OUTLINE), of(2, smaller)]).await;
    assert_eq!((counts.inserted, counts.updated, counts.unchanged), (2, 0, 0));
    let counts = store(database, vec![of(1, OUTLINE), of(2, OUTLINE), of(3, OUTLINE)]).await;
    assert_eq!((counts.inserted, counts.updated, counts.unchanged), (1, 1, 1));
    assert_eq!(serving(database, 52.1, 0.3).await.len(), 3);
}

async fn removing_an_outline_leaves_the_circle(database: &TestDatabase) {
    let circle = NewSchool { location: Some(at(52.1, -0.5)), catchment_radius_km: Some(km(2.0)), ..school(1) };
    insert(database, vec![circle.clone()]).await;
    store(database, vec![of(1, OUTLINE)]).await;
    let gone = vec![NewCatchment { urn: urn(1), outline: None }];
    let counts = store(database, gone.clone()).await;
    assert_eq!((counts.inserted, counts.updated), (0, 1));
    assert_eq!(store(database, gone).await.unchanged, 1);
    assert_eq!(serving(database, 52.1, -0.5).await, [(1, Evidence::Radius)]);
    // A school that moves takes its circle along.
    let moved = NewSchool { location: Some(at(51.0, -0.5)), ..circle };
    let stream = Box::new(std::iter::once(Ok(moved)));
    database.repository().upsert_schools(stream, WriteMode::Commit).await.expect("an upsert");
    assert!(serving(database, 52.1, -0.5).await.is_empty());
    assert_eq!(serving(database, 51.0, -0.5).await, [(1, Evidence::Radius)]);
}

async fn outlines_come_back_as_they_were_stored(database: &TestDatabase) {
    let ids = insert(database, (1..=3).map(school).collect()).await;
    let precise = "POLYGON((-0.123456789012345 51.1,0.3 51.2,0.1 51.333333333333336,-0.123456789012345 51.1))";
    store(database, vec![of(3, OUTLINE), of(1, precise)]).await;
    let stored = database.repository().catchments(&[ids[2], ids[1], ids[0], ids[2]]).await.expect("outlines");
    let found: Vec<_> = stored.iter().map(|catchment| (catchment.id, catchment.urn, &catchment.outline)).collect();
    assert_eq!(found, [(ids[0], urn(1), &outline(precise)), (ids[2], urn(3), &outline(OUTLINE))]);
    assert!(database.repository().catchments(&[]).await.expect("a result").is_empty());
}

async fn other_writes_do_not_change_outlines(database: &TestDatabase) {
    insert(database, vec![school(1)]).await;
    store(database, vec![of(1, OUTLINE)]).await;
    let renamed = NewSchool { location: Some(at(10.0, 10.0)), ..NewSchool::new(urn(1), "Another name") };
    let stream = Box::new(std::iter::once(Ok(renamed)));
    let counts = database.repository().upsert_schools(stream, WriteMode::Commit).await.expect("an upsert");
    assert_eq!(counts.updated, 1);
    assert_eq!(serving(database, 52.1, -0.5).await, [(1, Evidence::Polygon)]);
}

async fn deleted_schools_serve_nobody(database: &TestDatabase) {
    insert(
        database,
        vec![school(1), NewSchool { catchment_radius_km: Some(km(9.0)), location: Some(at(52.1, -0.5)), ..school(2) }],
    )
    .await;
    store(database, vec![of(1, OUTLINE)]).await;
    assert_eq!(serving(database, 52.1, -0.5).await.len(), 2);
    database.execute("DELETE FROM schools").await.expect("deleted");
    assert!(serving(database, 52.1, -0.5).await.is_empty());
}
