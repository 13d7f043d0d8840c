//! Reads of replicas: sessions that read their own writes, and what goes on while servers are away or late.

use std::time::{Duration, Instant};

use school_finder_db::migrate::Migrator;
use school_finder_db::postgres::PostgresRepository;
use school_finder_db::prelude::*;
use school_finder_db::{Config, SchoolSearch, connect};

use crate::replicas::group::Group;
use crate::servers::cluster::Stop;
use crate::support::{say, schools, until, urn};

/// The parameter of a reader's address.
const REPLICAS: &str = "load_balance_hosts=random";

/// The size of a page of the write-ahead log, and of the header of each.
const PAGE: i64 = 8_192;
const PAGE_HEADER: i64 = 24;

fn config(group: &Group, writers: &[usize], readers: &[usize], parameters: &str) -> Config {
    let writer = group.url(writers, parameters.trim_start_matches('&'));
    let config = Config::from_url(&writer).expect("a URL");
    let mut config = config.with_reader(&group.url(readers, &format!("{REPLICAS}{parameters}"))).expect("a URL");
    config.pool.connect_timeout = Duration::from_secs(2);
    config.pool.acquire_timeout = Duration::from_secs(2);
    config
}

async fn open(config: &Config) -> PostgresRepository {
    PostgresRepository::connect(config).await.expect("the servers")
}

async fn insert(finder: &dyn SchoolRepository, number: i64) {
    finder.insert_schools(schools(number..=number)).await.expect("a school that fits");
}

async fn has(finder: &dyn SchoolRepository, number: i64) -> bool {
    finder.school_by_urn(urn(number)).await.expect("an answer").is_some()
}

/// The place in the log of a position's text.
fn lsn(position: &str) -> i64 {
    i64::from_str_radix(position.split_once('-').expect("a timeline").1, 16).expect("a number")
}

/// Without a position some reads miss the write before them, which shows that this test can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_reads_its_own_writes() {
    let group = Group::start(2).await;
    let finder = open(&config(&group, &[0], &[1, 2], "")).await;
    let (mut stale_without, mut took) = (0, Vec::new());
    for number in 1..=1_000 {
        insert(&finder, number).await;
        stale_without += u32::from(!has(&finder, number).await);
        insert(&finder, 10_000 + number).await;
        let begun = Instant::now();
        let position = finder.position().await.expect("a position");
        assert!(has(finder.at_least(&position).as_ref(), 10_000 + number).await, "round {number}");
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    say(&format!(
        "stale of 1000: {stale_without} without a position, 0 with one; position and read took {:?} (p99 {:?})",
        took[500], took[990]
    ));
    assert!(stale_without > 0, "asynchronous replicas are late");
}

