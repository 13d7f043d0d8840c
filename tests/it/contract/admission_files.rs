//! Imports of admissions and of links.

use std::sync::{Arc, Mutex};

use school_finder_db::import::{Import, ImportCounts, ImportError, Notice, Reject};
use school_finder_db::models::{NewSchool, SchoolDetails, Status};
use school_finder_db::request::{RegisterSchool, WriteMode};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, SchoolSearch};

use super::on_every_backend;
use crate::support::{at, km, school, urn};

on_every_backend! {
    admissions_are_imported_and_imported_again,
    unusable_admissions_are_reported,
    links_are_imported_in_their_encoding,
    rows_that_contradict_each_other_are_rejected,
    distances_have_units,
    all_applicants_offered_is_had_vacancies,
    schools_are_found_by_laestab_and_ukprn,
    reach_uses_the_criterion_by_distance_alone,
    a_file_of_excel_is_read_and_said_to_be,
}

const HEADER: &str =
    "urn,name,academic_year,intake_year,places_offered,applications_received,last_distance_offered_km,had_vacancies";

#[derive(Clone, Copy)]
enum Kind {
    Admissions,
    Links,
}

async fn import(database: &TestDatabase, kind: Kind, file: Vec<u8>) -> (Result<ImportCounts, Error>, Vec<Reject>) {
    let rejects = Arc::new(Mutex::new(Vec::new()));
    let import = Import::new().on_reject({
        let rejects = Arc::clone(&rejects);
        move |reject| rejects.lock().expect("a list").push(reject)
    });
    let file = std::io::Cursor::new(file);
    let counts = match kind {
        Kind::Admissions => import.admissions(database.repository(), file).await,
        Kind::Links => import.links(database.repository(), file).await,
    };
    let rejects = rejects.lock().expect("a list").clone();
    (counts, rejects)
}

fn admissions(rows: &[&str]) -> Vec<u8> {
    (std::iter::once(HEADER).chain(rows.iter().copied()).collect::<Vec<_>>().join("\n") + "\n").into_bytes()
}

fn counts(inserted: u64, updated: u64, unchanged: u64, rejected: u64) -> ImportCounts {
    ImportCounts { inserted, updated, unchanged, rejected, ..ImportCounts::default() }
}

async fn admissions_are_imported_and_imported_again(database: &TestDatabase) {
    database.repository().insert_schools((1..=2).map(school).collect()).await.expect("schools");
    let rows = ["1,Aé,2024/2025,Year R,60,64,1.234,0", "1,Aé,2024-25,Year 3,15,,,yes", "2,B,202324,,,,,"];
    let file = admissions(&rows);
    assert_eq!(import(database, Kind::Admissions, file.clone()).await.0.expect("an import"), counts(3, 0, 0, 0));
    assert_eq!(import(database, Kind::Admissions, file).await.0.expect("an import"), counts(0, 0, 3, 0));
    let more = admissions(&["2,B,2023/24,,,99,,"]);
    assert_eq!(import(database, Kind::Admissions, more).await.0.expect("an import"), counts(0, 1, 0, 0));
    let id = database.repository().school_by_urn(urn(1)).await.expect("a result").expect("the school").id;
    let details = database.repository().school_details(id).await.expect("a result").expect("the school");
    let years = details.admissions.expect("years");
    let reported: Vec<_> = years
        .iter()
        .map(|year| {
            (year.intake.as_deref(), year.applications_received, year.last_distance_offered_km, year.had_vacancies)
        })
        .collect();
    assert_eq!(
        reported,
        [(Some("Year 3"), None, None, Some(true)), (Some("Year R"), Some(64), Some(km(1.234)), Some(false))]
    );
}

