//! What triggers derive from other tables is right after every kind of write, by any program.

use school_finder_db::migrate::Migrator;
use school_finder_db::models::{LinkKind, NewLink, NewSchool, Review};
use school_finder_db::request::WriteMode;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, SchoolSearch};

use super::on_every_backend;
use crate::support::raw::{Raw, url_of};
use crate::support::{at, school, urn};

on_every_backend! {
    plain_writes_leave_no_derived_row_stale,
    a_name_without_its_fold_is_refused,
    stale_copies_are_named_and_mended,
    reviews_of_a_merged_school_return_to_it,
}

#[cfg(feature = "sqlite")]
super::on_backend!(sqlite_alone, Sqlite, replace_takes_no_row_of_another_school);

/// The derived columns and tables, each with a count of its rows that are wrong or missing.
const STALE: [(&str, &str); 3] = [
    (
        "admissions_reach",
        "WITH stored AS (SELECT school_id, intake, academic_year, recency, least_km FROM admissions_reach),
             fresh AS (SELECT school_id, intake, academic_year, recency, least_km FROM admissions_by_recency)
         SELECT (SELECT count(*) FROM (SELECT * FROM stored EXCEPT SELECT * FROM fresh) AS wrong)
             + (SELECT count(*) FROM (SELECT * FROM fresh EXCEPT SELECT * FROM stored) AS missing)
             + (SELECT count(*) FROM stored) - (SELECT count(*) FROM fresh)",
    ),
    (
        "school_links",
        "SELECT count(*) FROM school_links AS link
         WHERE school_id IS DISTINCT FROM (SELECT id FROM schools WHERE schools.urn = link.urn)
             OR linked_school_id IS DISTINCT FROM (SELECT id FROM schools WHERE schools.urn = link.linked_urn)",
    ),
    (
        "school_reviews",
        // A merger moves reviews on, so that a review may belong to a school of another URN.
        "SELECT count(*) FROM school_reviews WHERE school_id IS NULL AND urn IN (SELECT urn FROM schools)",
    ),
];

const ROWS: &str = "
    INSERT INTO admissions_history (school_id, academic_year, intake, last_distance_offered_km)
        SELECT id, 2020 + years.n, intakes.name, 1.0 + years.n
        FROM schools, (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3) AS years,
            (SELECT 'Year R' AS name UNION SELECT 'Year 3' UNION SELECT NULL) AS intakes;";

const WRITES: [&str; 15] = [
    "UPDATE admissions_history SET intake = 'Year 7' WHERE intake = 'Year 3' AND academic_year = 2022",
    "UPDATE admissions_history SET intake = NULL, academic_year = 2050 WHERE intake = 'Year 7'",
    "UPDATE admissions_history SET had_vacancies = (1 = 1) WHERE academic_year = 2023 AND intake IS NULL",
    "UPDATE admissions_history SET last_distance_offered_km = NULL WHERE academic_year = 2022",
    "UPDATE admissions_history SET academic_year = 2030 WHERE academic_year = 2021",
    "UPDATE admissions_history SET school_id = school_id + 1, academic_year = 2040
        WHERE intake IS NULL AND school_id = (SELECT min(id) FROM schools) AND academic_year = 2030",
    "DELETE FROM admissions_history WHERE intake IS NULL AND academic_year = 2023",
    "UPDATE school_links SET linked_urn = 3 WHERE linked_urn = 2",
    "UPDATE school_links SET urn = 2 WHERE urn = 1 AND linked_urn = 99",
    "UPDATE school_reviews SET urn = 2 WHERE urn = 1",
    "UPDATE schools SET urn = 99 WHERE urn = 3",
    "UPDATE schools SET urn = 77 WHERE urn = 2",
    "UPDATE schools SET urn = 2 WHERE urn = 77",
    "DELETE FROM schools WHERE urn = 99",
    "DELETE FROM schools WHERE urn = 1",
];

