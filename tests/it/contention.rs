//! Programs that change a schema at once, and ones that are killed half-way. `SCHOOL_FINDER_ROUNDS` says how often; 3
//! by default.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use school_finder_db::Config;
use school_finder_db::config::Backend;
use school_finder_db::migrate::{self, Migrator};
use school_finder_db::testing::TestDatabase;

use crate::contract::on_every_backend;
use crate::support::evolution::{History, fixture, on_each_history};
use crate::support::raw::{Raw, url_of};
use crate::support::rows::fill;

on_every_backend!(
    of_eight_programs_one_migrates,
    killed_at_any_moment_the_next_one_finishes,
    a_long_wait_is_told_and_ends
);

fn rounds() -> u64 {
    let rounds = std::env::var("SCHOOL_FINDER_ROUNDS").ok();
    rounds.map_or(3, |rounds| rounds.parse().expect("SCHOOL_FINDER_ROUNDS is a number"))
}

/// Names the database to the program that [`migrates_the_fixture_set`] is.
const FIXTURE_DATABASE: &str = "SCHOOL_FINDER_FIXTURE_DATABASE";

/// Starts a program that brings a database to a history's newest version, and prints the names of what it ran.
fn migrate_up(history: &History, url: &str) -> Child {
    let mut program = if history.is_own {
        let mut program = Command::new(env!("CARGO_BIN_EXE_school-finder"));
        program.args(["--database", url, "migrate", "up"]);
        program
    } else {
        // The program has no other migrations than this build's.
        let mut program = Command::new(std::env::current_exe().expect("this program"));
        program.args(["--ignored", "--exact", "--nocapture", "contention::migrates_the_fixture_set"]);
        program.env(FIXTURE_DATABASE, url);
        program
    };
    program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs")
}

#[tokio::test]
#[ignore = "a program that other tests start"]
async fn migrates_the_fixture_set() {
    // Without a database it is not they who started it.
    let Ok(url) = std::env::var(FIXTURE_DATABASE) else { return };
    let migrator = fixture(&Config::from_url(&url).expect("a database"));
    for name in migrator.up().await.expect("up") {
        println!("{name}");
    }
}

fn end(child: Child) -> Output {
    child.wait_with_output().expect("the program ends")
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// A database that nothing was ever done to: a file that is not there yet, or a database without PostGIS.
async fn empty(history: &History, round: u64) -> String {
    let History { migrator, url, backend, is_own } = history;
    if backend.as_str() == "sqlite" {
        return format!("{url}-{is_own}-{round}");
    }
    migrator.clone().accept_loss().down(1_000).await.expect("all the way back");
    Raw::open(url).await.execute("DROP EXTENSION IF EXISTS postgis").await;
    url.to_owned()
}

/// Half the migrations, with rows in every table that there is.
async fn old(history: &History) {
    let migrator = history.migrator.clone().accept_loss();
    migrator.down(1_000).await.expect("all the way back");
    migrator.up().await.expect("all of them");
    migrator.down(migrator.scripts().len() / 2).await.expect("half of them");
    fill(&mut Raw::open(&history.url).await, history.backend).await;
}

async fn of_eight_programs_one_migrates(database: &TestDatabase) {
    on_each_history(database, async |history| {
        for round in 0..rounds() {
            for from_old in [false, true] {
                let url = if from_old {
                    old(history).await;
                    history.url.clone()
                } else {
                    empty(history, round).await
                };
                let children: Vec<Child> = (0..8).map(|_| migrate_up(history, &url)).collect();
                let outputs: Vec<Output> = children.into_iter().map(end).collect();
                outputs.iter().for_each(succeeded);
                let ran = outputs.iter().filter(|output| text(&output.stdout).contains("2026-")).count();
                assert_eq!(ran, 1, "round {round}: one runs them, the others find them done");
                let found = history.migrator_of(&url).check().await.expect("a check");
                assert_eq!(found, Vec::<String>::new());
            }
        }
    })
    .await;
}

async fn killed_at_any_moment_the_next_one_finishes(database: &TestDatabase) {
    on_each_history(database, async |history| {
        let History { migrator, url, .. } = history;
        old(history).await;
        let begun = Instant::now();
        succeeded(&end(migrate_up(history, url)));
        let mut longest = begun.elapsed();
        let expected = Raw::open(url).await.rows().await;
        let (mut killed, mut random) = (0, 0x9e37_79b9_7f4a_7c15_u64);
        for round in 0.. {
            if round >= rounds() * 4 && killed > 0 {
                break;
            }
            old(history).await;
            let mut child = migrate_up(history, url);
            // xorshift: any moment of a run, another one each round and the same ones each time.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let moment = longest.mul_f64(f64::from(u32::try_from(random % 1_000).expect("small")) / 1_000.0);
            std::thread::sleep(moment);
            child.kill().expect("kill -9");
            if end(child).status.success() {
                // The first run was slower than this one: no later moment is within a run.
                longest = moment;
            } else {
                killed += 1;
            }
            succeeded(&end(migrate_up(history, url)));
            assert_eq!(migrator.check().await.expect("a check"), Vec::<String>::new(), "round {round}");
            assert_eq!(Raw::open(url).await.rows().await, expected, "round {round}");
        }
    })
    .await;
}

async fn a_long_wait_is_told_and_ends(database: &TestDatabase) {
    let mut url = url_of(database).await;
    if database.config().backend().as_str() == "sqlite" {
        // A file of its own, as it is after `migrate up` alone: while one is changed that is not in WAL mode, others
        // cannot even read it.
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
    let (reported, heard) = std::sync::mpsc::channel();
    let migrator = Migrator::new(&config).lock_timeout(Duration::from_millis(400));
    let migrator = migrator.on_wait(move || reported.send(()).expect("somebody listens"));
    let begun = Instant::now();
    let error = migrator.up().await.expect_err("held by another");
    assert!(matches!(error, school_finder_db::Error::SchemaLocked { .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(heard.try_iter().count(), 1, "reported once");
    holder.execute(release).await;
    assert_eq!(migrator.up().await.expect("free now").len(), 1);
}
