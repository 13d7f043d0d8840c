//! Searches, counts and look-ups.

use school_finder_db::ids::SchoolId;
use school_finder_db::models::{Gender, NewSchool, Phase, Rating, Status};
use school_finder_db::request::{Faith, Ownership, Unrated, WriteMode};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, Kilometres, LatLng, SchoolSearch, Sort, sample};

use super::on_every_backend;
use crate::support::{at, km, school, urn};

on_every_backend! {
    a_home_with_swapped_coordinates_is_refused,
    schools_come_nearest_first,
    radius_boundary_is_inside,
    a_huge_radius_finds_every_located_school,
    a_page_is_one_snapshot,
    unknown_locations_come_last_and_have_no_distance,
    pages_have_limits,
    cursors_are_of_their_search,
    open_is_what_is_open_now,
    filters_narrow_together,
    a_rating_filter_includes_or_excludes_the_unrated,
    names_are_searched_folded_and_literally,
    orders_have_unknown_values_last,
    poles_and_dateline_are_valid_locations,
    pages_are_complete_where_many_share_a_location,
    pages_are_complete_where_schools_are_far,
    many_schools_come_in_order_and_each_once,
    councils_are_counted,
    facets_count_what_is_found,
    page_and_facets_agree_at_the_boundary,
}

async fn names(database: &TestDatabase, search: &SchoolSearch) -> Vec<String> {
    let page = database.repository().find_schools(search).await.expect("a result");
    page.items.into_iter().map(|hit| hit.school.name).collect()
}

async fn insert(database: &TestDatabase, schools: Vec<NewSchool>) -> Vec<SchoolId> {
    database.repository().insert_schools(schools).await.expect("schools that fit")
}

async fn schools_come_nearest_first(database: &TestDatabase) {
    insert(database, sample::schools()).await;
    let page =
        database.repository().find_schools(&SchoolSearch::near(sample::home()).limit(4)).await.expect("a result");
    let found: Vec<_> = page.items.iter().map(|hit| hit.school.name.as_str()).collect();
    // The last two share a place: the lower id comes first.
    assert_eq!(
        found,
        [
            "Little Acorns Nursery School",
            "Brackenford Sixth Form College",
            "Millpond Primary School",
            "Weavers Row Infant School",
        ]
    );
    for hit in &page.items {
        let place = hit.school.location().expect("it stands somewhere");
        assert_eq!(hit.distance_km, Some(sample::home().distance_to(place)));
    }
    assert!(page.next.is_some());
}

/// Twenty schools move together, there and back.
async fn a_page_is_one_snapshot(database: &TestDatabase) {
    let finder = database.repository();
    let home = at(52.0, -0.7);
    let near = |number: i64| at(52.0 + f64::from(i32::try_from(number).expect("small")) * 0.001, -0.7);
    insert(database, (21..=40).map(|number| NewSchool { location: Some(near(number)), ..school(number) }).collect())
        .await;
    let writes = async {
        for round in 0..60 {
            let place = move |number| if round % 2 == 0 { near(number) } else { at(53.0, -0.7) };
            let moving = (1..=20).map(move |number| Ok(NewSchool { location: Some(place(number)), ..school(number) }));
            finder.upsert_schools(Box::new(moving), WriteMode::Commit).await.expect("schools that fit");
        }
    };
    let reads = async {
        let search = SchoolSearch::near(home).within(km(10.0)).limit(30);
        for _ in 0..200 {
            let page = finder.find_schools(&search).await.expect("a result");
            let moving = page.items.iter().filter(|hit| hit.school.urn <= urn(20)).count();
            assert!([(0, 20), (20, 30)].contains(&(moving, page.items.len())), "{moving} of {}", page.items.len());
            for hit in &page.items {
                let place = hit.school.location().expect("it stands somewhere");
                assert_eq!(hit.distance_km, Some(home.distance_to(place)));
            }
        }
    };
    tokio::join!(writes, reads);
}

