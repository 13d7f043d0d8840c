//! Imports of outlines of catchments.

use std::sync::{Arc, Mutex};

use school_finder_db::import::{CatchmentOptions, Import, ImportCounts, ImportError, KeyKind, Reject};
use school_finder_db::models::{Evidence, NewSchool};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, LatLng, SchoolSearch};

use super::on_every_backend;
use crate::support::{at, school, urn};

on_every_backend! {
    features_become_catchments,
    every_form_of_geojson_is_read,
    unusable_features_are_reported,
    files_that_cannot_be_trusted_change_nothing,
    files_that_say_they_are_incomplete_need_a_word,
    metres_of_the_national_grid_become_degrees,
    metres_of_other_grids_are_refused_once,
    features_of_one_school_become_one_outline,
    a_school_with_an_unusable_feature_keeps_its_outline,
    outlines_far_from_their_school_are_reported,
    mended_outlines_are_reported,
    keys_of_every_kind_are_recognised,
    names_mean_one_school,
    keys_of_two_kinds_are_unclear,
}

const SQUARE: &str = r#"{"type":"Polygon","coordinates":[[[-1,52],[0,52],[0,53],[-1,53],[-1,52]]]}"#;

fn polygon(ring: &str) -> String {
    format!(r#"{{"type":"Polygon","coordinates":[[{ring}]]}}"#)
}

fn feature(urn: &str, geometry: &str) -> String {
    format!(r#"{{"type":"Feature","properties":{{"name":"x","urn":{urn}}},"geometry":{geometry}}}"#)
}

fn collection(features: &[String]) -> String {
    collection_with(r#""name":"catchments""#, features)
}

/// A collection with another member.
fn collection_with(member: &str, features: &[String]) -> String {
    format!(r#"{{"type":"FeatureCollection",{member},"features":[{}]}}"#, features.join(","))
}

/// What an import says.
#[derive(Debug, Clone, Default)]
struct Said {
    rejects: Vec<Reject>,
    notices: Vec<String>,
}

async fn import(
    database: &TestDatabase,
    file: impl Into<Vec<u8>>,
    options: impl Into<CatchmentOptions>,
) -> (Result<ImportCounts, Error>, Said) {
    let said = Arc::new(Mutex::new(Said::default()));
    let [rejects, notices] = [(); 2].map(|()| Arc::clone(&said));
    let import = Import::new()
        .on_reject(move |reject| rejects.lock().expect("what was said").rejects.push(reject))
        .on_notice(move |notice| notices.lock().expect("what was said").notices.push(notice.to_string()));
    let counts = import.catchments(database.repository(), std::io::Cursor::new(file.into()), options).await;
    let said = said.lock().expect("what was said").clone();
    (counts, said)
}

/// Imports a file of which every feature is used, and returns what was said.
async fn imported(database: &TestDatabase, file: impl Into<Vec<u8>>, options: impl Into<CatchmentOptions>) -> Said {
    let (counts, said) = import(database, file, options).await;
    let counts = counts.unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert!(counts.rejected == 0 && said.rejects.is_empty(), "{said:?}");
    said
}

async fn refused(
    database: &TestDatabase,
    file: impl Into<Vec<u8>>,
    options: impl Into<CatchmentOptions>,
) -> ImportError {
    match import(database, file, options).await {
        (Err(Error::Import(error)), _) => error,
        other => panic!("{other:?}"),
    }
}

/// The URNs of the schools whose outline holds a home.
async fn serving(database: &TestDatabase, home: LatLng) -> Vec<i32> {
    let page = database.repository().find_catchments(&SchoolSearch::near(home)).await.expect("a result");
    let mut urns: Vec<_> = page.items.iter().map(|catchment| catchment.hit.school.urn.get()).collect();
    urns.sort_unstable();
    urns
}

/// Two schools of Testshire and two of Otherham. A closed school has the LAESTAB and the name of the academy after it.
const REGISTER: &str = "\
URN,LA (code),LA (name),EstablishmentNumber,EstablishmentName,EstablishmentStatus (name),PhaseOfEducation (name),\
Easting,Northing,UKPRN\r\n\
100001,826,Testshire,2001,Hilltop Primary School,Open,Primary,485280,238480,10000001\r\n\
100002,826,Testshire,2002,St Mary's CofE Primary School,Open,Primary,485900,238900,10000002\r\n\
100003,826,Testshire,2002,St Mary's CofE Primary School,Closed,Primary,485900,238900,\r\n\
100004,383,Otherham,2001,St. Mary's CofE Primary School,Open,Primary,430000,433000,10000004\r\n\
100005,383,Otherham,2003,Moorside School,Open,Secondary,430500,433500,10000005\r\n";

async fn register(database: &TestDatabase) {
    Import::new().register(database.repository(), REGISTER.as_bytes()).await.expect("a register");
}

/// A square of a kilometre round the schools of Testshire, and a home in it.
const TESTSHIRE: &str =
    r#"{"type":"Polygon","coordinates":[[[-0.77,52.03],[-0.74,52.03],[-0.74,52.05],[-0.77,52.05],[-0.77,52.03]]]}"#;

fn home() -> LatLng {
    at(52.04, -0.755)
}

async fn features_become_catchments(database: &TestDatabase) {
    database.repository().insert_schools((1..=3).map(school).collect()).await.expect("schools");
    let island = r#"{"type":"MultiPolygon","coordinates":[[[[-3,52],[-2,52],[-2,53],[-3,52]]]]}"#;
    let file = collection(&[feature("1", SQUARE), feature("\" 2 \"", island)]);
    let (counts, said) = import(database, file.clone(), "urn").await;
    assert_eq!(
        counts.expect("an import"),
        ImportCounts { inserted: 2, updated: 0, unchanged: 0, rejected: 0, ..ImportCounts::default() }
    );
    assert!(said.rejects.is_empty() && said.notices.is_empty(), "{said:?}");
    let (counts, _) = import(database, file, "urn").await;
    assert_eq!(
        counts.expect("an import"),
        ImportCounts { inserted: 0, updated: 0, unchanged: 2, rejected: 0, ..ImportCounts::default() }
    );
    let page = database.repository().find_catchments(&SchoolSearch::near(at(52.5, -0.5))).await.expect("a result");
    let found: Vec<_> =
        page.items.iter().map(|catchment| (catchment.hit.school.urn.get(), catchment.evidence)).collect();
    assert_eq!(found, [(1, Evidence::Polygon)]);
}

async fn outlines_far_from_their_school_are_reported(database: &TestDatabase) {
    let located = |number, location| NewSchool { location: Some(location), ..school(number) };
    let schools = vec![located(1, at(52.5, -0.5)), located(2, at(55.9, -3.2))];
    database.repository().insert_schools(schools).await.expect("schools");
    let (counts, said) = import(database, collection(&[feature("1", SQUARE), feature("2", SQUARE)]), "urn").await;
    assert_eq!(counts.expect("an import").inserted, 2);
    let [notice] = said.notices.as_slice() else { panic!("{said:?}") };
    assert!(notice.contains("URN 2") && notice.contains("km from its school"), "{notice}");
}

async fn every_form_of_geojson_is_read(database: &TestDatabase) {
    database.repository().insert_schools((1..=3).map(school).collect()).await.expect("schools");
    let (one, two) = (feature("1", SQUARE), feature("2", SQUARE));
    let heights = polygon("[-1,52,0],[0,52,12.5],[0,53,0,7],[-1,53],[-1,52,0]");
    let line = r#"{"type":"LineString","coordinates":[[-3,52],[-2,52]]}"#;
    let stray = format!(r#"{{"type":"GeometryCollection","geometries":[{SQUARE},{line}]}}"#);
    let cyrillic = feature("1", SQUARE).replace(r#""x""#, "\"\u{2013} \\u0041\"");
    let mut windows = one.clone().into_bytes();
    let name = windows.iter().position(|byte| *byte == b'x').expect("a name");
    windows[name] = 0xE9;
    let files: [(&str, Vec<u8>); 13] = [
        ("a byte order mark", format!("\u{feff}{}", collection(std::slice::from_ref(&one))).into()),
        ("a feature alone", one.clone().into()),
        ("a line each", format!("{one}\n{two}\r\n\n").into()),
        ("a text sequence (RFC 8142)", format!("\u{1e}{one}\n\u{1e}{two}\n").into()),
        (
            "pages, one after another",
            format!("{}{}", collection(std::slice::from_ref(&one)), collection(std::slice::from_ref(&two))).into(),
        ),
        ("heights", feature("1", &heights).into()),
        ("properties in any case", one.replace("urn", "URN").into()),
        ("a number with a point", feature("1.0", SQUARE).into()),
        ("a stray line in a collection", feature("1", &stray).into()),
        ("escapes and signs", cyrillic.into()),
        ("windows-1252", windows),
        ("a ring that is open", feature("1", &polygon("[-1,52],[0,52],[0,53],[-1,53]")).into()),
        (
            "members that are not known",
            one.replace(r#""type":"Feature","#, r#""type":"Feature","bbox":[7],"x":null,"#).into(),
        ),
    ];
    for (what, file) in files {
        let (counts, said) = import(database, file, "urn").await;
        let counts = counts.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(counts.rejected == 0 && said.rejects.is_empty(), "{what}: {said:?}");
        assert!(serving(database, at(52.5, -0.5)).await.contains(&1), "{what}");
        let none = vec![school_finder_db::models::NewCatchment { urn: urn(1), outline: None }];
        database
            .repository()
            .upsert_catchments(none, school_finder_db::request::WriteMode::Commit)
            .await
            .expect("none");
    }
}

async fn unusable_features_are_reported(database: &TestDatabase) {
    database.repository().insert_schools((1..=20).map(school).collect()).await.expect("schools");
    let deep = format!(r#"{{"type":"Polygon","coordinates":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let long = polygon(&vec!["[0,52]"; 1_200_000].join(","));
    let nested = "{\"type\":\"GeometryCollection\",\"geometries\":[".repeat(20) + &"]}".repeat(20);
    let cases: [(String, String, &str); 19] = [
        ("99".into(), SQUARE.into(), "no school has URN 99"),
        ("\"one\"".into(), SQUARE.into(), "the URN is not a number"),
        ("null".into(), SQUARE.into(), "its \"urn\" is blank"),
        ("1".into(), "null".into(), "no geometry"),
        ("2".into(), r#"{"type":"Point","coordinates":[-1,52]}"#.into(), "it is a Point: an outline is a Polygon"),
        ("3".into(), polygon("[-1,52],0,[0,53],[-1,53]"), "its coordinates are not lists of numbers"),
        ("4".into(), polygon("[-1,52],[0,53],[0,52],[-1,53],[-2,52.5],[-1,52]"), "cross at lat 52.5, lng -0.5"),
        ("5".into(), polygon("[-1,52],[0,52],[-1,52]"), "three corners"),
        ("6".into(), polygon("[-1],[0],[0],[-1]"), "its coordinates are not lists of numbers"),
        ("7".into(), polygon("[52,-1],[53,-1],[53,0],[52,-1]"), "swap the two"),
        ("8".into(), polygon("[485000,238000],[485100,238000],[485100,238100]"), "no school's location shows"),
        ("9".into(), polygon("[-1,52],[1e999,52],[0,53],[-1,52]"), "its coordinates are not lists of numbers"),
        ("10".into(), r#"{"type":"MultiPolygon","coordinates":[]}"#.into(), "it is empty"),
        ("11".into(), deep, "its coordinates are not lists of numbers"),
        ("12".into(), long, "bytes of JSON"),
        ("14".into(), r#"{"type":"Polygon"}"#.into(), "its coordinates are not lists of numbers"),
        ("15".into(), r#"{"rings":[]}"#.into(), "its geometry has no type"),
        ("16".into(), nested, "nested too deep"),
        (
            "17".into(),
            SQUARE.replace(r#""type""#, r#""crs":"EPSG:3857","type""#),
            "its crs is EPSG:3857 (Web Mercator)",
        ),
    ];
    let mut features: Vec<String> = cases.iter().map(|(urn, geometry, _)| feature(urn, geometry)).collect();
    features.push(feature("13", SQUARE));
    features.push(r#"{"type":"Feature","properties":{"school":14,"name":"x"},"geometry":null}"#.to_owned());
    features.extend(["7".to_owned(), r#"{"type":"Feature","properties":null}"#.to_owned()]);
    let (counts, said) = import(database, collection(&features), "urn").await;
    assert_eq!(
        counts.expect("an import"),
        ImportCounts { inserted: 1, updated: 0, unchanged: 0, rejected: 22, ..ImportCounts::default() }
    );
    let reason = |number: u64| &said.rejects.iter().find(|reject| reject.number == number).expect("a reject").reason;
    for (number, (_, _, expected)) in (1..).zip(&cases) {
        assert!(reason(number).contains(expected), "{number}: {} is not {expected:?}", reason(number));
    }
    assert_eq!(reason(21), "it has no property \"urn\", only: school, name");
    assert_eq!(reason(22), "it is not a Feature");
    assert_eq!(reason(23), "it has no property \"urn\", and no other");
    let numbers: Vec<u64> = said.rejects.iter().map(|reject| reject.number).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    let none = refused(database, collection(&[feature("99", SQUARE), feature("98", SQUARE)]), "urn").await;
    assert_eq!(none.to_string(), "not one of 2 features could be used: nothing was imported");
}

async fn files_that_cannot_be_trusted_change_nothing(database: &TestDatabase) {
    database.repository().insert_schools((1..=3).map(school).collect()).await.expect("schools");
    let whole = collection(&[feature("1", SQUARE), feature("2", SQUARE)]);
    for cut in [1, 40, 100, whole.len() / 2, whole.len() - 1] {
        let error = refused(database, &whole[..cut], "urn").await;
        assert!(matches!(error, ImportError::Truncated { line: 1 }), "{cut}: {error}");
    }
    for empty in [String::new(), "\u{feff} \n".to_owned(), collection(&[])] {
        assert!(matches!(refused(database, empty, "urn").await, ImportError::Empty));
    }
    let esri = r#"{"geometryType":"esriGeometryPolygon","spatialReference":{"wkid":27700},"features":[
        {"attributes":{"urn":1},"geometry":{"rings":[[[0,0],[1,0],[1,1],[0,0]]]}}]}"#;
    for (file, reason) in [
        (SQUARE.to_owned(), "it is a Polygon without a Feature"),
        ("URN,name\r\n1,x\r\n".to_owned(), "it begins with \"URN,name"),
        ("[1,2]".to_owned(), "it is a list"),
        (format!("{whole}{whole}]"), "is not valid JSON"),
        (whole.replace(r#""name":"catchments""#, r#""crs":{"properties":{"name":"EPSG:29902"}}"#), "Irish Grid"),
        (r#"{"type":"FeatureCollection","features":7}"#.to_owned(), "no list of features"),
        (r#"{"type":"Topology","objects":{},"arcs":[]}"#.to_owned(), "TopoJSON: convert it"),
        (esri.to_owned(), "Esri JSON"),
        (r#"{"error":{"code":400,"message":"Invalid URL"}}"#.to_owned(), "it is the error of a server"),
        (r#"{"type":"Feature","type":"Feature"}"#.to_owned(), "a member twice"),
    ] {
        let error = refused(database, file, "urn").await;
        assert!(matches!(error, ImportError::NotGeoJson { .. } | ImportError::WrongKind { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert_eq!(
        database.number("SELECT count(*) FROM schools WHERE catchment_geometry IS NOT NULL").await.expect("a count"),
        0
    );
}

async fn files_that_say_they_are_incomplete_need_a_word(database: &TestDatabase) {
    database.repository().insert_schools((1..=3).map(school).collect()).await.expect("schools");
    for (member, expected) in [
        (r#""exceededTransferLimit":true"#, "exceededTransferLimit is true"),
        (r#""properties":{"exceededTransferLimit":true}"#, "exceededTransferLimit is true"),
        (r#""numberMatched":500,"numberReturned":1"#, "numberMatched is 500"),
        (r#""links":[{"rel":"self","href":"a"},{"href":"b","rel":"next"}]"#, "links to a next page"),
        (r#""next":"https://maps.example/2""#, "links to a next page"),
    ] {
        let file = collection_with(member, &[feature("1", SQUARE)]);
        let error = refused(database, file.clone(), "urn").await;
        assert!(matches!(&error, ImportError::Incomplete { said } if said.contains(expected)), "{error}");
        let mut options = CatchmentOptions::new("urn");
        options.partial = true;
        let said = imported(database, file, options).await;
        assert!(said.notices[0].contains(expected), "{said:?}");
    }
    for member in [
        r#""exceededTransferLimit":false,"numberMatched":1,"numberReturned":1,"next":null"#,
        r#""numberMatched":"unknown","links":[{"rel":"prev"}],"properties":{"exceededTransferLimit":false}"#,
    ] {
        imported(database, collection_with(member, &[feature("1", SQUARE)]), "urn").await;
    }
    // The last page ends the list, and all are there.
    let pages = [(r#""numberMatched":2,"next":"b""#, "1"), (r#""numberMatched":2"#, "2")];
    let pages = pages.map(|(member, urn)| collection_with(member, &[feature(urn, SQUARE)])).concat();
    imported(database, pages, "urn").await;
}

/// A square on the National Grid round the schools of Testshire.
const METRES: &str = "[485000,238000],[486000,238000],[486000,239000],[485000,239000],[485000,238000]";

async fn metres_of_the_national_grid_become_degrees(database: &TestDatabase) {
    register(database).await;
    let declared = r#""crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::27700"}}"#;
    let file = [feature("100001", &polygon(METRES)), feature("100002", &polygon(METRES))];
    for (member, word) in
        [(declared, "by OSTN15"), (r#""crs":null"#, "fall near the schools"), (r#""crs":"EPSG:4326""#, "near")]
    {
        let said = imported(database, collection_with(member, &file), "urn").await;
        assert!(said.notices.len() == 1 && said.notices[0].contains(word), "{said:?}");
        // The school is within, and a home 25 m outside is not.
        assert_eq!(serving(database, home()).await, [100_001, 100_002]);
        assert_eq!(serving(database, at(52.034_5, -0.762_6)).await, [] as [i32; 0]);
        let ids = database.repository().schools_by_urn(&[urn(100_001)]).await.expect("a school")[0].id;
        let outline = &database.repository().catchments(&[ids]).await.expect("an outline")[0].outline;
        let corner = outline.corner().expect("a corner");
        let grid = school_finder_db::geo::GridReference { easting: 485_000, northing: 238_000 };
        assert_eq!(Some(corner), grid.to_lat_lng());
    }
    // A declaration that was left behind.
    let said = imported(database, collection_with(declared, &[feature("100001", TESTSHIRE)]), "urn").await;
    assert!(said.notices[0].contains("its coordinates are degrees"), "{said:?}");
    // One that falls elsewhere is not among them.
    let far = feature("100005", &polygon("[333000,374000],[334000,374000],[334000,375000]"));
    let (counts, said) = import(database, collection(&[&file[..], &[far]].concat()), "urn").await;
    assert_eq!(counts.expect("an import").rejected, 1);
    assert!(said.rejects[0].reason.contains("km from its school"), "{said:?}");
}

async fn metres_of_other_grids_are_refused_once(database: &TestDatabase) {
    register(database).await;
    // Belfast on the Irish Grid, which is near Liverpool on that of Great Britain; Testshire in Web Mercator.
    let irish = polygon("[333000,374000],[334000,374000],[334000,375000],[333000,374000]");
    let mercator = polygon("[-84600,6806000],[-84000,6806000],[-84000,6807000],[-84600,6806000]");
    for (geometry, reason) in [(irish, "not of the National Grid"), (mercator, "Web Mercator (EPSG:3857)")] {
        let file = collection(&[feature("100001", &geometry), feature("100002", &geometry)]);
        let (result, said) = import(database, file, "urn").await;
        let error = result.expect_err("refused").to_string();
        assert!(error.contains(reason) && error.contains("convert it") && said.rejects.is_empty(), "{error}: {said:?}");
    }
}

async fn features_of_one_school_become_one_outline(database: &TestDatabase) {
    database.repository().insert_schools((1..=3).map(school).collect()).await.expect("schools");
    let east = polygon("[0,52],[1,52],[1,53],[0,53],[0,52]");
    let far = polygon("[-4,52],[-3,52],[-3,53],[-4,52]");
    // One shares an edge with the first, one is the first again, and one is elsewhere.
    let features = [SQUARE, &east, SQUARE, &far].map(|geometry| feature("1", geometry));
    let file = collection(&[&features[..], &[feature("2", SQUARE)]].concat());
    let said = imported(database, file, "urn").await;
    assert_eq!(
        said.notices,
        ["features 1 and 2 and 3 and 4 are of one school, URN 1: its catchment is all of them together"]
    );
    for (home, expected) in
        [(at(52.5, -0.5), &[1, 2][..]), (at(52.5, 0.5), &[1]), (at(52.1, -3.2), &[1]), (at(52.5, 2.0), &[])]
    {
        assert_eq!(serving(database, home).await, expected, "{home:?}");
    }
}

async fn a_school_with_an_unusable_feature_keeps_its_outline(database: &TestDatabase) {
    database.repository().insert_schools((1..=3).map(school).collect()).await.expect("schools");
    imported(database, collection(&[feature("1", SQUARE)]), "urn").await;
    let east = polygon("[0,52],[1,52],[1,53],[0,53],[0,52]");
    let crossed = polygon("[-4,52],[-3,53],[-3,52],[-4,53],[-5,52.5],[-4,52]");
    for unusable in [crossed, "null".to_owned()] {
        let file = collection(&[feature("1", &east), feature("1", &unusable), feature("2", SQUARE)]);
        let (counts, said) = import(database, file, "urn").await;
        assert_eq!(counts.expect("an import").rejected, 2);
        assert_eq!(said.rejects[0].reason, "feature 2 is of the same school and cannot be used");
        assert_eq!(serving(database, at(52.5, -0.5)).await, [1, 2]);
        assert_eq!(serving(database, at(52.5, 0.5)).await, [] as [i32; 0]);
    }
}

async fn mended_outlines_are_reported(database: &TestDatabase) {
    database.repository().insert_schools((1..=5).map(school).collect()).await.expect("schools");
    let stray = r#"{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[-3,52]},"#.to_owned()
        + SQUARE
        + "]}";
    let overlapping = r#"{"type":"MultiPolygon","coordinates":[[[[-1,52],[0,52],[0,53],[-1,52]]],
        [[[-1,52],[0,52],[0,53],[-1,53],[-1,52]]]]}"#;
    let said = imported(
        database,
        collection(&[
            feature("1", &polygon("[-1,52],[0,52],[0,53],[-1,53]")),
            feature("2", &polygon("[-1,52],[0,52],[0,52.5],[1,52.7],[0,52.5],[0,53],[-1,53],[-1,52]")),
            feature("3", &stray),
            feature("4", overlapping),
            feature("5", SQUARE),
        ]),
        "urn",
    )
    .await;
    assert_eq!(
        said.notices,
        [
            "1, URN 1: closed 1 open ring",
            "2, URN 2: removed 1 spike narrower than a metre",
            "3, URN 3: left out what is no Polygon: Point",
            "4, URN 4: united parts that overlap or share an edge",
        ]
    );
    assert_eq!(serving(database, at(52.5, -0.5)).await, [1, 2, 3, 4, 5]);
    // The library itself mends nothing.
    let open: Result<school_finder_db::geo::Catchment, _> = "POLYGON((-1 52,0 52,0 53,-1 53))".parse();
    assert!(open.is_err_and(|error| error.to_string().contains("not closed")));
}

async fn keys_of_every_kind_are_recognised(database: &TestDatabase) {
    register(database).await;
    let keyed = |keys: [&str; 2]| collection(&keys.map(|key| feature(key, TESTSHIRE)));
    for (keys, word) in [
        (["100001", "\"100002\""], None),
        (["\"826/2001\"", "8262002"], Some("LAESTABs of schools: 2 of 2")),
        (["10000001", "10000002"], Some("UKPRNs of schools: 2 of 2")),
        (["\"HILLTOP primary school\"", "10000002"], None),
    ] {
        let mut options = CatchmentOptions::new("URN");
        options.key_is = keys[0].contains("HILLTOP").then_some(KeyKind::Ukprn);
        let (counts, said) = import(database, keyed(keys), options.clone()).await;
        let counts = counts.expect("an import");
        match options.key_is {
            None => assert_eq!((counts.rejected, serving(database, home()).await), (0, vec![100_001, 100_002])),
            Some(_) => assert!(counts.rejected == 1 && said.rejects[0].reason.contains("is not a UKPRN"), "{said:?}"),
        }
        assert!(word.map_or(said.notices.is_empty(), |word| said.notices[0].contains(word)), "{said:?}");
    }
    // The feature's own id, unless there is a property of that name.
    let with_id = |properties: &str| {
        format!(r#"{{"type":"Feature","id":100001,"properties":{properties},"geometry":{TESTSHIRE}}}"#)
    };
    imported(database, with_id("{}"), "id").await;
    let error = refused(database, with_id(r#"{"ID":7}"#), "id").await;
    assert!(matches!(error, ImportError::NothingUsable { rows: 1, .. }), "{error}");
}

async fn names_mean_one_school(database: &TestDatabase) {
    register(database).await;
    let named = |name: &str, geometry: &str| collection(&[feature(&format!("\"{name}\""), geometry)]);
    let said = imported(database, named("Hilltop Primary School", TESTSHIRE), "urn").await;
    assert_eq!(said.notices, ["\"urn\" holds names of schools: 1 of 1 are in the database"]);
    assert_eq!(serving(database, home()).await, [100_001]);
    // Two open schools of two councils have the name, and a closed one.
    let saint = named("Saint Mary's C.E. Primary School", TESTSHIRE).replace("C.E.", "CofE");
    let (_, said) = import(database, saint.clone(), "urn").await;
    let reason = &said.rejects[0].reason;
    assert!(reason.contains("URN 100002 (Testshire), 100004 (Otherham): state the council"), "{reason}");
    let mut options = CatchmentOptions::new("urn");
    options.council = Some("TESTSHIRE".to_owned());
    imported(database, saint.clone(), options.clone()).await;
    assert_eq!(serving(database, home()).await, [100_001, 100_002]);
    // A school of the name that is far from the outline is another one.
    for (name, council, expected) in [
        ("Moorside School", None, "another must be meant"),
        ("Saint Mary's CofE Primary School", Some("Otherham"), "another must be meant"),
        ("Moorside School", Some("Testshire"), "no school of Testshire is called \"Moorside School\""),
        ("Moor School", None, "no school is called \"Moor School\""),
    ] {
        options.council = council.map(str::to_owned);
        let (_, said) = import(database, named(name, TESTSHIRE), options.clone()).await;
        assert!(said.rejects[0].reason.contains(expected), "{said:?}");
    }
}

async fn keys_of_two_kinds_are_unclear(database: &TestDatabase) {
    register(database).await;
    let file = collection(&["100001", "\"826/2002\""].map(|key| feature(key, TESTSHIRE)));
    let error = refused(database, file.clone(), "urn").await;
    assert_eq!(
        error.to_string(),
        "\"urn\" holds 1 URNs and 1 LAESTABs of schools in the database: state with --key-is which are meant"
    );
    for (kind, expected) in [(KeyKind::Urn, 100_001), (KeyKind::Laestab, 100_002)] {
        let mut options = CatchmentOptions::new("urn");
        options.key_is = Some(kind);
        let (counts, _) = import(database, file.clone(), options).await;
        assert_eq!(counts.expect("an import").rejected, 1);
        assert!(serving(database, home()).await.contains(&expected));
    }
}