async fn unusable_admissions_are_reported(database: &TestDatabase) {
    database.repository().insert_schools((1..=20).map(school).collect()).await.expect("schools");
    let cases = [
        ("99,x,2024/25,,,,,", "no school has URN 99"),
        ("one,x,2024/25,,,,,", "URN is not a number"),
        ("1,x,2024,,,,,", "\"2024\" is not a school year"),
        ("2,x,,,,,,", "the school year is blank"),
        ("3,x,2024/25,,-1,,,", "none of its values can be read"),
    ];
    // The rest of the row is imported.
    let values = [
        ("4,x,2024/25,,60,1.5,,", "applications_received \"1.5\" is not a count"),
        ("5,x,2024/25,,60,,-0.1,", "last_distance_offered_km \"-0.1\" is not a distance"),
        ("6,x,2024/25,,60,,NaN,", "last_distance_offered_km \"NaN\" is not a distance"),
        ("7,x,2024/25,,60,,30000,", "last_distance_offered_km \"30000\" is farther than any distance on earth"),
        ("8,x,2024/25,,60,,,perhaps", "had_vacancies \"perhaps\" is neither yes nor no"),
    ];
    let rows: Vec<&str> = cases.iter().chain(&values).map(|(row, _)| *row).chain(["9,x,2024/25,,,,,"]).collect();
    let (done, rejects, notices) = noticed(database, Import::new(), admissions(&rows)).await;
    assert_eq!(done.expect("an import"), counts(6, 0, 0, 5));
    for (line, (_, reason)) in (2..).zip(cases) {
        let reject = rejects.iter().find(|reject| reject.number == line).expect("it is reported");
        assert!(reject.reason.contains(reason), "{reject:?} is not {reason:?}");
    }
    for (line, (_, reason)) in (7..).zip(values) {
        let expected = format!("{line}, URN {}: {reason}", line - 3);
        assert!(notices.contains(&expected), "{expected}: {notices:#?}");
    }
    assert!(notices.contains(&"columns that were not read: name".to_owned()), "{notices:#?}");
}

async fn noticed(
    database: &TestDatabase,
    import: Import,
    file: Vec<u8>,
) -> (Result<ImportCounts, Error>, Vec<Reject>, Vec<String>) {
    let (rejects, notices) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let import = import
        .on_reject({
            let rejects = Arc::clone(&rejects);
            move |reject| rejects.lock().expect("a list").push(reject)
        })
        .on_notice({
            let notices = Arc::clone(&notices);
            move |notice: Notice| notices.lock().expect("a list").push(notice.to_string())
        });
    let counts = import.admissions(database.repository(), std::io::Cursor::new(file)).await;
    let (rejects, notices) = (rejects.lock().expect("a list").clone(), notices.lock().expect("a list").clone());
    (counts, rejects, notices)
}

async fn years(database: &TestDatabase, number: i64) -> SchoolDetails {
    database.repository().school_details_by_urn(urn(number)).await.expect("a result").expect("the school")
}

async fn distances_have_units(database: &TestDatabase) {
    database.repository().insert_schools((1..=4).map(school).collect()).await.expect("schools");
    let file = |column: &str, rows: &[&str]| {
        let header = format!("URN;Academic Year;Intake;{column}");
        (std::iter::once(header.as_str()).chain(rows.iter().copied()).collect::<Vec<_>>().join("\n") + "\n")
            .into_bytes()
    };
    let rows = ["1;2024/25;Year R;0.5", "2;2024/25;Year R;482m", "3;2024/25;Year R;0,5 km"];
    let (done, _, _) = noticed(database, Import::new(), file("Last distance offered (miles)", &rows)).await;
    assert_eq!(done.expect("an import"), counts(3, 0, 0, 0));
    for (number, km) in [(1, 0.804_672), (2, 0.482), (3, 0.5)] {
        let year = &years(database, number).await.admissions.expect("years")[0];
        assert!((year.last_distance_offered_km.expect("a distance").get() - km).abs() < 1e-12, "{number}: {year:?}");
    }
    let (done, _, notices) =
        noticed(database, Import::new(), file("last_distance_offered", &["4;2024/25;;1.25"])).await;
    let Err(Error::Import(ImportError::NothingUsable { rows: 1, .. })) = done else { panic!("{done:?}") };
    assert!(notices.iter().any(|notice| notice.contains("\"1.25\" has no unit")), "{notices:#?}");
    let (done, _, _) = noticed(database, Import::new(), file("last_offer", &["4;2024/25;;1.25"])).await;
    let Err(Error::Import(ImportError::NoFacts { .. })) = done else { panic!("{done:?}") };
}