async fn radius_boundary_is_inside(database: &TestDatabase) {
    let (home, there) = (at(52.0, -0.7), at(52.03, -0.72));
    insert(database, vec![NewSchool { location: Some(there), ..school(1) }]).await;
    let exactly = home.distance_to(there);
    let search = SchoolSearch::near(home);
    assert_eq!(names(database, &search.clone().within(exactly)).await, ["School 1"]);
    let less = Kilometres::new(exactly.get().next_down()).expect("a distance");
    assert!(names(database, &search.within(less)).await.is_empty());
}

async fn a_huge_radius_finds_every_located_school(database: &TestDatabase) {
    insert(database, sample::schools()).await;
    let everywhere = SchoolSearch::near(at(-80.0, 100.0)).within(km(1e9));
    assert_eq!(names(database, &everywhere.clone().limit(1_000)).await.len(), 24);
    assert_eq!(names(database, &everywhere.limit(5)).await.len(), 5, "and the page is no longer than asked");
}

async fn unknown_locations_come_last_and_have_no_distance(database: &TestDatabase) {
    insert(database, sample::schools()).await;
    let nearest = SchoolSearch::near(sample::home()).limit(1_000);
    let page = database.repository().find_schools(&nearest).await.expect("a result");
    let last = page.items.last().expect("25 schools");
    assert_eq!((last.school.name.as_str(), last.distance_km), ("Brackenford Forest Nursery", None));
    assert_eq!(page.items.iter().filter(|hit| hit.distance_km.is_none()).count(), 1);
    // (0, 0) is a place in the Atlantic, where no school stands.
    let zero = SchoolSearch::near(at(0.0, 0.0)).within(km(100.0));
    assert!(names(database, &zero).await.is_empty());
}

async fn pages_have_limits(database: &TestDatabase) {
    insert(database, sample::schools()).await;
    let page = database.repository().find_schools(&SchoolSearch::open().limit(0)).await.expect("a result");
    assert!(page.items.is_empty() && page.next.is_none(), "a limit of 0 is an empty page");
    assert_eq!(names(database, &SchoolSearch::open()).await.len(), 20, "the default");
    let all = database.repository().find_schools(&SchoolSearch::open().limit(25)).await.expect("a result");
    assert!(all.items.len() == 25 && all.next.is_none(), "a page that just fits is the last");
    for given in [1_001, u32::MAX] {
        let refused = database.repository().find_schools(&SchoolSearch::open().limit(given)).await;
        assert!(matches!(refused, Err(Error::LimitTooLarge { max: 1_000, .. })));
    }
}

async fn cursors_are_of_their_search(database: &TestDatabase) {
    insert(database, sample::schools()).await;
    let search = SchoolSearch::near(sample::home()).limit(3);
    let cursor = database.repository().find_schools(&search).await.expect("a result").next.expect("there are more");
    let other = SchoolSearch::near(at(51.0, 0.0)).after(cursor.clone());
    let refused = database.repository().find_schools(&other).await;
    assert!(matches!(refused, Err(Error::InvalidCursor { .. })));
    // Nor is a position in one order one in another, whatever it claims to be from.
    let (_, print) = cursor.as_str().rsplit_once('.').expect("a fingerprint");
    for position in ["_._.61.1", "_.1.61.1", "_.1..1", "bff0000000000000._..1"] {
        let other = format!("{position}.{print}").parse().expect("some text");
        let refused = database.repository().find_schools(&search.clone().after(other)).await;
        assert!(matches!(refused, Err(Error::InvalidCursor { reason: "it is damaged" })), "{position}: {refused:?}");
    }
    // A school that comes in between moves nothing.
    let before = names(database, &search.clone().after(cursor.clone())).await;
    insert(database, vec![NewSchool { location: Some(sample::home()), ..school(1) }]).await;
    assert_eq!(names(database, &search.after(cursor)).await, before);
}

