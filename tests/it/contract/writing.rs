//! Inserts, upserts and what the database refuses.

use chrono::NaiveDate;
use school_finder_db::models::{NewSchool, Rating, Status, UpsertCounts};
use school_finder_db::request::WriteMode;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, Result, SchoolSearch};

use super::on_every_backend;
use crate::support::{at, full_school, km, school, urn};

on_every_backend! {
    every_value_survives_the_round_trip,
    ids_come_in_the_order_given,
    a_urn_is_unique,
    a_duplicate_deep_in_a_batch_rolls_it_back,
    checks_are_named,
    texts_are_checked,
    dates_and_numbers_have_bounds,
    swapped_coordinates_are_refused,
    more_rows_than_one_statement_can_bind_are_inserted,
    upserts_count_and_keep_curated_values,
    a_dry_run_writes_nothing,
    an_error_in_the_stream_rolls_back_the_upsert,
    a_panic_in_the_stream_rolls_back_the_upsert,
    ages_and_locations_are_each_merged_together,
}

async fn insert_error(database: &TestDatabase, school: NewSchool) -> Error {
    let schools = vec![self::school(999), school];
    let error = database.repository().insert_schools(schools).await.expect_err("refused");
    assert_eq!(count(database).await, 0, "all or nothing");
    error
}

async fn count(database: &TestDatabase) -> u64 {
    database.repository().facets(&SchoolSearch::open()).await.expect("counts").total
}

async fn upsert(database: &TestDatabase, schools: Vec<Result<NewSchool>>, mode: WriteMode) -> Result<UpsertCounts> {
    database.repository().upsert_schools(Box::new(schools.into_iter()), mode).await
}

async fn every_value_survives_the_round_trip(database: &TestDatabase) {
    for new in [full_school(1), school(2)] {
        database.repository().insert_schools(vec![new.clone()]).await.expect("a school that fits");
        let stored = database.repository().school_by_urn(new.urn).await.expect("a result").expect("the school");
        assert_eq!(NewSchool::from(stored), new);
    }
}

async fn ids_come_in_the_order_given(database: &TestDatabase) {
    let numbers = [5, 3, 9, 1];
    let schools = numbers.iter().map(|number| school(*number)).collect();
    let ids = database.repository().insert_schools(schools).await.expect("schools that fit");
    for (id, number) in ids.iter().zip(numbers) {
        let stored = database.repository().school(*id).await.expect("a result").expect("the school");
        assert_eq!(stored.urn, urn(number));
    }
    assert!(database.repository().insert_schools(Vec::new()).await.expect("nothing to do").is_empty());
}

async fn a_urn_is_unique(database: &TestDatabase) {
    database.repository().insert_schools(vec![school(1), school(2)]).await.expect("schools that fit");
    let error = database.repository().insert_schools(vec![school(3), school(2)]).await.expect_err("stored already");
    assert!(matches!(error, Error::DuplicateUrn { urn } if urn.get() == 2), "{error}");
    assert_eq!(count(database).await, 2);
}

async fn a_duplicate_deep_in_a_batch_rolls_it_back(database: &TestDatabase) {
    let mut schools: Vec<NewSchool> = (1..=10_000).map(school).collect();
    schools[9_998].urn = urn(4_000);
    let error = database.repository().insert_schools(schools.clone()).await.expect_err("twice in the batch");
    assert!(matches!(error, Error::DuplicateUrn { urn } if urn.get() == 4_000));
    let schools = schools.into_iter().map(Ok).collect();
    let error = upsert(database, schools, WriteMode::Commit).await.expect_err("twice in the stream");
    assert!(matches!(error, Error::DuplicateUrn { urn } if urn.get() == 4_000));
    assert_eq!(count(database).await, 0);
}

