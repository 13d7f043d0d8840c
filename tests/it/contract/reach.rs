//! Would my child have got in? And which school is it today?

use chrono::NaiveDate;
use school_finder_db::models::{
    Admissions, LinkKind, NewAdmissions, NewLink, NewSchool, Review, SchoolPatch, Status, UpsertCounts,
};
use school_finder_db::request::{ReachFilter, WriteMode};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, SchoolSearch, Sort};

use super::collections::year;
use super::on_every_backend;
use crate::support::{at, km, school, urn};

on_every_backend! {
    offers_reach_a_home_or_do_not,
    every_one_of_some_years_counts,
    intakes_are_distinguished,
    unknown_distances_are_no_evidence,
    vacancies_count_within_the_radius,
    vacancies_have_the_widest_margins,
    a_selective_school_says_so,
    a_year_without_an_intake_counts_for_each,
    reach_is_a_filter_of_any_search,
    the_widest_margin_comes_first,
    writes_of_other_programs_count_immediately,
    admissions_are_merged_with_stored_ones,
    old_urns_lead_to_their_successor,
    links_in_a_circle_end,
    a_merged_school_leads_on,
    edits_from_an_old_version_are_refused,
}

/// A year of a school's admissions.
fn offered(number: i64, starts_in: i16, intake: Option<&str>, offered_km: Option<f64>) -> NewAdmissions {
    let admissions = Admissions {
        last_distance_offered_km: offered_km.map(km),
        places_offered: Some(30),
        applications_received: Some(90),
        ..Admissions::new(year(starts_in), intake.map(str::to_owned))
    };
    NewAdmissions { urn: urn(number), admissions }
}

async fn store(database: &TestDatabase, admissions: Vec<NewAdmissions>) -> UpsertCounts {
    database.repository().upsert_admissions(admissions, WriteMode::Commit).await.expect("admissions that fit")
}

/// Schools 1, 2 and 3 at about 1.1, 2.2 and 3.3 km north of the home.
async fn three_schools(database: &TestDatabase) {
    let placed = |number: i64| NewSchool {
        location: Some(at(52.0 + 0.01 * f64::from(i32::try_from(number).expect("small")), -0.7)),
        ..school(number)
    };
    database.repository().insert_schools((1..=3).map(placed).collect()).await.expect("schools that fit");
}

fn near() -> SchoolSearch {
    SchoolSearch::near(at(52.0, -0.7))
}

async fn reached(database: &TestDatabase, intake: Option<&str>, years: u8) -> Vec<i32> {
    let reach = ReachFilter { intake: intake.map(str::to_owned), years };
    let page = database.repository().find_reach(&near().reached(reach)).await.expect("a result");
    page.items.iter().map(|hit| hit.hit.school.urn.get()).collect()
}

async fn offers_reach_a_home_or_do_not(database: &TestDatabase) {
    three_schools(database).await;
    let km = at(52.0, -0.7).distance_to(at(52.01, -0.7)).get();
    let rows = vec![
        offered(1, 2024, Some("Year R"), Some(km)),
        offered(1, 2023, Some("Year R"), Some(5.0)),
        offered(2, 2024, Some("Year R"), Some(2.0)),
        offered(3, 2024, Some("Year R"), Some(10.0)),
    ];
    assert_eq!(store(database, rows).await.inserted, 4);
    let page = database.repository().find_reach(&near()).await.expect("a result");
    let urns: Vec<_> = page.items.iter().map(|hit| hit.hit.school.urn.get()).collect();
    assert_eq!(urns, [1, 3], "the boundary is inside, and school 2 is 2.2 km away");
    let first = &page.items[0];
    assert!(first.estimate && first.years_of_evidence == 2);
    let years: Vec<_> =
        first.years.iter().map(|year| (year.academic_year, year.last_distance_km.expect("a limit").get())).collect();
    assert_eq!(years, [(year(2024), km), (year(2023), 5.0)], "the newest first");
    assert!(first.years[0].margin_km.is_some_and(|margin| margin.get().abs() < 1e-9));
    assert!((first.years[1].margin_km.expect("a margin").get() - (5.0 - km)).abs() < 1e-9);
    assert!((first.years[0].change_km.expect("a trend").get() - (km - 5.0)).abs() < 1e-9);
    assert_eq!((first.years[1].change_km, first.years[0].applications_per_place), (None, Some(3.0)));
}

