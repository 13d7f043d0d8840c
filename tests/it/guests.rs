//! A service that shares the database: its tables and migrations stand beside this crate's.

use std::path::PathBuf;

use school_finder_db::config::Backend;
use school_finder_db::migrate::{self, Migrator};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, SchoolSearch, connect, sample};

use crate::contract::on_every_backend;
use crate::support::diesel_tool::{Folder, Step};
use crate::support::evolution::folder;
use crate::support::raw::{Raw, url_of};
use crate::support::school;

on_every_backend!(
    histories_of_any_versions_stand_side_by_side,
    migrations_that_diesel_ran_are_adopted,
    versions_of_another_program_are_not_adopted,
    programs_that_adopt_at_once_do_it_once,
    additions_of_a_service_are_no_drift,
    a_dropped_column_of_this_crate_is_drift,
    a_migration_drops_no_table_that_a_service_needs,
    an_older_build_uses_a_schema_within_its_floor,
);

fn crates_folder(backend: Backend) -> PathBuf {
    folder(backend, true)
}

const OWN: &str = "SELECT version FROM school_finder_migrations ORDER BY 1";
/// Diesel's table, where a version is a VARCHAR.
const DIESELS: &str = "SELECT CAST(version AS TEXT) FROM __diesel_schema_migrations ORDER BY 1";

fn versions(backend: Backend) -> Vec<String> {
    let version = |name: &str| name.split('_').next().expect("a version").replace('-', "");
    migrate::scripts(backend).iter().map(|script| version(script.name)).collect()
}

async fn histories_of_any_versions_stand_side_by_side(database: &TestDatabase) {
    let (config, url) = (database.owner(), url_of(database).await);
    let all = versions(config.backend());
    let (first, last) = (migrate::scripts(config.backend()), all.len() - 1);
    // Older than this crate's, equal to its first and last, and newer.
    let service = Folder::of_service(&[
        ("2000-01-01-000000_visits", "CREATE TABLE visits (id INTEGER PRIMARY KEY)", "DROP TABLE visits"),
        (&first[0].name[..17], "CREATE TABLE parents (id INTEGER PRIMARY KEY)", "DROP TABLE parents"),
        (&first[last].name[..17], "CREATE TABLE notes (id INTEGER PRIMARY KEY)", "DROP TABLE notes"),
        ("9999-01-01-000000_day", "ALTER TABLE visits ADD COLUMN day DATE", "ALTER TABLE visits DROP COLUMN day"),
    ]);
    let services = ["20000101000000", &all[0], &all[last], "99990101000000"];
    let migrator = Migrator::new(config).accept_loss();
    let mut raw = Raw::open(&url).await;
    for service_is_first in [false, true] {
        migrator.down(usize::MAX).await.expect("all the way back");
        assert!(matches!(migrator.check().await, Err(Error::SchemaMissing)));
        if service_is_first {
            service.step(&url, Step::Run).await.expect("the service's own");
            assert!(matches!(connect(config).await, Err(Error::SchemaMissing)), "none of them is this crate's");
            assert!(migrator.status().await.expect("a status").iter().all(|migration| !migration.applied));
        }
        assert_eq!(migrator.up().await.expect("this crate's").len(), all.len());
        service.step(&url, Step::Run).await.expect("the service's own");
        for _ in 0..2 {
            assert_eq!(raw.texts(OWN).await, all);
            assert_eq!(raw.texts(DIESELS).await, services);
            assert_eq!(migrator.up().await.expect("none is pending"), Vec::<String>::new());
            assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new());
            assert!(migrator.status().await.expect("a status").iter().all(|each| each.applied && each.known));
            connect(config).await.expect("served");
            // Each reverts and repeats its own.
            service.step(&url, Step::Redo).await.expect("the service's newest");
            assert_eq!(migrator.redo().await.expect("this crate's newest").len(), 1);
            service.step(&url, Step::Revert).await.expect("the service's newest");
            migrator.down(2).await.expect("this crate's newest");
            assert_eq!(raw.texts(DIESELS).await, services[..3]);
            assert_eq!(raw.texts(OWN).await, all[..last - 1]);
            service.step(&url, Step::Run).await.expect("again");
            assert_eq!(migrator.up().await.expect("again").len(), 2);
        }
        for _ in 0..4 {
            service.step(&url, Step::Revert).await.expect("all of the service's");
        }
        assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new());
        assert_eq!(migrator.additions().await.expect("a check"), Vec::<String>::new());
    }
}

