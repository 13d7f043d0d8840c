//! Programs that change a schema at once, and ones that are killed half-way. `SCHOOL_FINDER_ROUNDS` says how often; 3 by
//! default.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use school_finder_db::Config;
use school_finder_db::config::Backend;
use school_finder_db::migrate::{self, Migrator};
use school_finder_db::testing::TestDatabase;

use crate::contract::on_every_backend;
use crate::support::raw::{Raw, url_of};
use crate::support::rows::fill;

on_every_backend!(eight_programs_at_once, killed_at_any_moment_the_next_one_finishes, a_long_wait_is_told_and_ends);

fn rounds() -> u64 {
    let rounds = std::env::var("SCHOOL_FINDER_ROUNDS").ok();
    rounds.map_or(3, |rounds| rounds.parse().expect("SCHOOL_FINDER_ROUNDS is a number"))
}

fn migrate_up(url: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_school-finder"))
        .args(["--database", url, "migrate", "up"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs")
}

fn end(child: Child) -> Output {
    child.wait_with_output().expect("the program ends")
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A database that nothing was ever done to: a file that is not there yet, or a database without PostGIS.
async fn empty(database: &TestDatabase, url: &str, round: u64) -> String {
    if database.config().backend().as_str() == "sqlite" {
        return format!("{url}-{round}");
    }
    Migrator::new(database.owner()).accept_loss().down(1_000).await.expect("all the way back");
    Raw::open(url).await.execute("DROP EXTENSION IF EXISTS postgis; DROP TABLE __diesel_schema_migrations").await;
    url.to_owned()
}

/// Half the migrations, with rows in every table that there is.
async fn old(database: &TestDatabase, url: &str) {
    let migrator = Migrator::new(database.owner()).accept_loss();
    migrator.down(1_000).await.expect("all the way back");
    migrator.up().await.expect("all of them");
    migrator.down(migrate::scripts(database.config().backend()).len() / 2).await.expect("half of them");
    fill(&mut Raw::open(url).await, database.config().backend()).await;
}

async fn eight_programs_at_once(database: &TestDatabase) {
    let url = url_of(database).await;
    for round in 0..rounds() {
        for from_old in [false, true] {
            let url = if from_old {
                old(database, &url).await;
                url.clone()
            } else {
                empty(database, &url, round).await
            };
            let children: Vec<Child> = (0..8).map(|_| migrate_up(&url)).collect();
            let outputs: Vec<Output> = children.into_iter().map(end).collect();
            outputs.iter().for_each(succeeded);
            let ran = outputs.iter().filter(|output| !output.stdout.is_empty()).count();
            assert_eq!(ran, 1, "round {round}: one runs them, the others find them done");
            let config = Config::from_url(&url).expect("a database");
            assert_eq!(migrate::check(&config).await.expect("a check"), Vec::<String>::new());
        }
    }
}

async fn killed_at_any_moment_the_next_one_finishes(database: &TestDatabase) {
    let url = url_of(database).await;
    old(database, &url).await;
    let begun = Instant::now();
    succeeded(&end(migrate_up(&url)));
    let whole = begun.elapsed();
    let expected = Raw::open(&url).await.rows().await;
    let (mut killed, mut random) = (0, 0x9e37_79b9_7f4a_7c15_u64);
    for round in 0..rounds() * 4 {
        old(database, &url).await;
        let mut child = migrate_up(&url);
        // xorshift: any moment of a run, another one each round and the same ones each time.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::sleep(whole.mul_f64(f64::from(u32::try_from(random % 1_000).expect("small")) / 1_000.0));
        child.kill().expect("kill -9");
        killed += u64::from(!end(child).status.success());
        succeeded(&end(migrate_up(&url)));
        assert_eq!(migrate::check(database.owner()).await.expect("a check"), Vec::<String>::new(), "round {round}");
        assert_eq!(Raw::open(&url).await.rows().await, expected, "round {round}");
    }
    assert!(killed > 0, "some were still at it");
}

async fn a_long_wait_is_told_and_ends(database: &TestDatabase) {
    let mut url = url_of(database).await;
    if database.config().backend().as_str() == "sqlite" {
        // A file of its own, as it is after `migrate up` alone: while one is changed that is not in WAL mode, others cannot even
        // read it.
        url.push_str("-held");
    }
    let config = Config::from_url(&url).expect("a database");
    migrate::up(&config).await.expect("all of them");
    Migrator::new(&config).down(1).await.expect("one step back");
    let (hold, release) = match database.config().backend() {
        Backend::Sqlite => ("BEGIN EXCLUSIVE", "ROLLBACK"),
        // The lock of src/postgres/migrations.rs.
        _ => ("SELECT pg_advisory_lock(8314604164876101225)", "SELECT pg_advisory_unlock_all()"),
    };
    let mut holder = Raw::open(&url).await;
    holder.execute(hold).await;
    let (told, heard) = std::sync::mpsc::channel();
    let migrator = Migrator::new(&config).patience(Duration::from_millis(400));
    let migrator = migrator.on_wait(move || told.send(()).expect("somebody listens"));
    let begun = Instant::now();
    let error = migrator.up().await.expect_err("held by another");
    assert!(matches!(error, school_finder_db::Error::SchemaLocked { waited_s: 0 }), "{error:?}");
    assert!(begun.elapsed() >= Duration::from_millis(400) && begun.elapsed() < Duration::from_secs(20));
    assert_eq!(heard.try_iter().count(), 1, "told once");
    holder.execute(release).await;
    assert_eq!(migrator.up().await.expect("free now").len(), 1);
}