async fn checks_are_named(database: &TestDatabase) {
    let ages = |age_range_from, age_range_to| NewSchool { age_range_from, age_range_to, ..school(1) };
    let radius = |radius| NewSchool { catchment_radius_km: Some(radius), ..school(1) };
    for from in [-1, 20, i16::MAX, i16::MIN] {
        assert!(matches!(insert_error(database, ages(Some(from), None)).await, Error::AgeFrom), "{from}");
    }
    for (from, to) in [(Some(5), 4), (None, -1), (Some(0), 100), (None, i16::MAX)] {
        assert!(matches!(insert_error(database, ages(from, Some(to))).await, Error::AgeRange), "{from:?} {to}");
    }
    for rating in [0, 5, -1] {
        assert!(matches!(Rating::try_from(rating), Err(Error::OfstedRating)), "{rating}");
    }
    for too in [0.0, 20_016.0, 1e300] {
        assert!(matches!(insert_error(database, radius(km(too))).await, Error::Radius), "{too}");
    }
    let at_zero = NewSchool { location: Some(at(0.0, 0.0)), ..school(1) };
    assert!(matches!(insert_error(database, at_zero).await, Error::Coordinates));
    // Two at once: one of them is reported.
    let both = NewSchool { capacity: Some(-1), ..ages(Some(99), None) };
    assert!(matches!(insert_error(database, both).await, Error::CheckViolated { .. } | Error::AgeFrom));
    let crowded = NewSchool { capacity: Some(-1), ..school(1) };
    let error = insert_error(database, crowded).await;
    assert!(matches!(&error, Error::CheckViolated { constraint } if constraint == "ck_capacity"), "{error}");
}

async fn texts_are_checked(database: &TestDatabase) {
    let named = |name: &str| NewSchool::new(urn(1), name);
    assert!(matches!(insert_error(database, named("a\0b")).await, Error::InvalidText { field: "name", .. }));
    assert!(matches!(insert_error(database, named(" \t")).await, Error::InvalidText { field: "name", .. }));
    let error = insert_error(database, named(&"é".repeat(1 << 20))).await;
    assert!(matches!(error, Error::TooLong { field: "name", length: 1_048_576, max: 200 }));
    // A ligature of eighteen letters: short as a name, long as it is searched.
    assert!(matches!(insert_error(database, named(&"\u{fdfa}".repeat(200))).await, Error::TooLong { .. }));
    let postcode = NewSchool { postcode: Some("AB12 34CDEFG".to_owned()), ..school(1) };
    assert!(matches!(insert_error(database, postcode).await, Error::TooLong { field: "postcode", .. }));
    let council = NewSchool { council: Some("Lee\0ds".to_owned()), ..school(1) };
    assert!(matches!(insert_error(database, council).await, Error::InvalidText { field: "council", .. }));
    for link in ["javascript:alert(1)", "school.example", "ftp://school.example", "http:/school.example", "httpé"] {
        let linked = NewSchool { website_url: Some(link.to_owned()), ..school(1) };
        let error = insert_error(database, linked).await;
        assert!(matches!(error, Error::InvalidText { field: "website_url", .. }), "{link}: {error}");
    }
    // The longest that fits, in characters and not in bytes.
    database.repository().insert_schools(vec![named(&"é".repeat(200))]).await.expect("a school that fits");
}

async fn dates_and_numbers_have_bounds(database: &TestDatabase) {
    let day = |year| NaiveDate::from_ymd_opt(year, 12, 31);
    for year in [-4, 0, 10_000, 262_000] {
        let opened = NewSchool { opened_on: day(year), ..school(1) };
        assert!(matches!(insert_error(database, opened).await, Error::InvalidDate { field: "opened_on" }), "{year}");
    }
    let extreme = NewSchool {
        opened_on: NaiveDate::from_ymd_opt(1, 1, 1),
        closed_on: NaiveDate::from_ymd_opt(9_999, 12, 31),
        source_date: NaiveDate::from_ymd_opt(2024, 2, 29),
        capacity: Some(i32::MAX),
        pupils: Some(0),
        catchment_radius_km: Some(km(f64::MIN_POSITIVE)),
        location: Some(at(-90.0, 180.0)),
        ..school(1)
    };
    database.repository().insert_schools(vec![extreme.clone()]).await.expect("the bounds are inside");
    let stored = database.repository().school_by_urn(urn(1)).await.expect("a result").expect("the school");
    assert_eq!(NewSchool::from(stored), extreme);
}

async fn swapped_coordinates_are_refused(database: &TestDatabase) {
    let swapped = NewSchool { location: Some(at(-0.7, 52.0)), ..school(1) };
    assert!(matches!(insert_error(database, swapped).await, Error::SuspectSwapped { .. }));
}

async fn more_rows_than_one_statement_can_bind_are_inserted(database: &TestDatabase) {
    let schools: Vec<NewSchool> = (1..=100_000).map(school).collect();
    let counts = upsert(database, schools.into_iter().map(Ok).collect(), WriteMode::Commit).await.expect("they fit");
    assert_eq!(counts, UpsertCounts::new(100_000, 0, 0));
    assert_eq!(count(database).await, 100_000);
}

