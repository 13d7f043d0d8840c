//! The schema's versions, up and down, with data in every table: this build's own, and those of the fixture set.

use school_finder_db::migrate::{self, Migrator, Script};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, connect};

use super::on_every_backend;
use crate::support::diesel_tool::{Folder, Step};
use crate::support::evolution::{History, evolving, folder, on_each_history};
use crate::support::raw::{Raw, url_of};
use crate::support::rows::fill;

on_every_backend!(
    every_version_with_data_goes_up_and_down_and_up,
    a_revert_reports_what_it_loses_and_loses_nothing_else,
    the_schema_of_another_build_is_refused_by_name,
    an_unreleased_build_is_refused_with_what_to_do,
    redo_is_one_step_and_refuses_to_lose,
    a_rename_keeps_what_either_program_writes,
    a_contraction_fills_and_constrains_existing_rows,
    each_revert_restores_the_previous_schema,
    the_embedded_scripts_are_those_on_disk,
    a_folder_without_migrations_is_refused,
);

/// A migration's version, as Diesel records it.
fn version(script: &Script) -> String {
    script.name.split('_').next().expect("a version").replace('-', "")
}

async fn every_version_with_data_goes_up_and_down_and_up(database: &TestDatabase) {
    on_each_history(database, async |history| {
        let History { migrator, url, backend, is_own } = history;
        let lossy = migrator.clone().accept_loss();
        let total = migrator.scripts().len();
        // The first migration makes the table of the history, which has no other rows.
        for steps in 1..total - 1 {
            lossy.down(total).await.expect("all the way back");
            lossy.up().await.expect("a new schema");
            lossy.down(steps).await.expect("to the version");
            let mut raw = Raw::open(url).await;
            fill(&mut raw, *backend).await;
            let before = raw.rows().await;
            assert!(before.len() >= 3, "{before:#?}");

            lossy.up().await.expect("up with data");
            assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new(), "{steps} steps up");
            let newest = raw.rows().await;
            lossy.down(steps).await.expect("down with data");
            assert_eq!(raw.rows().await, before, "{steps} steps up and down");
            lossy.up().await.expect("and up again");
            assert_eq!(raw.rows().await, newest, "{steps} steps up, down and up");
            assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new(), "{steps} steps up again");
            if *is_own {
                connect(database.owner()).await.expect("a database that is ready");
            }
        }
    })
    .await;
}

async fn a_revert_reports_what_it_loses_and_loses_nothing_else(database: &TestDatabase) {
    on_each_history(database, async |History { migrator, url, backend, .. }| {
        let mut raw = Raw::open(url).await;
        fill(&mut raw, *backend).await;
        let lossy = migrator.clone().accept_loss();
        for (steps, script) in migrator.scripts().iter().rev().enumerate() {
            let before = raw.rows().await;
            let loses = match migrator.down(1).await {
                Ok(names) => {
                    assert_eq!(names, [script.name]);
                    None
                }
                Err(Error::LossyDown { migration, loses }) => {
                    assert_eq!(migration, script.name);
                    assert_eq!(raw.rows().await, before, "nothing was done");
                    lossy.down(1).await.expect("accepted");
                    Some(loses)
                }
                Err(other) => panic!("{}: {other}", script.name),
            };
            migrator.up().await.expect("up again");
            lossy.down(steps).await.expect("to the same version");
            let lost = raw.rows().await != before;
            assert_eq!(lost, loses.is_some(), "{}: {loses:?}", script.name);
            lossy.down(1).await.expect("one more");
        }
        assert_eq!(raw.columns().await.len(), 0, "no table is left");
    })
    .await;
}

/// The versions that a database has run, as a query.
const VERSIONS: &str = "SELECT version FROM school_finder_migrations ORDER BY 1";

