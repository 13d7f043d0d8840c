//! Files that are no database, or not ours, or hold what nobody wrote through this crate.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use school_finder_db::config::Backend;
use school_finder_db::models::NewCatchment;
use school_finder_db::request::WriteMode;
use school_finder_db::sqlite::SqliteRepository;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Config, Error, LatLng, SchoolSearch, connect, migrate, sample};

use crate::support::urn;

/// A file with these bytes, in a folder that lives as long as the test.
fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    (folder, path)
}

async fn refused(path: &Path) -> Error {
    let before = std::fs::read(path).ok();
    let error = connect(&Config::sqlite_file(path)).await.expect_err("refused");
    assert_eq!(std::fs::read(path).ok(), before, "and nothing was written");
    error
}

/// A whole database with the sample in it, closed, as bytes.
async fn whole() -> Vec<u8> {
    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    database.repository().insert_schools(sample::schools()).await.expect("schools that fit");
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy.db");
    let repository = SqliteRepository::connect(database.config()).await.expect("the same database");
    let to = copy.clone();
    repository
        .with_connection(move |connection| {
            diesel::sql_query("VACUUM INTO ?")
                .bind::<diesel::sql_types::Text, _>(to.to_string_lossy())
                .execute(connection)?;
            Ok(())
        })
        .await
        .expect("a copy");
    std::fs::read(copy).expect("the copy")
}

#[tokio::test]
async fn zero_bytes_are_a_database_without_a_schema() {
    let (_folder, path) = file("empty.db", b"");
    assert!(matches!(refused(&path).await, Error::SchemaMissing));
}

#[tokio::test]
async fn text_is_not_a_database() {
    let (_folder, path) = file("notes.db", &b"Dear diary, today I found a school. ".repeat(400));
    assert!(matches!(refused(&path).await, Error::NotADatabase));
}

#[tokio::test]
async fn a_database_that_is_cut_off_is_damaged() {
    let bytes = whole().await;
    let (_folder, path) = file("cut.db", &bytes[..bytes.len() / 2]);
    let error = match connect(&Config::sqlite_file(&path)).await {
        Err(error) => error,
        // It may open, since the schema is whole: then the first query that needs what is gone says so.
        Ok(finder) => finder.facets(&SchoolSearch::open()).await.expect_err("half of the pages are gone"),
    };
    assert!(matches!(error, Error::Corrupt), "{error:?}");
}

#[tokio::test]
async fn a_page_of_garbage_is_damage() {
    let mut bytes = whole().await;
    // The first page holds the schema; its b-tree header begins at byte 100.
    bytes[100..1_000].fill(0xA5);
    let (_folder, path) = file("garbage.db", &bytes);
    assert!(matches!(refused(&path).await, Error::Corrupt | Error::NotADatabase));
}

#[tokio::test]
async fn folders_and_missing_files_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    for path in [folder.path().to_owned(), folder.path().join("no.db"), folder.path().join("no/where.db")] {
        let error = refused(&path).await;
        assert!(matches!(&error, Error::CannotOpen { path: named, .. } if *named == path), "{error:?}");
        assert!(!path.join("no.db").exists() && !folder.path().join("no").exists(), "nothing was created");
    }
    let parentless = Config::sqlite_file(folder.path().join("no/where.db"));
    let error = migrate::up(&parentless).await.expect_err("there is no folder");
    assert!(matches!(&error, Error::CannotOpen { reason, .. } if reason.ends_with("create it first")), "{error}");
}

#[tokio::test]
async fn any_path_is_only_a_path() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a?mode=memory", "50%41.db", "hash#.db", "é 🏫.db", "a&b=c.db"] {
        let config = Config::sqlite_file(folder.path().join(name));
        migrate::up(&config).await.expect("a new database");
        assert!(folder.path().join(name).is_file(), "{name}");
        connect(&config).await.expect("the same database");
    }
}

