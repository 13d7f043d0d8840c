//! A primary and its streaming replicas: killed, frozen, promoted, cut off.

pub(crate) mod group;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::future::join_all;
use school_finder_db::error::ConnectError;
use school_finder_db::migrate;
use school_finder_db::postgres::{self, PostgresRepository};
use school_finder_db::prelude::*;
use school_finder_db::{Config, Error, SchoolSearch};

use self::group::Group;
use crate::raw::Raw;
use crate::servers::cluster::Stop;
use crate::support::{program, schools, succeeds, until};

/// How long an answer may take that waits for no timeout, on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(2);

const READER: &str = "application_name=reader&target_session_attrs=standby";

fn config(url: &str) -> Config {
    let mut config = Config::from_url(url).expect("an address");
    config.pool.max_size = 4;
    config
}

async fn reader(url: &str) -> PostgresRepository {
    PostgresRepository::connect(&config(url)).await.expect("a standby")
}

async fn total(finder: &PostgresRepository) -> Result<u64, Error> {
    Ok(finder.facets(&SchoolSearch::open()).await?.total)
}

/// Returns how long an answer took.
async fn timed(finder: &PostgresRepository) -> Duration {
    let begun = Instant::now();
    total(finder).await.expect("an answer");
    begun.elapsed()
}

/// Callers that read until they are stopped.
struct Readers {
    stopped: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    /// The longest time that an answer took, in milliseconds.
    slowest: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<Vec<Error>>>,
}