async fn all_applicants_offered_is_had_vacancies(database: &TestDatabase) {
    database.repository().insert_schools((1..=4).map(school).collect()).await.expect("schools");
    let rows = [
        "1,x,2024/25,,30,24,All applicants offered,",
        "2,x,2024/25,,All offered,,,",
        "3,x,2024/25,,30,,,All applicants were offered a place",
        "4,x,2024/25,,30,,All siblings offered,",
    ];
    let (done, _, notices) = noticed(database, Import::new(), admissions(&rows)).await;
    assert_eq!(done.expect("an import"), counts(4, 0, 0, 0));
    for number in 1..=4 {
        let year = &years(database, number).await.admissions.expect("years")[0];
        assert_eq!(year.had_vacancies, (number < 4).then_some(true), "{number}");
    }
    assert!(notices.iter().any(|notice| notice.contains("\"All siblings offered\" is not a distance")), "{notices:#?}");
}

async fn schools_are_found_by_laestab_and_ukprn(database: &TestDatabase) {
    let listed = |number: i64, identifiers: &str| RegisterSchool {
        identifiers: Some(serde_json::from_str(identifiers).expect("identifiers")),
        ..school(number).into()
    };
    let laestab = r#"{"la_code":826,"establishment_number":2001}"#;
    let mut closed = listed(1, laestab);
    closed.school.status = Status::Closed;
    let shared = r#"{"la_code":826,"establishment_number":2002,"ukprn":10000002}"#;
    let schools = vec![closed, listed(2, laestab), listed(3, shared), listed(4, shared)];
    let schools = Box::new(schools.into_iter().map(Ok));
    database.repository().upsert_register(schools, Default::default(), WriteMode::Commit).await.expect("schools");
    let file = "school_laestab,academic_year,intake_year,places_offered\n\
                8262001,2025/2026,Year R,30\n826/2002,2025/2026,Year R,31\n826/2003,2025/2026,Year R,32\n";
    let (done, rejects, _) = noticed(database, Import::new(), file.as_bytes().to_vec()).await;
    assert_eq!(done.expect("an import"), counts(1, 0, 0, 2));
    assert_eq!(years(database, 2).await.admissions.expect("years")[0].places_offered, Some(30), "the open one");
    assert_eq!(rejects[0].reason, "several schools have 826/2002: 3 (School 3), 4 (School 4)");
    assert_eq!(rejects[1].reason, "no school has LAESTAB 826/2003");
    let file = "ukprn,academic_year,places_offered\n10000009,2025/2026,30\n";
    let (done, _, _) = noticed(database, Import::new(), file.as_bytes().to_vec()).await;
    assert!(matches!(done, Err(Error::Import(ImportError::NothingUsable { .. }))), "{done:?}");
}

async fn reach_uses_the_criterion_by_distance_alone(database: &TestDatabase) {
    let located = |number| NewSchool { location: Some(at(52.0, -0.7)), ..school(number) };
    database.repository().insert_schools((1..=3).map(located).collect()).await.expect("schools");
    let file = "urn,academic_year,intake_year,criterion,places_offered,last_distance_offered_km\n\
                1,2025/26,Year 7,Siblings,40,9.5\n1,2025/26,Year 7,Distance,80,1.5\n\
                2,2025/26,Year 7,Siblings,40,9.5\n3,2025/26,Year 7,Category C,40,8.5\n";
    let import = |import: Import| noticed(database, import, file.as_bytes().to_vec());
    let (done, _, notices) = import(Import::new()).await;
    assert_eq!(done.expect("an import"), counts(4, 0, 0, 0));
    assert!(notices.iter().any(|notice| notice.contains("\"Category C\" (1)")), "{notices:#?}");
    assert!(!notices.iter().any(|notice| notice.contains("Siblings")), "it is known to be another: {notices:#?}");
    let home = SchoolSearch::near(at(52.009, -0.7));
    let reached = async || {
        let page = database.repository().find_reach(&home).await.expect("a page");
        page.items.iter().map(|hit| hit.hit.school.urn).collect::<Vec<_>>()
    };
    assert_eq!(reached().await, [urn(1)]);
    let details = years(database, 1).await;
    let others = details.admissions_criteria.expect("criteria");
    assert_eq!((others.len(), others[0].criterion.as_str(), others[0].places_offered), (1, "Siblings", Some(40)));
    assert_eq!(details.admissions.expect("years")[0].last_distance_offered_km, Some(km(1.5)));
    let (again, _, _) = import(Import::new()).await;
    assert_eq!(again.expect("an import"), counts(0, 0, 4, 0));
    let (named, _, _) = import(Import::new().distance_criteria(["category c".to_owned()])).await;
    assert_eq!(named.expect("an import"), counts(1, 0, 3, 0));
    assert_eq!(reached().await, [urn(1), urn(3)]);
}