async fn every_one_of_some_years_counts(database: &TestDatabase) {
    three_schools(database).await;
    let rows = vec![
        offered(1, 2025, None, Some(3.0)),
        offered(1, 2023, None, Some(2.0)),
        offered(1, 2021, None, Some(1.0)),
        offered(2, 2025, None, Some(3.0)),
        offered(3, 2025, None, Some(3.0)),
        offered(3, 2024, None, Some(9.0)),
    ];
    store(database, rows).await;
    assert_eq!(reached(database, None, 1).await, [1, 2], "in the latest year");
    assert_eq!(reached(database, None, 2).await, [1], "school 2 has one year of evidence alone");
    assert!(reached(database, None, 3).await.is_empty(), "in 2021 school 1 stopped at 1.0 km");
    assert!(reached(database, None, 255).await.is_empty());
    let nothing = database.repository().find_reach(&near().reached(ReachFilter { intake: None, years: 0 })).await;
    assert!(matches!(nothing, Err(Error::InvalidSearch { .. })));
}

async fn intakes_are_distinguished(database: &TestDatabase) {
    three_schools(database).await;
    let rows = vec![
        offered(1, 2024, Some("Year R"), Some(0.5)),
        offered(1, 2023, Some("Year 3"), Some(4.0)),
        offered(2, 2024, None, Some(4.0)),
    ];
    store(database, rows).await;
    assert_eq!(reached(database, Some("Year 3"), 1).await, [1, 2], "what names no intake may be of it");
    assert_eq!(reached(database, Some("Year R"), 1).await, [2]);
    assert_eq!(reached(database, None, 1).await, [1, 2], "any intake, each in its own latest year");
    let page = database.repository().find_reach(&near()).await.expect("a result");
    let intakes: Vec<_> = page.items[0].years.iter().map(|year| year.intake.as_deref()).collect();
    assert_eq!(intakes, [Some("Year 3")], "an intake that does not reach is no evidence");
}

async fn unknown_distances_are_no_evidence(database: &TestDatabase) {
    three_schools(database).await;
    assert!(reached(database, None, 1).await.is_empty(), "nothing is known at all");
    let no_vacancies = Admissions { had_vacancies: Some(false), ..Admissions::new(year(2025), None) };
    let rows = vec![
        NewAdmissions { urn: urn(1), admissions: no_vacancies },
        offered(1, 2024, None, None),
        offered(2, 2025, None, None),
        offered(2, 2020, None, Some(4.0)),
        offered(3, 2025, None, Some(0.0)),
    ];
    store(database, rows).await;
    assert_eq!(reached(database, None, 1).await, [2], "by the latest year that is known");
}

/// A year in which every applicant was offered a place.
fn all_offered(number: i64, starts_in: i16, intake: Option<&str>) -> NewAdmissions {
    let mut new = offered(number, starts_in, intake, None);
    new.admissions.had_vacancies = Some(true);
    new
}

/// The schools are 1.1, 2.2 and 3.3 km away.
async fn vacancies_count_within_the_radius(database: &TestDatabase) {
    three_schools(database).await;
    let finder = database.repository();
    let mut limited = all_offered(1, 2024, None);
    limited.admissions.last_distance_offered_km = Some(km(0.5));
    store(database, vec![limited, all_offered(2, 2024, None), all_offered(3, 2024, None)]).await;
    assert!(reached(database, None, 1).await.is_empty(), "no last distance is known to bound the search");
    let within = |radius| near().within(km(radius));
    let urns = async |search: SchoolSearch| {
        let page = finder.find_reach(&search).await.expect("an answer");
        page.items.iter().map(|hit| hit.hit.school.urn.get()).collect::<Vec<_>>()
    };
    assert_eq!(urns(within(2.5)).await, [1, 2], "who was last is no limit where all were offered a place");
    assert_eq!(urns(within(100.0)).await, [1, 2, 3]);
    store(database, vec![offered(1, 2020, Some("Year 3"), Some(2.5))]).await;
    assert_eq!(urns(near()).await, [1, 2], "the greatest last distance of any school bounds the search");
    assert_eq!(urns(within(100.0)).await, [1, 2, 3], "a radius that is given does");

    let page = finder.find_reach(&within(2.5)).await.expect("an answer");
    let first = &page.items[1].years[0];
    assert_eq!((first.last_distance_km, first.margin_km, first.all_offered), (None, None, true));
    assert_eq!(first.change_km, None);
    // One year with a limit that the home is beyond is enough.
    store(database, vec![offered(2, 2023, None, Some(1.0))]).await;
    assert_eq!(reached(database, None, 2).await, [1]);
    assert_eq!(reached(database, None, 1).await, [1, 2]);
    database.execute("UPDATE admissions_history SET had_vacancies = NULL").await.expect("updated");
    assert_eq!(urns(within(100.0)).await, Vec::<i32>::new(), "0.5 km and 1 km are too near");
}

