//! Rebuilding a table on SQLite loses nothing, and the scripts on disk are what the helper writes.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use school_finder_db::config::Backend;
use school_finder_db::migrate::Script;
use school_finder_db::sqlite::TableRebuild;
use school_finder_db::{Config, Error};

use crate::support::diesel_tool::Folder;
use crate::support::evolution::fixture;

fn memory() -> SqliteConnection {
    let mut connection = SqliteConnection::establish(":memory:").expect("a database");
    connection.batch_execute("PRAGMA foreign_keys = ON").expect("foreign keys");
    connection
}

fn number(connection: &mut SqliteConnection, query: &str) -> i64 {
    diesel::dsl::sql::<BigInt>(query).get_result(connection).expect(query)
}

fn texts(connection: &mut SqliteConnection, query: &str) -> Vec<String> {
    diesel::dsl::sql::<Text>(query).load(connection).expect(query)
}

/// The fixture set, whose rebuild is of a table that another one points to.
fn scripts() -> &'static [Script] {
    fixture(&Config::in_memory()).scripts()
}

/// A database with the migrations that come before one, and that one too where `included`.
fn database_at(script: &Script, included: bool) -> SqliteConnection {
    let mut connection = memory();
    for earlier in scripts() {
        if earlier.name < script.name || (included && earlier.name == script.name) {
            connection.batch_execute(earlier.up).expect(earlier.name);
        }
    }
    connection
}

/// How the rebuild of a migration goes, both ways, beside the new table itself.
fn rebuilds(name: &str, up: bool, table: &str) -> TableRebuild {
    let rebuild = TableRebuild::new(table);
    match (name, up) {
        ("require_fee_per", true) => {
            rebuild.column("fee", "min(fee, 10000)").column("fee_per", "coalesce(fee_per, 'day')")
        }
        ("require_fee_per", false) => rebuild,
        _ => panic!("{name} rebuilds a table: say how"),
    }
}

#[test]
fn the_scripts_on_disk_are_what_the_helper_writes() {
    let mut checked = 0;
    for script in scripts() {
        for (up, text) in [(true, script.up), (false, script.down)] {
            let Some(at) = text.find("PRAGMA foreign_keys = OFF;") else { continue };
            let create = text[at..].split_once("CREATE TABLE ").expect("a table").1;
            let create = create.split_once("\n);\n").expect("its end").0;
            let create = format!("CREATE TABLE {create}\n)").replacen("_rebuilt (", " (", 1);
            let (_, name) = script.name.split_once('_').expect("a name");
            let mut connection = database_at(script, !up);
            let written = rebuilds(name, up, &create).script(&mut connection).expect("a script");
            assert_eq!(text[at..], written, "{} {}", script.name, if up { "up" } else { "down" });
            checked += 1;
        }
    }
    assert_eq!(checked, 2);
}

