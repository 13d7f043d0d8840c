//! Schools by LAESTAB and UKPRN, and the schools that a register lacks.

use school_finder_db::ids::{Laestab, Ukprn};
use school_finder_db::models::{NewSchool, RegisterCounts, SchoolIdentifiers, SchoolPatch, Status, UpsertCounts};
use school_finder_db::request::{MissingSchools, RegisterCoverage, RegisterSchool, WriteMode};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, Result};

use super::on_every_backend;
use crate::support::{full_school, school, urn};

on_every_backend! {
    the_open_school_of_a_laestab_is_meant,
    identifiers_are_kept_where_none_is_given,
    a_patch_makes_a_value_unknown,
    missing_schools_are_of_the_source_and_its_councils,
    more_than_a_twentieth_is_closed_by_force_alone,
}

fn laestab(text: &str) -> Laestab {
    text.parse().expect("a LAESTAB")
}

fn ukprn(number: i32) -> Ukprn {
    number.try_into().expect("a UKPRN")
}

fn listed(number: i64, council: &str, identifiers: SchoolIdentifiers) -> RegisterSchool {
    let school = NewSchool { council: Some(council.to_owned()), ..school(number) };
    let identifiers = SchoolIdentifiers { source: Some("a register".to_owned()), ..identifiers };
    RegisterSchool { school, identifiers: Some(identifiers), town: None, patch: None }
}

fn of_ash(number: i64) -> RegisterSchool {
    listed(number, "Ash", SchoolIdentifiers::default())
}

async fn upsert(
    database: &TestDatabase,
    schools: Vec<RegisterSchool>,
    coverage: RegisterCoverage,
) -> Result<RegisterCounts> {
    let schools = Box::new(schools.into_iter().map(Ok));
    database.repository().upsert_register(schools, coverage, WriteMode::Commit).await
}

async fn stored(database: &TestDatabase, schools: Vec<RegisterSchool>) -> UpsertCounts {
    upsert(database, schools, RegisterCoverage::default()).await.expect("schools that fit").schools
}

fn of_ash_with(numbers: impl IntoIterator<Item = i64>, missing: MissingSchools) -> RegisterCoverage {
    let (source, councils) = ("a register".to_owned(), vec!["Ash".to_owned()]);
    RegisterCoverage { source, councils, urns: numbers.into_iter().map(urn).collect(), missing }
}

async fn status(database: &TestDatabase, number: i64) -> Status {
    database.repository().school_by_urn(urn(number)).await.expect("a result").expect("the school").status
}

async fn the_open_school_of_a_laestab_is_meant(database: &TestDatabase) {
    let numbered = |la_code, number, ukprn| SchoolIdentifiers {
        la_code: Some(la_code),
        establishment_number: Some(number),
        ukprn,
        source: None,
    };
    let mut closed = listed(1, "Ash", numbered(826, 4004, Some(ukprn(10_000_001))));
    closed.school.status = Status::Closed;
    let mut alone = listed(3, "Bay", numbered(331, 4004, None));
    alone.school.status = Status::Closed;
    let academy = listed(2, "Ash", numbered(826, 4004, Some(ukprn(10_000_002))));
    let other = listed(4, "Ash", numbered(826, 4005, Some(ukprn(10_000_002))));
    stored(database, vec![closed, academy, alone, other]).await;
    let finder = database.repository();
    let wanted = [laestab("826/4005"), laestab("331/4004"), laestab("826/4004"), laestab("826/9999")];
    let found = finder.schools_by_laestab(&wanted).await.expect("a result");
    let found: Vec<_> = found.iter().map(|(laestab, school)| (laestab.to_string(), school.urn)).collect();
    let expected = [("331/4004", 3), ("826/4004", 2), ("826/4005", 4)];
    assert_eq!(found, expected.map(|(laestab, number)| (laestab.to_owned(), urn(number))));
    let found = finder.schools_by_ukprn(&[ukprn(10_000_002), ukprn(10_000_001)]).await.expect("a result");
    let found: Vec<_> = found.iter().map(|(ukprn, school)| (ukprn.get(), school.urn)).collect();
    assert_eq!(found, [(10_000_001, urn(1)), (10_000_002, urn(2)), (10_000_002, urn(4))]);
}