async fn upserts_count_and_keep_curated_values(database: &TestDatabase) {
    let curated = NewSchool { closed_on: None, ..full_school(1) };
    database.repository().insert_schools(vec![curated.clone(), school(2)]).await.expect("schools that fit");
    let renamed = NewSchool { name: "New name".to_owned(), status: Status::Open, ..school(1) };
    let given = vec![Ok(renamed), Ok(school(2)), Ok(school(3))];
    let counts = upsert(database, given, WriteMode::Commit).await.expect("they fit");
    assert_eq!(counts, UpsertCounts::new(1, 1, 1));
    let stored = database.repository().school_by_urn(urn(1)).await.expect("a result").expect("the school");
    let expected = NewSchool { name: "New name".to_owned(), status: Status::Open, ..curated };
    assert_eq!(NewSchool::from(stored), expected, "what the update does not know stays");
    let by_new_name =
        database.repository().find_schools(&SchoolSearch::open().name("new NAME")).await.expect("a result");
    assert_eq!(by_new_name.items.len(), 1, "the folded name follows");
    // A school that is open again has no day of closing.
    let closed = NewSchool { status: Status::Closed, closed_on: NaiveDate::from_ymd_opt(2020, 8, 31), ..school(2) };
    upsert(database, vec![Ok(closed)], WriteMode::Commit).await.expect("it fits");
    upsert(database, vec![Ok(school(2))], WriteMode::Commit).await.expect("it fits");
    let stored = database.repository().school_by_urn(urn(2)).await.expect("a result").expect("the school");
    assert_eq!((stored.status, stored.closed_on), (Status::Open, None));
}

async fn a_dry_run_writes_nothing(database: &TestDatabase) {
    database.repository().insert_schools(vec![school(1)]).await.expect("a school that fits");
    let given = || vec![Ok(NewSchool::new(urn(1), "Other")), Ok(school(2))];
    let counts = upsert(database, given(), WriteMode::DryRun).await.expect("they fit");
    assert_eq!(counts, UpsertCounts::new(1, 1, 0));
    assert_eq!(count(database).await, 1);
    // And it finds what would go wrong.
    let bad = NewSchool { age_range_from: Some(20), ..school(3) };
    assert!(matches!(upsert(database, vec![Ok(bad)], WriteMode::DryRun).await, Err(Error::AgeFrom)));
    assert_eq!(upsert(database, given(), WriteMode::Commit).await.expect("they fit"), counts);
}

async fn an_error_in_the_stream_rolls_back_the_upsert(database: &TestDatabase) {
    let mut given: Vec<Result<NewSchool>> = (1..=900).map(|number| Ok(school(number))).collect();
    given.push(Err(school_finder_db::ids::Urn::new(-1).expect_err("no URN").into()));
    let error = upsert(database, given, WriteMode::Commit).await.expect_err("the stream fails");
    assert!(matches!(error, Error::InvalidUrn(_)));
    assert_eq!(count(database).await, 0);
}

async fn a_panic_in_the_stream_rolls_back_the_upsert(database: &TestDatabase) {
    let repository = school_finder_db::connect(database.config()).await.expect("the database");
    let upsert = tokio::spawn(async move {
        let schools = (1..=1_300).map(|number| {
            assert!(number < 1_290, "the stream panics");
            Ok(school(number))
        });
        repository.upsert_schools(Box::new(schools), WriteMode::Commit).await
    });
    assert!(upsert.await.expect_err("the panic is passed on").is_panic());
    assert_eq!(count(database).await, 0, "a part of a stream is not a whole one");
}

async fn ages_and_locations_are_each_merged_together(database: &TestDatabase) {
    database.repository().insert_schools(vec![full_school(1)]).await.expect("a school that fits");
    let moved = NewSchool {
        age_range_from: Some(18),
        location: Some(at(53.0, -1.0)),
        status: Status::ProposedToClose,
        ..school(1)
    };
    upsert(database, vec![Ok(moved)], WriteMode::Commit).await.expect("it fits");
    let stored = database.repository().school_by_urn(urn(1)).await.expect("a result").expect("the school");
    assert_eq!((stored.age_range_from, stored.age_range_to), (Some(18), Some(19)));
    assert_eq!(
        (stored.location(), stored.easting),
        (Some(at(53.0, -1.0)), None),
        "no old grid reference at a new place"
    );
    let younger = NewSchool { age_range_to: Some(7), ..school(1) };
    upsert(database, vec![Ok(younger)], WriteMode::Commit)
        .await
        .expect("it fits, and says nothing of the youngest age");
    let stored = database.repository().school_by_urn(urn(1)).await.expect("a result").expect("the school");
    assert_eq!((stored.age_range_from, stored.age_range_to), (None, Some(7)));
}
