//! Servers that stop, freeze, or have no room: on clusters of the tests' own.

pub(crate) mod cluster;
mod relay;

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::future::try_join_all;
use school_finder_db::error::ConnectError;
use school_finder_db::migrate::{self, Migrator};
use school_finder_db::models::NewCatchment;
use school_finder_db::postgres::PostgresRepository;
use school_finder_db::prelude::*;
use school_finder_db::request::WriteMode;
use school_finder_db::{Config, Error, LatLng, SchoolSearch, connect};
use tokio::sync::Barrier;

use self::cluster::{Cluster, Stop};
use self::relay::{Flow, Relay};
use crate::disks::Disk;
use crate::raw::Raw;
use crate::support::{Place, schools, until, urn};

/// How long a call may take beyond its own timeouts, on a machine that is busy with other tests.
const SLACK: Duration = Duration::from_secs(8);

/// Settings that make a test wait seconds and not minutes.
fn hasty(url: &str) -> Config {
    let mut config = Config::from_url(url).expect("a server");
    config.pool.max_size = 4;
    config.pool.acquire_timeout = Duration::from_secs(2);
    config.pool.connect_timeout = Duration::from_secs(2);
    config.pool.statement_timeout = Duration::from_secs(4);
    config
}

async fn total(finder: &dyn SchoolRepository) -> Result<u64, Error> {
    Ok(finder.facets(&SchoolSearch::open()).await?.total)
}

/// As [`total`], within a time.
async fn total_in_time(finder: &dyn SchoolRepository) -> Result<u64, Error> {
    let begun = Instant::now();
    let total = total(finder).await;
    assert!(begun.elapsed() < Duration::from_secs(8) + SLACK, "{:?}", begun.elapsed());
    total
}

/// Whether a call may fail so while its server ends, is away, or starts again.
fn is_lost(error: &Error) -> bool {
    matches!(
        error,
        Error::ConnectionLost | Error::Unavailable { .. } | Error::Connect(ConnectError::ServerNotReady { .. })
    )
}

/// Fills the pool with connections, each of which was used.
async fn warm(finder: &PostgresRepository) {
    // Each is held until all have one: none is used twice.
    let all_taken = Barrier::new(4);
    let calls = (0..4).map(|_| {
        finder.with_connection(async |connection: &mut AsyncPgConnection| {
            connection.batch_execute("SELECT 1").await?;
            all_taken.wait().await;
            Ok(())
        })
    });
    try_join_all(calls).await.expect("four connections");
}

