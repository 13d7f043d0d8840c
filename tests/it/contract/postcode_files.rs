//! Imports of published postcodes.

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};

use school_finder_db::Error;
use school_finder_db::import::{Import, ImportCounts, ImportError, postcode_files};
use school_finder_db::models::HomeSource;
use school_finder_db::request::WriteMode;
use school_finder_db::testing::TestDatabase;

use super::on_every_backend;
use crate::support::at;

on_every_backend! {
    files_of_every_release_are_read,
    files_without_a_header_are_read_by_the_grid,
    northern_ireland_is_read_on_request,
    an_archive_of_areas_is_read_once,
    a_release_replaces_the_one_before_it,
    unusable_rows_and_files_are_reported,
    an_area_of_many_chunks_is_read_whole,
}

/// The header and a row of each kind of file: one place, at 52.0406, -0.7594.
const RELEASES: [(&str, &str, &str); 4] = [
    (
        "ONSPD 2024",
        "pcd,pcd2,pcds,dointr,doterm,oslaua,oseast1m,osnrth1m,osgrdind,lat,long",
        "\"MK9 3EP\",\"MK9  3EP\",\"MK9 3EP\",198001,\"\",E06000042,\"485200\",\"0238500\",\"1\",52.0406,-0.7594",
    ),
    (
        "NSPL 2026",
        "pcd7,pcd8,pcds,dointr,doterm,east1m,north1m,gridind,lad26cd,lat,long",
        "MK9 3EP,MK9  3EP,MK9 3EP,198001,,485200,238500,1,E06000042,52.0406,-0.7594",
    ),
    ("of a spreadsheet", "PCDS;DOTERM;GRIDIND;LAT;LONG", "mk93ep;;1;52.0406;-0.7594"),
    ("shortened", "postcode,latitude,longitude", "MK9 3EP,52.0406,-0.7594"),
];

/// The rows that are left of a release of 2008 and of Code-Point Open, by their grid references.
const GRID_2008: &str = "pcd,pcd2,pcds,dointr,doterm,oseast1m,osnrth1m,osgrdind\n\
    \"MK9 3EP\",\"MK9  3EP\",\"MK9 3EP\",\"198001\",\"199606\",\"485200\",\"0238500\",\"8\"\n\
    \"BT1 1AA\",\"BT1  1AA\",\"BT1 1AA\",\"198001\",\"\",\"334316\",\"0374675\",\"1\"\n\
    \"IM1 1AA\",\"IM1  1AA\",\"IM1 1AA\",\"198001\",\"\",\"\",\"\",\"9\"\n";
const CODE_POINT: &str = "\"MK9 3EP\",10,485200,238500,\"E92000001\",\"\",\"\",\"\",\"E06000042\",\"E05002008\"\n\
    \"MK101AA\",50,490000,238000,\"E92000001\",\"E19000001\",\"E18000006\",\"\",\"E06000042\",\"E05002008\"\n\
    \"MK102AA\",90,0,0,\"E92000001\",\"E19000001\",\"E18000006\",\"\",\"E06000042\",\"E05002008\"\n";

async fn import(
    database: &TestDatabase,
    import: Import,
    files: Vec<Vec<u8>>,
) -> (Result<ImportCounts, Error>, Vec<String>) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let import = import
        .on_reject({
            let said = Arc::clone(&said);
            move |reject| said.lock().expect("a list").push(format!("{}: {}", reject.number, reject.reason))
        })
        .on_notice({
            let said = Arc::clone(&said);
            move |notice| said.lock().expect("a list").push(notice.to_string())
        });
    let counts = import.postcodes(database.repository(), files.into_iter().map(Cursor::new).collect()).await;
    let said = said.lock().expect("a list").clone();
    (counts, said.into_iter().filter(|text| !text.starts_with("columns that were not read")).collect())
}

async fn imported(database: &TestDatabase, file: &str) -> ImportCounts {
    import(database, Import::new(), vec![file.into()]).await.0.expect("an import")
}

fn counts(inserted: u64, updated: u64, unchanged: u64, withdrawn: u64) -> ImportCounts {
    ImportCounts { inserted, updated, unchanged, withdrawn, ..ImportCounts::default() }
}

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a member");
        archive.write_all(content.as_bytes()).expect("bytes");
    }
    archive.finish().expect("an archive").into_inner()
}

async fn files_of_every_release_are_read(database: &TestDatabase) {
    for (at_step, (release, header, row)) in RELEASES.into_iter().enumerate() {
        let found = imported(database, &format!("{header}\n{row}\n")).await;
        // A shortened file does not say how exact its places are.
        let expected = match at_step {
            0 => counts(1, 0, 0, 0),
            3 => counts(0, 1, 0, 0),
            _ => counts(0, 0, 1, 0),
        };
        assert_eq!(found, expected, "{release}");
        let home = database.repository().locate("MK9 3EP").await.expect("a home");
        assert_eq!((home.location, home.source), (at(52.0406, -0.7594), HomeSource::Postcode), "{release}");
        assert_eq!(home.uncertainty_m, if at_step == 3 { 250 } else { 100 }, "{release}");
    }
}