async fn the_schema_of_another_build_is_refused_by_name(database: &TestDatabase) {
    on_each_history(database, async |history| {
        let History { migrator, url, backend, is_own } = history;
        let mut raw = Raw::open(url).await;
        fill(&mut raw, *backend).await;
        let [first, second, ..] = migrator.scripts() else { panic!("at least two migrations") };
        let missing_version = format!("{}50", &version(first)[..12]);
        let edited_version = version(second);
        let missing = missing_version.as_str();
        type Is<'a> = Box<dyn Fn(&Error) -> bool + 'a>;
        let newer = "99999999000000";
        let edit = |edited: &str| format!("UPDATE school_finder_migrations SET checksum = '{edited}'");
        let other = "0123456789abcdef";
        let of_edited = format!("SELECT checksum FROM school_finder_migrations WHERE version = '{edited_version}'");
        let checksum = raw.texts(&of_edited).await.remove(0);
        let insert = |version: &str| {
            format!("INSERT INTO school_finder_migrations VALUES ('{version}', '{other}', '{version}')")
        };
        let delete = |version: &str| format!("DELETE FROM school_finder_migrations WHERE version = '{version}'");
        let cases: [(String, String, Is); 3] = [
            (
                insert(newer),
                delete(newer),
                Box::new(|error| {
                    matches!(error, Error::SchemaTooNew { found, known, floor }
                        if found == newer && known.len() == 14 && floor == newer)
                }),
            ),
            (
                insert(missing),
                delete(missing),
                Box::new(|error| matches!(error, Error::MigrationMissing { found } if found == missing)),
            ),
            (
                format!("{} WHERE version = '{edited_version}'", edit(other)),
                format!("{} WHERE version = '{edited_version}'", edit(&checksum)),
                Box::new(|error| matches!(error, Error::MigrationEdited { migration } if migration == second.name)),
            ),
        ];
        for (change, undo, is) in cases {
            raw.execute(&change).await;
            let before = (raw.rows().await, raw.texts(VERSIONS).await);
            let mut refused = vec![migrator.up().await.map(drop), migrator.check().await.map(drop)];
            if *is_own {
                refused.push(connect(database.owner()).await.map(drop));
            }
            for refused in refused {
                let error = refused.expect_err("refused");
                assert!(is(&error), "{change}: {error}");
            }
            migrator.status().await.expect("a status can always be read");
            assert_eq!((raw.rows().await, raw.texts(VERSIONS).await), before, "nothing was written");
            raw.execute(&undo).await;
            migrator.check().await.expect("as it was");
        }
        // In development the newest is edited, and run again.
        let newest = migrator.scripts().last().expect("a migration").name;
        let of_newest = "WHERE version = (SELECT max(version) FROM school_finder_migrations)";
        raw.execute(&format!("{} {of_newest}", edit(other))).await;
        assert!(matches!(migrator.check().await, Err(Error::MigrationEdited { .. })));
        assert_eq!(migrator.redo().await.expect("run again"), [newest]);
        assert_eq!(migrator.check().await.expect("as it was"), Vec::<String>::new());
    })
    .await;
}

/// Its history is another table, and no step leads from its schema to this build's.
async fn an_unreleased_build_is_refused_with_what_to_do(database: &TestDatabase) {
    let config = database.owner();
    let mut raw = Raw::open(&url_of(database).await).await;
    fill(&mut raw, config.backend()).await;
    raw.execute("ALTER TABLE school_finder_migrations RENAME TO migration_checksums").await;
    let before = raw.rows().await;
    let migrator = Migrator::new(config).accept_loss();
    for refused in [
        connect(database.config()).await.map(drop),
        database.repository().health().await.map(drop),
        migrator.up().await.map(drop),
        migrator.down(1).await.map(drop),
        migrator.redo().await.map(drop),
        migrator.check().await.map(drop),
    ] {
        let error = refused.expect_err("refused");
        assert!(matches!(error, Error::SchemaUnreleased), "{error:?}");
        assert!(error.to_string().contains("name another database, or delete this one"), "{error}");
    }
    let status = migrator.status().await.expect("a status can always be read");
    assert!(status.iter().all(|migration| !migration.applied));
    assert_eq!(raw.rows().await, before, "nothing was written");
}