#[test]
fn a_rebuild_keeps_dependent_rows_and_can_run_twice() {
    let mut connection = memory();
    connection
        .batch_execute(
            "CREATE TABLE parents (
                id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
                \"day of week\" TEXT,
                size TEXT CONSTRAINT ck_size CHECK (size <> ''),
                gone INTEGER
            );
            CREATE INDEX ix_parents_size ON parents (size) WHERE size IS NOT NULL;
            CREATE TABLE log (what TEXT);
            CREATE TRIGGER tr_parents AFTER INSERT ON parents BEGIN INSERT INTO log VALUES ('parent'); END;
            CREATE VIEW sizes AS SELECT id, size FROM parents;
            CREATE TABLE children (
                id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL REFERENCES parents (id) ON DELETE CASCADE
            );
            CREATE TRIGGER tr_children AFTER INSERT ON children BEGIN UPDATE parents SET size = '9' WHERE id = NEW.parent_id; END;
            INSERT INTO parents (\"day of week\", size, gone) VALUES ('it''s; --no comment', '1', 1), (NULL, '22', 2), ('x', NULL, 3);
            INSERT INTO children (parent_id) VALUES (1), (1), (2);
            DELETE FROM parents WHERE id = 3;
            DELETE FROM log;",
        )
        .expect("a database");
    let script = TableRebuild::new(
        "CREATE TABLE parents (
            id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
            size INTEGER NOT NULL CONSTRAINT ck_size CHECK (typeof(size) = 'integer'), -- a comment, with (brackets
            \"day of week\" TEXT,
            added TEXT NOT NULL DEFAULT 'new'
        )",
    )
    .column("size", "coalesce(CAST(size AS INTEGER), 0)")
    .drop_column("gone")
    .then("INSERT INTO log SELECT 'done ' || count(*) FROM parents;")
    .script(&mut connection)
    .expect("a script");
    for round in 1..=2 {
        connection.batch_execute(&script).expect("rebuilt");
        assert_eq!(number(&mut connection, "SELECT count(*) FROM children"), 3, "round {round}");
        assert_eq!(number(&mut connection, "SELECT foreign_keys FROM pragma_foreign_keys"), 1);
        assert_eq!(
            texts(
                &mut connection,
                "SELECT id || ' ' || typeof(size) || size || ' ' || coalesce(\"day of week\", 'NULL') || added FROM parents"
            ),
            ["1 integer9 it's; --no commentnew", "2 integer9 NULLnew"]
        );
        assert_eq!(
            texts(
                &mut connection,
                "SELECT name FROM sqlite_master WHERE name LIKE 'ix%' OR name LIKE 'tr%' ORDER BY 1"
            ),
            ["ix_parents_size", "tr_children", "tr_parents"]
        );
        assert_eq!(number(&mut connection, "SELECT seq FROM sqlite_sequence WHERE name = 'parents'"), 3);
        assert_eq!(number(&mut connection, "SELECT count(*) FROM sqlite_sequence"), 1);
    }
    assert_eq!(texts(&mut connection, "SELECT what FROM log"), ["done 2", "done 2"]);
    // Everything works as before: the cascade, the triggers, the view, the ids.
    connection.batch_execute("INSERT INTO parents (size) VALUES (5)").expect("a row");
    assert_eq!(number(&mut connection, "SELECT max(id) FROM parents"), 4, "an id is never handed out twice");
    assert_eq!(number(&mut connection, "SELECT count(*) FROM log"), 3);
    connection.batch_execute("INSERT INTO children (parent_id) VALUES (4)").expect("a child");
    assert_eq!(number(&mut connection, "SELECT size FROM sizes WHERE id = 4"), 9);
    connection.batch_execute("DELETE FROM parents WHERE id = 1").expect("deleted");
    assert_eq!(number(&mut connection, "SELECT count(*) FROM children"), 2);
    connection.batch_execute("INSERT INTO children (parent_id) VALUES (1)").expect_err("a parent that is gone");
    connection.batch_execute("INSERT INTO parents (size) VALUES (NULL)").expect_err("NOT NULL now");
}

#[test]
fn a_failed_rebuild_is_rolled_back() {
    let database = || {
        let mut connection = memory();
        connection
            .batch_execute(
                "CREATE TABLE parents (id INTEGER PRIMARY KEY, size INTEGER);
                CREATE TABLE children (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parents (id) ON DELETE CASCADE);
                INSERT INTO parents VALUES (1, 1), (2, NULL);
                INSERT INTO children VALUES (1, 1), (2, 2);",
            )
            .expect("a database");
        connection
    };
    let rebuild = |text: &str| TableRebuild::new(text);
    for (rebuild, message) in [
        (rebuild("CREATE TABLE parents (id INTEGER PRIMARY KEY, size INTEGER NOT NULL)"), "NOT NULL constraint failed"),
        (
            rebuild("CREATE TABLE parents (id INTEGER PRIMARY KEY, size INTEGER)").column("id", "id + 1"),
            "ck_rebuild_keeps_references",
        ),
    ] {
        let mut connection = database();
        let script = rebuild.script(&mut connection).expect("a script");
        let before = texts(&mut connection, "SELECT sql FROM sqlite_master ORDER BY name");
        let error = connection.batch_execute(&script).expect_err("refused").to_string();
        assert!(error.contains(message), "{error}");
        connection.batch_execute("ROLLBACK").expect("the script's transaction is open");
        assert_eq!(texts(&mut connection, "SELECT sql FROM sqlite_master ORDER BY name"), before);
        assert_eq!(number(&mut connection, "SELECT count(*) FROM children JOIN parents p ON p.id = parent_id"), 2);
    }
    let mut connection = database();
    for (rebuild, reason) in [
        (rebuild("parents"), "no CREATE TABLE"),
        (rebuild("CREATE TABLE nobody (id INTEGER)"), "no table nobody"),
        (rebuild("CREATE TABLE parents (id INTEGER PRIMARY KEY)"), "no column size: say"),
        (rebuild("CREATE TABLE parents (id INTEGER PRIMARY KEY, size)").column("sise", "1"), "no column sise to fill"),
    ] {
        let error = rebuild.script(&mut connection).expect_err("refused").to_string();
        assert!(error.contains(reason), "{error}");
    }
}