async fn open_is_what_is_open_now(database: &TestDatabase) {
    insert(database, sample::schools()).await;
    let all = names(database, &SchoolSearch::open().limit(1_000)).await;
    assert!(all.contains(&"Priory Meadow Primary School".to_owned()), "open, though proposed to close");
    assert_eq!(all.len(), 25);
    assert_eq!(names(database, &SchoolSearch::open().status(Status::Closed)).await, ["Old Mill Lane Primary School"]);
    let either = SchoolSearch::open().status(Status::Closed).status(Status::ProposedToOpen);
    assert_eq!(names(database, &either).await.len(), 2);
}

async fn filters_narrow_together(database: &TestDatabase) {
    insert(database, sample::schools()).await;
    let secondary = SchoolSearch::open().phase(Phase::Secondary);
    assert_eq!(names(database, &secondary.clone()).await.len(), 5);
    let for_a_girl = secondary.clone().gender(Gender::Girls);
    assert_eq!(
        names(database, &for_a_girl).await,
        ["Ashworth High School for Girls", "Brackenford Academy", "St Piran's Catholic School", "The Ropewalk School"]
    );
    assert_eq!(names(database, &for_a_girl.faith(Faith::Is("Roman Catholic".to_owned()))).await.len(), 1);
    assert_eq!(names(database, &SchoolSearch::open().faith(Faith::Any)).await.len(), 3);
    assert_eq!(names(database, &SchoolSearch::open().faith(Faith::None).limit(99)).await.len(), 22);
    assert_eq!(names(database, &SchoolSearch::open().ownership(Ownership::Private)).await.len(), 4);
    assert_eq!(names(database, &SchoolSearch::open().age(2)).await, ["Little Acorns Nursery School"]);
    assert_eq!(names(database, &SchoolSearch::open().phase(Phase::MiddlePrimary).phase(Phase::Nursery)).await.len(), 4);
    assert_eq!(names(database, &SchoolSearch::open().council("Brackenford").limit(99)).await.len(), 25);
    assert!(names(database, &SchoolSearch::open().council("brackenford")).await.is_empty(), "as it is spelled");
}

async fn a_rating_filter_includes_or_excludes_the_unrated(database: &TestDatabase) {
    let rated = |number, ofsted_rating| NewSchool { ofsted_rating, ..school(number) };
    insert(
        database,
        vec![rated(1, Some(Rating::Outstanding)), rated(2, Some(Rating::RequiresImprovement)), rated(3, None)],
    )
    .await;
    let good = SchoolSearch::open().rated(Rating::Good, Unrated::Exclude);
    assert_eq!(names(database, &good).await, ["School 1"]);
    assert_eq!(
        names(database, &SchoolSearch::open().rated(Rating::Good, Unrated::Include)).await,
        ["School 1", "School 3"]
    );
    assert_eq!(
        names(database, &SchoolSearch::open().rated(Rating::Inadequate, Unrated::Exclude)).await,
        ["School 1", "School 2"]
    );
}