/// Runs SQL as another program would.
async fn execute(database: &TestDatabase, sql: &'static str) {
    let result = try_execute(database, sql).await;
    result.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn try_execute(database: &TestDatabase, sql: &'static str) -> Result<(), Error> {
    let repository = SqliteRepository::connect(database.config()).await.expect("the same database");
    repository.with_connection(move |connection| Ok(connection.batch_execute(sql)?)).await
}

#[tokio::test]
async fn text_that_is_not_utf8_is_an_error_and_not_a_crash() {
    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    execute(
        &database,
        "INSERT INTO folded_names VALUES (CAST(x'ff' AS TEXT), 'a');
         INSERT INTO schools (urn, name, name_folded, status) VALUES (1, CAST(x'ff' AS TEXT), 'a', 'open')",
    )
    .await;
    let error = database.repository().find_schools(&SchoolSearch::open()).await.expect_err("unreadable");
    assert!(matches!(error, Error::CorruptValue { .. }), "{error:?}");
}

#[tokio::test]
async fn values_of_the_wrong_type_are_refused_in_every_column() {
    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    for (sql, constraint) in [
        ("INSERT INTO schools (urn, name, name_folded, status) VALUES ('x', 'a', 'a', 'open')", "ck_urn"),
        ("INSERT INTO schools (urn, name, name_folded, status) VALUES (1.5, 'a', 'a', 'open')", "ck_urn"),
        ("INSERT INTO schools (urn, name, name_folded, status) VALUES (1, x'41', 'a', 'open')", "ck_name"),
        ("INSERT INTO schools (urn, name, name_folded, status) VALUES (1, '', 'a', 'open')", "ck_name"),
        ("INSERT INTO schools (urn, name, name_folded, status) VALUES (1, 'a', x'41', 'open')", "ck_name_folded"),
        ("INSERT INTO schools (urn, name, name_folded, status) VALUES (1, 'a', 'a', 'Open')", "ck_status"),
        (one("council", "x'41'"), "ck_council"),
        (one("phase", "'college'"), "ck_phase"),
        (one("type", "x'41'"), "ck_type"),
        (one("gender", "'x'"), "ck_gender"),
        (one("faith", "x'41'"), "ck_faith"),
        (one("address", "x'41'"), "ck_address"),
        (one("postcode", "x'41'"), "ck_postcode"),
        (one("website_url", "x'41'"), "ck_website_url"),
        (one("website_url", "'javascript:alert(1)'"), "ck_website_url"),
        (one("is_private", "'yes'"), "ck_is_private"),
        (one("is_private", "2"), "ck_is_private"),
        (one("is_selective", "2"), "ck_is_selective"),
        (one("age_range_from", "'abc'"), "ck_age_from"),
        (one("age_range_from", "3.5"), "ck_age_from"),
        (one("age_range_to", "'abc'"), "ck_age_range"),
        (one("ofsted_rating", "'abc'"), "ck_ofsted_rating"),
        (one("lat, lng", "'abc', 1"), "ck_coordinates"),
        (one("lat, lng", "9e999, 1"), "ck_coordinates"),
        (one("lat, lng", "52, NULL"), "ck_coordinates"),
        (one("lat, lng", "0, 0"), "ck_coordinates"),
        (one("lat, lng", "52, -180.5"), "ck_coordinates"),
        (one("easting", "'abc'"), "ck_easting"),
        (one("northing", "-1"), "ck_northing"),
        (one("catchment_radius_km", "'abc'"), "ck_positive_radius"),
        (one("catchment_radius_km", "9e999"), "ck_positive_radius"),
        (one("catchment_geometry", "'POINT(0 0)'"), "ck_catchment_geometry"),
        (one("catchment_geometry", "x'00'"), "ck_catchment_geometry"),
        (one("opened_on", "'2026-02-30'"), "ck_opened_on"),
        (one("opened_on", "20260101"), "ck_opened_on"),
        (one("closed_on", "'01-09-2026'"), "ck_closed_on"),
        (one("capacity", "2147483648"), "ck_capacity"),
        (one("pupils", "'many'"), "ck_pupils"),
        (one("source_date", "'today'"), "ck_source_date"),
    ] {
        let error = try_execute(&database, sql).await.expect_err(sql);
        let expected = Error::CheckViolated { constraint: constraint.to_owned() }.to_string();
        let named = [
            ("ck_age_from", Error::AgeFrom),
            ("ck_age_range", Error::AgeRange),
            ("ck_ofsted_rating", Error::OfstedRating),
            ("ck_positive_radius", Error::Radius),
            ("ck_coordinates", Error::Coordinates),
            (
                "ck_catchment_geometry",
                Error::InvalidGeometry { reason: "the database refuses it (ck_catchment_geometry)".into() },
            ),
        ];
        let expected =
            named.iter().find(|(name, _)| *name == constraint).map_or(expected, |(_, error)| error.to_string());
        assert_eq!(error.to_string(), expected, "{sql}");
    }
    for (sql, column) in [
        ("INSERT INTO schools (urn, name_folded, status) VALUES (1, 'a', 'open')", "schools.name"),
        ("INSERT INTO schools (urn, name, name_folded) VALUES (1, 'a', 'a')", "schools.status"),
    ] {
        let error = try_execute(&database, sql).await.expect_err(sql);
        assert!(matches!(&error, Error::MissingValue { column: named } if named == column), "{error:?}");
    }
}

/// An insert of one school with these columns.
fn one(columns: &str, values: &str) -> &'static str {
    format!(
        "INSERT INTO folded_names VALUES ('a', 'a') ON CONFLICT DO NOTHING;
         INSERT INTO schools (urn, name, name_folded, status, {columns}) VALUES (1, 'a', 'a', 'open', {values})"
    )
    .leak()
}

