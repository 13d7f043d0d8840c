//! The importer, on files of our own making.

use std::io::Write;
use std::sync::{Arc, Mutex};

use school_finder_db::import::{Import, ImportCounts, ImportError, Notice, Reject};
use school_finder_db::models::{Gender, NewSchool, Phase, Rating, School, Status};
use school_finder_db::request::{MissingSchools, WriteMode};
use school_finder_db::{Config, Error, SchoolRepository, SchoolSearch, connect};

use crate::support::{full_school, km, urn};

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
    let (counts, rejects, _) = import_with(Import::new(), finder, bytes).await?;
    Ok((counts, rejects))
}

/// As [`import`], with options. Also returns what was noticed.
async fn import_with(
    import: Import,
    finder: &dyn SchoolRepository,
    bytes: Vec<u8>,
) -> Result<(ImportCounts, Vec<Reject>, Vec<String>), Error> {
    let (rejects, notices) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let counts = import
        .on_reject({
            let rejects = Arc::clone(&rejects);
            move |reject| rejects.lock().expect("no panic").push(reject)
        })
        .on_notice({
            let notices = Arc::clone(&notices);
            move |notice: Notice| notices.lock().expect("no panic").push(notice.to_string())
        })
        .register(finder, std::io::Cursor::new(bytes))
        .await?;
    let (rejects, notices) = (rejects.lock().expect("no panic").clone(), notices.lock().expect("no panic").clone());
    assert_eq!(rejects.len() as u64, counts.rejected);
    Ok((counts, rejects, notices))
}

