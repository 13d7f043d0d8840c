//! Reads that have a server of their own. Another database of the test server is the replica: it never receives what
//! the writer's has, so each read shows where it went. `tests/faults/replicas.rs` has real ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use diesel_async::pooled_connection::deadpool::Pool;
use school_finder_db::config::Target;
use school_finder_db::error::ConnectError;
use school_finder_db::models::SchoolPatch;
use school_finder_db::postgres::{self, PostgresRepository};
use school_finder_db::prelude::*;
use school_finder_db::repository::Position;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Config, Error, SchoolSearch, connect};

use crate::support::raw::{Raw, url_of};
use crate::support::relay::{Relay, through};
use crate::support::server::{database, open};
use crate::support::{school, urn};

/// A writer's configuration, with this database as the replica that refuses writes.
async fn with_reader(writer: &TestDatabase, replica: &TestDatabase) -> Config {
    let url = url_of(replica).await;
    let sign = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{sign}options=-c%20default_transaction_read_only%3Don");
    hasty(writer.config().clone().with_reader(&url).expect("a URL"))
}

fn hasty(mut config: Config) -> Config {
    config.pool.acquire_timeout = Duration::from_secs(2);
    config.pool.connect_timeout = Duration::from_secs(2);
    config
}

/// A configuration whose reader is this database, through a relay.
async fn with_relay(writer: &TestDatabase, replica: &TestDatabase, relay: &Relay) -> Config {
    let through_relay = relay.config(replica).await;
    #[cfg_attr(not(feature = "sqlite"), allow(irrefutable_let_patterns))]
    let Target::Postgres(server) = through_relay.target else { panic!("a server") };
    let mut config = with_reader(writer, replica).await;
    config.reader = Some(server);
    config
}

/// A repository that has read from its replica, which is reached through a relay. Only the writer has a school.
async fn behind_a_relay() -> ([TestDatabase; 2], Relay, PostgresRepository) {
    let (writer, replica) = (database().await, database().await);
    writer.repository().insert_schools(vec![school(1)]).await.expect("a school that fits");
    let relay = Relay::to_the_test_server().await;
    let finder = open(&with_relay(&writer, &replica, &relay).await).await;
    assert_eq!(total(&finder).await.expect("an answer"), 0, "the replica's");
    ([writer, replica], relay, finder)
}

/// The URL of a port where nobody listens.
async fn nowhere(database: &TestDatabase) -> String {
    through(&url_of(database).await, 1)
}

async fn total(finder: &dyn SchoolRepository) -> Result<u64, Error> {
    Ok(finder.facets(&SchoolSearch::open()).await?.total)
}

/// Every read of an import and a backfill, whose outcome depends on it, is the writer's.
#[tokio::test]
async fn reads_go_to_the_reader_and_writes_to_the_writer() {
    let (writer, replica) = (database().await, database().await);
    let finder = connect(&with_reader(&writer, &replica).await).await.expect("both");
    finder.insert_schools(vec![school(1)]).await.expect("the writer takes it");
    assert_eq!(total(finder.as_ref()).await.expect("an answer"), 0, "the replica has none");
    let stored = finder.on_writer().school_by_urn(urn(1)).await.expect("an answer").expect("the writer has it");
    finder.update_school(stored.id, stored.version, SchoolPatch::default()).await.expect("the newest version");
    let unit = finder.begin().await.expect("a unit of work");
    assert!(unit.school_by_urn(urn(1)).await.expect("an answer").is_some(), "a unit of work is the writer's");
    assert_eq!(unit.reader_status(), None);
    unit.insert_schools(vec![school(2)]).await.expect("the writer takes it");
    unit.commit().await.expect("committed");
    assert_eq!(total(writer.repository()).await.expect("an answer"), 2);
    assert_eq!(total(replica.repository()).await.expect("an answer"), 0);
    let (of_writer, of_reader) = (finder.pool_status(), finder.reader_status().expect("a reader"));
    assert!(of_writer.open >= 1 && of_reader.open >= 1, "{of_writer:?} {of_reader:?}");
    let servers = finder.health().await.expect("both").servers.expect("two servers");
    assert_eq!((servers.writer.as_str(), servers.reader.as_str()), ("usable", "usable"));
    assert_eq!(writer.repository().health().await.expect("a database").servers, None);
}

