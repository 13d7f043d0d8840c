//! Imports of outlines of catchments.

use std::sync::{Arc, Mutex};

use school_finder_db::import::{Import, ImportCounts, ImportError, Reject};
use school_finder_db::models::Evidence;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, SchoolSearch};

use super::on_every_backend;
use crate::support::{at, school};

on_every_backend! {
    features_become_catchments,
    unusable_features_are_reported,
    files_that_cannot_be_trusted_change_nothing,
}

const SQUARE: &str = r#"{"type":"Polygon","coordinates":[[[-1,52],[0,52],[0,53],[-1,53],[-1,52]]]}"#;

fn feature(urn: &str, geometry: &str) -> String {
    format!(r#"{{"type":"Feature","properties":{{"name":"x","urn":{urn}}},"geometry":{geometry}}}"#)
}

fn collection(features: &[String]) -> String {
    format!(r#"{{"type":"FeatureCollection","name":"catchments","features":[{}]}}"#, features.join(","))
}

async fn import(database: &TestDatabase, file: String, key: &str) -> (Result<ImportCounts, Error>, Vec<Reject>) {
    let rejects = Arc::new(Mutex::new(Vec::new()));
    let import = Import::new().on_reject({
        let rejects = Arc::clone(&rejects);
        move |reject| rejects.lock().expect("a list").push(reject)
    });
    let counts = import.catchments(database.repository(), std::io::Cursor::new(file.into_bytes()), key).await;
    let rejects = rejects.lock().expect("a list").clone();
    (counts, rejects)
}

async fn features_become_catchments(database: &TestDatabase) {
    database.repository().insert_schools((1..=3).map(school).collect()).await.expect("schools");
    let island = r#"{"type":"MultiPolygon","coordinates":[[[[-3,52],[-2,52],[-2,53],[-3,52]]]]}"#;
    let file = collection(&[feature("1", SQUARE), feature("\" 2 \"", island)]);
    let (counts, rejects) = import(database, file.clone(), "urn").await;
    assert_eq!(counts.expect("an import"), ImportCounts { inserted: 2, updated: 0, unchanged: 0, rejected: 0 });
    assert!(rejects.is_empty());
    let (counts, _) = import(database, file.clone(), "urn").await;
    assert_eq!(counts.expect("an import"), ImportCounts { inserted: 0, updated: 0, unchanged: 2, rejected: 0 });
    let marked = format!("\u{feff}{file}");
    let (counts, _) = import(database, marked, "urn").await;
    assert_eq!(counts.expect("a byte order mark is no matter").unchanged, 2);
    let page = database.repository().find_catchments(&SchoolSearch::near(at(52.5, -0.5))).await.expect("a result");
    let found: Vec<_> =
        page.items.iter().map(|catchment| (catchment.hit.school.urn.get(), catchment.evidence)).collect();
    assert_eq!(found, [(1, Evidence::Polygon)]);
}

async fn unusable_features_are_reported(database: &TestDatabase) {
    database.repository().insert_schools((1..=20).map(school).collect()).await.expect("schools");
    let polygon = |ring: &str| format!(r#"{{"type":"Polygon","coordinates":[[{ring}]]}}"#);
    let deep = format!(r#"{{"type":"Polygon","coordinates":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let long = polygon(&vec!["[0,52]"; 1_200_000].join(","));
    let cases: [(String, String, &str); 15] = [
        ("99".into(), SQUARE.into(), "no school has URN 99"),
        ("\"one\"".into(), SQUARE.into(), "its URN is not a number"),
        ("null".into(), SQUARE.into(), "its URN is not a number"),
        ("1".into(), "null".into(), "no geometry"),
        ("2".into(), r#"{"type":"Point","coordinates":[-1,52]}"#.into(), "unknown variant `Point`"),
        ("3".into(), polygon("[-1,52],[0,52],[0,53],[-1,53]"), "not closed"),
        ("4".into(), polygon("[-1,52],[0,53],[0,52],[-1,53],[-2,52.5],[-1,52]"), "cross at lat 52.5, lng -0.5"),
        ("5".into(), polygon("[-1,52],[0,52],[-1,52]"), "three corners"),
        ("6".into(), polygon("[-1,52,0],[0,52,0],[0,53,0],[-1,52,0]"), "length 3"),
        ("7".into(), polygon("[52,-1],[53,-1],[53,0],[52,-1]"), "swap the two"),
        ("8".into(), polygon("[400000,300000],[400100,300000],[400100,300100],[400000,300000]"), "not on the earth"),
        ("9".into(), polygon("[-1,52],[1e999,52],[0,53],[-1,52]"), "number out of range"),
        ("10".into(), r#"{"type":"MultiPolygon","coordinates":[]}"#.into(), "it is empty"),
        ("11".into(), deep, "recursion limit"),
        ("12".into(), long, "bytes of JSON"),
    ];
    let mut features: Vec<String> = cases.iter().map(|(urn, geometry, _)| feature(urn, geometry)).collect();
    features.push(feature("13", SQUARE));
    features.push(r#"{"type":"Feature","properties":{"URN":14,"name":"x"},"geometry":null}"#.to_owned());
    let (counts, rejects) = import(database, collection(&features), "urn").await;
    assert_eq!(counts.expect("an import"), ImportCounts { inserted: 1, updated: 0, unchanged: 0, rejected: 16 });
    for (number, (_, _, reason)) in (1..).zip(&cases) {
        let reject = rejects.iter().find(|reject| reject.number == number).expect("it is reported");
        assert!(reject.reason.contains(reason), "{reject:?} is not {reason:?}");
    }
    let reject = rejects.iter().find(|reject| reject.number == 17).expect("it is reported");
    assert_eq!(reject.reason, "it has no property \"urn\" for the URN, only: URN, name");
}

async fn files_that_cannot_be_trusted_change_nothing(database: &TestDatabase) {
    database.repository().insert_schools((1..=3).map(school).collect()).await.expect("schools");
    let refused = async |file: String| match import(database, file, "urn").await.0 {
        Err(Error::Import(error)) => error,
        other => panic!("{other:?}"),
    };
    let whole = collection(&[feature("1", SQUARE), feature("2", SQUARE)]);
    for cut in [1, 40, 100, whole.len() / 2, whole.len() - 1] {
        let error = refused(whole[..cut].to_owned()).await;
        assert!(matches!(error, ImportError::Truncated { line: 1 }), "{cut}: {error}");
    }
    assert!(matches!(refused(String::new()).await, ImportError::Empty));
    assert!(matches!(refused(collection(&[])).await, ImportError::Empty));
    let twice = refused(collection(&[feature("1", SQUARE), feature("2", SQUARE), feature("1", SQUARE)])).await;
    assert!(matches!(twice, ImportError::DuplicateFeature { first: 1, second: 3, .. }), "{twice}");
    for (file, reason) in [
        (feature("1", SQUARE), "its type is another"),
        ("URN,name\r\n1,x\r\n".to_owned(), "expected value"),
        ("[1,2]".to_owned(), "invalid type: integer"),
        (format!("{whole}{whole}"), "trailing characters"),
        (whole.replace(r#""name":"catchments""#, r#""crs":{"properties":{"name":"EPSG:27700"}}"#), "EPSG:27700"),
        (r#"{"type":"FeatureCollection","features":[7]}"#.to_owned(), "invalid type"),
    ] {
        let error = refused(file).await;
        assert!(matches!(&error, ImportError::NotGeoJson { reason: found } if found.contains(reason)), "{error}");
    }
    assert_eq!(
        database.number("SELECT count(*) FROM schools WHERE catchment_geometry IS NOT NULL").await.expect("a count"),
        0
    );
}
