//! The importer, on files of our own making.

use std::sync::{Arc, Mutex};

use school_finder_db::import::{Import, ImportCounts, ImportError, Reject};
use school_finder_db::models::{Gender, NewSchool, Phase, Rating, School, Status};
use school_finder_db::request::WriteMode;
use school_finder_db::{Config, Error, SchoolRepository, SchoolSearch, connect};

use crate::support::{full_school, urn};

const HEADER: &str =
    "URN,LA (name),EstablishmentName,EstablishmentStatus (name),PhaseOfEducation (name),Easting,Northing";

/// A row of the shortest file there can be.
fn row(number: i64) -> String {
    format!("{number},Milton Keynes,School {number},Open,Primary,485280,238480")
}

fn file(rows: &[String]) -> Vec<u8> {
    let mut lines = vec![HEADER.to_owned()];
    lines.extend_from_slice(rows);
    (lines.join("\r\n") + "\r\n").into_bytes()
}

async fn import(finder: &dyn SchoolRepository, bytes: Vec<u8>) -> Result<(ImportCounts, Vec<Reject>), Error> {
    let rejects = Arc::new(Mutex::new(Vec::new()));
    let counts = Import::new()
        .on_reject({
            let rejects = Arc::clone(&rejects);
            move |reject| rejects.lock().expect("no panic").push(reject)
        })
        .register(finder, std::io::Cursor::new(bytes))
        .await?;
    let rejects = rejects.lock().expect("no panic").clone();
    assert_eq!(rejects.len() as u64, counts.rejected);
    Ok((counts, rejects))
}

async fn finder() -> Arc<dyn SchoolRepository> {
    connect(&Config::in_memory()).await.expect("a database")
}

async fn stored(finder: &dyn SchoolRepository, number: i64) -> School {
    finder.school_by_urn(urn(number)).await.expect("a result").expect("the school")
}

/// What an import of these bytes says, having left the database as it was.
async fn refused(bytes: Vec<u8>) -> ImportError {
    let finder = finder().await;
    finder.insert_schools(vec![full_school(100_001)]).await.expect("a school that fits");
    let before = stored(finder.as_ref(), 100_001).await;
    let error = import(finder.as_ref(), bytes).await.expect_err("refused");
    assert_eq!(stored(finder.as_ref(), 100_001).await, before);
    let facets = finder.facets(&SchoolSearch::open()).await.expect("counts");
    assert_eq!(facets.total, 1, "nothing was written");
    match error {
        Error::Import(error) => error,
        other => panic!("{other:?} is not of the import"),
    }
}

#[tokio::test]
async fn every_fact_of_a_row_is_read() {
    let finder = finder().await;
    let header = "URN,LA (name),EstablishmentName,TypeOfEstablishment (name),EstablishmentTypeGroup (name),\
        EstablishmentStatus (name),OpenDate,CloseDate,PhaseOfEducation (name),StatutoryLowAge,StatutoryHighAge,\
        Gender (name),ReligiousCharacter (name),AdmissionsPolicy (name),SchoolCapacity,NumberOfPupils,LastChangedDate,Street,Locality,Address3,\
        Town,County (name),Postcode,SchoolWebsite,OfstedRating (name),Easting,Northing\r\n";
    let row = "\"110533\",\"Milton Keynes\",\"St M\u{e9}dard\u{2019}s, \"\"Upper\"\" School\",\"Other independent school\",\
        \"Independent schools\",\"Open, but proposed to close\",\"01-09-1999\",\"31-08-2027\",\"Middle deemed secondary\",\
        \"9\",\"13\",\"Girls\",\"Roman Catholic\",\"Selective (grammar)\",\"420\",\"399\",\"15-01-2026\",\"1 High Street\",\"\",\"The Green\",\
        \"Wolverton\",\"Bucks\",\"mk12 5aa\",\"www.school.example\",\"Requires improvement\",\"485280\",\"238480\"\r\n";
    let (bytes, _, _) = encoding_rs_windows_1252(&format!("{header}{row}"));
    let (counts, _) = import(finder.as_ref(), bytes).await.expect("an import");
    assert_eq!(counts, ImportCounts { inserted: 1, updated: 0, unchanged: 0, rejected: 0 });
    let school = NewSchool::from(stored(finder.as_ref(), 110_533).await);
    let day = |year, month, day| chrono::NaiveDate::from_ymd_opt(year, month, day);
    let location = school.location.expect("a place");
    assert!((location.lat().degrees() - 52.0374).abs() < 0.001 && (location.lng().degrees() + 0.7583).abs() < 0.001);
    let expected = NewSchool {
        council: Some("Milton Keynes".to_owned()),
        status: Status::ProposedToClose,
        phase: Some(Phase::MiddleSecondary),
        school_type: Some("Other independent school".to_owned()),
        gender: Some(Gender::Girls),
        faith: Some("Roman Catholic".to_owned()),
        address: Some("1 High Street, The Green, Wolverton, Bucks".to_owned()),
        postcode: Some("MK12 5AA".to_owned()),
        website_url: Some("http://www.school.example".to_owned()),
        is_private: Some(true),
        is_selective: Some(true),
        age_range_from: Some(9),
        age_range_to: Some(13),
        ofsted_rating: Some(Rating::RequiresImprovement),
        location: Some(location),
        easting: Some(485_280),
        northing: Some(238_480),
        opened_on: day(1999, 9, 1),
        closed_on: day(2027, 8, 31),
        capacity: Some(420),
        pupils: Some(399),
        source_date: day(2026, 1, 15),
        ..NewSchool::new(urn(110_533), "St Médard’s, \"Upper\" School")
    };
    assert_eq!(school, expected);
}

