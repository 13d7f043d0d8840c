//! The schema's versions, up and down, with data in every table.

use school_finder_db::config::Backend;
use school_finder_db::migrate::{self, Migrator};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, connect};

use super::on_every_backend;
use crate::support::raw::{Raw, url_of};
use crate::support::rows::fill;

on_every_backend!(
    every_version_with_data_goes_up_and_down_and_up,
    a_step_back_says_what_it_loses_and_loses_nothing_else,
    what_another_build_did_is_refused_by_name,
    a_database_of_diesels_own_tool_is_taken_as_it_is,
    redo_is_one_step_and_refuses_to_lose,
    a_rename_keeps_what_either_program_writes,
    each_step_back_leads_to_the_schema_of_before,
    the_scripts_are_what_lies_on_disk,
);

async fn raw(database: &TestDatabase) -> Raw {
    Raw::open(&url_of(database).await).await
}

fn total(backend: Backend) -> usize {
    migrate::scripts(backend).len()
}

async fn every_version_with_data_goes_up_and_down_and_up(database: &TestDatabase) {
    let (config, backend) = (database.owner(), database.config().backend());
    let url = url_of(database).await;
    let migrator = Migrator::new(config).accept_loss();
    for steps in 1..total(backend) {
        migrator.down(total(backend)).await.expect("all the way back");
        migrator.up().await.expect("a new schema");
        migrator.down(steps).await.expect("to the version");
        let mut raw = Raw::open(&url).await;
        fill(&mut raw, backend).await;
        let before = raw.rows().await;
        assert!(before.len() >= 3, "{before:#?}");

        migrator.up().await.expect("up with data");
        assert_eq!(migrate::check(config).await.expect("a check"), Vec::<String>::new(), "{steps} steps up");
        let newest = raw.rows().await;
        migrator.down(steps).await.expect("down with data");
        assert_eq!(raw.rows().await, before, "{steps} steps up and down");
        migrator.up().await.expect("and up again");
        assert_eq!(raw.rows().await, newest, "{steps} steps up, down and up");
        assert_eq!(migrate::check(config).await.expect("a check"), Vec::<String>::new(), "{steps} steps up again");
        connect(config).await.expect("a database that is ready");
    }
}

async fn a_step_back_says_what_it_loses_and_loses_nothing_else(database: &TestDatabase) {
    let (config, backend) = (database.owner(), database.config().backend());
    let mut raw = raw(database).await;
    fill(&mut raw, backend).await;
    let migrator = Migrator::new(config);
    for (steps, script) in migrate::scripts(backend).iter().rev().enumerate() {
        let before = raw.rows().await;
        let loses = match migrator.down(1).await {
            Ok(names) => {
                assert_eq!(names, [script.name]);
                None
            }
            Err(Error::LossyDown { migration, loses }) => {
                assert_eq!(migration, script.name);
                assert_eq!(raw.rows().await, before, "nothing was done");
                migrator.clone().accept_loss().down(1).await.expect("told to");
                Some(loses)
            }
            Err(other) => panic!("{}: {other}", script.name),
        };
        migrator.up().await.expect("up again");
        migrator.clone().accept_loss().down(steps).await.expect("to the same version");
        let lost = raw.rows().await != before;
        assert_eq!(lost, loses.is_some(), "{}: {loses:?}", script.name);
        migrator.clone().accept_loss().down(1).await.expect("one more");
    }
    assert_eq!(raw.columns().await.len(), 0, "nothing is left");
}