/// Waits until a process of the database's server is at `pg_sleep`, and gives its number.
async fn sleeping(watch: &mut Raw) -> String {
    let sql = "SELECT pid::text FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()
        AND datname = current_database() AND wait_event = 'PgSleep'";
    let mut pid = String::new();
    until("it sleeps", async || {
        pid = watch.texts(sql).await.pop().unwrap_or_default();
        !pid.is_empty()
    })
    .await;
    pid
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_is_reported_and_reconnected() {
    let mut cluster = Cluster::start();
    let config = hasty(&cluster.database().await);
    let finder = PostgresRepository::connect(&config).await.expect("the database");
    let mut stored = 0_i64;
    for stop in [Stop::Fast, Stop::Immediate, Stop::Kill] {
        for down in [true, false] {
            finder.insert_schools(schools(stored + 1..=stored + 500)).await.expect("schools that fit");
            stored += 500;
            warm(&finder).await;
            cluster.stop(stop);
            if down {
                for _ in 0..3 {
                    let error = total_in_time(&finder).await.expect_err("there is no server");
                    assert!(is_lost(&error), "{stop:?}: {error:?}");
                }
            }
            cluster.restart();
            // The first calls may find connections that are gone.
            let mut failures = Vec::new();
            let waited = until("it is found again", async || match total_in_time(&finder).await {
                Ok(total) => {
                    assert_eq!(total, stored.unsigned_abs(), "{stop:?}: what was committed is there");
                    true
                }
                Err(error) => {
                    failures.push(error);
                    false
                }
            })
            .await;
            assert!(failures.iter().all(is_lost), "{stop:?}: {failures:?}");
            assert!(waited < Duration::from_secs(10), "{waited:?}");
            warm(&finder).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_process_fails_one_call_only() {
    let cluster = Cluster::start();
    let url = cluster.database().await;
    let mut config = hasty(&url);
    config.pool.max_size = 1;
    // What ends the call is the end of its process.
    config.pool.statement_timeout = Duration::from_secs(60);
    let finder = PostgresRepository::connect(&config).await.expect("the database");
    finder.insert_schools(schools(1..=10)).await.expect("schools that fit");
    let mut other = Raw::open(&url).await;
    for hard in [false, true] {
        let call = tokio::spawn({
            let finder = finder.clone();
            async move {
                let delete = async |c: &mut AsyncPgConnection| {
                    Ok::<_, Error>(c.batch_execute("DELETE FROM schools; SELECT pg_sleep(60)").await?)
                };
                finder.with_connection(async |c: &mut AsyncPgConnection| c.transaction(delete).await).await
            }
        });
        let pid = sleeping(&mut other).await;
        let begun = Instant::now();
        if hard {
            // All other processes of the server are ended too, since the memory that they share may be damaged.
            cluster.signal_process(&pid, "KILL");
        } else {
            assert_eq!(other.texts(&format!("SELECT pg_terminate_backend({pid})::text")).await, ["true"]);
        }
        let error = call.await.expect("no panic").expect_err("its process is gone");
        assert!(matches!(error, Error::ConnectionLost), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        if !hard {
            assert_eq!(total_in_time(&finder).await.expect("the next call is served"), 10, "and all was undone");
        }
    }
    let mut failures = Vec::new();
    until("it is found again", async || match total_in_time(&finder).await {
        Ok(total) => {
            assert_eq!(total, 10);
            true
        }
        Err(error) => {
            failures.push(error);
            false
        }
    })
    .await;
    assert!(failures.iter().all(is_lost), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_the_server_rolls_back_only_the_write() {
    // Declared first, so that the server is gone before its disk is.
    let Some(disk) = Disk::new(96, "Postgres on a full disk") else { return };
    let cluster = Cluster::start();
    let folder = disk.path().join("tablespace");
    std::fs::create_dir(&folder).expect("a folder");
    cluster.give(&folder);
    let mut admin = Raw::open(&cluster.url("postgres")).await;
    admin.execute(&format!("CREATE TABLESPACE small LOCATION '{}'", folder.display())).await;
    admin.execute("CREATE DATABASE schools TABLESPACE small").await;
    let config = hasty(&cluster.url("schools"));
    migrate::up(&config).await.expect("a schema");
    let finder = connect(&config).await.expect("the database");
    finder.insert_schools(schools(1..=100)).await.expect("schools that fit");
    for but in [64, 512, 2_048] {
        let ballast = disk.fill(but);
        let error = finder.insert_schools(schools(1_001..=20_000)).await.expect_err("the disk is full");
        assert!(matches!(error, Error::StorageFull), "{but} KB free: {error:?}");
        std::fs::remove_file(ballast).expect("free again");
        assert_eq!(total_in_time(finder.as_ref()).await.expect("readable"), 100, "{but} KB free");
        let more = i64::try_from(but).expect("small") + 30_000;
        let id = finder.insert_schools(schools(more..=more)).await.expect("it fits now")[0];
        finder.delete_school(id).await.expect("as before");
    }
}

/// A server that takes connections, or the first bytes of one, and never says a word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_is_unavailable_in_time() {
    let place = Place::new(school_finder_db::config::Backend::Postgres).await;
    let relay = Relay::start(&place.url).await;
    relay.set(Flow::Frozen);
    let config = hasty(relay.url());
    let begun = Instant::now();
    let error = connect(&config).await.expect_err("nobody answers");
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(begun.elapsed() < config.pool.connect_timeout * 2 + SLACK, "{:?}", begun.elapsed());
    let begun = Instant::now();
    let error = migrate::status(&config).await.expect_err("nobody answers");
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(begun.elapsed() < config.pool.connect_timeout * 2 + SLACK, "{:?}", begun.elapsed());
    relay.set(Flow::Passing);
    connect(&config).await.expect("and then it does");
}

/// The line goes dead in the middle of a call: no end, no refusal, nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_network_is_reported_in_time() {
    let place = Place::new(school_finder_db::config::Backend::Postgres).await;
    let relay = Relay::start(&place.url).await;
    let mut config = hasty(relay.url());
    config.pool.max_size = 1;
    let finder = PostgresRepository::connect(&config).await.expect("the database");
    finder.insert_schools(schools(1..=10)).await.expect("schools that fit");
    for write in [false, true] {
        relay.set(Flow::Frozen);
        let begun = Instant::now();
        let error = if write {
            finder.insert_schools(schools(101..=110)).await.expect_err("nobody answers")
        } else {
            total(&finder).await.expect_err("nobody answers")
        };
        assert!(is_lost(&error) || matches!(error, Error::Timeout), "{error:?}");
        let longest = config.pool.statement_timeout + config.pool.acquire_timeout * 2 + SLACK;
        assert!(begun.elapsed() < longest, "{:?}", begun.elapsed());
        relay.set(Flow::Passing);
        until("the next call is served", async || total(&finder).await.is_ok_and(|total| total == 10)).await;
    }
}

/// The line is cut in the middle of a call, and at once there is another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_reported_and_replaced() {
    let place = Place::new(school_finder_db::config::Backend::Postgres).await;
    let relay = Relay::start(&place.url).await;
    let mut config = hasty(relay.url());
    // What ends the call is the end of its line.
    config.pool.statement_timeout = Duration::from_secs(60);
    let finder = PostgresRepository::connect(&config).await.expect("the database");
    finder.insert_schools(schools(1..=10)).await.expect("schools that fit");
    let call = tokio::spawn({
        let finder = finder.clone();
        async move {
            let delete = async |c: &mut AsyncPgConnection| {
                Ok::<_, Error>(c.batch_execute("DELETE FROM schools; SELECT pg_sleep(60)").await?)
            };
            finder.with_connection(async |c: &mut AsyncPgConnection| c.transaction(delete).await).await
        }
    });
    sleeping(&mut place.raw().await).await;
    relay.cut();
    let error = call.await.expect("no panic").expect_err("the line is gone");
    assert!(matches!(error, Error::ConnectionLost), "{error:?}");
    assert_eq!(total_in_time(&finder).await.expect("the next call is served"), 10);
}

/// The line is cut as a write is being committed: whether it was is not known, and the answer says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_with_a_lost_response_is_unknown() {
    let place = Place::new(school_finder_db::config::Backend::Postgres).await;
    let relay = Relay::start(&place.url).await;
    let finder = connect(&hasty(relay.url())).await.expect("the database");
    let mut next = 1;
    for (flow, is_written) in [(Flow::CutAfterCommit, true), (Flow::CutBeforeCommit, false)] {
        for upsert in [false, true] {
            let new = schools(next..=next + 9);
            next += 10;
            let before = total(finder.as_ref()).await.expect("a result");
            let write = async || {
                if upsert {
                    let stream = Box::new(new.clone().into_iter().map(Ok));
                    finder.upsert_schools(stream, WriteMode::Commit).await.map(|counts| counts.inserted)
                } else {
                    finder.insert_schools(new.clone()).await.map(|ids| ids.len() as u64)
                }
            };
            relay.set(flow);
            let error = write().await.expect_err("the line is cut");
            assert!(matches!(error, Error::CommitUnknown), "{flow:?}: {error:?}");
            relay.set(Flow::Passing);
            let after = total_in_time(finder.as_ref()).await.expect("the next call is served");
            assert_eq!(after, before + if is_written { 10 } else { 0 }, "{flow:?}: whole or not at all");
            // By URN it can be seen, and an upsert repeated.
            match (write().await, upsert, is_written) {
                (Ok(inserted), true, true) => assert_eq!(inserted, 0),
                (Ok(inserted), _, false) => assert_eq!(inserted, 10),
                (Err(Error::DuplicateUrn { .. }), false, true) => {}
                (other, ..) => panic!("{flow:?}: {other:?}"),
            }
            assert_eq!(total(finder.as_ref()).await.expect("a result"), before + 10);
        }
    }
}

/// The same of a transaction of a service's own, and of a statement that stands alone; in between nothing was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_own_commit_with_a_lost_response_is_unknown() {
    let place = Place::new(school_finder_db::config::Backend::Postgres).await;
    let relay = Relay::start(&place.url).await;
    let finder = PostgresRepository::connect(&hasty(relay.url())).await.expect("the database");
    finder.insert_schools(schools(1..=3)).await.expect("schools that fit");
    warm(&finder).await;
    let own = async |connection: &mut AsyncPgConnection| {
        let change = async |connection: &mut AsyncPgConnection| {
            Ok::<_, Error>(connection.batch_execute("UPDATE schools SET capacity = 5").await?)
        };
        connection.transaction(change).await
    };
    relay.set(Flow::CutAfterCommit);
    let error = finder.with_connection(own).await.expect_err("the line is cut");
    assert!(matches!(error, Error::CommitUnknown), "{error:?}");
    relay.set(Flow::Passing);
    let ended = async |connection: &mut AsyncPgConnection, statement: &str| {
        connection.batch_execute(statement).await?;
        Ok(connection.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())").await?)
    };
    let error = finder.with_connection(async |c: &mut AsyncPgConnection| ended(c, "SELECT 1").await).await;
    assert!(matches!(error, Err(Error::ConnectionLost)), "{error:?}");
    let alone = "UPDATE schools SET capacity = 6";
    let error = finder.with_connection(async |c: &mut AsyncPgConnection| ended(c, alone).await).await;
    assert!(matches!(error, Err(Error::CommitUnknown)), "{error:?}");
}

/// A question whose connection goes is asked once more, and nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_after_a_restart_is_retried_on_a_new_connection() {
    let place = Place::new(school_finder_db::config::Backend::Postgres).await;
    let relay = Relay::start(&place.url).await;
    let finder = PostgresRepository::connect(&hasty(relay.url())).await.expect("the database");
    finder.insert_schools(schools(1..=10)).await.expect("schools that fit");
    for _ in 0..20 {
        warm(&finder).await;
        // It returns once they are gone: one that goes on for a moment may be lost later, in the next round.
        place
            .raw()
            .await
            .execute(
                "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
        assert_eq!(total_in_time(&finder).await.expect("it is served"), 10);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlocked_writes_are_retried_or_reported() {
    let place = Place::new(school_finder_db::config::Backend::Postgres).await;
    let mut config = hasty(&place.url);
    // What ends their waiting is the server's search for deadlocks, however late it comes.
    (config.pool.statement_timeout, config.pool.busy_timeout) = (Duration::from_secs(60), Duration::from_secs(60));
    let finder = PostgresRepository::connect(&config).await.expect("the database");
    finder.insert_schools(schools(1..=2)).await.expect("schools that fit");
    let outline = |size: i32| NewCatchment {
        urn: urn(1),
        outline: Some(format!("POLYGON((0 50,{size} 50,{size} 51,0 50))").parse().expect("an outline")),
    };
    // In a transaction of its own, the other would see the server's processes as they were when it began.
    let (mut other, mut watch) = (place.raw().await, place.raw().await);
    let waiting = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for size in 1..=3 {
        // The other has the second school and wants the first; ours is the other way round.
        other.execute("BEGIN; UPDATE schools SET capacity = 1 WHERE urn = 2").await;
        let ours = tokio::spawn({
            let finder = finder.clone();
            let both = vec![outline(size), NewCatchment { urn: urn(2), ..outline(size) }];
            async move { finder.upsert_catchments(both, WriteMode::Commit).await }
        });
        until("ours waits for the other", async || !watch.texts(waiting).await.is_empty()).await;
        let theirs = other.try_execute("UPDATE schools SET capacity = 1 WHERE urn = 1").await;
        other.execute(if theirs.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
        let counts = ours.await.expect("no panic").expect("it is repeated");
        assert_eq!(counts.inserted + counts.updated, 2, "and does what it should, once");
    }
    let deadlocks = "SELECT deadlocks::text FROM pg_stat_database WHERE datname = current_database()";
    until("the server counts them", async || other.texts(deadlocks).await != ["0"]).await;

    // A transaction of one's own is not repeated.
    let each_has_one = Arc::new(Barrier::new(2));
    let both = |first: i32, second: i32| {
        let (finder, each_has_one) = (finder.clone(), Arc::clone(&each_has_one));
        let lock = |number: i32| format!("UPDATE schools SET capacity = 2 WHERE urn = {number}");
        let (first, second) = (lock(first), lock(second));
        tokio::spawn(async move {
            let work = async |connection: &mut AsyncPgConnection| {
                let transaction = connection.transaction(async |connection| {
                    connection.batch_execute(&first).await?;
                    each_has_one.wait().await;
                    connection.batch_execute(&second).await
                });
                Ok(transaction.await?)
            };
            finder.with_connection(work).await
        })
    };
    let (one, two) = (both(1, 2), both(2, 1));
    let outcomes = [one.await.expect("no panic"), two.await.expect("no panic")];
    assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(Error::Conflict))), "{outcomes:?}");
    assert_eq!(total(&finder).await.expect("the next call is served"), 2);
}

/// Somebody restores a backup beneath a warm pool: tables and the extension are there again, and are others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_restored_under_a_warm_pool_is_served_again() {
    let place = Place::new(school_finder_db::config::Backend::Postgres).await;
    let config = hasty(&place.url);
    let finder = PostgresRepository::connect(&config).await.expect("the database");
    let near = SchoolSearch::near(LatLng::from_lat_lng(50.5, 0.5).expect("a place"));
    let outline =
        NewCatchment { urn: urn(1), outline: Some("POLYGON((0 50,1 50,1 51,0 51,0 50))".parse().expect("an outline")) };
    let migrator = Migrator::new(&config).accept_loss();
    for _ in 0..3 {
        finder.insert_schools(schools(1..=10)).await.expect("schools that fit");
        finder.upsert_catchments(vec![outline.clone()], WriteMode::Commit).await.expect("an outline");
        warm(&finder).await;
        finder.find_schools(&near).await.expect("a result");
        assert_eq!(finder.find_catchments(&near).await.expect("a result").items.len(), 1);
        migrator.down(1_000).await.expect("all the way back");
        place.raw().await.execute("DROP EXTENSION IF EXISTS postgis; CREATE EXTENSION postgis").await;
        migrator.up().await.expect("all of them");
        place
            .raw()
            .await
            .execute(
                "INSERT INTO folded_names VALUES ('A', 'a');
                 INSERT INTO schools (urn, name, name_folded, status) VALUES (1, 'A', 'a', 'open')",
            )
            .await;
        // A write is not repeated: at most one is refused, and says that nothing was written.
        match finder.upsert_catchments(vec![outline.clone()], WriteMode::Commit).await {
            Ok(counts) => assert_eq!(counts.inserted, 1),
            Err(error) => {
                assert!(matches!(error, Error::SchemaChanged), "{error:?}");
                finder
                    .upsert_catchments(vec![outline.clone()], WriteMode::Commit)
                    .await
                    .expect("and then it is served");
            }
        }
        assert_eq!(finder.find_schools(&near).await.expect("a result").items.len(), 1);
        assert_eq!(finder.find_catchments(&near).await.expect("a result").items.len(), 1);
        place.raw().await.execute("DELETE FROM schools").await;
    }
    // A column of another type beneath a plan that is kept.
    warm(&finder).await;
    finder.insert_schools(schools(1..=1)).await.expect("a school that fits");
    finder.school_by_urn(urn(1)).await.expect("a result");
    place.raw().await.execute("ALTER TABLE schools ALTER COLUMN website_url TYPE VARCHAR(4000)").await;
    for _ in 0..5 {
        assert!(finder.school_by_urn(urn(1)).await.expect("asked once more").is_some());
    }
}