/// Text as windows-1252 has it. The few characters the tests use are spelled out.
fn encoding_rs_windows_1252(text: &str) -> (Vec<u8>, (), ()) {
    let byte = |c: char| match c {
        '\u{2019}' => 0x92,
        c => u8::try_from(u32::from(c)).expect("a character of Latin-1"),
    };
    (text.chars().map(byte).collect(), (), ())
}

#[tokio::test]
async fn blanks_and_zeros_are_unknown() {
    let finder = finder().await;
    let rows =
        ["100002,,Blank School,Open,,,".to_owned(), "100003,Leeds,Zero School,Closed,Not applicable,0,0".to_owned()];
    let (counts, _) = import(finder.as_ref(), file(&rows)).await.expect("an import");
    assert_eq!(counts.inserted, 2);
    let blank = stored(finder.as_ref(), 100_002).await;
    assert_eq!(
        (blank.council, blank.phase, blank.lat, blank.is_private, blank.capacity),
        (None, None, None, None, None)
    );
    let zero = stored(finder.as_ref(), 100_003).await;
    assert_eq!(
        (zero.lat, zero.easting, zero.phase, zero.status),
        (None, None, Some(Phase::NotApplicable), Status::Closed)
    );
}

#[tokio::test]
async fn unusable_rows_are_reported_with_line_and_reason() {
    let finder = finder().await;
    let rows = [
        row(100_002),
        "nine,Leeds,A,Open,Primary,485280,238480".to_owned(),
        "100004,Leeds,  ,Open,Primary,485280,238480".to_owned(),
        "100005,Leeds,A,Perhaps,Primary,485280,238480".to_owned(),
        "100006,Leeds,A,Open,College,485280,238480".to_owned(),
        "100007,Leeds,A,Open,Primary,485280,".to_owned(),
        "100008,Leeds,A,Open,Primary,1,1".to_owned(),
        "100009,Leeds,A,Open,Primary,east,238480".to_owned(),
        format!("100010,Leeds,{},Open,Primary,485280,238480", "A".repeat(201)),
        row(100_011),
    ];
    let (counts, rejects) = import(finder.as_ref(), file(&rows)).await.expect("an import");
    assert_eq!((counts.inserted, counts.rejected), (2, 8));
    let reported: Vec<_> =
        rejects.iter().map(|reject| (reject.number, reject.urn.as_str(), reject.reason.as_str())).collect();
    for (reject, (line, urn, reason)) in reported.iter().zip([
        (3, "nine", "URN"),
        (4, "100004", "name is blank"),
        (5, "100005", "\"Perhaps\" is not a status"),
        (6, "100006", "\"College\" is not a phase"),
        (7, "100007", "only one of easting and northing"),
        (8, "100008", "not in Great Britain"),
        (9, "100009", "\"east\" is not a number"),
        (10, "100010", "name has 201 characters"),
    ]) {
        assert!(reject.0 == line && reject.1 == urn && reject.2.contains(reason), "{reject:?} is not {reason}");
    }
}

#[tokio::test]
async fn a_second_import_changes_what_changed_and_keeps_curation() {
    let finder = finder().await;
    let rows = [row(100_002), row(100_003)];
    import(finder.as_ref(), file(&rows)).await.expect("an import");
    // Somebody adds what the register does not know.
    let curated = NewSchool {
        catchment_radius_km: Some(1.5),
        ofsted_rating: Some(Rating::Good),
        ..NewSchool::from(stored(finder.as_ref(), 100_002).await)
    };
    let stream = Box::new(std::iter::once(Ok(curated)));
    finder.upsert_schools(stream, WriteMode::Commit).await.expect("a school that fits");

    let (counts, _) = import(finder.as_ref(), file(&rows)).await.expect("an import");
    assert_eq!(counts, ImportCounts { inserted: 0, updated: 0, unchanged: 2, rejected: 0 });
    let renamed = [row(100_002).replace("School 100002", "New Name"), row(100_003), row(100_004)];
    let (counts, _) = import(finder.as_ref(), file(&renamed)).await.expect("an import");
    assert_eq!(counts, ImportCounts { inserted: 1, updated: 1, unchanged: 1, rejected: 0 });
    let school = stored(finder.as_ref(), 100_002).await;
    assert_eq!(
        (school.name.as_str(), school.catchment_radius_km, school.ofsted_rating),
        ("New Name", Some(1.5), Some(Rating::Good))
    );
    // Schools that are not in the file stay.
    let (counts, _) = import(finder.as_ref(), file(&[row(100_009)])).await.expect("an import");
    assert_eq!(counts.inserted, 1);
    assert_eq!(finder.facets(&SchoolSearch::open()).await.expect("counts").total, 4);
}