async fn what_another_build_did_is_refused_by_name(database: &TestDatabase) {
    let config = database.owner();
    let mut raw = raw(database).await;
    fill(&mut raw, config.backend()).await;
    let versions = "SELECT version::text FROM __diesel_schema_migrations ORDER BY 1";
    let versions = if config.backend().as_str() == "sqlite" { &versions.replace("::text", "") } else { versions };
    type Is = fn(&Error) -> bool;
    let cases: [(&str, &str, Is); 3] = [
        (
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('99999999000000')",
            "DELETE FROM __diesel_schema_migrations WHERE version = '99999999000000'",
            |error| matches!(error, Error::SchemaTooNew { found, known } if found == "99999999000000" && known.len() == 14),
        ),
        (
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('20261124060050')",
            "DELETE FROM __diesel_schema_migrations WHERE version = '20261124060050'",
            |error| matches!(error, Error::MigrationMissing { found } if found == "20261124060050"),
        ),
        (
            "UPDATE migration_checksums SET checksum = '0123456789abcdef' WHERE version = '20261124060100'",
            "DELETE FROM migration_checksums WHERE version = '20261124060100'",
            |error| matches!(error, Error::MigrationEdited { migration } if migration == "2026-11-24-060100_add_phase"),
        ),
    ];
    for (change, undo, is) in cases {
        raw.execute(change).await;
        let before = (raw.rows().await, raw.texts(versions).await);
        for refused in [
            connect(config).await.map(drop),
            migrate::up(config).await.map(drop),
            migrate::check(config).await.map(drop),
        ] {
            let error = refused.expect_err("refused");
            assert!(is(&error), "{change}: {error}");
        }
        migrate::status(config).await.expect("a status can always be had");
        assert_eq!((raw.rows().await, raw.texts(versions).await), before, "nothing was written");
        raw.execute(undo).await;
        connect(config).await.expect("as it was");
    }
    // In development the newest is edited, and run again.
    let newest = migrate::scripts(config.backend()).last().expect("a migration").name;
    raw.execute("UPDATE migration_checksums SET checksum = '0123456789abcdef' WHERE version = (SELECT max(version) FROM migration_checksums)").await;
    assert!(matches!(connect(config).await, Err(Error::MigrationEdited { .. })));
    assert_eq!(Migrator::new(config).redo().await.expect("run again"), [newest]);
    connect(config).await.expect("as it was");
}

async fn a_database_of_diesels_own_tool_is_taken_as_it_is(database: &TestDatabase) {
    let mut raw = raw(database).await;
    raw.execute("DELETE FROM migration_checksums").await;
    connect(database.owner()).await.expect("served");
    assert_eq!(migrate::up(database.owner()).await.expect("nothing to run"), Vec::<String>::new());
    let noted = raw.texts("SELECT version FROM migration_checksums").await.len();
    assert_eq!(noted, total(database.config().backend()), "and its texts are known from now on");
    // A migration that is reverted, by whatever tool, may be edited.
    raw.execute(
        "DELETE FROM __diesel_schema_migrations WHERE version = (SELECT max(version) FROM migration_checksums)",
    )
    .await;
    assert_eq!(raw.texts("SELECT version FROM migration_checksums").await.len(), noted - 1);
}

async fn redo_is_one_step_and_refuses_to_lose(database: &TestDatabase) {
    let config = database.owner();
    let migrator = Migrator::new(config);
    let newest = migrate::scripts(config.backend()).last().expect("a migration").name;
    assert_eq!(migrator.redo().await.expect("again"), [newest]);
    migrator.down(1).await.expect("one step back");
    assert!(matches!(migrator.redo().await, Err(Error::SchemaPending { pending: 1 })));
    assert!(matches!(connect(config).await, Err(Error::SchemaPending { pending: 1 })));
    migrator.clone().accept_loss().down(1_000).await.expect("all the way back");
    assert!(matches!(connect(config).await, Err(Error::SchemaMissing)));
    assert_eq!(migrator.down(1).await.expect("nothing to do"), Vec::<String>::new());
}