async fn files_without_a_header_are_read_by_the_grid(database: &TestDatabase) {
    let (done, said) = import(database, Import::new(), vec![GRID_2008.into()]).await;
    assert_eq!(done.expect("an import"), counts(1, 0, 0, 0));
    assert!(said.iter().any(|text| text == "1 postcodes have no place, and were left out"), "{said:?}");
    assert!(said.iter().any(|text| text.contains("1 postcodes of Northern Ireland were left out")), "{said:?}");
    let ended = database.repository().locate("MK9 3EP").await.expect("a home");
    assert_eq!((ended.source, ended.uncertainty_m), (HomeSource::Terminated, 250));

    let (done, said) = import(database, Import::new(), vec![CODE_POINT.into()]).await;
    assert_eq!(done.expect("an import"), counts(1, 1, 0, 0), "{said:?}");
    let home = database.repository().locate("MK9 3EP").await.expect("a home");
    assert_eq!((home.source, home.uncertainty_m), (HomeSource::Postcode, 100));
    // The grid reference by the Ordnance Survey's own transformation.
    let away = home.location.distance_to(at(52.038_12, -0.760_42)).get();
    assert!(away < 0.5, "{:?}", home.location);
    assert_eq!(home.location, ended.location);
    assert_eq!(database.repository().locate("MK10 1AA").await.expect("a home").uncertainty_m, 250);
    // Neither nowhere nor at (0, 0).
    assert!(database.repository().locate("MK10 2AA").await.is_err());
}

async fn northern_ireland_is_read_on_request(database: &TestDatabase) {
    let file = "pcds,doterm,gridind,lat,long\nBT1 1AA,,1,54.602438,-5.922291\nMK9 3EP,,1,52.0406,-0.7594\n";
    let with = || Import::new().northern_ireland(true);
    assert_eq!(import(database, with(), vec![file.into()]).await.0.expect("an import"), counts(2, 0, 0, 0));
    let belfast = database.repository().locate("bt1 1aa").await.expect("a home");
    assert_eq!(belfast.location, at(54.602_438, -5.922_291));
    // Left out, they are not withdrawn.
    assert_eq!(imported(database, file).await, counts(0, 0, 1, 0));
    assert_eq!(database.repository().locate("bt1 1aa").await.expect("a home"), belfast);
    // By the Irish grid they have no place.
    let (refused, _) = import(database, with(), vec!["pcds,oseast1m,osnrth1m\nBT1 1AA,334316,374675\n".into()]).await;
    assert!(matches!(refused, Err(Error::Import(ImportError::NothingUsable { rows: 1, .. }))), "{refused:?}");
}

async fn an_archive_of_areas_is_read_once(database: &TestDatabase) {
    let [(_, header, row), ..] = RELEASES;
    let file = format!("{header}\n{row}\n");
    let codes = "LAD23CD,LAD23NM\nE06000042,Milton Keynes\n";
    let whole = zip(&[
        ("Data/multi_csv/ONSPD_MK.csv", &file),
        ("Data/ONSPD.csv", &file),
        ("Documents/LA names.csv", codes),
        ("__MACOSX/Data/ONSPD.csv", "x"),
    ]);
    let rows = Arc::new(Mutex::new(0));
    let counting = Import::new().on_progress({
        let rows = Arc::clone(&rows);
        move |read, _| *rows.lock().expect("a number") = read
    });
    assert_eq!(import(database, counting, vec![whole]).await.0.expect("an import"), counts(1, 0, 0, 0));
    assert_eq!(*rows.lock().expect("a number"), 1, "parts of a file are not read beside it");
    let parts = zip(&[("Data/multi_csv/ONSPD_MK.csv", &file), ("Documents/LA names.csv", codes)]);
    assert_eq!(import(database, Import::new(), vec![parts]).await.0.expect("an import"), counts(0, 0, 1, 0));
    let other = "\"M1 1AE\",10,384500,398100,\"E92000001\",\"\",\"\",\"\",\"\",\"\"\n";
    let areas = zip(&[
        ("Doc/Code-Point_Open_Column_Headers.csv", "PC,PQ,EA,NO,CY,RH,LH,CC,DC,WC\n"),
        ("Doc/metadata.txt", "ORDNANCE SURVEY\n"),
        ("Data/CSV/m.csv", other),
        ("Data/CSV/mk.csv", CODE_POINT),
        ("Data/CSV/mk-again.csv", CODE_POINT),
    ]);
    assert_eq!(import(database, Import::new(), vec![areas]).await.0.expect("an import"), counts(2, 1, 0, 0));

    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in [
        ("Data/ONSPD.csv", file.as_str()),
        ("Data/multi_csv/ONSPD_MK.csv", &file),
        ("Documents/LA names.csv", codes),
        ("Documents/guide.pdf", "%PDF"),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }
    let paths = postcode_files(folder.path()).expect("files");
    let names: Vec<_> = paths.iter().map(|path| path.strip_prefix(folder.path()).expect("in it")).collect();
    assert_eq!(names, ["Data/ONSPD.csv", "Documents/LA names.csv"].map(std::path::Path::new));
    let files = paths.iter().map(|path| std::fs::read(path).expect("a file")).collect();
    assert_eq!(import(database, Import::new(), files).await.0.expect("an import"), counts(0, 1, 0, 1));
}

