//! What happens to calls while a server goes away, freezes, or is changed under open connections.

use std::time::{Duration, Instant};

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use school_finder_db::error::ConnectError;
use school_finder_db::migrate::Migrator;
use school_finder_db::prelude::*;
use school_finder_db::request::WriteMode;
use school_finder_db::{Error, Result, SchoolSearch, sample};

use crate::support::raw::{Raw, url_of};
use crate::support::relay::Relay;
use crate::support::school;
use crate::support::server::{database, execute, open};

/// Where others are idle nobody takes it up soon, and its locks would keep everybody waiting.
#[tokio::test]
async fn a_dropped_transaction_is_rolled_back_immediately() {
    let database = database().await;
    let mut config = database.config().clone();
    // Longer than ending a transaction takes on a busy machine, and shorter than an idle connection is left open.
    config.pool.busy_timeout = Duration::from_secs(20);
    let repository = open(&config).await;
    repository.insert_schools(vec![school(1)]).await.expect("a school that fits");
    tokio::join!(repository.councils(), repository.councils(), repository.councils()).0.expect("three connections");
    for by_hand in [false, true] {
        let is_held = tokio::sync::Notify::new();
        let hold = async |c: &mut AsyncPgConnection| {
            let hold = async |c: &mut AsyncPgConnection| {
                c.batch_execute("UPDATE schools SET capacity = 1").await?;
                is_held.notify_one();
                std::future::pending::<Result<()>>().await
            };
            if by_hand {
                c.batch_execute("BEGIN").await?;
                hold(c).await
            } else {
                c.transaction(hold).await
            }
        };
        tokio::select! {
            outcome = repository.with_connection(hold) => panic!("it ended by itself: {outcome:?}"),
            () = is_held.notified() => {}
        }
        repository.insert_schools(vec![school(2 + i64::from(by_hand))]).await.expect("nobody holds a lock");
        database.execute("SET lock_timeout = '20s'; UPDATE schools SET capacity = 2").await.expect("nor here");
    }
    // And one that ends well, with a transaction begun in plain SQL still open.
    execute(&repository, "BEGIN; UPDATE schools SET capacity = 3").await.expect("done");
    database.execute("SET lock_timeout = '20s'; UPDATE schools SET capacity = 4").await.expect("nobody holds a lock");
}

#[tokio::test]
async fn a_panic_rolls_back_and_connections_stay_usable() {
    let database = database().await;
    let mut config = database.config().clone();
    config.pool.max_size = 1;
    let repository = open(&config).await;
    repository.insert_schools(vec![school(1)]).await.expect("a school that fits");
    for _ in 0..3 {
        let panicking = repository.clone();
        let call = tokio::spawn(async move {
            let work = async |connection: &mut AsyncPgConnection| {
                let transaction = connection.transaction::<(), Error, _>(async |connection| {
                    connection.batch_execute("DELETE FROM schools").await?;
                    panic!("in the middle of a transaction");
                });
                transaction.await
            };
            panicking.with_connection(work).await
        });
        assert!(call.await.expect_err("the panic is passed on").is_panic());
        assert_eq!(repository.facets(&SchoolSearch::open()).await.expect("the next call is served").total, 1);
    }
}

/// Connections that the server refuses fail one call each, and cost the pool nothing.
#[tokio::test]
async fn a_refused_connection_is_reported_and_opened_later() {
    let database = database().await;
    let mut config = database.config().clone();
    (config.pool.max_size, config.pool.acquire_timeout) = (2, Duration::from_secs(2));
    let repository = open(&config).await;
    let name = database.config().to_string();
    let name = name.rsplit_once('/').expect("a database").1;
    let mut server = Raw::open(&std::env::var("TEST_DATABASE_URL").expect("the server")).await;
    server.try_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await.expect("altered");
    for _ in 0..5 {
        let error = repository.councils().await.expect_err("refused");
        assert!(matches!(error, Error::Connect(ConnectError::ServerNotReady { .. })), "{error:?}");
    }
    server.try_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await.expect("altered");
    let both = async |_: &mut AsyncPgConnection| repository.councils().await;
    repository.with_connection(both).await.expect("both at once");
}

#[tokio::test]
async fn a_lost_connection_is_reported_and_replaced() {
    let database = database().await;
    let mut config = database.owner().clone();
    config.pool.max_size = 1;
    let repository = open(&config).await;
    let end = "SELECT pg_terminate_backend(pg_backend_pid())";
    let error = execute(&repository, end).await.expect_err("it ended itself");
    assert!(matches!(error, Error::ConnectionLost), "{error:?}");
    repository.councils().await.expect("and the next call is served by another");
}

/// As after the server was started again: every connection of the pool is lost, and a question is asked once more.
#[tokio::test]
async fn a_read_is_retried_on_another_connection() {
    let database = database().await;
    let repository = open(database.config()).await;
    repository.insert_schools(sample::schools()).await.expect("schools that fit");
    let all = || async { tokio::join!(repository.councils(), repository.councils(), repository.councils()) };
    let (Ok(first), Ok(_), Ok(_)) = all().await else { panic!("no answer") };
    // It returns once they are gone: one that goes on for a moment may be lost later, in a call's second try.
    let end_others = "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.execute(end_others).await.expect("ended");
    let (Ok(one), Ok(two), Ok(three)) = all().await else { panic!("no answer") };
    assert!([one, two, three].iter().all(|result| *result == first));
}