impl Readers {
    fn start(finder: &PostgresRepository) -> Self {
        let (stopped, answers, slowest) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::default());
        let read = || {
            let (finder, stopped, answers) = (finder.clone(), Arc::clone(&stopped), Arc::clone(&answers));
            let slowest = Arc::<AtomicU64>::clone(&slowest);
            tokio::spawn(async move {
                let mut errors = Vec::new();
                while !stopped.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let answer = total(&finder).await;
                    let took = begun.elapsed().as_millis().try_into().expect("less than the age of the universe");
                    slowest.fetch_max(took, Ordering::Relaxed);
                    match answer {
                        Ok(_) => drop(answers.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => errors.push(error),
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                errors
            })
        };
        let tasks = (0..4).map(|_| read()).collect();
        Self { stopped, answers, slowest, tasks }
    }

    /// Stops them, and checks that none of their reads failed. Returns how many there were.
    async fn expect_no_failure(self) -> u64 {
        self.stopped.store(true, Ordering::Relaxed);
        for task in self.tasks {
            let errors = task.await.expect("no panic");
            assert!(errors.is_empty(), "{} of {:?} failed: {errors:?}", errors.len(), self.answers);
        }
        self.answers.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replica_fails_no_read_and_is_used_again() {
    let mut group = Group::start(2).await;
    let mut config = config(&group.url(&[1, 2], &format!("{READER}&load_balance_hosts=random")));
    config.pool.max_lifetime = Duration::from_secs(2);
    let finder = PostgresRepository::connect(&config).await.expect("a standby");
    let readers = Readers::start(&finder);
    for _ in 0..2 {
        until("both serve", async || {
            !group.connections(1, "reader").await.is_empty() && !group.connections(2, "reader").await.is_empty()
        })
        .await;
        group.servers[2].stop(Stop::Kill);
        tokio::time::sleep(Duration::from_secs(1)).await;
        group.servers[2].restart();
    }
    until("both serve again", async || !group.connections(2, "reader").await.is_empty()).await;
    assert!(readers.expect_no_failure().await > 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_host_holds_up_one_answer_at_most() {
    let group = Group::start(2).await;
    let url = group.url(&[1, 2], READER);
    let warm = reader(&url).await;
    join_all((0..4).map(|_| total(&warm))).await;
    assert!(!group.connections(1, "reader").await.is_empty() && group.connections(2, "reader").await.is_empty());
    group.freeze(1);
    // A pool that had connections to it, and one that has none.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let first = timed(&warm).await;
    assert!(first < Duration::from_secs(10), "{first:?}");
    let begun = Instant::now();
    let fresh = reader(&url).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for finder in [&warm, &fresh] {
        let answers = join_all((0..4).map(|_| timed(finder))).await;
        assert!(answers.iter().all(|next| *next < AT_ONCE), "{answers:?}");
    }
    crate::support::say(&format!("a frozen host: the first answer after {first:?}"));
    group.thaw(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_dead_and_a_frozen_host_the_third_answers() {
    let mut group = Group::start(2).await;
    group.freeze(1);
    group.servers[2].stop(Stop::Kill);
    for (order, session) in [([1, 2, 0], "any"), ([2, 1, 0], "primary"), ([0, 1, 2], "prefer-standby")] {
        let begun = Instant::now();
        let finder = reader(&group.url(&order, &format!("target_session_attrs={session}"))).await;
        timed(&finder).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{session}: {:?}", begun.elapsed());
        let answers = join_all((0..4).map(|_| timed(&finder))).await;
        assert!(answers.iter().all(|next| *next < AT_ONCE), "{session}: {answers:?}");
    }
    group.thaw(1);
}

/// The timeouts are the defaults.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_its_replicas_dead_and_frozen_the_writer_answers() {
    let mut group = Group::start(2).await;
    let replicas = group.url(&[1, 2], &format!("{READER}&load_balance_hosts=random"));
    let config = Config::from_url(&group.url(&[0], "")).expect("an address");
    let finder = PostgresRepository::connect(&config.with_reader(&replicas).expect("an address")).await;
    let finder = finder.expect("all servers");
    join_all((0..15).map(|_| total(&finder))).await;
    for at in [1, 2] {
        assert!(!group.connections(at, "reader").await.is_empty(), "connections to both");
    }
    group.freeze(1);
    group.servers[2].stop(Stop::Kill);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let first = timed(&finder).await;
    assert!(first < Duration::from_secs(10), "{first:?}");
    // The reader is tried meanwhile.
    for _ in 0..6 {
        let answers = join_all((0..4).map(|_| timed(&finder))).await;
        assert!(answers.iter().all(|next| *next < AT_ONCE), "{answers:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    crate::support::say(&format!("replicas dead and frozen: the first answer after {first:?}"));
    assert_eq!(finder.reader_status().expect("a reader").open, 0);
    group.thaw(1);
    until("the reader is used again", async || {
        total(&finder).await.expect("an answer");
        finder.reader_status().expect("a reader").open > 0
    })
    .await;
}

/// The timeouts are the defaults. Of the four callers three wait for the frozen server, and one for their connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_freezes_under_load_fails_no_read() {
    let group = Group::start(2).await;
    let mut config = Config::from_url(&group.url(&[0], "")).expect("an address");
    config.pool.max_size = 3;
    let config = config.with_reader(&group.url(&[1, 2], READER)).expect("an address");
    let finder = PostgresRepository::connect(&config).await.expect("all servers");
    let readers = Readers::start(&finder);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!group.connections(1, "reader").await.is_empty() && group.connections(2, "reader").await.is_empty());
    group.freeze(1);
    until("the other replica serves", async || !group.connections(2, "reader").await.is_empty()).await;
    let slowest = Arc::clone(&readers.slowest);
    assert!(readers.expect_no_failure().await > 200);
    let slowest = Duration::from_millis(slowest.load(Ordering::Relaxed));
    assert!(slowest > Duration::from_secs(4) && slowest < Duration::from_secs(10), "{slowest:?}");
    crate::support::say(&format!("a replica freezes under load: the slowest answer after {slowest:?}"));
    group.thaw(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_are_chosen_by_their_role() {
    let mut group = Group::start(1).await;
    let serving = async |group: &Group, session: &str| {
        let url = group.url(&[0, 1], &format!("target_session_attrs={session}&application_name={session}"));
        let finder = PostgresRepository::connect(&config(&url)).await?;
        total(&finder).await.expect("an answer");
        let at_primary = !group.connections(0, session).await.is_empty();
        Ok::<_, Error>(at_primary)
    };
    for (session, at_primary) in
        [("any", true), ("read-write", true), ("primary", true), ("read-only", false), ("standby", false)]
    {
        assert_eq!(serving(&group, session).await.expect("a server"), at_primary, "{session}");
    }
    assert!(!serving(&group, "prefer-standby").await.expect("the standby"));
    for (at, role) in [(0, "primary"), (1, "standby")] {
        let health = reader(&group.url(&[at], "")).await.health().await.expect("it is usable");
        assert_eq!((health.role.as_str(), health.lag_ms.is_some()), (role, at == 1), "{health:?}");
        let reached = "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
            ELSE pg_current_wal_flush_lsn() END - '0/0')::text";
        let reached: i64 = group.raw(at).await.texts(reached).await.remove(0).parse().expect("a number");
        let position = health.position.expect("a position").to_string();
        let lsn = position.strip_prefix("1-").map(|lsn| i64::from_str_radix(lsn, 16).expect("a number"));
        // The server may have written a little since.
        assert!(lsn.is_some_and(|lsn| (reached - 1_000..=reached).contains(&lsn)), "{position} {reached:x}");
    }

    // A standby alone takes no writes, and says so.
    let standby = group.url(&[1], "");
    let finder = reader(&standby).await;
    let error = finder.insert_schools(schools(1..=1)).await.expect_err("it is a standby");
    assert!(matches!(error, Error::NotPrimary) && error.is_retryable(), "{error:?}");
    let error = migrate::up(&config(&format!("{standby}target_session_attrs=primary"))).await.expect_err("as asked");
    assert!(matches!(error, Error::NotPrimary), "{error:?}");
    let error = migrate::up(&config(&standby)).await.expect_err("a migration is for the primary");
    assert!(matches!(error, Error::NotPrimary), "{error:?}");
    migrate::status(&config(&standby)).await.expect("which may be read anywhere");

    group.servers[1].stop(Stop::Fast);
    assert!(serving(&group, "prefer-standby").await.expect("the primary"), "there is no standby");
    let error = serving(&group, "standby").await.expect_err("there is no standby");
    assert!(matches!(&error, Error::Connect(ConnectError::NoStandby { .. })) && error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("it is a primary"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_services_own_pool_leaves_a_promoted_standby() {
    let mut group = Group::start(1).await;
    let config = config(&group.url(&[1], READER));
    let pool = Pool::builder(postgres::manager(&config).expect("its settings")).max_size(1).build().expect("a pool");
    let finder = PostgresRepository::from_pool(pool, &config).await.expect("a standby");
    total(&finder).await.expect("an answer");
    group.servers[0].stop(Stop::Fast);
    group.promote(1).await;
    let error = total(&finder).await.expect_err("its only host is a primary now");
    assert!(matches!(&error, Error::Connect(ConnectError::NoStandby { .. })), "{error:?}");
}

/// Whether a write may fail so while the primary is killed and another is promoted.
fn is_of_failover(error: &Error) -> bool {
    let not_ready = matches!(error, Error::Connect(ConnectError::ServerNotReady { .. }));
    not_ready || matches!(error, Error::NotPrimary | Error::ConnectionLost | Error::CommitUnknown)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_after_a_promotion_and_reads_never_fail() {
    let mut group = Group::start(2).await;
    let writer = reader(&group.url(&[0, 1, 2], "application_name=writer")).await;
    let mut settings = config(&group.url(&[0, 1, 2], READER));
    settings.pool.max_lifetime = Duration::from_secs(3);
    let finder = PostgresRepository::connect(&settings).await.expect("a standby");
    let readers = Readers::start(&finder);
    let mut next = 1;
    let mut write = async || {
        next += 1;
        writer.insert_schools(schools(next..=next)).await
    };
    for (old, new) in [(0, 1), (1, 2)] {
        for _ in 0..20 {
            write().await.expect("there is a primary");
        }
        group.caught_up(old).await;
        group.servers[old].stop(if old == 0 { Stop::Kill } else { Stop::Fast });
        let mut errors = Vec::new();
        for _ in 0..5 {
            errors.push(write().await.expect_err("there is no primary"));
        }
        if new == 2 {
            group.follow(0, 2);
        }
        group.promote(new).await;
        let waited = until("writes go on", async || write().await.map_err(|error| errors.push(error)).is_ok()).await;
        assert!(errors.iter().all(is_of_failover), "{errors:?}");
        assert!(errors.iter().any(|error| matches!(error, Error::NotPrimary)), "{errors:?}");
        assert!(waited < Duration::from_secs(5), "{waited:?}");
        until("the readers leave the new primary", async || group.connections(new, "reader").await.is_empty()).await;
    }
    assert!(readers.expect_no_failure().await > 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_a_standby_cancels_are_retried() {
    let group = Group::start(1).await;
    group.set(1, "max_standby_streaming_delay", "0").await;
    let primary = reader(&group.url(&[0], "")).await;
    primary.insert_schools(schools(1..=2_000)).await.expect("schools that fit");
    group.caught_up(0).await;
    let finder = reader(&group.url(&[1], READER)).await;
    let cancelled = async || {
        let sql = "SELECT (confl_lock + confl_snapshot)::text FROM pg_stat_database_conflicts
            WHERE datname = current_database()";
        group.raw(1).await.texts(sql).await.remove(0).parse::<u64>().expect("a number")
    };
    let readers = Readers::start(&finder);
    let mut raw = group.raw(0).await;
    let lock = "BEGIN; LOCK TABLE schools IN ACCESS EXCLUSIVE MODE; COMMIT";
    until("ten reads are cancelled", async || {
        for _ in 0..5 {
            raw.execute(lock).await;
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        cancelled().await >= 10
    })
    .await;
    assert!(readers.expect_no_failure().await > 0);

    // A query of one's own is not repeated, and its error says what to do.
    let own = tokio::spawn(async move {
        let sleep = "SELECT pg_sleep(20) FROM schools LIMIT 1";
        finder.with_connection(async |c: &mut AsyncPgConnection| Ok(c.batch_execute(sleep).await?)).await
    });
    until("it sleeps", async || {
        let sql = "SELECT 'yes' FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        !group.raw(1).await.texts(sql).await.is_empty()
    })
    .await;
    raw.execute(lock).await;
    let error = own.await.expect("no panic").expect_err("it was cancelled");
    assert!(matches!(error, Error::RecoveryConflict) && error.is_retryable(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_eight_migrators_one_finds_the_primary_and_migrates() {
    let group = Group::start(2).await;
    Raw::open(&group.servers[0].url("postgres")).await.execute("CREATE DATABASE fresh").await;
    group.caught_up(0).await;
    let url = group.url_of("fresh", &[1, 2, 0], "");
    let migrators: Vec<_> =
        (0..8).map(|_| program(&url, &["migrate", "up"]).spawn().expect("the program runs")).collect();
    let applied = migrators.into_iter().map(|migrator| {
        let output = migrator.wait_with_output().expect("its end");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).contains("create_schools")
    });
    assert_eq!(applied.filter(|applied| *applied).count(), 1);
    group.caught_up(0).await;
    for at in [1, 2] {
        succeeds(program(&group.url_of("fresh", &[at], ""), &["migrate", "status"]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_follows_nobody_is_left_and_a_quiet_one_is_not() {
    let group = Group::start(2).await;
    for at in [1, 2] {
        group.set(at, "wal_receiver_timeout", "2s").await;
    }
    let mut config = config(&group.url(&[1, 2], READER));
    config.pool.max_lag = Some(Duration::from_secs(1));
    let finder = PostgresRepository::connect(&config).await.expect("a standby");
    total(&finder).await.expect("an answer");
    // A quiet night: nothing is written, and the primary has nothing to say.
    let before = group.connections(1, "reader").await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(600)).await;
        total(&finder).await.expect("an answer");
    }
    assert_eq!((group.connections(1, "reader").await, before.len()), (before, 1));
    // After it, the first write is a moment's lag, and not the night's.
    group.raw(0).await.execute("DELETE FROM schools").await;
    total(&finder).await.expect("an answer");

    group.set(1, "primary_conninfo", "").await;
    until("it is left for the other", async || {
        total(&finder).await.expect("an answer");
        group.connections(1, "reader").await.is_empty()
    })
    .await;
    group.set(1, "primary_conninfo", &group.servers[0].replication_address()).await;

    // One that receives and does not apply.
    group.raw(2).await.execute("SELECT pg_wal_replay_pause()").await;
    group.raw(0).await.execute("CREATE TABLE unapplied ()").await;
    until("it is left for the first", async || {
        total(&finder).await.expect("an answer");
        group.connections(2, "reader").await.is_empty()
    })
    .await;
    config.target = Config::from_url(&group.url(&[2], READER)).expect("an address").target;
    let error = PostgresRepository::connect(&config).await.expect_err("it is behind");
    assert!(error.to_string().contains("behind its primary"), "{error}");

    // Without the right to see it, a limit is refused and not ignored.
    group.raw(0).await.execute("CREATE ROLE blind LOGIN PASSWORD 'faults'").await;
    let url = group.url(&[1], READER).replace("postgres:faults@", "blind:faults@");
    config.target = Config::from_url(&url).expect("an address").target;
    until("the role is there", async || {
        let error = PostgresRepository::connect(&config).await.expect_err("it may not see it");
        let is_denied = matches!(error, Error::PermissionDenied { .. });
        assert!(!is_denied || error.to_string().contains("GRANT pg_read_all_stats"), "{error}");
        is_denied
    })
    .await;
}