/// Reverts this crate's migrations and runs them by Diesel's tool, as in development.
async fn migrated_by_diesel(database: &TestDatabase, url: &str) -> Folder {
    Migrator::new(database.owner()).accept_loss().down(usize::MAX).await.expect("all the way back");
    let folder = Folder::at(crates_folder(database.owner().backend()));
    folder.step(url, Step::Run).await.expect("this crate's folder");
    folder
}

async fn migrations_that_diesel_ran_are_adopted(database: &TestDatabase) {
    let (config, url) = (database.owner(), url_of(database).await);
    let all = versions(config.backend());
    let folder = migrated_by_diesel(database, &url).await;
    let migrator = Migrator::new(config);
    let mut raw = Raw::open(&url).await;
    // Accepted as it is, and nothing is written.
    connect(config).await.expect("served").health().await.expect("healthy");
    assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new());
    assert!(migrator.status().await.expect("a status").iter().all(|migration| migration.applied));
    assert_eq!((raw.texts(OWN).await, raw.texts(DIESELS).await), (Vec::new(), all.clone()));
    // In development Diesel's tool goes on.
    folder.step(&url, Step::Redo).await.expect("the newest again");
    folder.step(&url, Step::Revert).await.expect("the newest back");
    assert!(matches!(connect(config).await, Err(Error::SchemaPending { pending: 1 })));
    // Beside a service's own.
    let service = Folder::of_service(&[("2000-01-01-000000_visits", "CREATE TABLE visits (id INTEGER)", "SELECT 1")]);
    service.step(&url, Step::Run).await.expect("the service's own");
    assert_eq!(migrator.up().await.expect("adopted").len(), 1, "the one that was pending ran");
    assert_eq!((raw.texts(OWN).await, raw.texts(DIESELS).await), (all.clone(), vec!["20000101000000".to_owned()]));
    service.step(&url, Step::Revert).await.expect("the service's newest");
    // From here on, the tool reverts none of this crate's, and the first one that it would run fails.
    folder.step(&url, Step::Revert).await.expect_err("none is recorded");
    let refused = folder.step(&url, Step::Run).await.expect_err("it ran already");
    assert!(refused.contains("already exists"), "{refused}");
    assert_eq!((raw.texts(OWN).await, raw.texts(DIESELS).await), (all, Vec::new()));
    assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new());

    // The other commands adopt as well.
    for redo in [false, true] {
        migrated_by_diesel(database, &url).await;
        let names = if redo { migrator.redo().await } else { migrator.down(1).await };
        assert_eq!(names.expect("the newest").len(), 1);
        assert_eq!(raw.texts(DIESELS).await, Vec::<String>::new());
    }
}

async fn versions_of_another_program_are_not_adopted(database: &TestDatabase) {
    let (config, url) = (database.owner(), url_of(database).await);
    let newest = migrate::scripts(config.backend()).last().expect("a migration").name;
    Migrator::new(config).accept_loss().down(usize::MAX).await.expect("all the way back");
    // Of two migrations with one version, Diesel's tool skips the second.
    let service = Folder::of_service(&[(newest, "CREATE TABLE visits (id INTEGER)", "DROP TABLE visits")]);
    service.step(&url, Step::Run).await.expect("the service's own");
    Folder::at(crates_folder(config.backend())).step(&url, Step::Run).await.expect("this crate's folder");
    let mut raw = Raw::open(&url).await;
    let before = (raw.rows().await, raw.texts(DIESELS).await);
    let error = Migrator::new(config).up().await.expect_err("the newest never ran");
    assert!(matches!(&error, Error::CannotAdopt { drift } if drift.contains(" is missing")), "{error}");
    assert_eq!((raw.rows().await, raw.texts(DIESELS).await), before, "nothing was written");
    assert_eq!(raw.texts(OWN).await, Vec::<String>::new());
}

async fn programs_that_adopt_at_once_do_it_once(database: &TestDatabase) {
    let (config, url) = (database.owner(), url_of(database).await);
    let all = versions(config.backend());
    for steps_back in [0, 1] {
        let folder = migrated_by_diesel(database, &url).await;
        for _ in 0..steps_back {
            folder.step(&url, Step::Revert).await.expect("the newest back");
        }
        let programs: Vec<_> = (0..8)
            .map(|_| {
                let migrator = Migrator::new(config);
                tokio::spawn(async move { migrator.up().await })
            })
            .collect();
        let mut ran = 0;
        for program in programs {
            ran += program.await.expect("no panic").expect("adopted or done").len();
        }
        assert_eq!(ran, steps_back);
        let mut raw = Raw::open(&url).await;
        assert_eq!((raw.texts(OWN).await, raw.texts(DIESELS).await), (all.clone(), Vec::new()));
    }
}