#[tokio::test]
async fn a_dangling_reference_violates_a_foreign_key() {
    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    execute(&database, "CREATE TABLE visits (school_id INTEGER NOT NULL REFERENCES schools (id) ON DELETE CASCADE)")
        .await;
    let error = try_execute(&database, "INSERT INTO visits VALUES (77)").await.expect_err("no such school");
    assert!(matches!(&error, Error::ForeignKey { constraint } if constraint == "FOREIGN KEY"), "{error:?}");
}

#[tokio::test]
async fn the_boxes_of_catchments_follow_their_outlines() {
    use school_finder_db::sqlite::functions::schools_catchment::dsl::{
        id, max_lat, max_lng, min_lat, min_lng, schools_catchment,
    };
    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    let repository = SqliteRepository::connect(database.config()).await.expect("the same database");
    let boxes = || async {
        let all = schools_catchment.select((min_lat, max_lat, min_lng, max_lng)).order_by(id);
        repository.with_connection(move |c| Ok(all.load::<(f64, f64, f64, f64)>(c)?)).await.expect("the boxes")
    };
    let outline = "'MULTIPOLYGON(((-0.5 52,-0.25 52,-0.25 52.5,-0.5 52.5,-0.5 52)),((1 50,2 50,2 51,1 50)))'";
    execute(&database, one("catchment_geometry", outline)).await;
    assert_eq!(boxes().await, [(50.0, 52.5, -0.5, 2.0)]);
    execute(&database, "UPDATE schools SET catchment_geometry = 'MULTIPOLYGON(((3 4, 5 4, 5 6, 3 4)))'").await;
    assert_eq!(boxes().await, [(4.0, 6.0, 3.0, 5.0)]);
    for broken in [
        "UPDATE schools SET catchment_geometry = 'MULTIPOLYGON(((3 4,5 x,5 6,3 4)))'",
        "UPDATE schools SET catchment_geometry = 'MULTIPOLYGON(((3 4,5 4,5 6,3 4)),EMPTY,((3 4,5 4,5 6,3 4)))'",
    ] {
        try_execute(&database, broken).await.expect_err("an outline that does not read as numbers");
        assert_eq!(boxes().await, [(4.0, 6.0, 3.0, 5.0)], "nothing moved");
    }
    execute(&database, "UPDATE schools SET id = 42").await;
    assert_eq!(boxes().await.len(), 1);
    execute(&database, "UPDATE schools SET catchment_geometry = NULL").await;
    assert!(boxes().await.is_empty());
    execute(&database, "UPDATE schools SET catchment_geometry = 'MULTIPOLYGON(((3 4,5 4,5 6,3 4)))'").await;
    execute(&database, "DELETE FROM schools").await;
    assert!(boxes().await.is_empty());
}