/// On SQLite alone. REPLACE deletes the rows in its way without a trigger.
const REPLACES: [&str; 4] = [
    "REPLACE INTO admissions_history (id, school_id, academic_year, last_distance_offered_km)
        SELECT id, school_id, academic_year + 100, 3.5 FROM admissions_history WHERE intake IS NULL",
    "INSERT OR REPLACE INTO admissions_history (school_id, academic_year, intake, last_distance_offered_km)
        SELECT school_id, academic_year, intake, 0.5 FROM admissions_history WHERE intake = 'Year R'",
    "REPLACE INTO school_links (id, urn, linked_urn, kind) SELECT id, linked_urn, urn, 'other' FROM school_links",
    "REPLACE INTO school_reviews (id, school_id, urn, school_name, source)
        SELECT id, (SELECT id FROM schools WHERE urn = 3), 3, school_name, source FROM school_reviews WHERE urn = 2",
];

async fn filled(database: &TestDatabase) {
    let finder = database.repository();
    let located = |number| NewSchool { location: Some(at(52.0, -0.7)), ..school(number) };
    finder.insert_schools((1..=4).map(located).collect()).await.expect("schools that fit");
    let link = |from, to| NewLink {
        urn: urn(from),
        linked_urn: urn(to),
        linked_name: None,
        kind: LinkKind::Successor,
        linked_on: None,
        link_type: None,
    };
    finder.upsert_links(vec![link(1, 2), link(1, 99), link(4, 1)], WriteMode::Commit).await.expect("links that fit");
    let review = |number| Review {
        urn: urn(number),
        school_name: "School".to_owned(),
        source: "A parent".to_owned(),
        rating: None,
        snippet: None,
        reviewed_on: None,
    };
    finder.insert_reviews(vec![review(1), review(2), review(77)]).await.expect("reviews that fit");
    database.execute(ROWS).await.expect("admissions that fit");
}

async fn plain_writes_leave_no_derived_row_stale(database: &TestDatabase) {
    filled(database).await;
    let replaces: &[&str] = if database.config().backend().as_str() == "sqlite" { &REPLACES } else { &[] };
    for write in replaces.iter().chain(&WRITES) {
        database.execute(write).await.expect(write);
        for (derived, stale) in STALE {
            assert_eq!(database.number(stale).await.expect("a count"), 0, "{derived} after {write}");
        }
    }
    assert!(database.number("SELECT count(*) FROM admissions_reach").await.expect("a count") > 0);
    assert!(database.number("SELECT count(school_id) FROM school_links").await.expect("a count") > 0);
}

async fn a_name_without_its_fold_is_refused(database: &TestDatabase) {
    let finder = database.repository();
    finder.insert_schools(vec![NewSchool::new(urn(1), "Denbigh School")]).await.expect("a school");
    for write in [
        "UPDATE schools SET name = 'Zebra Academy'",
        "UPDATE schools SET name = 'Zebra Academy', name_folded = 'zebra'",
        "UPDATE schools SET name_folded = 'zebra academy'",
        "INSERT INTO schools (urn, name, name_folded, status) VALUES (2, 'Zebra Academy', 'zebra academy', 'open')",
    ] {
        let error = database.execute(write).await.expect_err(write);
        assert!(matches!(error, Error::NotFolded), "{write}: {error:?}");
        let error = Raw::open(&url_of(database).await).await.try_execute(write).await.expect_err(write).to_string();
        assert!(error.contains("store its text::fold in folded_names"), "{error}");
    }
    // What does not touch the name is free, and so is a name with its fold.
    database.execute("UPDATE schools SET name = name, pupils = 7").await.expect("the same name");
    let both = "INSERT INTO folded_names VALUES ('Zebra Academy', 'zebra academy');
        UPDATE school_towns SET name = 'Zebra Academy';
        UPDATE schools SET name = 'Zebra Academy', name_folded = 'zebra academy'";
    database.execute(both).await.expect("a name with its fold");
    Migrator::new(database.owner()).repair_data().await.expect("the words");
    let named = async |name: &str| {
        let search = SchoolSearch::open().name(name);
        finder.find_schools(&search).await.expect("schools").items.len()
    };
    assert_eq!((named("denbigh").await, named("zebra").await), (0, 1));
    assert_eq!(Migrator::new(database.owner()).check_data().await.expect("a check"), Vec::<String>::new());
}