/// What is flushed may end where a page does. The place of the next record is then past the header of the next page,
/// which no replica receives before the next write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_at_the_end_of_a_page_is_reached() {
    let group = Group::start(1).await;
    let mut config = config(&group, &[0], &[1], "");
    // A read that the replica cannot serve fails.
    config.pool.reads_on_writer = 0;
    let finder = open(&config).await;
    let mut raw = group.raw(0).await;
    let place = "SELECT (pg_current_wal_insert_lsn() - '0/0')::text";
    let (mut hits, mut overhead) = (0, 0);
    for _ in 0..2_000 {
        let before: i64 = raw.texts(place).await.remove(0).parse().expect("a number");
        let left = PAGE - before % PAGE;
        let fits = overhead > 0 && left > overhead && left < PAGE - PAGE_HEADER;
        let length = if fits { left - overhead } else { 1_000 };
        raw.texts(&format!("SELECT pg_logical_emit_message(true, '', repeat('x', {length}))::text")).await;
        let position = finder.position().await.expect("a position");
        let flushed = lsn(&position.to_string());
        if !fits {
            // A record that crosses no page shows what a message takes beside its text.
            if left > 2_000 {
                overhead = flushed - before - length;
            }
            continue;
        }
        let inserted: i64 = raw.texts(place).await.remove(0).parse().expect("a number");
        if flushed % PAGE == 0 && inserted == flushed + PAGE_HEADER {
            hits += 1;
            finder.at_least(&position).councils().await.expect("the replica has it");
            if hits == 20 {
                return;
            }
        }
    }
    panic!("{hits} positions at the end of a page, each message takes {overhead} bytes more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_replica_is_passed_over() {
    let group = Group::start(1).await;
    let finder = open(&config(&group, &[0], &[1], "")).await;
    group.raw(1).await.execute("SELECT pg_wal_replay_pause()").await;
    insert(&finder, 1).await;
    let position = finder.position().await.expect("a position");
    for _ in 0..3 {
        let begun = Instant::now();
        assert!(has(finder.at_least(&position).as_ref(), 1).await, "the writer has it");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    assert!(!has(&finder, 1).await, "the replica does not");
    group.raw(1).await.execute("SELECT pg_wal_replay_resume()").await;
    until("the replica has it", async || has(&finder, 1).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_while_the_writer_is_stopped() {
    let mut group = Group::start(2).await;
    let config = config(&group, &[0], &[1, 2], "");
    let finder = open(&config).await;
    insert(&finder, 1).await;
    group.caught_up(0).await;
    let reads = tokio::spawn({
        let finder = finder.clone();
        async move {
            let mut count = 0_u32;
            let end = Instant::now() + Duration::from_secs(4);
            while Instant::now() < end {
                let total = finder.facets(&SchoolSearch::open()).await.map(|facets| facets.total);
                assert!(matches!(total, Ok(1)), "{total:?}");
                count += 1;
            }
            count
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    group.servers[0].stop(Stop::Kill);
    let refused = finder.insert_schools(schools(2..=2)).await.expect_err("no writer");
    assert!(refused.is_retryable(), "{refused:?}");
    let second = connect(&config).await.expect("a program that only reads starts");
    assert_eq!(second.facets(&SchoolSearch::open()).await.expect("a replica answers").total, 1);
    say(&format!("reads while the writer was killed: {}, none failed", reads.await.expect("none failed")));
    group.servers[0].restart();
    until("writes go on", async || finder.insert_schools(schools(2..=2)).await.is_ok()).await;
}

/// The replica ends while it is asked whether it has reached the position.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replica_fails_no_read_of_a_position() {
    let mut group = Group::start(1).await;
    let finder = open(&config(&group, &[0], &[1], "")).await;
    insert(&finder, 1).await;
    let position = finder.position().await.expect("a position");
    let view = finder.at_least(&position);
    let end = Instant::now() + Duration::from_secs(5);
    let reads = (0..4).map(|_| {
        let view = view.clone();
        tokio::spawn(async move {
            while Instant::now() < end {
                assert!(view.school_by_urn(urn(1)).await.expect("an answer").is_some());
            }
        })
    });
    let reads: Vec<_> = reads.collect();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        group.servers[1].stop(Stop::Kill);
        group.servers[1].restart();
    }
    for read in reads {
        read.await.expect("none failed");
    }
}

/// A replica of the old timeline may be further in the log than the new primary, without what that has written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_is_of_its_timeline() {
    let mut group = Group::start(3).await;
    let url = group.url(&[0], "");
    group.raw(0).await.execute("CREATE ROLE plain").await;
    Migrator::new(&Config::from_url(&url).expect("a URL")).grant("plain").await.expect("rights");
    let before = open(&config(&group, &[0], &[1, 2, 3], "")).await;
    insert(&before, 1).await;
    let old = before.position().await.expect("a position");
    group.caught_up(0).await;
    // The server 3 receives more than the others.
    for at in [1, 2] {
        group.servers[at].stop(Stop::Fast);
    }
    group.raw(0).await.execute("SELECT pg_logical_emit_message(true, '', repeat('x', 4000000))").await;
    group.caught_up(0).await;
    group.servers[0].stop(Stop::Kill);
    for at in [1, 2] {
        group.servers[at].restart();
    }
    group.promote(1).await;
    for (number, role) in [(2, ""), (3, "&options=-c%20role%3Dplain")] {
        let of_old = open(&config(&group, &[0, 1], &[3], role)).await;
        insert(&of_old, number).await;
        let new = of_old.position().await.expect("a position");
        assert!(new.to_string().starts_with("2-"), "{new}");
        assert!(lsn(&new.to_string()) < lsn(&old.to_string()) + 4_000_000, "the replica is further");
        assert!(!has(&of_old, number).await, "it does not have it");
        assert!(has(of_old.at_least(&new).as_ref(), number).await, "so the writer answers");
        let of_new = open(&config(&group, &[0, 1], &[2], role)).await;
        assert!(has(of_new.at_least(&new).as_ref(), number).await, "whoever answers");
        assert!(has(of_new.at_least(&old).as_ref(), 1).await, "the new timeline has what the old one had");
    }
    // A role that sees the receiver's timeline reads the replica at once.
    let mut config = config(&group, &[0, 1], &[2], "");
    config.pool.reads_on_writer = 0;
    let finder = open(&config).await;
    insert(&finder, 4).await;
    let new = finder.position().await.expect("a position");
    assert!(has(finder.at_least(&new).as_ref(), 4).await, "the replica has it");
}