/// What a service has on a table that `migrate up` creates anew.
const GUESTS: &str = "
    CREATE TABLE visits (id INTEGER PRIMARY KEY, library_id BIGINT NOT NULL REFERENCES libraries (id) ON DELETE CASCADE);
    CREATE TABLE fees_seen (fee INTEGER);
    CREATE INDEX ix_visits_fee ON libraries (fee DESC);
    CREATE TRIGGER tr_visits_fee AFTER UPDATE OF fee ON libraries BEGIN INSERT INTO fees_seen VALUES (NEW.fee); END;
    CREATE TRIGGER tr_visits AFTER INSERT ON visits BEGIN
        UPDATE libraries SET fee = coalesce(fee, 0) + 1 WHERE id = NEW.library_id;
    END;
    CREATE VIEW expensive AS SELECT id, fee FROM libraries WHERE fee > 100;
    INSERT INTO libraries (name, fee) VALUES ('A', 20000), ('B', 7);
    INSERT INTO visits (library_id) VALUES (1), (2);
    DELETE FROM fees_seen;";

/// A database of the fixture set at the version before its rebuild, with what a service has in it.
async fn before_rebuild(folder: &std::path::Path) -> (school_finder_db::migrate::Migrator, SqliteConnection) {
    let path = folder.join("libraries.db");
    let migrator = fixture(&Config::sqlite_file(&path)).accept_loss();
    migrator.up().await.expect("the fixture set");
    let newest = migrator.scripts().iter().rev();
    let steps = newest.take_while(|script| !script.name.ends_with("require_fee_per")).count() + 1;
    migrator.down(steps).await.expect("the version before");
    let mut connection = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("the database");
    connection.batch_execute("PRAGMA foreign_keys = ON").expect("foreign keys");
    connection.batch_execute(GUESTS).expect("a service's own");
    (migrator, connection)
}

#[tokio::test]
async fn a_rebuild_keeps_what_a_service_has_on_the_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let (migrator, mut connection) = before_rebuild(folder.path()).await;
    let guests = "SELECT sql FROM sqlite_master WHERE name IN ('visits', 'ix_visits_fee', 'tr_visits_fee', 'tr_visits', 'expensive') ORDER BY 1";
    let before = texts(&mut connection, guests);
    assert_eq!(before.len(), 5);
    for up in [true, false, true] {
        let steps = migrator.scripts().len();
        if up {
            assert!(migrator.up().await.expect("rebuilt").iter().any(|name| name.ends_with("require_fee_per")));
            assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new());
        } else {
            let later = migrator.scripts().iter().rev().take_while(|s| !s.name.ends_with("require_fee_per")).count();
            assert!(steps > migrator.down(later + 1).await.expect("rebuilt again").len());
        }
        assert_eq!(texts(&mut connection, guests), before, "{up}");
        assert_eq!(number(&mut connection, "SELECT count(*) FROM visits JOIN libraries l ON l.id = library_id"), 2);
        assert_eq!(number(&mut connection, "SELECT count(*) FROM expensive"), 1);
    }
    // They work: the triggers either way, and the cascade.
    connection.batch_execute("INSERT INTO visits (library_id) VALUES (2)").expect("a visit");
    assert_eq!(number(&mut connection, "SELECT fee FROM fees_seen"), 9);
    connection.batch_execute("DELETE FROM libraries WHERE id = 2").expect("gone");
    assert_eq!(number(&mut connection, "SELECT count(*) FROM visits"), 1);
    connection.batch_execute("INSERT INTO visits (library_id) VALUES (2)").expect_err("no such library");
}