async fn links_are_imported_in_their_encoding(database: &TestDatabase) {
    database.repository().insert_schools(vec![school(3)]).await.expect("a school");
    let header = "\"URN\",\"LinkURN\",\"LinkName\",\"LinkType\",\"LinkEstablishedDate\"\r\n";
    let mut file = header.as_bytes().to_vec();
    // An é in windows-1252, and no line break at the end, as the register publishes it.
    file.extend(b"1,2,\"\xc9cole, New\",\"Successor - merged\",\"01-09-2020\"\r\n");
    file.extend(
        b"3,2,\"x\",\"Predecessor\",\"\"\r\n5,5,\"x\",\"Other\",\"\"\r\n6,7,\"x\",\"Result of Amalgamation\",\"\"",
    );
    let (done, rejects) = import(database, Kind::Links, file.clone()).await;
    assert_eq!(done.expect("an import"), counts(3, 0, 0, 1));
    assert_eq!((rejects[0].number, rejects[0].reason.as_str()), (4, "it links a school to itself"));
    assert_eq!(import(database, Kind::Links, file.clone()).await.0.expect("an import"), counts(0, 0, 3, 1));
    let today = database.repository().schools_of_today(urn(1)).await.expect("a result");
    assert_eq!(today.iter().map(|school| school.urn).collect::<Vec<_>>(), [urn(3)], "1 became 2, and 2 became 3");
    let named = "SELECT count(*) FROM school_links WHERE linked_name = 'École, New' AND linked_on = '2020-09-01'";
    assert_eq!(database.number(named).await.expect("a count"), 1);
    for cut in (header.len() + 1)..file.len() {
        let (cut_off, _) = import(database, Kind::Links, file[..cut].to_vec()).await;
        // A file that ends at the end of a row, or before its last field, cannot be distinguished from a complete one.
        let last = file[..cut].rsplit(|byte| *byte == b'\n').next().expect("a line");
        let (mut commas, mut is_quoted) = (0, false);
        for byte in last {
            is_quoted ^= *byte == b'"';
            commas += u32::from(*byte == b',' && !is_quoted);
        }
        let whole = last.is_empty() || commas == 4 && !is_quoted;
        let reported = matches!(&cut_off, Err(Error::Import(ImportError::Truncated { .. })));
        assert!(reported != whole, "cut at {cut}: {cut_off:?}");
    }
}

async fn rows_that_contradict_each_other_are_rejected(database: &TestDatabase) {
    database.repository().insert_schools((1..=2).map(school).collect()).await.expect("schools");
    let rows = ["1,x,2024/2025,,1,,,", "2,x,2024/2025,,1,,,", "1,x,2024-25,,2,,,", "2,x,2024/25,,1,,,"];
    let (done, rejects) = import(database, Kind::Admissions, admissions(&rows)).await;
    assert_eq!(done.expect("an import"), counts(1, 0, 0, 2));
    assert_eq!(rejects.iter().map(|reject| reject.number).collect::<Vec<_>>(), [2, 4]);
    assert!(rejects[0].reason.contains("line 4 has other values"), "{rejects:?}");
    let missing = import(database, Kind::Admissions, b"urn,intake_year\n1,x\n".to_vec()).await.0;
    assert!(
        matches!(&missing, Err(Error::Import(ImportError::MissingColumn { column: "academic_year", .. }))),
        "{missing:?}"
    );
    let empty = import(database, Kind::Admissions, admissions(&[])).await.0;
    assert!(matches!(&empty, Err(Error::Import(ImportError::Empty))), "{empty:?}");
}

async fn a_file_of_excel_is_read_and_said_to_be(database: &TestDatabase) {
    database.repository().insert_schools(vec![school(1)]).await.expect("a school");
    let file = b"urn,academic_year,places_offered,notes\n1,2024/25,30,caf\xE9\n".to_vec();
    let (done, _, notices) = noticed(database, Import::new(), file).await;
    assert_eq!(done.expect("an import"), counts(1, 0, 0, 0));
    assert_eq!(years(database, 1).await.admissions.expect("years")[0].notes.as_deref(), Some("café"));
    assert!(notices[0].contains("line 2 is not UTF-8, so the file was read as windows-1252"), "{notices:#?}");
}