#[cfg(feature = "register")]
#[tokio::test]
async fn an_import_reads_its_schools_from_the_writer() {
    use school_finder_db::import::{CatchmentOptions, Import};

    let (writer, replica) = (database().await, database().await);
    let finder = connect(&with_reader(&writer, &replica).await).await.expect("both");
    finder.insert_schools(vec![school(1)]).await.expect("the writer takes it");
    let file = format!("urn,academic_year,intake_year,places_offered\n{},2024/2025,Reception,30\n", urn(1));
    let counts = Import::new().admissions(finder.as_ref(), std::io::Cursor::new(file)).await;
    let counts = counts.expect("an import");
    assert_eq!((counts.inserted, counts.rejected), (1, 0), "{counts:?}");
    let outline = r#"{"type":"Feature","properties":{"urn":URN},"geometry":{"type":"Polygon","coordinates":
        [[[-0.76,52.04],[-0.75,52.04],[-0.75,52.05],[-0.76,52.04]]]}}"#;
    let outline = outline.replace("URN", &urn(1).to_string());
    let outlines = format!(r#"{{"type":"FeatureCollection","features":[{outline}]}}"#);
    let key = CatchmentOptions::new("urn");
    let counts = Import::new().catchments(finder.as_ref(), std::io::Cursor::new(outlines), key).await;
    let counts = counts.expect("an import");
    assert_eq!((counts.inserted, counts.rejected), (1, 0), "{counts:?}");
}

#[cfg(feature = "polars")]
#[tokio::test]
async fn a_backfill_reads_its_gaps_from_the_writer() {
    use school_finder_db::backfill::Backfill;
    use school_finder_db::models::NewSchool;

    let (writer, replica) = (database().await, database().await);
    let finder = connect(&with_reader(&writer, &replica).await).await.expect("both");
    let ages = NewSchool { phase: None, age_range_from: Some(7), age_range_to: Some(11), ..school(1) };
    finder.insert_schools(vec![ages]).await.expect("the writer takes it");
    assert_eq!(Backfill::new().phase(finder.as_ref()).await.expect("a backfill").total(), 1);
}

#[tokio::test]
async fn reads_fall_back_to_the_writer_within_the_limit() {
    let writer = database().await;
    writer.repository().insert_schools(vec![school(1)]).await.expect("a school that fits");
    let mut config = hasty(writer.config().clone().with_reader(&nowhere(&writer).await).expect("a URL"));
    (config.pool.reads_on_writer, config.pool.max_size) = (1, 8);
    let finder = open(&config).await;
    let reads = futures_util::future::join_all((0..50).map(|_| total(&finder))).await;
    assert!(reads.iter().all(|total| matches!(total, Ok(1))), "{reads:?}");
    assert_eq!(finder.pool_status().open, 1, "one read at once");
    let servers = finder.health().await.expect("the writer").servers.expect("two servers");
    assert_eq!((servers.writer.as_str(), servers.reader.as_str()), ("usable", "Unavailable"));

    config.pool.reads_on_writer = 0;
    let finder = open(&config).await;
    let refused = total(&finder).await.expect_err("the reader is down");
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
    finder.insert_schools(vec![school(2)]).await.expect("writes go on");
}