async fn a_release_replaces_the_one_before_it(database: &TestDatabase) {
    let header = "pcds,doterm,gridind,lat,long";
    let first = format!(
        "{header}\nMK9 3EP,,1,52.04,-0.76\nMK9 3EQ,,1,52.05,-0.77\nMK9 3ER,,1,52.06,-0.78\nAB1 0AA,,1,57.1,-2.2\n"
    );
    assert_eq!(imported(database, &first).await, counts(4, 0, 0, 0));
    let next = format!("{header}\nMK9 3EP,,1,52.04,-0.76\nMK9 3EQ,202601,1,52.05,-0.77\nMK9 3ES,,6,52.07,-0.79\n");
    let dry = Import::new().mode(WriteMode::DryRun);
    assert_eq!(import(database, dry, vec![next.clone().into()]).await.0.expect("a try"), counts(1, 1, 1, 1));
    assert_eq!(imported(database, &next).await, counts(1, 1, 1, 1));
    assert_eq!(imported(database, &next).await, counts(0, 0, 3, 0));
    let of = async |text| database.repository().locate(text).await.expect("a home");
    assert_eq!(of("MK9 3EQ").await.source, HomeSource::Terminated);
    assert_eq!(of("MK9 3ER").await.source, HomeSource::Withdrawn);
    assert_eq!(of("MK9 3ES").await.uncertainty_m, 2_000);
    assert_eq!(of("AB1 0AA").await.source, HomeSource::Postcode, "the file has nothing of its area");
}

async fn unusable_rows_and_files_are_reported(database: &TestDatabase) {
    let rows = "pcds,doterm,gridind,lat,long\nMilton,,1,52,-0.7\n,,1,52,-0.7\nMK9,,1,52,-0.7\nMK9 3AA,,7,52,-0.7\n\
                MK9 3AB,,9,99.999999,0.000000\nMK9 3AD,,1,0,0\nMK9 3AE,,1,99.999999,0\nMK9 3AF,199613,1,52.5,-0.5\n\
                MK9 3AG,,1,52.6,-0.6\nMK9 3AG,,1,52.7,-0.6\nMK9 3AG,,1,52.6,-0.6\n";
    let (done, said) = import(database, Import::new(), vec![rows.into()]).await;
    assert_eq!(done.expect("an import"), ImportCounts { rejected: 4, ..counts(2, 0, 0, 0) });
    for text in [
        "2: \"Milton\" is not a postcode: write one like MK9 3EP, or a part of one like MK9 3 or MK9",
        "3: the postcode is blank",
        "4: it is a part of a postcode",
        "5: \"7\" is not a known quality of a place",
        "9, URN MK9 3AF: doterm \"199613\" is not a month like 199606",
        "3 postcodes have no place, and were left out",
        "1 postcodes are given again with other values: the first ones were read",
    ] {
        assert!(said.iter().any(|line| line == text), "{text}: {said:#?}");
    }
    assert_eq!(database.repository().locate("MK9 3AG").await.expect("a home").location, at(52.6, -0.6));
    for (file, error) in [
        ("", "the file is empty"),
        ("pcds,lat,long\n", "the file is empty"),
        ("pcds,lat,long\nMK9 3EP,52.0", "cut off in line 2"),
        ("pcds,oslaua\nMK9 3EP,E06000042\n", "the file has no column \"lat\""),
        ("URN,Name\n1,Ash\n", "the file has no column \"pcds\""),
        ("pcds,lat,long\nMK9,52,-0.7\n", "not one of 1 row could be used"),
        ("<!DOCTYPE html>", "the file is a web page (HTML)"),
    ] {
        let refused = import(database, Import::new(), vec![file.into()]).await.0.expect_err("no postcodes");
        assert!(refused.to_string().contains(error), "{file:?}: {refused}");
    }
}

async fn an_area_of_many_chunks_is_read_whole(database: &TestDatabase) {
    let letters = || ('A'..='Z').flat_map(|one| ('A'..='Z').map(move |two| format!("{one}{two}")));
    let mut file = "pcds,gridind,lat,long\n".to_owned();
    let mut rows = 0_u64;
    // Two areas in turn.
    for sector in 0..10 {
        for unit in letters() {
            for area in ["MK", "M"] {
                file += &format!("{area}1 {sector}{unit},1,52.{rows:06},-0.{rows:06}\n");
                rows += 1;
            }
        }
    }
    assert_eq!(imported(database, &file).await, counts(rows, 0, 0, 0));
    assert_eq!(imported(database, &file).await, counts(0, 0, rows, 0));
    assert_eq!(database.repository().locate("MK1 0AB").await.expect("a home").location, at(52.000_002, -0.000_002));
    assert_eq!(database.repository().locate("M1 9ZZ").await.expect("a home").location.lat().degrees(), 52.013_519);
}
