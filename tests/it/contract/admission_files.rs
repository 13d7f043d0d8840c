//! Imports of admissions and of links.

use std::sync::{Arc, Mutex};

use school_finder_db::Error;
use school_finder_db::import::{Import, ImportCounts, ImportError, Reject};
use school_finder_db::testing::TestDatabase;

use super::on_every_backend;
use crate::support::{school, urn};

on_every_backend! {
    admissions_are_imported_and_imported_again,
    unusable_admissions_are_reported,
    links_are_imported_in_their_encoding,
    files_with_duplicate_rows_are_refused,
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
    ImportCounts { inserted, updated, unchanged, rejected }
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
        [(Some("Year 3"), None, None, Some(true)), (Some("Year R"), Some(64), Some(1.234), Some(false))]
    );
}

async fn unusable_admissions_are_reported(database: &TestDatabase) {
    database.repository().insert_schools((1..=20).map(school).collect()).await.expect("schools");
    let cases = [
        ("99,x,2024/25,,,,,", "no school has URN 99"),
        ("one,x,2024/25,,,,,", "URN is not a number"),
        ("1,x,2024,,,,,", "\"2024\" is not a school year"),
        ("2,x,,,,,,", "the school year is blank"),
        ("3,x,2024/25,,-1,,,", "places_offered \"-1\" is not a count"),
        ("4,x,2024/25,,,1.5,,", "applications_received \"1.5\" is not a count"),
        ("5,x,2024/25,,,,-0.1,", "not a distance"),
        ("6,x,2024/25,,,,NaN,", "not a distance"),
        ("7,x,2024/25,,,,1e9,", "ck_admissions_last_distance"),
        ("8,x,2024/25,,,,,perhaps", "neither yes nor no"),
    ];
    let rows: Vec<&str> = cases.iter().map(|(row, _)| *row).chain(["9,x,2024/25,,,,,"]).collect();
    let (done, rejects) = import(database, Kind::Admissions, admissions(&rows)).await;
    assert_eq!(done.expect("an import"), counts(1, 0, 0, 10));
    for (line, (_, reason)) in (2..).zip(cases) {
        let reject = rejects.iter().find(|reject| reject.number == line).expect("it is reported");
        assert!(reject.reason.contains(reason), "{reject:?} is not {reason:?}");
    }
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
        // A file that ends at the end of a row cannot be distinguished from a complete one.
        let whole =
            file[..cut].ends_with(b"\r\n") || (file[..cut].ends_with(b"\"") && file[cut..].starts_with(b"\r\n"));
        let reported = matches!(&cut_off, Err(Error::Import(ImportError::Truncated { .. })));
        assert!(reported != whole, "cut at {cut}: {cut_off:?}");
    }
}

async fn files_with_duplicate_rows_are_refused(database: &TestDatabase) {
    database.repository().insert_schools((1..=2).map(school).collect()).await.expect("schools");
    let rows = ["1,x,2024/2025,,1,,,", "2,x,2024/2025,,1,,,", "1,x,2024-25,,2,,,"];
    let (twice, _) = import(database, Kind::Admissions, admissions(&rows)).await;
    assert!(matches!(&twice, Err(Error::Import(ImportError::DuplicateRow { first_line: 2, line: 4 }))), "{twice:?}");
    let missing = import(database, Kind::Admissions, b"urn,intake_year\n1,x\n".to_vec()).await.0;
    assert!(
        matches!(&missing, Err(Error::Import(ImportError::MissingColumn { column: "academic_year" }))),
        "{missing:?}"
    );
    let empty = import(database, Kind::Admissions, admissions(&[])).await.0;
    assert!(matches!(&empty, Err(Error::Import(ImportError::Empty))), "{empty:?}");
    let encoded =
        import(database, Kind::Admissions, b"urn,academic_year,intake_year\n1,2024/25,\xc9\n".to_vec()).await.0;
    assert!(matches!(&encoded, Err(Error::Import(ImportError::WrongEncoding { line: 2, .. }))), "{encoded:?}");
    assert_eq!(database.number("SELECT count(*) FROM admissions_history").await.expect("a count"), 0);
}