async fn redo_is_one_step_and_refuses_to_lose(database: &TestDatabase) {
    on_each_history(database, async |history| {
        let History { migrator, is_own, .. } = history;
        let newest = migrator.scripts().last().expect("a migration").name;
        assert_eq!(migrator.redo().await.expect("again"), [newest]);
        migrator.down(1).await.expect("one step back");
        assert!(matches!(migrator.redo().await, Err(Error::SchemaPending { pending: 1 })));
        if *is_own {
            assert!(matches!(connect(database.owner()).await, Err(Error::SchemaPending { pending: 1 })));
        }
        assert!(matches!(migrator.check().await, Err(Error::SchemaPending { pending: 1 })));
        assert!(matches!(migrator.down(migrator.scripts().len()).await, Err(Error::LossyDown { .. })));
        migrator.clone().accept_loss().down(1_000).await.expect("all the way back");
        assert!(matches!(migrator.check().await, Err(Error::SchemaMissing)));
        assert_eq!(migrator.down(1).await.expect("none to revert"), Vec::<String>::new());
    })
    .await;
}

/// How many steps lead from the newest version to the one before a migration.
fn steps_before(migrator: &Migrator, name: &str) -> usize {
    migrator.scripts().iter().rev().position(|script| script.name.ends_with(name)).expect("the migration") + 1
}

/// Between the steps of a rename both columns are there, and old and new programs write them.
async fn a_rename_keeps_what_either_program_writes(database: &TestDatabase) {
    let History { migrator, url, .. } = evolving(database).await;
    let steps = steps_before(&migrator, "add_fee_per");
    migrator.clone().accept_loss().down(steps).await.expect("the version before the rename");
    let mut raw = Raw::open(&url).await;
    raw.execute("INSERT INTO libraries (name, charged_for) VALUES ('A', 'day')").await;
    // The first step alone, as a release of its own: no step has filled the new column yet.
    raw.execute(migrator.scripts()[migrator.scripts().len() - steps].up).await;
    let both = "SELECT coalesce(charged_for, 'NULL') || '/' || coalesce(fee_per, 'NULL') FROM libraries ORDER BY name";
    assert_eq!(raw.texts(both).await, ["day/NULL"]);
    for (statement, expected) in [
        // The old program writes every column it knows, changed or not.
        ("UPDATE libraries SET charged_for = 'day', fee = 1 WHERE name = 'A'", "day/day"),
        ("UPDATE libraries SET charged_for = 'week' WHERE name = 'A'", "week/week"),
        ("UPDATE libraries SET fee_per = 'term' WHERE name = 'A'", "term/term"),
        ("UPDATE libraries SET fee_per = 'term', fee = NULL WHERE name = 'A'", "term/term"),
        ("UPDATE libraries SET charged_for = NULL WHERE name = 'A'", "NULL/NULL"),
        ("UPDATE libraries SET fee_per = 'day' WHERE name = 'A'", "day/day"),
        ("UPDATE libraries SET fee_per = NULL WHERE name = 'A'", "NULL/NULL"),
    ] {
        raw.execute(statement).await;
        assert_eq!(raw.texts(both).await, [expected], "{statement}");
    }
    raw.execute("INSERT INTO libraries (name, charged_for) VALUES ('B', 'week')").await;
    raw.execute("INSERT INTO libraries (name, fee_per) VALUES ('C', 'term')").await;
    assert_eq!(raw.texts(both).await, ["NULL/NULL", "week/week", "term/term"]);
}