/// An import of these rows under this header into a database of its own.
async fn imported(header: &str, rows: &[&str]) -> (Arc<dyn SchoolRepository>, ImportCounts, Vec<Reject>, Vec<String>) {
    let finder = finder().await;
    let bytes = [&[header], rows].concat().join("\n") + "\n";
    let (counts, rejects, notices) =
        import_with(Import::new(), finder.as_ref(), bytes.into_bytes()).await.expect("an import");
    (finder, counts, rejects, notices)
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
async fn an_unclosed_quotation_mark_loses_only_its_line() {
    let header = "URN,EstablishmentName,EstablishmentStatus (name),Street";
    for closing in ["\"3 High Street\"", "\"3, High Street\""] {
        let rows = ["1,A,Open,\"1 High Street", "2,B,Open,2 High Street", &format!("3,C,Open,{closing}"), "4,D,Open,x"];
        let (finder, counts, rejects, _) = imported(header, &rows).await;
        assert_eq!((counts.inserted, counts.rejected), (3, 1), "{rejects:?}");
        assert_eq!((rejects[0].number, rejects[0].urn.as_str()), (2, "1"));
        assert!(rejects[0].reason.contains("quotation mark"), "{}", rejects[0].reason);
        assert_eq!(stored(finder.as_ref(), 3).await.address.as_deref(), Some(closing.trim_matches('"')));
    }
}

#[tokio::test]
async fn a_rejected_row_does_not_close_its_school() {
    let header = "URN,EstablishmentName,EstablishmentStatus (name),LA (name),UKPRN";
    let (finder, ..) = imported(header, &["1,A,Open,Kent,10000001.0", "2,B,Open,Kent,"]).await;
    let identifiers = finder.schools_by_ukprn(&["10000001".parse().expect("a UKPRN")]).await.expect("schools");
    assert_eq!(identifiers.len(), 1, "a spreadsheet's number is read");
    let next = format!("{header}\n1.0,A,Ajar,Kent,\n2,B,Open,Kent,\n");
    let import = Import::new().missing_schools(MissingSchools::CloseAny);
    let (counts, ..) = import_with(import, finder.as_ref(), next.into_bytes()).await.expect("an import");
    assert_eq!((counts.rejected, counts.missing, counts.closed), (1, 0, 0));
}

#[tokio::test]
async fn a_shifted_name_is_not_stored() {
    let header = "URN,EstablishmentStatus (name),LA (name),EstablishmentName";
    let (_, counts, rejects, _) = imported(header, &["1,Open,Bristol, City of,A", "2,Open,Kent,B"]).await;
    assert_eq!((counts.inserted, counts.rejected), (1, 1));
    assert!(rejects[0].reason.contains("more fields"), "{}", rejects[0].reason);
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
    assert_eq!(counts, ImportCounts { inserted: 1, updated: 0, unchanged: 0, rejected: 0, ..ImportCounts::default() });
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
async fn rows_without_urn_name_or_status_are_rejected() {
    let rows = [
        &row(100_002),
        "nine,Leeds,A,Open,Primary,485280,238480",
        "100004,Leeds,  ,Open,Primary,485280,238480",
        "100005,Leeds,A,Perhaps,Primary,485280,238480",
        "100006,Leeds,A,,Primary,485280,238480",
        &format!("100010,Leeds,{},Open,Primary,485280,238480", "A".repeat(201)),
        &row(100_011),
    ];
    let (_, counts, rejects, _) = imported(HEADER, &rows).await;
    assert_eq!((counts.inserted, counts.rejected), (2, 5));
    let reported: Vec<_> =
        rejects.iter().map(|reject| (reject.number, reject.urn.as_str(), reject.reason.as_str())).collect();
    for (reject, (line, urn, reason)) in reported.iter().zip([
        (3, "nine", "URN"),
        (4, "100004", "name is blank"),
        (5, "100005", "\"Perhaps\" is not a status"),
        (6, "100006", "status is blank"),
        (7, "100010", "name has 201 characters"),
    ]) {
        assert!(reject.0 == line && reject.1 == urn && reject.2.contains(reason), "{reject:?} is not {reason}");
    }
}

#[tokio::test]
async fn a_fact_that_cannot_be_read_is_reported_and_kept() {
    let header = format!("{HEADER},NumberOfPupils,Gender (name),OfstedRating (name),OpenDate,StatutoryLowAge,UKPRN");
    let rows = [
        "100001,Ash,A,Open,Primary,485280,238480,\"1,210\",Mixed,Good,01/09/2012,4.0,10000001",
        "100002,Ash,B,Open,Primary,485280,238480,many,Mixed,Good,2012-09-01,,",
        "100003,Ash,C,Open,Primary,485280,238480,,Co-educational,Good,31/31/2012,,",
        "100004,Ash,D,Open,Middle,485280,238480,,,Unheard of,,44,1",
        "100005,Ash,E,Open,Primary,485280,,,,,,,",
        "100006,Ash,F,Open,Primary,east,238480,,,,,,",
        "100007,Ash,G,Open,Primary,1,1,,,,,,",
        "100008,Ash,H,Open,Primary,NULL,n/a,-,NULL,N/A,,,",
    ];
    let (finder, counts, _, notices) = imported(&header, &rows).await;
    assert_eq!((counts.inserted, counts.rejected), (8, 0));
    let expected = [
        "3, URN 100002: NumberOfPupils \"many\" is not a count",
        "4, URN 100003: Gender (name) \"Co-educational\" is not a known word",
        "4, URN 100003: OpenDate \"31/31/2012\" is not a date like 31-08-2026",
        "5, URN 100004: StatutoryLowAge \"44\" is not from 0 to 19",
        "5, URN 100004: PhaseOfEducation (name) \"Middle\" is not a known word",
        "5, URN 100004: OfstedRating (name) \"Unheard of\" is not a known word",
        "5, URN 100004: UKPRN \"1\" \"1\" is not a UKPRN of eight digits, like 10046564",
        "6, URN 100005: Easting \"485280\" has no Northing: the school is not located",
        "7, URN 100006: Easting \"east\" is not a whole number",
        "8, URN 100007: the grid reference 1, 1 is not in Great Britain",
    ];
    for notice in expected {
        assert!(notices.iter().any(|noticed| noticed == notice), "{notice}: {notices:#?}");
    }
    assert_eq!(notices.len(), expected.len(), "{notices:#?}");
    let first = stored(finder.as_ref(), 100_001).await;
    let opened_on = chrono::NaiveDate::from_ymd_opt(2012, 9, 1);
    assert_eq!((first.pupils, first.age_range_from, first.opened_on), (Some(1210), Some(4), opened_on));
    // What cannot be read keeps what is stored.
    let worse = format!("{header}\n{}\n", rows[0].replace("\"1,210\"", "many").replace("Mixed", "Other"));
    let (counts, _) = import(finder.as_ref(), worse.into_bytes()).await.expect("an import");
    assert_eq!((counts.updated, counts.unchanged), (0, 1));
    assert_eq!(stored(finder.as_ref(), 100_001).await, first);
}

#[tokio::test]
async fn repeated_rows_that_agree_are_one_and_others_none() {
    let finder = finder().await;
    let other = row(100_003).replace("Primary", "Secondary");
    let rows = [row(100_002), row(100_003), row(100_002), other, row(100_004), row(100_002) + ",", row(100_003)];
    let (counts, rejects) = import(finder.as_ref(), file(&rows)).await.expect("an import");
    assert_eq!((counts.inserted, counts.rejected), (2, 2));
    let lines: Vec<u64> = rejects.iter().map(|reject| reject.number).collect();
    assert_eq!(lines, [5, 3], "{rejects:?}");
    assert!(rejects[0].reason.contains("line 3 has other values"), "{rejects:?}");
    assert!(finder.school_by_urn(urn(100_003)).await.expect("a result").is_none());
}

#[tokio::test]
async fn rows_are_read_whatever_their_length() {
    let (short, long) = ("100003,Ash,A,Open,Primary", row(100_004) + ",,,,x");
    let (finder, counts, _, notices) = imported(
        &format!("{HEADER},Colour, ,Motto"),
        &[&(row(100_002) + ",,,"), ",,,,,,,,,", "", " , ,,,,,,,,", short, &long],
    )
    .await;
    assert_eq!((counts.inserted, counts.rejected), (3, 0));
    // A comma in its name or address would shift what follows.
    let school = stored(finder.as_ref(), 100_004).await;
    assert_eq!((school.council, school.phase, school.lat), (None, None, None));
    let expected = [
        "columns that were not read: Colour, Motto",
        "6, URN 100003: it has 5 fields and the header has 10: the others are unknown",
        "7, URN 100004: it has 11 fields and the header has 10: all but the essential ones are unknown",
    ];
    assert_eq!(notices, expected);
}

#[tokio::test]
async fn a_postcode_off_the_grid_is_never_placed_by_it() {
    for postcode in ["BT1 1AA", "bt19 6aa", "JE2 3AB", "GY1 1AA", "IM1 1AA"] {
        let belfast = format!("100003,Belfast,Lagan,Open,Primary,333500,374000,{postcode}");
        let (finder, counts, _, notices) = imported(&format!("{HEADER},Postcode"), &[&belfast]).await;
        assert_eq!(counts.inserted, 1);
        let school = stored(finder.as_ref(), 100_003).await;
        assert_eq!((school.lat, school.easting, school.northing), (None, None, None), "{postcode}");
        assert!(notices[0].contains("is not on the grid of Great Britain"), "{notices:?}");
    }
    let (finder, ..) = imported(&format!("{HEADER},Postcode"), &[&(row(100_003) + ",B1 1TT")]).await;
    assert!(stored(finder.as_ref(), 100_003).await.lat.is_some(), "Birmingham");
}

#[tokio::test]
async fn place_and_council_columns_are_optional() {
    let header = "urn,Establishment Name , ESTABLISHMENTSTATUS (NAME)";
    let (finder, counts, _, notices) = imported(header, &["100003,A School,Open"]).await;
    assert_eq!((counts.inserted, stored(finder.as_ref(), 100_003).await.lat), (1, None));
    assert!(notices[0].contains("no school's location is read"), "{notices:?}");
}

#[tokio::test]
async fn missing_schools_are_reported_and_closed_on_request() {
    let finder = finder().await;
    let leeds = row(100_009).replace("Milton Keynes", "Leeds");
    import(finder.as_ref(), file(&[row(100_002), row(100_003), row(100_004), leeds.clone()])).await.expect("an import");
    // Another register's, of the same council.
    let import_of = |missing| Import::new().missing_schools(missing);
    let bytes = file(&[row(100_005)]);
    import_with(Import::new().source("another"), finder.as_ref(), bytes).await.expect("an import");
    // A row that is rejected is not missing.
    let next = file(&[row(100_002), row(100_003).replace("Open", "Perhaps")]);
    let kept = import_with(Import::new(), finder.as_ref(), next.clone()).await.expect("an import");
    assert_eq!((kept.0.missing, kept.0.closed), (1, 0));
    assert!(kept.2.iter().any(|notice| notice == "URN 100004: School 100004 is open here and not in the file"));
    let refused = import_with(import_of(MissingSchools::Close), finder.as_ref(), next.clone()).await;
    assert!(matches!(refused, Err(Error::TooManyMissing { missing: 1, open: 3 })), "{refused:?}");
    let closed = import_with(import_of(MissingSchools::CloseAny), finder.as_ref(), next).await.expect("an import");
    assert_eq!((closed.0.missing, closed.0.closed), (1, 1));
    for (number, status) in [
        (100_002, Status::Open),
        (100_003, Status::Open),
        (100_004, Status::Closed),
        (100_005, Status::Open),
        (100_009, Status::Open),
    ] {
        assert_eq!(stored(finder.as_ref(), number).await.status, status, "{number}");
    }
    let no_council = "URN,EstablishmentName,EstablishmentStatus (name)\n100002,A,Open\n".as_bytes().to_vec();
    let refused = import_with(import_of(MissingSchools::CloseAny), finder.as_ref(), no_council).await;
    let Err(Error::Import(ImportError::OptionNeedsColumn { .. })) = refused else { panic!("{refused:?}") };
}

#[tokio::test]
async fn a_cleared_column_makes_blanks_unknown() {
    let finder = finder().await;
    let header = format!("{HEADER},Gender (name),NumberOfPupils");
    let bytes = |values: &str| format!("{header}\n{}{values}\n", row(100_002)).into_bytes();
    let clear = || Import::new().clear(["gender (NAME)".to_owned(), "NumberOfPupils".to_owned()]);
    import(finder.as_ref(), bytes(",Girls,300")).await.expect("an import");
    import(finder.as_ref(), bytes(",,")).await.expect("an import");
    assert_eq!(stored(finder.as_ref(), 100_002).await.gender, Some(Gender::Girls), "a blank keeps it");
    import_with(clear(), finder.as_ref(), bytes(",,many")).await.expect("an import");
    let school = stored(finder.as_ref(), 100_002).await;
    assert_eq!((school.gender, school.pupils), (None, Some(300)), "what cannot be read is no blank");
    assert!(school.lat.is_some(), "no other column is cleared");
    let unknown = import_with(Import::new().clear(["Motto".to_owned()]), finder.as_ref(), bytes(",,")).await;
    let Err(Error::Import(ImportError::NotClearable { .. })) = unknown else { panic!("{unknown:?}") };
    let absent = import_with(Import::new().clear(["Postcode".to_owned()]), finder.as_ref(), bytes(",,")).await;
    let Err(Error::Import(ImportError::OptionNeedsColumn { .. })) = absent else { panic!("{absent:?}") };
}

#[tokio::test]
async fn a_second_import_changes_what_changed_and_keeps_curation() {
    let finder = finder().await;
    let rows = [row(100_002), row(100_003)];
    import(finder.as_ref(), file(&rows)).await.expect("an import");
    // Somebody adds what the register does not know.
    let curated = NewSchool {
        catchment_radius_km: Some(km(1.5)),
        ofsted_rating: Some(Rating::Good),
        ..NewSchool::from(stored(finder.as_ref(), 100_002).await)
    };
    let stream = Box::new(std::iter::once(Ok(curated)));
    finder.upsert_schools(stream, WriteMode::Commit).await.expect("a school that fits");

    let (counts, _) = import(finder.as_ref(), file(&rows)).await.expect("an import");
    assert_eq!(counts, ImportCounts { inserted: 0, updated: 0, unchanged: 2, rejected: 0, ..ImportCounts::default() });
    let renamed = [row(100_002).replace("School 100002", "New Name"), row(100_003), row(100_004)];
    let (counts, _) = import(finder.as_ref(), file(&renamed)).await.expect("an import");
    assert_eq!(counts, ImportCounts { inserted: 1, updated: 1, unchanged: 1, rejected: 0, ..ImportCounts::default() });
    let school = stored(finder.as_ref(), 100_002).await;
    assert_eq!(
        (school.name.as_str(), school.catchment_radius_km, school.ofsted_rating),
        ("New Name", Some(km(1.5)), Some(Rating::Good))
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

    let missing = String::from_utf8(file(&[row(100_002)])).expect("ASCII").replace("EstablishmentName", "Title");
    let missing = refused(missing.into_bytes()).await;
    let expected = "the file has no column \"EstablishmentName\"; its columns are URN, LA (name), Title, ";
    assert!(missing.to_string().starts_with(expected), "{missing}");
    let other = b"school,pupils\r\nA,12\r\n".to_vec();
    assert!(matches!(refused(other).await, ImportError::MissingColumn { column: "URN", .. }));
    let twice = format!("{HEADER},easting\r\n{},1\r\n", row(100_002));
    assert!(matches!(refused(twice.into_bytes()).await, ImportError::DuplicateColumn { column: "Easting" }));

    let utf16: Vec<u8> = "\u{feff}URN,LA".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(matches!(refused(utf16.clone()).await, ImportError::WrongEncoding { line: 1, found: "UTF-16" }));
    assert!(matches!(refused(utf16[2..].to_vec()).await, ImportError::WrongEncoding { .. }), "without its mark");
    let mut mixture = format!("\u{feff}{HEADER}\r\n{}\r\n", row(100_002)).into_bytes();
    mixture.extend_from_slice(b"100003,Leeds,\xC9cole,Open,Primary,485280,238480\r\n");
    assert!(matches!(refused(mixture).await, ImportError::WrongEncoding { line: 3, .. }));
    // Cut off within a character: as windows-1252 every name with an accent would be wrong.
    let cut = format!("{HEADER}\n{}\n{}", row(100_002).replace("School", "École"), "100003,Leeds,É");
    let cut = refused(cut.as_bytes()[..cut.len() - 1].to_vec()).await;
    assert!(matches!(cut, ImportError::Truncated { line: 3 }), "{cut}");

    let unusable = refused(file(&["x,Leeds,A,Open,,,".to_owned(), "y,Leeds,A,Open,,,".to_owned()])).await;
    assert_eq!(unusable.to_string(), "not one of 2 rows could be used: nothing was imported");
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
async fn the_encoding_is_found_or_named() {
    let text = format!("{HEADER}\n{}\n", row(100_002).replace("School", "École"));
    let windows: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).expect("Latin-1")).collect();
    let mut mixture = text.clone().into_bytes();
    mixture.extend_from_slice(b"100003,Leeds,\xC9cole,Open,Primary,485280,238480\n");
    let finder = finder().await;
    for (bytes, import, name, noticed) in [
        (text.clone().into_bytes(), Import::new(), "École 100002", 0),
        (windows.clone(), Import::new(), "École 100002", 0),
        (windows, Import::new().encoding("iso-8859-5").expect("a label"), "Щcole 100002", 0),
        // As windows-1252 its UTF-8 is wrong, and said to be.
        (mixture, Import::new(), "Ã‰cole 100002", 1),
    ] {
        let (_, _, notices) = import_with(import, finder.as_ref(), bytes).await.expect("an import");
        assert_eq!(stored(finder.as_ref(), 100_002).await.name, name);
        assert_eq!(notices.len(), noticed, "{notices:?}");
    }
    for label in ["utf-16le", "klingon"] {
        assert!(matches!(Import::new().encoding(label), Err(ImportError::UnknownEncoding { .. })), "{label}");
    }
}

#[tokio::test]
async fn delimiters_are_found() {
    for (delimiter, before) in
        [(";", ""), ("\t", ""), (",", "sep=,\r\n"), (";", "sep=;\r"), ("|", "\u{feff}sep=|\n"), (";", "\u{feff}")]
    {
        let rows = format!("{HEADER}\r\n{}\r\nx,,A,Open,,,\r\n", row(100_002)).replace(',', delimiter);
        let text = format!("{before}{rows}");
        let finder = finder().await;
        let (counts, rejects) = import(finder.as_ref(), text.into_bytes()).await.expect("an import");
        assert_eq!((counts.inserted, counts.rejected), (1, 1), "{delimiter:?}");
        assert_eq!(rejects[0].number, if before.contains("sep") { 4 } else { 3 }, "{delimiter:?}");
    }
}

/// A file that is cut off within a row is refused. Where a row could end, it was not, or nobody can tell.
#[tokio::test]
async fn a_register_truncated_anywhere_is_refused_or_reported() {
    let whole = file(&(100_002..100_012).map(row).collect::<Vec<_>>());
    let header = HEADER.len() + 2;
    let last_field = "238480".len();
    for end in header + 1..whole.len() {
        let cut = whole[..end].to_vec();
        let line = cut.iter().rev().position(|byte| *byte == b'\n').expect("a line");
        let ends_in = String::from_utf8_lossy(&cut[end - line..]).into_owned();
        if ends_in.matches(',').count() < 6 && !ends_in.is_empty() {
            let error = refused(cut).await;
            assert!(matches!(error, ImportError::Truncated { .. }), "at {end}: {error}");
            continue;
        }
        // The last row has all its fields, and may lack digits of the last one.
        let finder = finder().await;
        let (_, _, notices) = import_with(Import::new(), finder.as_ref(), cut).await.expect("an import");
        let digits = ends_in.rsplit(',').next().expect("a field");
        let is_told = notices.iter().any(|notice| notice.contains("incomplete") || notice.contains("not located"));
        let is_whole = ends_in.is_empty() || digits.ends_with('\r') && digits.len() > last_field;
        assert!(is_told != is_whole, "at {end}, {ends_in:?}: {notices:?}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("its bytes");
    packed.finish().expect("a file")
}

#[tokio::test]
async fn archives_are_unpacked() {
    let csv = file(&[row(100_002)]);
    let zip = |members: &[(&str, &[u8])]| {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, bytes) in members {
            archive.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a member");
            archive.write_all(bytes).expect("its bytes");
        }
        archive.finish().expect("an archive").into_inner()
    };
    for bytes in [
        gzip(&csv),
        zip(&[("edubasealldata.csv", &csv)]),
        zip(&[("readme.txt", b"Open data"), ("__MACOSX/._x.csv", &csv), ("a/edubasealldata.csv", &csv)]),
        gzip(&zip(&[("edubasealldata.csv", &csv)])),
    ] {
        let finder = finder().await;
        assert_eq!(import(finder.as_ref(), bytes).await.expect("an import").0.inserted, 1);
    }
    for (bytes, expected) in [
        (
            zip(&[("a.csv", &csv), ("b.csv", &csv)]),
            "more than one file in the ZIP archive can be imported: unpack it and import one of a.csv, b.csv",
        ),
        (
            zip(&[("a.txt", b"x"), ("b.txt", b"y")]),
            "no file in the ZIP archive can be imported: unpack it and import one of a.txt, b.txt",
        ),
        (
            zip(&[("xl/workbook.xml", b"<workbook/>")]),
            "the file is an Excel workbook (XLSX): save the sheet as CSV (UTF-8), and import that",
        ),
        (gzip(&csv)[..40].to_vec(), "the gzip file is cut off or damaged: download it again"),
        (zip(&[("a.csv", &csv)])[..60].to_vec(), "the ZIP archive is cut off or damaged: download it again"),
        (
            b"<!DOCTYPE html><html><body>Log in</body></html>".to_vec(),
            "the file is a web page (HTML): the site sent a page, perhaps to log in or of an error: download the file \
             itself",
        ),
    ] {
        assert_eq!(refused(bytes).await.to_string(), expected);
    }
}

#[tokio::test]
async fn a_dry_run_counts_and_writes_nothing() {
    let finder = finder().await;
    let bytes = file(&[row(100_002), "x,,,,,,".to_owned()]);
    let dry =
        Import::new().mode(WriteMode::DryRun).register(finder.as_ref(), std::io::Cursor::new(bytes.clone())).await;
    assert_eq!(
        dry.expect("counts"),
        ImportCounts { inserted: 1, updated: 0, unchanged: 0, rejected: 1, ..ImportCounts::default() }
    );
    assert_eq!(finder.facets(&SchoolSearch::open()).await.expect("counts").total, 0);
    assert_eq!(import(finder.as_ref(), bytes).await.expect("an import").0.inserted, 1);
}