async fn a_selective_school_says_so(database: &TestDatabase) {
    let finder = database.repository();
    let located = |number, is_selective| NewSchool { location: Some(at(52.0, -0.7)), is_selective, ..school(number) };
    let schools = vec![located(1, Some(true)), located(2, Some(false)), located(3, None)];
    finder.insert_schools(schools).await.expect("schools that fit");
    store(database, (1..=3).map(|number| all_offered(number, 2024, None)).collect()).await;
    let within = near().within(km(1.0));
    let page = finder.find_reach(&within).await.expect("an answer");
    assert_eq!(page.items.iter().map(|hit| hit.is_selective).collect::<Vec<_>>(), [Some(true), Some(false), None]);
}

async fn vacancies_have_the_widest_margins(database: &TestDatabase) {
    three_schools(database).await;
    let rows = vec![
        all_offered(3, 2024, None),
        all_offered(2, 2024, Some("Year R")),
        offered(2, 2024, Some("Year 3"), Some(4.0)),
        offered(1, 2024, None, Some(20.0)),
    ];
    store(database, rows).await;
    let mut search = near().reached(ReachFilter::default()).sort(Sort::Margin).limit(1);
    let mut urns = Vec::new();
    loop {
        let page = database.repository().find_reach(&search).await.expect("an answer");
        urns.extend(page.items.iter().map(|hit| hit.hit.school.urn.get()));
        match page.next {
            Some(next) => search = search.after(next),
            None => break,
        }
    }
    assert_eq!(urns, [2, 3, 1], "first those where distance kept missing out, the nearest of them first");
}

async fn a_year_without_an_intake_counts_for_each(database: &TestDatabase) {
    three_schools(database).await;
    let rows = vec![
        // The newest year decides, though it does not name its intake.
        offered(1, 2022, Some("Year 7"), Some(9.0)),
        offered(1, 2025, None, Some(0.5)),
        offered(2, 2022, Some("Year 7"), Some(0.5)),
        offered(2, 2025, None, Some(9.0)),
        // A named row of the same year goes before it.
        offered(3, 2025, Some("Year 7"), Some(0.5)),
        offered(3, 2025, None, Some(9.0)),
    ];
    store(database, rows).await;
    assert_eq!(reached(database, None, 1).await, [2]);
    assert_eq!(reached(database, Some("Year 7"), 1).await, [2]);
    assert_eq!(
        reached(database, Some("Year R"), 1).await,
        [2, 3],
        "no row names it, so that it may be the unnamed one"
    );
    assert!(reached(database, None, 2).await.is_empty());
    let page = database.repository().find_reach(&near()).await.expect("an answer");
    let years: Vec<_> =
        page.items[0].years.iter().map(|year| (year.academic_year.starts_in(), year.intake.as_deref())).collect();
    assert_eq!(years, [(2025, None), (2022, Some("Year 7"))]);
    assert_eq!(page.items[0].years_of_evidence, 2);
}