/// A frozen replica costs the reads that meet it first their timeout, and later ones nothing.
#[tokio::test]
async fn a_frozen_reader_delays_only_the_first_reads() {
    let (_databases, relay, finder) = behind_a_relay().await;
    relay.freeze();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(total(&finder).await.expect("an answer"), 1, "the writer's");
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        let begun = Instant::now();
        assert_eq!(total(&finder).await.expect("an answer"), 1, "the writer's");
        assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A connection that was used a moment ago is not checked before its next use.
#[tokio::test]
async fn a_read_leaves_a_reader_that_freezes() {
    let (_databases, relay, finder) = behind_a_relay().await;
    relay.freeze();
    let begun = Instant::now();
    assert_eq!(total(&finder).await.expect("an answer"), 1, "the writer's");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// Callers that wait for less than a frozen reader takes to be noticed.
#[tokio::test]
async fn a_reader_that_freezes_is_noticed_for_callers_that_leave() {
    for is_idle in [false, true] {
        let (_databases, relay, finder) = behind_a_relay().await;
        if is_idle {
            // Its connection is checked before the next use.
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        relay.freeze();
        let begun = Instant::now();
        let timeout = Duration::from_millis(1_500);
        let first = loop {
            match tokio::time::timeout(timeout, total(&finder)).await {
                Ok(total) => break total,
                Err(_) => assert!(begun.elapsed() < Duration::from_secs(8), "it is never noticed"),
            }
        };
        assert_eq!(first.expect("an answer"), 1, "the writer's");
    }
}

#[tokio::test]
async fn a_slow_read_goes_on_at_a_reader_that_responds() {
    let (writer, replica) = (database().await, database().await);
    writer.repository().insert_schools(vec![school(1)]).await.expect("a school that fits");
    let mut config = with_reader(&writer, &replica).await;
    (config.pool.max_size, config.pool.acquire_timeout) = (1, Duration::from_millis(300));
    config.pool.connect_timeout = Duration::from_secs(1);
    let finder = open(&config).await;
    assert_eq!(total(&finder).await.expect("an answer"), 0, "the replica's");
    let mut lock = Raw::open(&url_of(&replica).await).await;
    lock.execute("BEGIN; LOCK TABLE schools IN ACCESS EXCLUSIVE MODE").await;
    let slow = tokio::spawn({
        let finder = finder.clone();
        async move { total(&finder).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(total(&finder).await.expect("an answer"), 1, "the writer's, since the reader's pool is busy");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!slow.is_finished(), "it waits for the lock");
    lock.execute("ROLLBACK").await;
    assert_eq!(slow.await.expect("no panic").expect("an answer"), 0, "the replica's");
    assert_eq!(total(&finder).await.expect("an answer"), 0, "the replica's");
}

#[tokio::test]
async fn one_task_tries_the_reader_and_ends_with_the_repository() {
    let writer = database().await;
    // Whoever connects gets no answer.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            silent.push(connection);
        }
    });
    let reader = through(&url_of(&writer).await, port);
    let mut config = hasty(writer.config().clone().with_reader(&reader).expect("a URL"));
    config.pool.connect_timeout = Duration::from_secs(1);
    let finder = open(&config).await;
    assert_eq!(tries.load(Ordering::Relaxed), 1, "the start");
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        let reads = futures_util::future::join_all((0..5).map(|_| total(&finder))).await;
        assert!(reads.iter().all(Result::is_ok), "{reads:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Each try has a pause of a second before it, and takes a second.
    let before = tries.load(Ordering::Relaxed);
    assert!((2..=4).contains(&before), "{before}");
    drop(finder);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(tries.load(Ordering::Relaxed), before);
}

#[tokio::test]
async fn reads_go_on_while_the_writer_is_down() {
    let (writer, replica) = (database().await, database().await);
    replica.repository().insert_schools(vec![school(1)]).await.expect("a school that fits");
    let config = Config::from_url(&nowhere(&writer).await).expect("a URL");
    let config = hasty(config.with_reader(&url_of(&replica).await).expect("a URL"));
    let pool = Pool::builder(postgres::manager(&config).expect("a server")).build().expect("a pool");
    let of_pool = PostgresRepository::from_pool(pool, &config).await.expect("the reader is enough");
    for finder in [open(&config).await, of_pool] {
        assert_eq!(total(&finder).await.expect("the reader answers"), 1);
        let refused = finder.insert_schools(vec![school(2)]).await.expect_err("the writer is down");
        assert!(matches!(refused, Error::Unavailable { .. }) && refused.is_retryable(), "{refused:?}");
        let refused = finder.position().await.expect_err("the writer is down");
        assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
        let servers = finder.health().await.expect("reads are served").servers.expect("two servers");
        assert_eq!((servers.writer.as_str(), servers.reader.as_str()), ("Unavailable", "usable"));
    }
}

#[tokio::test]
async fn a_start_fails_without_either_server_and_with_a_wrong_login() {
    let (writer, replica) = (database().await, database().await);
    let nowhere = nowhere(&writer).await;
    let neither = hasty(Config::from_url(&nowhere).expect("a URL").with_reader(&nowhere).expect("a URL"));
    let refused = connect(&neither).await.expect_err("neither");
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
    let url = url_of(&replica).await.replace("/school_finder_test_", "/no_school_finder_test_");
    let config = hasty(writer.config().clone().with_reader(&url).expect("a URL"));
    let refused = connect(&config).await.expect_err("no such database");
    assert!(matches!(refused, Error::Connect(ConnectError::UnknownDatabase { .. })), "{refused:?}");
    // The schema of a replica arrives a moment after the writer's, and here never.
    let config = with_reader(&writer, &replica).await;
    let newest =
        "DELETE FROM school_finder_migrations WHERE version = (SELECT max(version) FROM school_finder_migrations)";
    replica.execute(newest).await.expect("deleted");
    let refused = connect(&config).await.expect_err("an older schema");
    assert!(matches!(refused, Error::SchemaPending { pending: 1 }), "{refused:?}");
}

#[tokio::test]
async fn a_position_that_is_reached_is_read_at_the_reader() {
    let (writer, replica) = (database().await, database().await);
    let finder = connect(&with_reader(&writer, &replica).await).await.expect("both");
    finder.insert_schools(vec![school(1)]).await.expect("the writer takes it");
    // Both databases are of one server, so that it has reached each position of its own.
    let position = finder.position().await.expect("a position");
    assert_eq!(position.to_string().parse::<Position>().expect("its text"), position);
    assert_eq!(total(finder.at_least(&position).as_ref()).await.expect("an answer"), 0, "the replica's");
    let later = finder.position().await.expect("a position");
    assert_eq!(total(finder.at_least(&later).as_ref()).await.expect("an answer"), 0, "the replica's");
}

#[tokio::test]
async fn a_forged_position_costs_at_most_the_wait() {
    let (writer, replica) = (database().await, database().await);
    let mut config = with_reader(&writer, &replica).await;
    config.pool.reads_on_writer = 1;
    let finder = open(&config).await;
    finder.insert_schools(vec![school(1)]).await.expect("the writer takes it");
    total(&finder).await.expect("a warm connection");
    for (forged, least) in
        [("1-7fffffffffffffff", 50), ("ffffffff-1", 0), ("ffffffff-ffffffffffffffff", 50), ("0-0", 0)]
    {
        let position: Position = forged.parse().expect("a position");
        let view = finder.at_least(&position);
        let begun = Instant::now();
        let found = total(view.as_ref()).await.expect("an answer");
        let took = begun.elapsed();
        assert_eq!(found, u64::from(forged != "0-0"), "{forged}: the writer's, unless it is reached");
        assert!(took >= Duration::from_millis(least) && took < Duration::from_secs(1), "{forged}: {took:?}");
    }
    // Many at once are within the limit of the writer.
    let view = finder.at_least(&"1-7fffffffffffffff".parse().expect("a position"));
    let reads = futures_util::future::join_all((0..15).map(|_| total(view.as_ref()))).await;
    assert!(reads.iter().all(|total| matches!(total, Ok(1))), "{reads:?}");
    assert!(finder.pool_status().open <= 2, "{:?}", finder.pool_status());
}

/// A position of another backend is no reason to fail, nor to wait.
#[tokio::test]
async fn a_position_without_a_reader_is_always_reached() {
    let writer = database().await;
    let finder = open(writer.config()).await;
    for text in ["embedded", "ffffffff-ffffffffffffffff"] {
        let view = finder.at_least(&text.parse().expect("a position"));
        view.insert_schools(vec![school(if text == "embedded" { 1 } else { 2 })]).await.expect("the writer takes it");
        assert!(total(view.as_ref()).await.expect("an answer") > 0);
    }
}