/// In place on Postgres, by a rebuild on SQLite: what no program filled gets the default, and children stay.
async fn a_contraction_fills_and_constrains_existing_rows(database: &TestDatabase) {
    let History { migrator, url, .. } = evolving(database).await;
    let steps = steps_before(&migrator, "require_fee_per");
    migrator.clone().accept_loss().down(steps).await.expect("the version before the contraction");
    let mut raw = Raw::open(&url).await;
    raw.execute(
        "INSERT INTO libraries (name, fee, fee_per) VALUES ('A', 10001, NULL), ('B', 10000, 'week'), ('C', NULL, NULL);
         INSERT INTO books (library_id, title) SELECT id, name || '1' FROM libraries;
         INSERT INTO books (library_id, title) SELECT id, name || '2' FROM libraries;
         DELETE FROM libraries WHERE name = 'C';",
    )
    .await;
    migrator.up().await.expect("up with data");
    let rows = "SELECT name || ' ' || fee || ' ' || fee_per || ' ' || title FROM libraries
        JOIN books ON library_id = libraries.id ORDER BY 1";
    assert_eq!(raw.texts(rows).await, ["A 10000 day A1", "A 10000 day A2", "B 10000 week B1", "B 10000 week B2"]);
    // The index, the trigger, the cascade, the default and the count of ids are there.
    raw.execute("INSERT INTO libraries (name) VALUES ('D')").await;
    let newest = "SELECT CAST(id AS TEXT) || fee_per FROM libraries WHERE name = 'D'";
    assert_eq!(raw.texts(newest).await, ["4day"], "an id is never used again");
    raw.execute("UPDATE libraries SET name = 'E' WHERE name = 'A'; DELETE FROM libraries WHERE name = 'B'").await;
    assert_eq!(raw.texts("SELECT title || library_name FROM books ORDER BY 1").await, ["A1E", "A2E"]);
    raw.try_execute("INSERT INTO libraries (name, fee) VALUES ('F', 10001)").await.expect_err("over the limit");
    raw.try_execute("INSERT INTO libraries (name, fee_per) VALUES ('F', NULL)").await.expect_err("required");
}

/// What `down.sql` leaves is what the scripts up to there make, in a database that never was newer.
async fn each_revert_restores_the_previous_schema(database: &TestDatabase) {
    on_each_history(database, async |history| {
        let History { migrator, url, backend, is_own } = history;
        let (scripts, lossy) = (migrator.scripts(), migrator.clone().accept_loss());
        lossy.down(scripts.len()).await.expect("all the way back");
        let mut raw = Raw::open(url).await;
        let mut schemas = vec![raw.schema().await];
        let folder = Folder::at(folder(*backend, *is_own));
        for _ in scripts {
            folder.step(url, Step::RunNext).await.expect("a migration by Diesel's tool");
            schemas.push(raw.schema().await);
        }
        let least = if *is_own { 200 } else { 20 };
        assert!(schemas.last().is_some_and(|schema| schema.len() > least), "the whole schema is looked at");
        assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new());
        for (at, script) in scripts.iter().enumerate().rev() {
            lossy.down(1).await.expect(script.name);
            let found = raw.schema().await;
            let differs: Vec<_> = found.symmetric_difference(&schemas[at]).collect();
            assert!(differs.is_empty(), "after {} was reverted: {differs:#?}", script.name);
        }
    })
    .await;
}

async fn the_embedded_scripts_are_those_on_disk(database: &TestDatabase) {
    let backend = database.config().backend();
    let scripts = migrate::scripts(backend);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("migrations_{}", backend.as_str()));
    let entries = std::fs::read_dir(&folder).expect("the migrations").map(|entry| entry.expect("an entry").path());
    let mut on_disk: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    on_disk.sort();
    assert_eq!(on_disk.len(), scripts.len());
    let status = migrate::status(database.owner()).await.expect("a status");
    assert!(status.iter().all(|migration| migration.applied && migration.known));
    for ((path, script), status) in on_disk.iter().zip(scripts).zip(status) {
        assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(script.name));
        assert_eq!(std::fs::read_to_string(path.join("up.sql")).expect("a script"), script.up);
        assert_eq!(std::fs::read_to_string(path.join("down.sql")).expect("a script"), script.down);
        assert_eq!(status.name, script.name);
    }
}

async fn a_folder_without_migrations_is_refused(database: &TestDatabase) {
    let folder = tempfile::tempdir().expect("a folder");
    for missing in [folder.path().join("nowhere"), std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")] {
        let refused = Migrator::new(database.owner()).of_folder(&missing);
        assert!(matches!(refused, Err(Error::MigrationFailed { .. })), "{missing:?}");
    }
}