async fn additions_of_a_service_are_no_drift(database: &TestDatabase) {
    let migrator = Migrator::new(database.owner());
    assert_eq!(migrator.additions().await.expect("a check"), Vec::<String>::new());
    let on_postgres = database.owner().backend().as_str() == "postgres";
    let trigger = if on_postgres {
        "CREATE FUNCTION count_visit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER tr_visits AFTER INSERT ON schools FOR EACH ROW EXECUTE FUNCTION count_visit();"
    } else {
        "CREATE TRIGGER tr_visits AFTER INSERT ON schools BEGIN SELECT 1; END;"
    };
    let statements = format!(
        "CREATE TABLE favourites (
             id BIGINT PRIMARY KEY, school_id BIGINT NOT NULL REFERENCES schools (id) ON DELETE CASCADE
         );
         CREATE INDEX ix_favourites ON favourites (school_id);
         CREATE INDEX ix_visits ON schools (pupils);
         CREATE VIEW visited AS SELECT id, name FROM schools;
         {trigger}"
    );
    database.execute(&statements).await.expect("a service's own");
    assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new());
    let mut found = migrator.additions().await.expect("a check");
    found.sort();
    let mut expected = vec![
        "index ix_visits of table schools is not part of this build's schema",
        "table favourites is not part of this build's schema",
        "trigger tr_visits of table schools is not part of this build's schema",
        "view visited is not part of this build's schema",
    ];
    if on_postgres {
        expected.insert(0, "function count_visit is not part of this build's schema");
    }
    assert_eq!(found, expected);
    // What decides which rows a table of this crate takes is drift.
    database.execute("ALTER TABLE school_clubs ADD COLUMN motto TEXT").await.expect("a column");
    let found = migrator.check().await.expect("a check");
    assert_eq!(found, ["column school_clubs.motto is not part of this build's schema"]);
}

async fn a_dropped_column_of_this_crate_is_drift(database: &TestDatabase) {
    let drop = "ALTER TABLE admissions_history DROP COLUMN waiting_list_offers";
    let service = Folder::of_service(&[("9999-01-01-000000_drop", drop, "SELECT 1")]);
    service.step(&url_of(database).await, Step::Run).await.expect("the service's own");
    let found = Migrator::new(database.owner()).check().await.expect("a check");
    assert!(found[0].starts_with("column admissions_history.waiting_list_offers is missing: expected `"), "{found:?}");
}

async fn a_migration_drops_no_table_that_a_service_needs(database: &TestDatabase) {
    let migrator = Migrator::new(database.owner()).accept_loss();
    for (add, remove) in [
        ("CREATE TABLE answers (review_id BIGINT REFERENCES school_reviews (id))", "DROP TABLE answers"),
        ("CREATE VIEW answers AS SELECT snippet FROM school_reviews", "DROP VIEW answers"),
    ] {
        database.execute(add).await.expect("a service's own");
        let error = migrator.down(usize::MAX).await.expect_err("it is needed");
        assert!(matches!(error, Error::MigrationFailed { .. }), "{error:?}");
        assert!(error.to_string().contains("answers"), "{error}");
        assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new(), "nothing was reverted");
        database.execute(remove).await.expect("gone");
    }
    migrator.down(usize::MAX).await.expect("now it can go");
}