/// Between the steps of a rename both columns are there, and old and new programs write them.
async fn a_rename_keeps_what_either_program_writes(database: &TestDatabase) {
    let backend = database.config().backend();
    let url = url_of(database).await;
    let at = |name: &str| {
        let scripts = migrate::scripts(backend).iter();
        scripts.rev().position(|script| script.name.ends_with(name)).expect("the migration")
    };
    let migrator = Migrator::new(database.owner()).accept_loss();
    migrator.down(at("add_link_type") + 1).await.expect("before the rename");
    let mut raw = Raw::open(&url).await;
    raw.execute("INSERT INTO school_links (urn, linked_urn, kind, reason) VALUES (1, 2, 'other', 'Old')").await;
    // The first step alone, as a release of its own: nothing has filled the new column yet.
    let script = &migrate::scripts(backend)[total(backend) - 1 - at("add_link_type")];
    assert!(script.name.ends_with("add_link_type"));
    raw.execute(script.up).await;
    let both = "SELECT coalesce(reason, 'NULL') || '/' || coalesce(link_type, 'NULL') FROM school_links ORDER BY urn";
    assert_eq!(raw.texts(both).await, ["Old/NULL"]);
    for (statement, expected) in [
        // The old program writes every column it knows, changed or not.
        ("UPDATE school_links SET reason = 'Old', linked_on = '2020-01-01' WHERE urn = 1", "Old/Old"),
        ("UPDATE school_links SET reason = 'Older' WHERE urn = 1", "Older/Older"),
        ("UPDATE school_links SET link_type = 'New' WHERE urn = 1", "New/New"),
        ("UPDATE school_links SET link_type = 'New', linked_on = NULL WHERE urn = 1", "New/New"),
        ("UPDATE school_links SET reason = NULL WHERE urn = 1", "NULL/NULL"),
        ("UPDATE school_links SET link_type = 'Again' WHERE urn = 1", "Again/Again"),
        ("UPDATE school_links SET link_type = NULL WHERE urn = 1", "NULL/NULL"),
    ] {
        raw.execute(statement).await;
        assert_eq!(raw.texts(both).await, [expected], "{statement}");
    }
    raw.execute("INSERT INTO school_links (urn, linked_urn, kind, reason) VALUES (3, 4, 'other', 'A')").await;
    raw.execute("INSERT INTO school_links (urn, linked_urn, kind, link_type) VALUES (5, 6, 'other', 'B')").await;
    assert_eq!(raw.texts(both).await, ["NULL/NULL", "A/A", "B/B"]);
}

/// What `down.sql` leaves is what the scripts up to there make, in a database that never was newer.
async fn each_step_back_leads_to_the_schema_of_before(database: &TestDatabase) {
    let scripts = migrate::scripts(database.config().backend());
    let url = url_of(database).await;
    let migrator = Migrator::new(database.owner()).accept_loss();
    migrator.down(scripts.len()).await.expect("all the way back");
    let mut raw = Raw::open(&url).await;
    let mut schemas = vec![raw.schema().await];
    for script in scripts {
        raw.execute(script.up).await;
        raw.execute(&format!(
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('{}')",
            script.name.split('_').next().expect("a version").replace('-', "")
        ))
        .await;
        schemas.push(raw.schema().await);
    }
    assert!(schemas.last().is_some_and(|schema| schema.len() > 200), "the whole schema is looked at");
    assert_eq!(migrate::check(database.owner()).await.expect("a check"), Vec::<String>::new());
    for (at, script) in scripts.iter().enumerate().rev() {
        migrator.down(1).await.expect(script.name);
        let found = raw.schema().await;
        let differs: Vec<_> = found.symmetric_difference(&schemas[at]).collect();
        assert!(differs.is_empty(), "after {} was reverted: {differs:#?}", script.name);
    }
}

async fn the_scripts_are_what_lies_on_disk(database: &TestDatabase) {
    let backend = database.config().backend();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("migrations_{}", backend.as_str()));
    let entries = std::fs::read_dir(&folder).expect("the migrations").map(|entry| entry.expect("an entry").path());
    let mut on_disk: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    on_disk.sort();
    assert_eq!(on_disk.len(), total(backend));
    let status = migrate::status(database.owner()).await.expect("a status");
    assert!(status.iter().all(|migration| migration.applied && migration.known));
    for ((path, script), status) in on_disk.iter().zip(migrate::scripts(backend)).zip(status) {
        assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(script.name));
        assert_eq!(std::fs::read_to_string(path.join("up.sql")).expect("a script"), script.up);
        assert_eq!(std::fs::read_to_string(path.join("down.sql")).expect("a script"), script.down);
        assert_eq!(status.name, script.name);
    }
}