#[tokio::test]
async fn an_untrusted_register_is_refused_and_changes_nothing() {
    assert!(matches!(refused(Vec::new()).await, ImportError::Empty));
    assert!(matches!(refused(file(&[])).await, ImportError::Empty));
    assert!(matches!(refused(b"\xEF\xBB\xBF".to_vec()).await, ImportError::Empty));

    let missing = String::from_utf8(file(&[row(100_002)])).expect("ASCII").replace("Easting", "Eastings");
    assert!(matches!(refused(missing.into_bytes()).await, ImportError::MissingColumn { column: "Easting" }));
    let other = b"school,pupils\r\nA,12\r\n".to_vec();
    assert!(matches!(refused(other).await, ImportError::MissingColumn { column: "URN" }));
    let twice = format!("{HEADER},Easting\r\n{},1\r\n", row(100_002));
    assert!(matches!(refused(twice.into_bytes()).await, ImportError::DuplicateColumn { column: "Easting" }));

    let utf8 = format!("{HEADER}\r\n{}\r\n", row(100_002).replace("School", "École"));
    assert!(matches!(refused(utf8.into_bytes()).await, ImportError::WrongEncoding { line: 2, found: "UTF-8" }));
    let utf16: Vec<u8> = "\u{feff}URN,LA".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(matches!(refused(utf16.clone()).await, ImportError::WrongEncoding { line: 1, found: "UTF-16" }));
    assert!(matches!(refused(utf16[2..].to_vec()).await, ImportError::WrongEncoding { .. }), "without its mark");
    let mut mixture = format!("\u{feff}{HEADER}\r\n{}\r\n", row(100_002)).into_bytes();
    mixture.extend_from_slice(b"100003,Leeds,\xC9cole,Open,Primary,485280,238480\r\n");
    assert!(matches!(refused(mixture).await, ImportError::WrongEncoding { line: 3, .. }));

    let again = refused(file(&[row(100_002), row(100_003), row(100_002)])).await;
    assert!(matches!(again, ImportError::DuplicateUrn { first_line: 2, line: 4, .. }), "{again}");
    let extra = refused(file(&[row(100_002), row(100_003) + ",x", row(100_004)])).await;
    assert!(matches!(extra, ImportError::FieldCount { line: 3, found: 8, expected: 7 }), "{extra}");
    let endless = format!("{HEADER}\r\n100002,Leeds,\"{}", "A".repeat(3 << 20));
    assert!(matches!(refused(endless.into_bytes()).await, ImportError::RowTooLong { line: 2, .. }));
}

#[tokio::test]
async fn a_byte_order_mark_means_utf8() {
    let finder = finder().await;
    let utf8 = format!("\u{feff}{HEADER}\n{}\n", row(100_002).replace("School", "École"));
    let (counts, _) = import(finder.as_ref(), utf8.into_bytes()).await.expect("an import");
    assert_eq!(counts.inserted, 1);
    assert_eq!(stored(finder.as_ref(), 100_002).await.name, "École 100002");
}

#[tokio::test]
async fn a_register_truncated_anywhere_is_refused() {
    let whole = file(&(100_002..100_012).map(row).collect::<Vec<_>>());
    let header = HEADER.len() + 2;
    for end in header + 1..whole.len() {
        let row_is_whole = whole[..end].ends_with(b"\n");
        if row_is_whole {
            // That more rows should follow cannot be detected, and no school is deleted for being absent.
            continue;
        }
        let error = refused(whole[..end].to_vec()).await;
        assert!(matches!(error, ImportError::Truncated { .. }), "at {end}: {error}");
    }
}

#[tokio::test]
async fn a_dry_run_counts_and_writes_nothing() {
    let finder = finder().await;
    let bytes = file(&[row(100_002), "x,,,,,,".to_owned()]);
    let dry =
        Import::new().mode(WriteMode::DryRun).register(finder.as_ref(), std::io::Cursor::new(bytes.clone())).await;
    assert_eq!(dry.expect("counts"), ImportCounts { inserted: 1, updated: 0, unchanged: 0, rejected: 1 });
    assert_eq!(finder.facets(&SchoolSearch::open()).await.expect("counts").total, 0);
    assert_eq!(import(finder.as_ref(), bytes).await.expect("an import").0.inserted, 1);
}
