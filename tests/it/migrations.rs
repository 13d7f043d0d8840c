//! The schema's versions, up and down, with data.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use school_finder_db::config::Backend;
use school_finder_db::models::NewSchool;
use school_finder_db::sqlite::SqliteRepository;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Config, Error, connect, migrate, sample};

use crate::support::full_school;

/// Everything in the catalogue, as SQLite has it.
async fn catalogue(config: &Config) -> Vec<Option<String>> {
    let repository = SqliteRepository::connect(config).await.expect("the database");
    let sql = "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_master ORDER BY 1";
    let query = diesel::dsl::sql::<Nullable<Text>>(sql);
    repository.with_connection(move |c| Ok(query.load(c)?)).await.expect("the catalogue")
}

#[tokio::test]
async fn up_down_and_up_again_is_the_same_schema() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config::sqlite_file(folder.path().join("schools.db"));
    let names = migrate::up(&config).await.expect("up");
    assert!(names.len() >= 4);
    assert!(migrate::up(&config).await.expect("nothing to do").is_empty());
    let fresh = catalogue(&config).await;
    for steps in 1..=names.len() {
        let mut reverted = migrate::down(&config, steps).await.expect("down");
        reverted.reverse();
        assert_eq!(reverted, names[names.len() - steps..]);
        assert_eq!(migrate::up(&config).await.expect("up again"), reverted);
        assert_eq!(catalogue(&config).await, fresh, "after {steps} steps");
    }
    assert_eq!(migrate::check(&config).await.expect("a check"), Vec::<String>::new());
}

#[tokio::test]
async fn rows_and_their_boxes_survive_a_step_back_and_forth() {
    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    let schools = vec![full_school(1), sample::schools().remove(0), sample::schools().remove(1)];
    database.repository().insert_schools(schools.clone()).await.expect("schools that fit");
    let total = migrate::status(database.config()).await.expect("a status").len();
    for steps in 1..total {
        migrate::down(database.config(), steps).await.expect("down");
        migrate::up(database.config()).await.expect("up");
        let finder = connect(database.config()).await.expect("the database");
        for school in &schools {
            let stored = finder.school_by_urn(school.urn).await.expect("an answer").expect("the school");
            let found = NewSchool::from(stored);
            // Going back past `add_phase` loses the phases, as its down.sql says.
            let lossy = steps >= total - 1;
            let expected = NewSchool { phase: if lossy { None } else { school.phase }, ..school.clone() };
            assert_eq!(found, expected, "after {steps} steps");
        }
        let near = school_finder_db::SchoolSearch::near(sample::home());
        let near = near.within(school_finder_db::Kilometres::new(3.0).expect("a distance"));
        assert_eq!(finder.find_schools(&near).await.expect("an answer").items.len(), 2, "the boxes are back");
    }
}

#[tokio::test]
async fn what_is_embedded_is_what_lies_on_disk() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations_sqlite");
    let on_disk: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the migrations")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("UTF-8"))
        .collect();
    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    let status = migrate::status(database.config()).await.expect("a status");
    assert!(status.iter().all(|migration| migration.applied && migration.known));
    assert_eq!(status.into_iter().map(|migration| migration.name).collect::<BTreeSet<_>>(), on_disk);
}

#[tokio::test]
async fn a_difference_is_named() {
    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    let repository = SqliteRepository::connect(database.config()).await.expect("the database");
    let change = "DROP INDEX ix_schools_postcode;
        ALTER TABLE schools ADD COLUMN motto TEXT;
        CREATE TABLE visits (n INTEGER);
        DROP TRIGGER tr_schools_location_insert;";
    use diesel::connection::SimpleConnection;
    repository.with_connection(move |c| Ok(c.batch_execute(change)?)).await.expect("changed");
    let differences = migrate::check(database.config()).await.expect("a check");
    let tells = |text: &str| differences.iter().any(|difference| difference.contains(text));
    assert!(tells("index ix_schools_postcode is missing"), "{differences:#?}");
    assert!(tells("trigger tr_schools_location_insert is missing"));
    assert!(tells("table schools differs") && tells("motto"));
    assert!(tells("table visits is not part"));
    assert_eq!(differences.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_at_once_take_turns() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config::sqlite_file(folder.path().join("schools.db"));
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let config = config.clone();
            tokio::spawn(async move { migrate::up(&config).await })
        })
        .collect();
    let mut ran = 0;
    for call in calls {
        ran += usize::from(!call.await.expect("no panic").expect("each succeeds").is_empty());
    }
    assert_eq!(ran, 1, "one runs them, the others find them done");
    connect(&config).await.expect("a whole database");
}

#[tokio::test]
async fn a_failed_migration_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("schools.db");
    // Somebody has a table of this name already: the third migration fails.
    let mut other = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("a new file");
    diesel::sql_query("CREATE TABLE schools_location (x INTEGER)").execute(&mut other).expect("a table");
    let config = Config::sqlite_file(&path);
    let error = migrate::up(&config).await.expect_err("the name is taken");
    assert!(matches!(&error, Error::MigrationFailed { version, .. } if version == "20261124060200"), "{error}");
    let tables: Vec<Option<String>> =
        diesel::dsl::sql::<Nullable<Text>>("SELECT name FROM sqlite_master").load(&mut other).expect("the catalogue");
    assert_eq!(tables, [Some("schools_location".to_owned())], "the first two were undone as well");
    diesel::sql_query("DROP TABLE schools_location").execute(&mut other).expect("out of the way");
    let all = migrate::status(&config).await.expect("a status").len();
    assert_eq!(migrate::up(&config).await.expect("now it works").len(), all);
}