async fn stale_copies_are_named_and_mended(database: &TestDatabase) {
    filled(database).await;
    let migrator = Migrator::new(database.owner());
    assert_eq!(migrator.check_data().await.expect("a check"), Vec::<String>::new());
    let on_sqlite = database.owner().backend().as_str() == "sqlite";
    // As a program leaves them that writes to the copies themselves, or folds names by rules of its own.
    let mut writes = vec![
        "UPDATE folded_names SET name_folded = 'zebra' WHERE name = (SELECT name FROM schools WHERE urn = 1);
         UPDATE schools SET name_folded = 'zebra' WHERE urn = 1",
        "UPDATE folded_names SET name_folded = 'okapi' WHERE name = (SELECT name FROM schools WHERE urn = 2)",
        "UPDATE school_links SET school_id = NULL",
        "UPDATE school_reviews SET school_id = NULL",
        "UPDATE admissions_reach SET least_km = 0 WHERE school_id = (SELECT id FROM schools WHERE urn = 1)",
        "DELETE FROM admissions_reach WHERE school_id = (SELECT id FROM schools WHERE urn = 2)",
        "INSERT INTO admissions_reach (school_id, academic_year, recency, least_km) VALUES (77, 2024, 1, 2)",
    ];
    if on_sqlite {
        writes.push("DELETE FROM schools_catchment WHERE id = (SELECT min(id) FROM schools_catchment)");
        writes.push("INSERT INTO schools_catchment VALUES (99, 1, 2, 3, 4, NULL)");
        writes.push("UPDATE schools_catchment SET min_lat = 0 WHERE id = (SELECT max(id) FROM schools_catchment)");
    }
    let radius = "UPDATE schools SET lat = 51, lng = -1, catchment_radius_km = 2 WHERE catchment_geometry IS NULL";
    database.execute(radius).await.expect("circles");
    for write in writes {
        database.execute(write).await.expect(write);
        let stale = migrator.check_data().await.expect("a check");
        assert!(!stale.is_empty(), "{write}");
        assert_eq!(migrator.repair_data().await.expect("mended"), stale, "{write}");
        assert_eq!(migrator.check_data().await.expect("a check"), Vec::<String>::new(), "{write}");
    }
    for (derived, stale) in STALE {
        assert_eq!(database.number(stale).await.expect("a count"), 0, "{derived}");
    }
    assert_eq!(migrator.repair_data().await.expect("none"), Vec::<String>::new());
    // Each sentence names a row.
    database.execute("UPDATE folded_names SET name_folded = 'x'; DELETE FROM admissions_reach").await.expect("stale");
    let stale = migrator.check_data().await.expect("a check");
    assert!(stale.iter().any(|sentence| sentence.starts_with("school 1: folded_names has Some(\"x\")")), "{stale:?}");
    assert!(stale.iter().any(|sentence| sentence.contains("its rows of admissions_reach")), "{stale:?}");
}

async fn reviews_of_a_merged_school_return_to_it(database: &TestDatabase) {
    filled(database).await;
    let finder = database.repository();
    let day = chrono::NaiveDate::from_ymd_opt(2025, 8, 31).expect("a day");
    let id = async |number| finder.school_by_urn(urn(number)).await.expect("a result").expect("the school").id;
    let reviews = async |number| {
        let details = finder.school_details(id(number).await).await.expect("a result").expect("the school");
        details.reviews.expect("reviews").len()
    };
    finder.merge_schools(urn(1), urn(2), day).await.expect("merged");
    assert_eq!((reviews(1).await, reviews(2).await), (0, 2));
    finder.delete_school(id(2).await).await.expect("deleted");
    assert_eq!(reviews(1).await, 1);
    let lost = "SELECT count(*) FROM school_reviews WHERE urn = 2 AND school_id IS NULL";
    assert_eq!(database.number(lost).await.expect("a count"), 1, "a review outlives its school");
}

#[cfg(feature = "sqlite")]
async fn replace_takes_no_row_of_another_school(database: &TestDatabase) {
    filled(database).await;
    let replace = "REPLACE INTO admissions_history (id, school_id, academic_year)
        SELECT max(id), (SELECT min(id) FROM schools), 2001 FROM admissions_history";
    let error = database.execute(replace).await.expect_err("a row of another school");
    assert!(error.to_string().contains("a row of another school"), "{error}");
    assert_eq!(database.number(STALE[0].1).await.expect("a count"), 0);
}