async fn reach_is_a_filter_of_any_search(database: &TestDatabase) {
    three_schools(database).await;
    store(database, (1..=3).map(|number| offered(number, 2024, Some("Year R"), Some(5.0))).collect()).await;
    let mut search = near().reached(ReachFilter::default()).limit(2);
    search.filter.name = Some("School".to_owned());
    let found = database.repository().find_schools(&search).await.expect("a result");
    assert_eq!(found.items.iter().map(|hit| hit.school.urn.get()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(database.repository().facets(&search).await.expect("counts").total, 3);
    let next = search.after(found.next.expect("there are more"));
    let page = database.repository().find_reach(&next).await.expect("a result");
    assert_eq!(page.items.iter().map(|hit| hit.hit.school.urn.get()).collect::<Vec<_>>(), [3]);
    let nowhere = SchoolSearch::open().reached(ReachFilter::default());
    assert!(matches!(database.repository().find_schools(&nowhere).await, Err(Error::InvalidSearch { .. })));
    assert!(matches!(database.repository().find_reach(&SchoolSearch::open()).await, Err(Error::InvalidSearch { .. })));
}

async fn the_widest_margin_comes_first(database: &TestDatabase) {
    three_schools(database).await;
    let rows = vec![
        offered(1, 2024, Some("Year R"), Some(1.5)),
        offered(1, 2024, Some("Year 3"), Some(2.0)),
        offered(2, 2024, Some("Year R"), Some(9.0)),
        offered(2, 2023, Some("Year R"), Some(2.5)),
        offered(3, 2024, Some("Year R"), Some(8.0)),
    ];
    store(database, rows).await;
    let by_margin = |intake: Option<&str>, years| {
        near().reached(ReachFilter { intake: intake.map(str::to_owned), years }).sort(Sort::Margin)
    };
    let urns = async |search: SchoolSearch| {
        let page = database.repository().find_schools(&search).await.expect("a result");
        for hit in &page.items {
            let place = hit.school.location().expect("a place");
            assert_eq!(hit.distance_km, Some(at(52.0, -0.7).distance_to(place)), "the distance, and not the margin");
        }
        (page.items.iter().map(|hit| hit.school.urn.get()).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(urns(by_margin(None, 1)).await.0, [2, 3, 1], "by 6.8, 4.7 and, with its better intake, 0.9 km");
    assert_eq!(urns(by_margin(Some("Year R"), 2)).await.0, [2], "in the worse of two years");
    let (mut search, mut all) = (by_margin(None, 1).limit(1), Vec::new());
    while let (mut page, Some(next)) = urns(search.clone()).await {
        all.append(&mut page);
        search = search.after(next);
    }
    assert_eq!((all.as_slice(), urns(search).await.0.as_slice()), (&[2, 3][..], &[1][..]));
    let page = database.repository().find_reach(&by_margin(None, 1)).await.expect("a result");
    assert_eq!(page.items.iter().map(|hit| hit.hit.school.urn.get()).collect::<Vec<_>>(), [2, 3, 1]);
    let unclear = database.repository().find_schools(&near().sort(Sort::Margin)).await;
    assert!(matches!(unclear, Err(Error::InvalidSearch { .. })));
}

async fn writes_of_other_programs_count_immediately(database: &TestDatabase) {
    three_schools(database).await;
    store(database, vec![offered(1, 2024, None, Some(0.5)), offered(1, 2023, None, Some(3.0))]).await;
    let execute = async |statement: &str| database.execute(statement).await.expect(statement);
    assert!(reached(database, None, 1).await.is_empty());
    execute("UPDATE admissions_history SET last_distance_offered_km = 2.0 WHERE academic_year = 2024").await;
    assert_eq!((reached(database, None, 1).await, reached(database, None, 2).await), (vec![1], vec![1]));
    execute("UPDATE admissions_history SET school_id = school_id + 1 WHERE academic_year = 2023").await;
    assert_eq!((reached(database, None, 1).await, reached(database, None, 2).await), (vec![1, 2], vec![]));
    execute("DELETE FROM admissions_history WHERE academic_year = 2024").await;
    assert_eq!(reached(database, None, 1).await, [2]);
    execute("DELETE FROM schools").await;
    assert_eq!(database.number("SELECT count(*) FROM admissions_reach").await.expect("a count"), 0);
}

async fn admissions_are_merged_with_stored_ones(database: &TestDatabase) {
    three_schools(database).await;
    let rows = vec![offered(1, 2024, None, Some(2.0)), offered(1, 2024, Some("Year R"), None)];
    assert_eq!(store(database, rows.clone()).await, UpsertCounts::new(2, 0, 0));
    assert_eq!(store(database, rows).await, UpsertCounts::new(0, 0, 2));
    let more = Admissions { appeals_heard: Some(3), ..Admissions::new(year(2024), None) };
    let counts = store(database, vec![NewAdmissions { urn: urn(1), admissions: more }]).await;
    assert_eq!(counts, UpsertCounts::new(0, 1, 0));
    let repository = database.repository();
    let id = repository.school_by_urn(urn(1)).await.expect("a result").expect("the school").id;
    let stored = repository.school_details(id).await.expect("a result").expect("the school").admissions.expect("years");
    assert_eq!(stored.len(), 2);
    // A new limit contradicts a stored year in which all were offered a place.
    store(database, vec![all_offered(3, 2024, None), all_offered(3, 2023, None)]).await;
    store(database, vec![offered(3, 2024, None, Some(1.0))]).await;
    let third = repository.school_details_by_urn(urn(3)).await.expect("a result").expect("the school");
    let vacancies: Vec<_> = third.admissions.iter().flatten().map(|year| year.had_vacancies).collect();
    assert_eq!(vacancies, [None, Some(true)]);
    database
        .execute("DELETE FROM admissions_history WHERE school_id = (SELECT max(id) FROM schools)")
        .await
        .expect("deleted");
    let known = stored.iter().find(|year| year.intake.is_none()).expect("the year");
    assert_eq!((known.last_distance_offered_km, known.appeals_heard), (Some(km(2.0)), Some(3)));

    let all_or_none = vec![offered(2, 2024, None, None), offered(99, 2024, None, None)];
    let error = repository.upsert_admissions(all_or_none, WriteMode::Commit).await.expect_err("no such school");
    assert!(matches!(error, Error::UnknownUrn { urn } if urn.get() == 99));
    let twice = vec![offered(2, 2024, None, None), offered(2, 2024, None, Some(1.0))];
    let error = repository.upsert_admissions(twice, WriteMode::Commit).await.expect_err("twice");
    assert!(matches!(&error, Error::DuplicateRow { constraint } if constraint == "uq_admissions_school_year"));
    let dry = repository.upsert_admissions(vec![offered(2, 2024, None, None)], WriteMode::DryRun).await;
    assert_eq!(dry.expect("a dry run").inserted, 1);
    assert_eq!(database.number("SELECT count(*) FROM admissions_history").await.expect("a count"), 2);
}

fn link(from: i64, to: i64, kind: LinkKind) -> NewLink {
    NewLink { urn: urn(from), linked_urn: urn(to), kind, linked_name: None, link_type: None, linked_on: None }
}

async fn today(database: &TestDatabase, number: i64) -> Vec<i32> {
    let schools = database.repository().schools_of_today(urn(number)).await.expect("a result");
    schools.iter().map(|school| school.urn.get()).collect()
}

async fn old_urns_lead_to_their_successor(database: &TestDatabase) {
    let closed = NewSchool { status: Status::Closed, ..school(13) };
    let schools = vec![school(10), school(20), school(21), closed];
    database.repository().insert_schools(schools).await.expect("schools that fit");
    let links = vec![
        // 11 and 12 are not here; one is said from each side.
        link(11, 12, LinkKind::Successor),
        link(10, 12, LinkKind::Predecessor),
        // Split in two; one of these is said twice.
        link(30, 20, LinkKind::Successor),
        link(30, 21, LinkKind::Successor),
        link(21, 30, LinkKind::Predecessor),
        link(40, 13, LinkKind::Merged),
        link(50, 10, LinkKind::Other),
    ];
    let counts = database.repository().upsert_links(links.clone(), WriteMode::Commit).await.expect("links");
    assert_eq!(counts.inserted, 7);
    let again = database.repository().upsert_links(links, WriteMode::Commit).await.expect("links");
    assert_eq!((again.inserted, again.unchanged), (0, 7));
    assert_eq!(today(database, 10).await, [10], "an open school is itself");
    assert_eq!(today(database, 11).await, [10]);
    assert_eq!(today(database, 12).await, [10]);
    assert_eq!(today(database, 30).await, [20, 21]);
    assert_eq!(today(database, 40).await, [13], "none is open: the last that is known");
    assert!(today(database, 50).await.is_empty(), "another link is no lineage");
    // Closed, and followed by one that is not here: it is the last that is known.
    let closed = |number| NewSchool { status: Status::Closed, ..school(number) };
    database.repository().insert_schools([60, 70, 71, 72].map(closed).to_vec()).await.expect("schools that fit");
    let links = vec![
        link(60, 61, LinkKind::Successor),
        link(70, 71, LinkKind::Successor),
        link(70, 72, LinkKind::Successor),
        link(71, 72, LinkKind::Successor),
    ];
    database.repository().upsert_links(links, WriteMode::Commit).await.expect("links");
    assert_eq!(today(database, 60).await, [60]);
    assert_eq!(today(database, 70).await, [72], "the last of two ways");
    assert!(today(database, 99).await.is_empty());
}

async fn links_in_a_circle_end(database: &TestDatabase) {
    let links = vec![
        link(1, 2, LinkKind::Successor),
        link(2, 3, LinkKind::Successor),
        link(3, 1, LinkKind::Successor),
        link(3, 4, LinkKind::Merged),
        link(4, 3, LinkKind::Merged),
    ];
    database.repository().upsert_links(links, WriteMode::Commit).await.expect("links");
    assert!(today(database, 1).await.is_empty());
    database.repository().insert_schools(vec![school(4)]).await.expect("a school");
    assert_eq!(today(database, 1).await, [4]);
}

async fn a_merged_school_leads_on(database: &TestDatabase) {
    let repository = database.repository();
    let ids = repository.insert_schools(vec![school(1), school(2)]).await.expect("schools");
    let review = Review {
        urn: urn(1),
        school_name: "School 1".to_owned(),
        source: "A paper".to_owned(),
        rating: Some(5),
        snippet: None,
        reviewed_on: None,
    };
    repository.insert_reviews(vec![review.clone(), review]).await.expect("reviews");
    let on = NaiveDate::from_ymd_opt(2026, 8, 31).expect("a day");
    let counts = repository.merge_schools(urn(1), urn(2), on).await.expect("merged");
    assert_eq!((counts.reviews, counts.links), (2, 2));
    let old = repository.school(ids[0]).await.expect("a result").expect("it is kept");
    assert_eq!((old.status, old.closed_on, old.version), (Status::Closed, Some(on), 2));
    let new = repository.school_details(ids[1]).await.expect("a result").expect("the school");
    let reviews = new.reviews.expect("reviews");
    assert!(reviews.len() == 2 && reviews.iter().all(|review| review.urn == urn(1)), "as they were");
    assert_eq!(new.links.expect("links").len(), 1);
    assert_eq!(today(database, 1).await, [2]);
    let again = repository.merge_schools(urn(1), urn(2), on).await.expect("once more");
    assert_eq!((again.reviews, again.links), (0, 0));
    let error = repository.merge_schools(urn(1), urn(99), on).await.expect_err("no such school");
    assert!(matches!(error, Error::UnknownUrn { urn } if urn.get() == 99));
    let itself = repository.merge_schools(urn(1), urn(1), on).await;
    assert!(matches!(itself, Err(Error::MergeIntoSelf { urn }) if urn.get() == 1), "{itself:?}");
    let back = repository.merge_schools(urn(2), urn(1), on).await;
    assert!(matches!(back, Err(Error::MergeIntoClosed { urn }) if urn.get() == 1), "no circle: {back:?}");
    let later = on + chrono::Days::new(1);
    repository.merge_schools(urn(1), urn(2), later).await.expect("once more");
    let old = repository.school(ids[0]).await.expect("a result").expect("it is kept");
    assert_eq!((old.closed_on, old.version), (Some(on), 2), "a school that closed before keeps its day");
}

async fn edits_from_an_old_version_are_refused(database: &TestDatabase) {
    let repository = database.repository();
    let full = crate::support::full_school(1);
    let id = repository.insert_schools(vec![full.clone()]).await.expect("a school")[0];
    let read = repository.school(id).await.expect("a result").expect("the school");
    assert_eq!(read.version, 1);
    let patch = SchoolPatch { pupils: Some(Some(99)), faith: Some(None), ..SchoolPatch::default() };
    let edited = repository.update_school(id, read.version, patch.clone()).await.expect("an edit");
    assert_eq!((edited.pupils, &edited.faith, edited.version), (Some(99), &None, 2));
    let expected = NewSchool { pupils: Some(99), faith: None, ..full.clone() };
    assert_eq!(NewSchool::from(edited), expected, "all else stays");
    let stale = repository.update_school(id, read.version, patch).await;
    assert!(matches!(stale, Err(Error::Stale { given: 1, stored: 2 })), "{stale:?}");
    let wrong = SchoolPatch { age_range_from: Some(Some(20)), ..SchoolPatch::default() };
    assert!(matches!(repository.update_school(id, 2, wrong).await, Err(Error::AgeFrom)));
    let missing = repository.update_school(school_finder_db::ids::SchoolId::new(99), 1, SchoolPatch::default()).await;
    assert!(matches!(missing, Err(Error::UnknownSchool)));
    // An import is an edit as well.
    let stream = Box::new(std::iter::once(Ok(full)));
    repository.upsert_schools(stream, WriteMode::Commit).await.expect("an upsert");
    assert_eq!(repository.school(id).await.expect("a result").expect("the school").version, 3);
    let json: SchoolPatch = serde_json::from_str(r#"{"faith":null,"type":"Academy"}"#).expect("a patch");
    assert_eq!((json.faith, json.school_type, json.name), (Some(None), Some(Some("Academy".to_owned())), None));
    for wrong in [r#"{"fiath":null}"#, r#"{"ofsted_rating":5}"#, r#"{"name":null}"#] {
        assert!(serde_json::from_str::<SchoolPatch>(wrong).is_err(), "{wrong}");
    }
}