/// Two builds: this one, and a newer one that has a migration more.
async fn an_older_build_uses_a_schema_within_its_floor(database: &TestDatabase) {
    let config = database.owner();
    let newest = migrate::scripts(config.backend()).last().expect("a migration").name;
    let older = Migrator::new(config).accept_loss();
    let repository = connect(database.config()).await.expect("the older build runs");
    repository.insert_schools(sample::schools()).await.expect("schools that fit");
    let before = repository.find_schools(&SchoolSearch::open().limit(100)).await.expect("schools").items;

    let folder = Folder::copied_from(&crates_folder(config.backend()));
    folder.add(
        "9998-01-01-000000_add_motto",
        &format!("-- Serves builds from {newest} on.\nALTER TABLE schools ADD COLUMN motto TEXT;"),
        "-- Loses every motto.\nALTER TABLE schools DROP COLUMN motto;",
    );
    let newer = || Migrator::new(config).of_folder(folder.path()).expect("the newer build").accept_loss();
    assert_eq!(newer().up().await.expect("migrated"), ["9998-01-01-000000_add_motto"]);

    // The older build goes on, and starts again.
    for (written, repository) in [repository, connect(database.config()).await.expect("served")].iter().enumerate() {
        assert_eq!(repository.health().await.expect("healthy").migration, "99980101000000");
        let found = repository.find_schools(&SchoolSearch::open().limit(100)).await.expect("schools").items;
        assert_eq!(found.len(), before.len() + written);
        assert!(before.iter().all(|hit| found.contains(hit)));
        let number = 1 + i64::try_from(written).expect("small");
        repository.insert_schools(vec![school(number)]).await.expect("a school that fits");
    }
    assert_eq!(older.up().await.expect("nothing"), Vec::<String>::new());
    let status = older.status().await.expect("a status");
    let last = status.last().expect("a migration");
    assert_eq!((last.name.as_str(), last.applied, last.known), ("99980101000000", true, false));
    for refused in [older.down(1).await.map(drop), older.redo().await.map(drop), older.check().await.map(drop)] {
        let error = refused.expect_err("the newer build's to do");
        assert!(matches!(&error, Error::SchemaNewer { found, .. } if found == "99980101000000"), "{error:?}");
    }
    assert_eq!(newer().check().await.expect("the newer build may"), Vec::<String>::new());

    // A migration that states no floor serves no older build.
    folder.add(
        "9999-01-01-000000_add_song",
        "ALTER TABLE schools ADD COLUMN song TEXT",
        "ALTER TABLE schools DROP COLUMN song",
    );
    newer().up().await.expect("migrated");
    for refused in [
        connect(database.config()).await.map(drop),
        database.repository().health().await.map(drop),
        older.up().await.map(drop),
        older.down(1).await.map(drop),
        older.redo().await.map(drop),
        older.check().await.map(drop),
    ] {
        let error = refused.expect_err("below the floor");
        assert!(
            matches!(&error, Error::SchemaTooNew { found, floor, .. }
                if found == "99990101000000" && floor == "99990101000000"),
            "{error:?}"
        );
    }
    assert_eq!(older.status().await.expect("a status").len(), status.len() + 1);
    newer().down(1).await.expect("rolled back");
    connect(database.config()).await.expect("within the floor again");
    newer().down(1).await.expect("rolled back");
    assert_eq!(older.check().await.expect("the older build's schema"), Vec::<String>::new());
}

#[cfg(feature = "cli")]
mod program {
    use std::process::Command;

    use super::*;

    on_every_backend!(the_program_says_what_a_service_and_a_newer_build_did);

    async fn the_program_says_what_a_service_and_a_newer_build_did(database: &TestDatabase) {
        let url = url_of(database).await;
        let run = |arguments: &[&str]| {
            let mut program = Command::new(env!("CARGO_BIN_EXE_school-finder"));
            let output =
                program.arg("migrate").args(arguments).args(["--database", &url]).output().expect("the program");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (output.status.success(), text(&output.stdout), text(&output.stderr))
        };
        database.execute("CREATE INDEX ix_visits ON schools (pupils)").await.expect("a service's own");
        let expected = "the database is what this build expects\n".to_owned();
        assert_eq!(run(&["check"]), (true, String::new(), expected.clone()));
        let (passed, listed, said) = run(&["check", "--all"]);
        assert!(passed && said.ends_with(&expected), "{said}");
        assert_eq!(listed, "index ix_visits of table schools is not part of this build's schema\n");

        let newest = migrate::scripts(database.owner().backend()).last().expect("a migration").name.replace('-', "");
        let newer = format!(
            "INSERT INTO school_finder_migrations VALUES ('99990101000000', '0123456789abcdef', '{}')",
            &newest[..14]
        );
        database.execute(&newer).await.expect("a newer build's migration");
        let (passed, listed, said) = run(&["up"]);
        assert!(passed && listed.is_empty());
        assert!(said.starts_with("nothing to do: a newer build migrated this database"), "{said}");
        assert!(said.contains("99990101000000"), "{said}");
        let (passed, listed, _) = run(&["status"]);
        assert!(passed && listed.ends_with("[x] 99990101000000  (not known to this build)\n"), "{listed}");
        let (passed, _, said) = run(&["down"]);
        assert!(!passed && said.contains("SchemaNewer") | said.contains("by the newer build"), "{said}");
    }
}
