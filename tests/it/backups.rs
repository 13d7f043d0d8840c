//! Dumps of Postgres restore what was dumped, by the commands of `docs/backups.md`.

use school_finder_db::config::Backend;
use school_finder_db::models::NewCatchment;
use school_finder_db::request::WriteMode;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Config, Error, SchoolSearch, connect, migrate, sample};

use crate::support::raw::url_of;
use crate::support::transcript::{Session, project};

/// Databases on the test server, dropped at the end.
struct Databases {
    server: String,
    names: Vec<String>,
}

impl Databases {
    fn new() -> Self {
        Self { server: std::env::var("TEST_DATABASE_URL").expect("a server"), names: Vec::new() }
    }

    /// Creates an empty database, and returns its URL.
    fn create(&mut self, session: &Session, name: &str) -> String {
        let name = format!("backups_{}_{name}", std::process::id());
        let made = session.run(&format!("psql --quiet '{}' --command='CREATE DATABASE {name}'", self.server));
        assert_eq!(made, "");
        let (server, _) = self.server.rsplit_once('/').expect("a database in the URL");
        let url = format!("{server}/{name}");
        self.names.push(name);
        url
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        let session = Session::new();
        for name in &self.names {
            session.run(&format!("psql --quiet '{}' --command='DROP DATABASE {name} WITH (FORCE)'", self.server));
        }
    }
}

/// Everything that a database has, in the words of a dump of its data: one row per line, in any order.
fn rows(session: &Session, url: &str) -> Vec<String> {
    // The ids of derived rows, and the day of a migration, are a database's own.
    let dumped = session.run(&format!("pg_dump --data-only --inserts --exclude-table=admissions_reach '{url}'"));
    let mut rows: Vec<String> = dumped.lines().filter(|line| line.starts_with("INSERT")).map(str::to_owned).collect();
    rows.push(session.run(&format!(
        "psql --tuples-only '{url}' --command='SELECT school_id, intake, academic_year, recency, least_km
             FROM admissions_reach ORDER BY 1, 2, 3'"
    )));
    rows.sort();
    rows
}

async fn filled() -> TestDatabase {
    let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
    let finder = database.repository();
    sample::fill(finder).await.expect("the sample");
    // A school that moved, so that its rows have other ids than in a new database.
    let last = finder.find_schools(&SchoolSearch::open().limit(1)).await.expect("a page").items.remove(0).school;
    finder.delete_school(last.id).await.expect("deleted");
    let outline = "POLYGON((-0.8 52,-0.7 52,-0.7 52.1,-0.8 52.1,-0.8 52))".parse().expect("an outline");
    let urn = sample::schools()[1].urn;
    let new = NewCatchment { urn, outline: Some(outline) };
    finder.upsert_catchments(vec![new], WriteMode::Commit).await.expect("stored");
    database
}

/// Commands of the document, each with what it prints.
fn documented() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(project().join("docs/backups.md")).expect("the document");
    let mut commands: Vec<(String, String)> = Vec::new();
    for block in text.split("```console\n").skip(1) {
        for line in block.split("```").next().expect("a block").lines() {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command.to_owned(), String::new())),
                (None, Some((_, printed))) => *printed += &format!("{line}\n"),
                (None, None) => panic!("{line:?} stands before any command"),
            }
        }
    }
    commands
}