#[tokio::test]
async fn an_unreadable_outline_is_an_error_for_its_school_only() {
    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    execute(&database, one("catchment_geometry", "'MULTIPOLYGON(((3 4,5 4,5 6,3 4)))'")).await;
    let place = |lat, lng| SchoolSearch::near(LatLng::from_lat_lng(lat, lng).expect("a place"));
    let (inside, beside) = (place(4.5, 4.5), place(4.5, 9.0));
    assert_eq!(database.repository().find_catchments(&inside).await.expect("an outline").items.len(), 1);
    for broken in [
        // Pairs of numbers, which is all that the table's CHECK and the box's trigger ask for; but the ring is not
        // closed.
        "UPDATE schools SET catchment_geometry = 'MULTIPOLYGON(((3 4,5 4,5 6)))'",
        "UPDATE schools_catchment SET outline = x'00'",
        "UPDATE schools_catchment SET outline = 'POINT(0 0)'",
        "UPDATE schools_catchment SET outline = 7",
    ] {
        execute(&database, broken).await;
        let error = database.repository().find_catchments(&inside).await.expect_err(broken);
        assert!(
            matches!(&error, Error::CorruptValue { reason } if reason.contains("outline of a catchment")),
            "{broken}: {error:?}"
        );
        let page = database.repository().find_catchments(&beside).await.expect("nobody's box");
        assert!(page.items.is_empty(), "{broken}");
        // Nobody needs to know of a school that is not asked for.
        execute(&database, "UPDATE schools SET status = 'closed'").await;
        let page = database.repository().find_catchments(&inside).await.expect("no open school");
        assert!(page.items.is_empty(), "{broken}");
        execute(&database, "UPDATE schools SET status = 'open'").await;
    }
    // As where there is a circle.
    execute(&database, "UPDATE schools_catchment SET outline = NULL").await;
    assert!(database.repository().find_catchments(&inside).await.expect("no outline").items.is_empty());
}

#[tokio::test]
async fn a_row_that_replaces_another_does_not_get_its_catchment() {
    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    let boxes = async || database.number("SELECT count(*) FROM schools_catchment").await.expect("a count");
    execute(&database, one("catchment_geometry", "'MULTIPOLYGON(((3 4,5 4,5 6,3 4)))'")).await;
    assert_eq!(boxes().await, 1);
    let replace =
        "REPLACE INTO schools (id, urn, name, name_folded, status, lat, lng) VALUES (1, 1, 'a', 'a', 'open', 57, -3)";
    execute(&database, replace).await;
    assert_eq!(boxes().await, 0, "the old one served its place");
    let with_outline = "REPLACE INTO schools (id, urn, name, name_folded, status, catchment_geometry)
        VALUES (1, 1, 'a', 'a', 'open', 'MULTIPOLYGON(((3 4,5 4,5 6,3 4)))')";
    execute(&database, with_outline).await;
    execute(&database, with_outline).await;
    assert_eq!(boxes().await, 1);
}

#[tokio::test]
async fn an_unreadable_outline_is_replaced_by_an_upsert() {
    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    execute(&database, one("catchment_geometry", "'MULTIPOLYGON(((3 4,5 4,5 6,3 4)))'")).await;
    let outline = "POLYGON((3 4,5 4,5 6,3 4))".parse().expect("an outline");
    let right = vec![NewCatchment { urn: urn(1), outline: Some(outline) }];
    let place = SchoolSearch::near(LatLng::from_lat_lng(4.5, 4.5).expect("a place"));
    for (broken, is_updated) in [
        ("UPDATE schools SET catchment_geometry = 'MULTIPOLYGON(((3 4,5 4,5 6)))'", true),
        ("UPDATE schools_catchment SET outline = x'00'", false),
        ("UPDATE schools_catchment SET outline = 'POINT(0 0)'", false),
        ("UPDATE schools_catchment SET outline = 7", false),
        ("UPDATE schools_catchment SET outline = NULL", false),
    ] {
        execute(&database, broken).await;
        let counts = database.repository().upsert_catchments(right.clone(), WriteMode::Commit).await.expect(broken);
        assert_eq!((counts.updated == 1, counts.unchanged == 0), (is_updated, is_updated), "{broken}");
        let serving = database.repository().find_catchments(&place).await.expect(broken);
        assert_eq!(serving.items.len(), 1, "{broken}");
    }
    execute(&database, "UPDATE schools SET catchment_geometry = 'MULTIPOLYGON(((3 4,5 4,5 6)))'").await;
    let none = vec![NewCatchment { urn: urn(1), outline: None }];
    let counts = database.repository().upsert_catchments(none, WriteMode::Commit).await.expect("taken away");
    assert_eq!(counts.updated, 1);
}