async fn identifiers_are_kept_where_none_is_given(database: &TestDatabase) {
    let given = SchoolIdentifiers { la_code: Some(826), ukprn: Some(ukprn(10_000_001)), ..Default::default() };
    let counts = stored(database, vec![listed(1, "Ash", given.clone())]).await;
    assert_eq!((counts.inserted, counts.updated, counts.unchanged), (1, 0, 0));
    let next = SchoolIdentifiers { establishment_number: Some(4004), ..Default::default() };
    for (updated, unchanged) in [(1, 0), (0, 1)] {
        let counts = stored(database, vec![listed(1, "Ash", next.clone())]).await;
        assert_eq!((counts.inserted, counts.updated, counts.unchanged), (0, updated, unchanged));
    }
    let details = database.repository().school_details_by_urn(urn(1)).await.expect("a result").expect("the school");
    let expected =
        SchoolIdentifiers { establishment_number: Some(4004), source: Some("a register".to_owned()), ..given };
    assert_eq!(details.identifiers, Some(vec![expected]));
    let invalid = SchoolIdentifiers { la_code: Some(1000), ..Default::default() };
    let error = upsert(database, vec![listed(1, "Ash", invalid)], RegisterCoverage::default()).await;
    assert!(matches!(error, Err(Error::InvalidIdentifier(_))), "{error:?}");
}

async fn a_patch_makes_a_value_unknown(database: &TestDatabase) {
    database.repository().insert_schools(vec![full_school(1)]).await.expect("a school that fits");
    let patch = SchoolPatch { phase: Some(None), ..SchoolPatch::default() };
    let counts = stored(database, vec![RegisterSchool { patch: Some(patch), ..full_school(1).into() }]).await;
    assert_eq!(counts.updated, 1);
    let after = database.repository().school_by_urn(urn(1)).await.expect("a result").expect("the school");
    assert_eq!(NewSchool::from(after), NewSchool { phase: None, ..full_school(1) });
}

async fn missing_schools_are_of_the_source_and_its_councils(database: &TestDatabase) {
    let mut of_another = of_ash(2);
    of_another.identifiers = Some(SchoolIdentifiers { source: Some("another".to_owned()), ..Default::default() });
    let mut closed = of_ash(4);
    closed.school.status = Status::Closed;
    let of_bay = listed(5, "Bay", SchoolIdentifiers::default());
    let without_identifiers = RegisterSchool { identifiers: None, ..of_ash(6) };
    stored(database, vec![of_ash(1), of_another, of_ash(3), closed, of_bay, without_identifiers]).await;
    let counts = upsert(database, vec![of_ash(1)], of_ash_with([1], MissingSchools::Keep)).await.expect("counts");
    assert_eq!(counts.missing, [(urn(3), "School 3".to_owned())]);
    assert_eq!((counts.closed, status(database, 3).await), (0, Status::Open));
    let counts = upsert(database, vec![of_ash(1)], of_ash_with([1], MissingSchools::CloseAny)).await.expect("counts");
    assert_eq!((counts.missing.len(), counts.closed), (1, 1));
    for (number, expected) in
        [(1, Status::Open), (2, Status::Open), (3, Status::Closed), (5, Status::Open), (6, Status::Open)]
    {
        assert_eq!(status(database, number).await, expected, "{number}");
    }
}

async fn more_than_a_twentieth_is_closed_by_force_alone(database: &TestDatabase) {
    stored(database, (1..=20).map(of_ash).collect()).await;
    // Two of twenty, and a school that must not be written.
    let refused = upsert(database, vec![of_ash(21)], of_ash_with((1..=18).chain([21]), MissingSchools::Close)).await;
    assert!(matches!(refused, Err(Error::TooManyMissing { missing: 2, open: 20 })), "{refused:?}");
    assert!(database.repository().school_by_urn(urn(21)).await.expect("a result").is_none());
    let counts = upsert(database, Vec::new(), of_ash_with(1..=19, MissingSchools::Close)).await.expect("one of twenty");
    assert_eq!((counts.closed, status(database, 20).await), (1, Status::Closed));
    let counts = upsert(database, Vec::new(), of_ash_with([], MissingSchools::CloseAny)).await.expect("by force");
    assert_eq!(counts.closed, 19);
}