async fn names_are_searched_folded_and_literally(database: &TestDatabase) {
    let all =
        ["100% School", "1000 School", "a_b School", "aXb School", "wow! School", r"back\slash", "St. Mary's", "Ŵyn"];
    let named = |(number, name): (i64, &&str)| NewSchool::new(urn(number), *name);
    insert(database, (1..).zip(&all).map(named).collect()).await;
    for (typed, found) in [
        ("100%", vec!["100% School"]),
        ("a_b", vec!["a_b School"]),
        ("wow!", vec!["wow! School"]),
        ("!", vec![]),
        (r"back\", vec![r"back\slash"]),
        ("SAINT MARYS", vec!["St. Mary's"]),
        ("st mary’s", vec!["St. Mary's"]),
        ("wyn", vec!["Ŵyn"]),
        ("'; DROP TABLE schools; --", vec![]),
    ] {
        assert_eq!(names(database, &SchoolSearch::open().name(typed)).await, found, "{typed}");
    }
    assert!(matches!(
        database.repository().find_schools(&SchoolSearch::open().name("’ ")).await,
        Err(Error::InvalidText { field: "name", .. })
    ));
}

async fn orders_have_unknown_values_last(database: &TestDatabase) {
    let rated = |number, ofsted_rating| NewSchool { ofsted_rating, ..school(number) };
    let (outstanding, good) = (Some(Rating::Outstanding), Some(Rating::Good));
    insert(database, vec![rated(4, None), rated(3, good), rated(2, outstanding), rated(1, None), rated(5, good)]).await;
    let by_rating = SchoolSearch::open().sort(Sort::Rating);
    assert_eq!(names(database, &by_rating).await, ["School 2", "School 3", "School 5", "School 1", "School 4"]);
}

async fn poles_and_dateline_are_valid_locations(database: &TestDatabase) {
    let placed = |number, lat, lng| NewSchool { location: Some(at(lat, lng)), ..school(number) };
    let schools = vec![
        placed(1, 89.99, 170.0),
        placed(2, -17.0, 179.99),
        placed(3, -17.0, -179.99),
        placed(4, -90.0, 0.0),
        placed(5, -17.0, 180.0),
    ];
    insert(database, schools).await;
    let within = |lat, lng, radius| SchoolSearch::near(at(lat, lng)).within(km(radius));
    assert_eq!(names(database, &within(90.0, -10.0, 2.0)).await, ["School 1"]);
    assert_eq!(names(database, &within(-17.0, 179.995, 1.0)).await, ["School 2", "School 5"]);
    let mut both_sides = names(database, &within(-17.0, -180.0, 2.0)).await;
    assert_eq!(both_sides.first().map(String::as_str), Some("School 5"));
    both_sides.sort();
    assert_eq!(both_sides, ["School 2", "School 3", "School 5"]);
    assert_eq!(names(database, &within(-89.999, 123.0, 1.0)).await, ["School 4"]);
}

/// Walks all pages from a home, and compares them with the order of the distances.
async fn walk(database: &TestDatabase, places: &[Option<LatLng>], home: LatLng, limit: u32) {
    let number = |at: usize| i64::try_from(at).expect("small") + 1;
    let mut expected: Vec<(Option<Kilometres>, i64)> =
        places.iter().enumerate().map(|(at, place)| (place.map(|place| home.distance_to(place)), number(at))).collect();
    let km = |distance: Option<Kilometres>| distance.map_or(f64::INFINITY, Kilometres::get);
    expected.sort_by(|a, b| km(a.0).total_cmp(&km(b.0)).then(a.1.cmp(&b.1)));
    let mut search = SchoolSearch::near(home).limit(limit);
    let mut found = Vec::new();
    loop {
        let page = database.repository().find_schools(&search).await.expect("a result");
        found.extend(page.items.iter().map(|hit| (hit.distance_km, i64::from(hit.school.urn.get()))));
        match page.next {
            Some(next) => search.after = Some(next),
            None => break,
        }
    }
    assert_eq!(found, expected, "from {home:?}, {limit} a page");
}

async fn insert_at(database: &TestDatabase, places: &[Option<LatLng>]) {
    let numbers = 1..=i64::try_from(places.len()).expect("small");
    let schools = numbers.zip(places).map(|(number, location)| NewSchool { location: *location, ..school(number) });
    insert(database, schools.collect()).await;
}

/// More schools in one place than a page holds, and more that stand nowhere, from homes near and far: no page may lose
/// one.
async fn pages_are_complete_where_many_share_a_location(database: &TestDatabase) {
    let shared = at(52.02, -0.7);
    let apart = |number: u32| Some(at(52.0 + f64::from(number) * 0.0005, -0.75));
    let few: Vec<Option<LatLng>> = [vec![Some(at(52.009, -0.7)); 5], vec![None; 3]].concat();
    insert_at(database, &few).await;
    walk(database, &few, at(52.0, -0.7), 1).await;
    let many = [vec![Some(shared); 120], (120..140).map(apart).collect(), vec![None; 60]].concat();
    let rest: Vec<NewSchool> =
        (1..).zip(&many).map(|(number, location)| NewSchool { location: *location, ..school(number) }).collect();
    let finder = database.repository();
    finder.upsert_schools(Box::new(rest.into_iter().map(Ok)), WriteMode::Commit).await.expect("schools that fit");
    for home in [shared, at(52.0, -0.7), at(52.0, -0.9), at(40.7, -74.0), at(89.99, 170.0), at(-52.0, 179.3)] {
        for limit in [7, 9, 50, 1_000] {
            walk(database, &many, home, limit).await;
        }
    }
}

/// Where schools are rare a page looks far, where a map is no longer flat.
async fn pages_are_complete_where_schools_are_far(database: &TestDatabase) {
    // Six to the south-east, which a flat map has nearer than the one to the north-east, and it is not.
    let home = at(52.0, -0.7);
    let away = |bearing: f64, km: f64| {
        let (bearing, d, lat) = (bearing.to_radians(), km / 6_371.0, home.lat().degrees().to_radians());
        let to = (lat.sin() * d.cos() + lat.cos() * d.sin() * bearing.cos()).asin();
        let east = (bearing.sin() * d.sin() * lat.cos()).atan2(d.cos() - lat.sin() * to.sin());
        Some(at(to.to_degrees(), home.lng().degrees() + east.to_degrees()))
    };
    let mut places: Vec<Option<LatLng>> = (0..6).map(|n| away(135.0, 100.0 + f64::from(n) * 0.001)).collect();
    places.push(away(45.0, 99.9));
    insert_at(database, &places).await;
    walk(database, &places, home, 1).await;

    // A spiral over five hundred kilometres.
    let turn = |n: u32| away(f64::from(n) * 137.5, f64::from(n).sqrt() * 20.0);
    let scattered: Vec<Option<LatLng>> = (1..=600).map(turn).collect();
    let schools = (1..).zip(scattered.clone()).map(|(number, location)| Ok(NewSchool { location, ..school(number) }));
    let finder = database.repository();
    finder.upsert_schools(Box::new(schools), WriteMode::Commit).await.expect("schools that fit");
    for (home, limit) in [(home, 20), (home, 100), (at(53.4, -2.9), 20), (at(49.2, 1.0), 7)] {
        walk(database, &scattered, home, limit).await;
    }
}

async fn many_schools_come_in_order_and_each_once(database: &TestDatabase) {
    let ids = insert(database, (1..=30).map(school).collect()).await;
    let repository = database.repository();
    let missing = SchoolId::new(i64::MAX);
    let given = [ids[7], missing, ids[2], ids[7]];
    let found: Vec<_> = repository.schools(&given).await.expect("a result").iter().map(|school| school.id).collect();
    assert_eq!(found, [ids[2], ids[7]], "in order, each once");
    let by_urn = repository.schools_by_urn(&[urn(30), urn(1), urn(999)]).await.expect("a result");
    assert_eq!(by_urn.iter().map(|school| school.urn).collect::<Vec<_>>(), [urn(1), urn(30)]);
    assert!(repository.schools(&[]).await.expect("a result").is_empty());
    assert_eq!(repository.school(ids[0]).await.expect("a result").expect("the school").urn, urn(1));
    assert!(repository.school(missing).await.expect("a result").is_none());
    assert!(repository.school_by_urn(urn(31)).await.expect("a result").is_none());
    // More than one query can bind.
    let all: Vec<SchoolId> = (0..70_000).map(SchoolId::new).collect();
    assert_eq!(repository.schools(&all).await.expect("a result").len(), 30);
}

async fn councils_are_counted(database: &TestDatabase) {
    let of = |number, council: Option<&str>, is_private, status| NewSchool {
        council: council.map(str::to_owned),
        is_private,
        status,
        ..school(number)
    };
    let schools = vec![
        of(1, Some("leeds"), Some(true), Status::Open),
        of(2, Some("Leeds"), Some(false), Status::Open),
        of(3, Some("Leeds"), Some(true), Status::ProposedToClose),
        of(4, Some("Leeds"), None, Status::Open),
        of(5, Some("York"), Some(false), Status::Closed),
        of(6, None, None, Status::Open),
    ];
    insert(database, schools).await;
    let councils = database.repository().councils().await.expect("a result");
    let found: Vec<_> = councils.iter().map(|c| (c.council.as_str(), c.schools, c.state, c.private)).collect();
    // Capital letters come before small ones: the order of bytes, on every backend.
    assert_eq!(found, [("Leeds", 3, 1, 1), ("leeds", 1, 0, 1)]);
}

async fn facets_count_what_is_found(database: &TestDatabase) {
    insert(database, sample::schools()).await;
    let near = SchoolSearch::near(sample::home()).within(km(1.0)).limit(1_000);
    let found = names(database, &near).await.len();
    let facets = database.repository().facets(&near.limit(1)).await.expect("counts");
    assert_eq!(facets.total, found as u64);
    assert_eq!(facets.phase.get("primary"), Some(&5));
    assert_eq!(facets.rating.get("unknown"), Some(&3));
    assert_eq!(facets.ownership.values().sum::<u64>(), facets.total);
    let none = database.repository().facets(&SchoolSearch::open().council("Nowhere")).await.expect("counts");
    assert_eq!((none.total, none.phase.len()), (0, 0));
}

/// A radius that is exactly the distance of a school, and one that is shorter by the last bit of it.
async fn page_and_facets_agree_at_the_boundary(database: &TestDatabase) {
    let part = |number: i64, step: i64| f64::from(i32::try_from(number * step % 1_009).expect("small")) / 1_009.0;
    let place = |number: i64| at(50.0 + part(number, 613) * 9.0, -6.0 + part(number, 317) * 7.0);
    insert(database, (1..=100).map(|n| NewSchool { location: Some(place(n)), ..school(n) }).collect()).await;
    for number in 1..=100 {
        let (home, boundary) = (place(number + 500), place(number));
        let exactly = home.distance_to(boundary).get();
        for (radius, is_inside) in [(exactly, true), (exactly.next_down(), false)] {
            let search = SchoolSearch::near(home).within(km(radius)).limit(200);
            let page = database.repository().find_schools(&search).await.expect("a result");
            assert_eq!(page.items.iter().any(|hit| hit.school.location() == Some(boundary)), is_inside, "{number}");
            for search in [search.clone(), search.clone().sort(Sort::Name)] {
                let facets = database.repository().facets(&search).await.expect("counts");
                let listed = database.repository().find_schools(&search).await.expect("a result").items;
                assert_eq!(listed.len(), page.items.len(), "{number}");
                assert_eq!(facets.total, listed.len() as u64, "{number}");
            }
        }
    }
}

async fn a_home_with_swapped_coordinates_is_refused(database: &TestDatabase) {
    let swapped = SchoolSearch::near(at(-0.756, 52.0385));
    let finder = database.repository();
    let errors = [
        finder.find_schools(&swapped).await.map(drop),
        finder.find_catchments(&swapped).await.map(drop),
        finder.find_reach(&swapped).await.map(drop),
        finder.facets(&swapped).await.map(drop),
    ];
    for error in errors.map(|result| result.expect_err("refused")) {
        assert!(error.is_invalid_input());
        assert!(error.to_string().contains("but lat 52.0385, lng -0.756 is in it: swap the two"), "{error}");
    }
    // Far away either way round.
    finder.find_schools(&SchoolSearch::near(at(40.0, 140.0))).await.expect("a page");
}