#[tokio::test]
async fn documented_dumps_restore_every_row() {
    let database = filled().await;
    let mut session = Session::new();
    let mut databases = Databases::new();
    let source = url_of(&database).await;
    let (restored, fresh) = (databases.create(&session, "restored"), databases.create(&session, "fresh"));
    for (shown, url) in [("schools", &source), ("restored", &restored), ("fresh", &fresh)] {
        session.replace(&format!("postgres://postgres@localhost/{shown}"), &format!("'{url}'"));
    }
    let commands = documented();
    assert_eq!(commands.len(), 7);
    for (command, printed) in commands {
        let found = session.run(&command);
        if !command.contains("migrate up") {
            assert_eq!(found, printed, "$ {command}");
        }
    }
    let expected = rows(&session, &source);
    assert!(expected.len() > 50);
    for url in [&restored, &fresh] {
        assert_eq!(rows(&session, url), expected);
        let finder = connect(&Config::from_url(url).expect("a URL")).await.expect("the database");
        let near = SchoolSearch::near(sample::home()).limit(100);
        let page = finder.find_reach(&near).await.expect("a page");
        assert_eq!(page, database.repository().find_reach(&near).await.expect("a page"));
        // The sequences go on where they were.
        let mut new = sample::schools().remove(0);
        new.urn = crate::support::urn(77);
        finder.insert_schools(vec![new]).await.expect("a new id");
    }
}

#[tokio::test]
async fn dumps_as_inserts_and_of_own_schemas_restore() {
    let mut databases = Databases::new();
    let session = Session::new();
    let own = |url: &str| format!("{url}?options=-csearch_path%3Dfinder,public");
    let source = databases.create(&session, "own");
    let setup = "CREATE EXTENSION postgis; CREATE SCHEMA finder";
    assert_eq!(session.run(&format!("psql --quiet '{source}' --command='{setup}'")), "");
    let config = Config::from_url(&own(&source)).expect("a URL");
    let finder = school_finder_db::create(&config).await.expect("a database");
    sample::fill(finder.as_ref()).await.expect("the sample");
    assert_eq!(migrate::check(&config).await.expect("checked"), Vec::<String>::new());

    let restored = databases.create(&session, "own_restored");
    let dump = format!("pg_dump --inserts --no-owner --file=own.sql '{source}'");
    let restore = |url: &str, file: &str| {
        session.run(&format!(
            "psql --quiet --single-transaction --set=ON_ERROR_STOP=1 --output=/dev/null --file={file} '{url}'"
        ))
    };
    assert_eq!(session.run(&dump), "");
    assert_eq!(restore(&restored, "own.sql"), "");
    let fresh = databases.create(&session, "own_fresh");
    assert_eq!(session.run(&format!("psql --quiet '{fresh}' --command='{setup}'")), "");
    migrate::up(&Config::from_url(&own(&fresh)).expect("a URL")).await.expect("migrated");
    let left_out = "--exclude-table='*.school_finder_migrations' \
        --exclude-table='*.admissions_reach' --exclude-table='*.spatial_ref_sys'";
    let dump = format!("pg_dump --data-only --inserts {left_out} --file=data.sql '{source}'");
    assert_eq!(session.run(&dump), "");
    assert_eq!(restore(&fresh, "data.sql"), "");
    let near = SchoolSearch::near(sample::home()).limit(100);
    for url in [&restored, &fresh] {
        let config = Config::from_url(&own(url)).expect("a URL");
        assert_eq!(migrate::check(&config).await.expect("checked"), Vec::<String>::new());
        let copy = connect(&config).await.expect("the database");
        assert_eq!(copy.find_reach(&near).await.expect("a page"), finder.find_reach(&near).await.expect("a page"));
    }
}

#[tokio::test]
async fn a_dump_of_the_schema_alone_is_refused() {
    let database = filled().await;
    let mut databases = Databases::new();
    let session = Session::new();
    let copy = databases.create(&session, "schema_alone");
    let source = url_of(&database).await;
    session.run(&format!("pg_dump --schema-only --no-owner --file=schema.sql '{source}'"));
    let made =
        session.run(&format!("psql --quiet --set=ON_ERROR_STOP=1 --output=/dev/null --file=schema.sql '{copy}'"));
    assert_eq!(made, "");
    let config = Config::from_url(&copy).expect("a URL");
    let refused = connect(&config).await.expect_err("no applied migrations");
    assert!(matches!(refused, Error::SchemaMissing | Error::SchemaPending { .. }), "{refused}");
    let refused = migrate::up(&config).await.expect_err("the tables are there");
    assert!(matches!(refused, Error::MigrationFailed { .. }), "{refused}");
}
