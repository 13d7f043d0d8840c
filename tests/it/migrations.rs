//! The schema's versions, up and down, with data.

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use school_finder_db::config::Backend;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Config, Error, migrate};

use crate::support::raw::{Raw, url_of};

#[tokio::test]
async fn every_kind_of_drift_is_reported() {
    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    assert_eq!(migrate::check(database.config()).await.expect("a check"), Vec::<String>::new());
    let mut raw = Raw::open(&url_of(&database).await).await;
    // What needs no word: statistics, and what SQLite keeps for itself.
    raw.execute(
        "INSERT INTO folded_names VALUES ('a', 'a');
        INSERT INTO schools (urn, name, name_folded, status) VALUES (1, 'a', 'a', 'open'); ANALYZE; VACUUM;",
    )
    .await;
    assert_eq!(migrate::check(database.config()).await.expect("a check"), Vec::<String>::new());
    raw.execute(
        "DROP INDEX ix_schools_postcode;
        DROP INDEX ix_schools_open_name;
        CREATE INDEX ix_schools_open_name ON schools (name_folded, id) WHERE status = 'open';
        ALTER TABLE schools ADD COLUMN motto TEXT;
        CREATE TABLE visits (n INTEGER, CONSTRAINT ck_n CHECK (n > 0));
        CREATE INDEX ix_visits ON visits (n);
        DROP TRIGGER tr_schools_catchment_insert;
        DROP TRIGGER tr_schools_catchment_delete;
        CREATE TRIGGER tr_schools_catchment_delete AFTER DELETE ON schools BEGIN SELECT 1; END;
        CREATE TRIGGER tr_school_clubs AFTER INSERT ON school_clubs BEGIN SELECT 1; END;
        DROP TABLE schools_catchment;
        DROP VIEW admissions_by_recency;
        CREATE VIEW admissions_by_recency AS SELECT 1 AS school_id;
        DROP TABLE school_term_dates;",
    )
    .await;
    // Another type, nullability, default, foreign key action, CHECK and UNIQUE, as nobody gets them by chance.
    let texts = raw.texts("SELECT sql FROM sqlite_master WHERE name IN ('school_performance') ").await;
    let changed = texts[0]
        .replace("metric TEXT NOT NULL", "metric VARCHAR NOT NULL")
        .replace("year SMALLINT NOT NULL", "year SMALLINT DEFAULT 2024")
        .replace("ON DELETE CASCADE", "ON DELETE RESTRICT")
        .replace("BETWEEN 1900 AND 2199", "BETWEEN 1800 AND 2199")
        .replace("UNIQUE (school_id, metric, year)", "UNIQUE (school_id, metric)")
        .replace("CONSTRAINT ck_performance_suppressed CHECK", "CONSTRAINT ck_performance_hidden CHECK");
    raw.execute(&format!("DROP TABLE school_performance; {changed}")).await;
    let found = migrate::check(database.config()).await.expect("a check");
    let expected = [
        "index ix_schools_open_name of table schools differs: expected `CREATE INDEX ix_schools_open_name ON schools (name_folded, id) WHERE status IN ('open', 'proposed_to_close')`, found `CREATE INDEX ix_schools_open_name ON schools (name_folded, id) WHERE status = 'open'`",
        "index ix_schools_postcode of table schools is missing: expected `CREATE INDEX ix_schools_postcode ON schools (postcode)`",
        "constraint fk_school_performance_school of table school_performance differs: expected `REFERENCES schools (id) ON DELETE CASCADE`, found `REFERENCES schools (id) ON DELETE RESTRICT`",
        "column school_performance.metric differs: expected `TEXT NOT NULL`, found `VARCHAR NOT NULL`",
        "column school_performance.year differs: expected `SMALLINT NOT NULL`, found `SMALLINT DEFAULT 2024`",
        "constraint ck_performance_year of table school_performance differs: expected `CHECK (typeof(year) = 'integer' AND year BETWEEN 1900 AND 2199)`, found `CHECK (typeof(year) = 'integer' AND year BETWEEN 1800 AND 2199)`",
        "constraint uq_school_performance of table school_performance differs: expected `UNIQUE (school_id, metric, year)`, found `UNIQUE (school_id, metric)`",
        "constraint ck_performance_suppressed of table school_performance is missing: expected `CHECK (NOT is_suppressed OR value IS NULL)`",
        "table school_term_dates is missing",
        "virtual table schools_catchment is missing: expected `CREATE VIRTUAL TABLE schools_catchment USING rtree (id, min_lat, max_lat, min_lng, max_lng, +outline)`",
        "trigger tr_schools_catchment_delete of table schools differs",
        "trigger tr_schools_catchment_insert of table schools is missing",
        "view admissions_by_recency differs",
        "constraint ck_performance_hidden of table school_performance is not part of this build's schema",
        "column schools.motto is not part of this build's schema",
    ];
    for sentence in expected {
        assert!(found.iter().any(|found| found.starts_with(sentence)), "{sentence}\n{found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[tokio::test]
async fn a_failed_migration_is_rolled_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("schools.db");
    // Another program has a table of this name already: the last migration fails.
    let mut other = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("a new file");
    diesel::sql_query("CREATE TABLE schools_catchment (x INTEGER)").execute(&mut other).expect("a table");
    let config = Config::sqlite_file(&path);
    let error = migrate::up(&config).await.expect_err("the name is taken");
    assert!(matches!(&error, Error::MigrationFailed { version, .. } if version == "20261128061000"), "{error}");
    let tables: Vec<Option<String>> =
        diesel::dsl::sql::<Nullable<Text>>("SELECT name FROM sqlite_master").load(&mut other).expect("the catalogue");
    assert_eq!(tables, [Some("schools_catchment".to_owned())], "those before it were undone as well");
    diesel::sql_query("DROP TABLE schools_catchment").execute(&mut other).expect("out of the way");
    let all = migrate::status(&config).await.expect("a status").len();
    assert_eq!(migrate::up(&config).await.expect("now it works").len(), all);
}