/// A prepared statement whose columns have another type by now: an older build goes on while a newer one migrates.
#[tokio::test]
async fn a_stale_prepared_statement_is_prepared_again() {
    let database = database().await;
    let repository = open(database.config()).await;
    repository.insert_schools(sample::schools()).await.expect("schools that fit");
    let before = repository.find_schools(&SchoolSearch::open()).await.expect("schools");
    database.execute("ALTER TABLE schools ALTER COLUMN council TYPE VARCHAR(500)").await.expect("changed");
    let after = repository.find_schools(&SchoolSearch::open()).await.expect("schools");
    assert_eq!(after.items, before.items);
}

/// As a backup that is restored while a service runs: the extension's types have other numbers.
#[tokio::test]
async fn a_restored_database_is_read_by_open_connections() {
    let database = database().await;
    let repository = open(database.owner()).await;
    // By itself, since a question that was asked once more leaves the pool a connection that knows the new numbers.
    let reader = open(database.owner()).await;
    let found =
        async || reader.find_catchments(&SchoolSearch::near(sample::home())).await.expect("catchments").items.len();
    let outline = async || repository.upsert_catchments(sample::catchments(), WriteMode::Commit).await;
    repository.insert_schools(sample::schools()).await.expect("schools that fit");
    outline().await.expect("outlines that fit");
    let before = found().await;
    let url = url_of(&database).await;
    let migrator = Migrator::new(database.owner()).accept_loss();
    migrator.down(1_000).await.expect("all the way back");
    let mut raw = Raw::open(&url).await;
    raw.execute("DROP EXTENSION postgis CASCADE").await;
    migrator.up().await.expect("all of them");
    repository.insert_schools(sample::schools()).await.expect("schools that fit");
    // A question is asked once more by itself; a write that failed is its caller's to repeat.
    assert_eq!(found().await, 1, "the one that is a circle");
    let error = outline().await.expect_err("the type's number is another");
    assert!(matches!(error, Error::SchemaChanged), "{error:?}");
    outline().await.expect("outlines that fit");
    assert_eq!(found().await, before);
}

/// A trigger stands for whoever it collides with.
#[tokio::test]
async fn a_write_conflict_is_retried_a_few_times() {
    let database = database().await;
    let collide = |times: i32| {
        format!(
            "CREATE SEQUENCE IF NOT EXISTS tries;
             GRANT USAGE ON SEQUENCE tries TO PUBLIC;
             SELECT setval('tries', 1, false);
             CREATE OR REPLACE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('tries') <= {times} THEN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END IF;
                 RETURN NULL;
             END $$;
             CREATE OR REPLACE TRIGGER tr_collide BEFORE INSERT ON schools EXECUTE FUNCTION collide();"
        )
    };
    let repository = open(database.config()).await;
    database.execute(&collide(2)).await.expect("a trigger");
    repository.insert_schools(vec![school(1)]).await.expect("at the third try");
    database.execute(&collide(100)).await.expect("a trigger");
    let error = repository.insert_schools(vec![school(2)]).await.expect_err("again and again");
    assert!(matches!(error, Error::Conflict), "{error:?}");
    assert_eq!(database.number("SELECT last_value FROM tries").await.expect("a number"), 4, "tries");
    assert_eq!(database.number("SELECT count(*) FROM schools").await.expect("a number"), 1);
}

/// Between the pool and the server stands a relay that stops passing anything on, as a frozen server does.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_reported_in_time() {
    let database = database().await;
    let relay = Relay::to_the_test_server().await;
    let mut config = relay.config(&database).await;
    (config.pool.max_size, config.pool.acquire_timeout) = (1, Duration::from_secs(2));
    config.pool.connect_timeout = Duration::from_secs(2);
    let repository = open(&config).await;
    repository.councils().await.expect("it answers");
    relay.freeze();
    // The case of a connection that was idle for longer than one is used again without asking.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let begun = Instant::now();
    let error = repository.councils().await.expect_err("nobody answers");
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// As it freezes in the middle of a call: neither the server's own bounds nor the kernel's help.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_on_a_server_that_freezes_times_out() {
    let database = database().await;
    for writes in [false, true] {
        let relay = Relay::to_the_test_server().await;
        let mut config = relay.config(&database).await;
        (config.pool.max_size, config.pool.connect_timeout) = (1, Duration::from_secs(2));
        config.pool.statement_timeout = Duration::from_secs(2);
        let repository = open(&config).await;
        repository.councils().await.expect("it answers");
        // A connection that was idle for a moment is first asked whether it answers, which names no table.
        relay.freeze_at("schools");
        let begun = Instant::now();
        let error = if writes {
            repository.insert_schools(vec![school(1)]).await.expect_err("nobody answers")
        } else {
            repository.facets(&SchoolSearch::open()).await.map(drop).expect_err("nobody answers")
        };
        assert!(matches!(&error, Error::Unavailable { reason } if reason == "no response within 4 s"), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert_eq!(repository.pool_status().open, 0, "and its connection is gone");
    }
}