#[tokio::test]
async fn a_rebuild_that_would_break_a_service_is_refused() {
    for (guests, named) in [
        ("", "ix_visits_fee"),
        ("DROP INDEX ix_visits_fee; DROP TRIGGER tr_visits; DROP VIEW expensive", "tr_visits_fee"),
        ("DROP INDEX ix_visits_fee; DROP TRIGGER tr_visits_fee", "tr_visits"),
        ("DROP INDEX ix_visits_fee; DROP TRIGGER tr_visits_fee; DROP TRIGGER tr_visits", "expensive"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (migrator, mut connection) = before_rebuild(folder.path()).await;
        migrator.up().await.expect("the newest");
        connection.batch_execute(guests).expect("fewer");
        let rebuild = TableRebuild::new(
            "CREATE TABLE libraries (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, fee_per TEXT)",
        );
        // The crate's own index on the column goes on purpose.
        let up = connection
            .transaction(|connection| {
                connection.batch_execute("DROP INDEX ix_libraries_fee; DROP INDEX IF EXISTS ix_visits_fee")?;
                connection.batch_execute("DROP TRIGGER IF EXISTS tr_visits_fee")?;
                let script = rebuild.drop_column("fee").script(connection).expect("a script");
                Err::<(), _>(diesel::result::Error::QueryBuilderError(script.into()))
            })
            .expect_err("rolled back");
        let newer = Folder::copied_from(&crate::support::evolution::folder(Backend::Sqlite, false));
        newer.add("2027-01-01-000000_drop_fee", &up.to_string(), "SELECT 1");
        let migrator = migrator.of_folder(newer.path()).expect("a newer build");
        let schema = "SELECT coalesce(sql, name) FROM sqlite_master ORDER BY name";
        let before = texts(&mut connection, schema);
        let error = migrator.up().await.expect_err("refused");
        assert!(matches!(&error, Error::MigrationFailed { version, .. } if version == "20270101000000"), "{error:?}");
        assert!(error.to_string().contains(named) && error.to_string().contains("another program"), "{error}");
        assert_eq!(texts(&mut connection, schema), before, "nothing was changed");
        assert_eq!(number(&mut connection, "SELECT count(*) FROM visits"), 2);
    }
}

/// SQLite does not care for upper and lower case in names, and its catalogue does.
#[test]
fn table_names_ignore_case() {
    let mut connection = memory();
    connection
        .batch_execute(
            "CREATE TABLE parents (id INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER);
            CREATE INDEX ix_parents ON parents (size);
            INSERT INTO parents (size) VALUES (7), (8);
            DELETE FROM parents WHERE id = 2;",
        )
        .expect("a database");
    let rebuild =
        TableRebuild::new("CREATE TABLE Parents (ID INTEGER PRIMARY KEY AUTOINCREMENT, Size INTEGER NOT NULL)");
    let script = rebuild.script(&mut connection).expect("a script");
    connection.batch_execute(&script).expect("rebuilt");
    assert_eq!(number(&mut connection, "SELECT size FROM parents"), 7);
    assert_eq!(number(&mut connection, "SELECT seq FROM sqlite_sequence"), 2);
    assert_eq!(texts(&mut connection, "SELECT name FROM sqlite_master WHERE type = 'index'"), ["ix_parents"]);
}

/// The script begins its transaction in plain SQL, of which Diesel does not know.
#[tokio::test]
async fn a_failed_rebuild_leaves_the_connection_usable() {
    let config = school_finder_db::Config::in_memory();
    let repository = school_finder_db::sqlite::SqliteRepository::connect(&config).await.expect("a database");
    let fail = |connection: &mut SqliteConnection| {
        connection.batch_execute(
            "CREATE TABLE visits (id INTEGER PRIMARY KEY, day TEXT); INSERT INTO visits VALUES (1, NULL)",
        )?;
        let rebuild = TableRebuild::new("CREATE TABLE visits (id INTEGER PRIMARY KEY, day TEXT NOT NULL)");
        let script = rebuild.script(connection)?;
        Ok(connection.batch_execute(&script)?)
    };
    repository.with_connection(fail).await.expect_err("a day is not known");
    let state = |connection: &mut SqliteConnection| {
        connection.transaction(|connection| {
            let keys = diesel::dsl::sql::<BigInt>("SELECT foreign_keys FROM pragma_foreign_keys");
            let tables = diesel::dsl::sql::<BigInt>("SELECT count(*) FROM sqlite_master WHERE name LIKE 'visits%'");
            Ok((keys.get_result::<i64>(connection)?, tables.get_result::<i64>(connection)?))
        })
    };
    assert_eq!(repository.with_connection(state).await.expect("the next call is served"), (1, 1));
}
