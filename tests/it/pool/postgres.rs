//! Connections of the server's pool.

use std::time::{Duration, Instant};

use diesel::dsl::sql;
use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use school_finder_db::models::{ClubKind, Phase};
use school_finder_db::postgres::PostgresRepository;
use school_finder_db::prelude::*;
use school_finder_db::request::{ClubFilter, WriteMode};
use school_finder_db::{Config, Error, SchoolSearch, Sort, connect, sample};

use super::{runtime, schools_that_wait};
use crate::support::raw::{Raw, url_of};
use crate::support::server::{database, execute, number, open};
use crate::support::{school, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exhausted_pool_is_a_pool_timeout() {
    let database = database().await;
    let mut config = database.config().clone();
    config.pool.max_size = 1;
    config.pool.acquire_timeout = Duration::from_millis(200);
    let repository = open(&config).await;
    let begun = Instant::now();
    let outcome = repository.with_connection(async |_: &mut AsyncPgConnection| repository.councils().await).await;
    assert!(matches!(outcome, Err(Error::PoolTimeout { waited_ms: 200 })), "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    repository.councils().await.expect("and the next call is served");
}

#[tokio::test]
async fn statements_and_locks_have_timeouts() {
    let database = database().await;
    let mut config = database.config().clone();
    config.pool.statement_timeout = Duration::from_secs(2);
    let hasty = open(&config).await;
    assert!(matches!(execute(&hasty, "SELECT pg_sleep(60)").await, Err(Error::Timeout)));
    // By a repository of its own: a busy machine may take seconds over a write.
    let mut config = database.config().clone();
    config.pool.busy_timeout = Duration::from_millis(100);
    let repository = open(&config).await;
    let other = open(database.config()).await;
    let hold = async |c: &mut AsyncPgConnection| {
        c.batch_execute("BEGIN; LOCK TABLE schools IN EXCLUSIVE MODE").await?;
        let refused = repository.insert_schools(sample::schools()).await;
        assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
        Ok(c.batch_execute("ROLLBACK").await?)
    };
    other.with_connection(hold).await.expect("the lock was held");
    assert_eq!(repository.insert_schools(sample::schools()).await.expect("free again").len(), 27);
}

#[tokio::test]
async fn a_dropped_future_leaves_no_transaction_open() {
    let database = database().await;
    let mut config = database.owner().clone();
    config.pool.max_size = 1;
    config.pool.acquire_timeout = Duration::from_secs(30);
    let repository = open(&config).await;
    for dropped_after in [0, 1, 3, 7, 15, 40] {
        let schools = (1..=2_000).map(|number| school(dropped_after * 10_000 + number)).collect();
        let call = repository.insert_schools(schools);
        let _ = tokio::time::timeout(Duration::from_millis(u64::try_from(dropped_after).expect("small")), call).await;
        // The one connection comes back when the write has ended, whole or not begun.
        let total = repository.facets(&SchoolSearch::open()).await.expect("counts").total;
        assert_eq!(total % 2_000, 0, "after {dropped_after} ms");
    }
    // A server's process whose client is gone ends a moment later.
    let mut raw = Raw::open(&url_of(&database).await).await;
    let open = "SELECT query FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    until("no transaction is left open", async || raw.texts(open).await.is_empty()).await;
}

/// A service that is stopped has its writes whole, or not at all.
#[test]
fn a_dropped_runtime_rolls_back_a_running_write() {
    let (dropped, other) = (runtime(), runtime());
    let database = other.block_on(database());
    let repository = dropped.block_on(open(database.config()));
    // Schools are read 2,000 at a time, and two such batches may wait: by the fifth, the first has been inserted.
    let (schools, reached, go) = schools_that_wait(10_000, 8_001);
    dropped.spawn(async move { repository.upsert_schools(Box::new(schools), WriteMode::Commit).await });
    reached.recv().expect("it begins");
    dropped.shutdown_background();
    drop(go);
    // Whoever inserts one of them waits for the end of the transaction that holds its URN, and would be refused had
    // that committed.
    other.block_on(database.repository().insert_schools(vec![school(1)])).expect("undone");
    let schools = other.block_on(database.repository().facets(&SchoolSearch::open())).expect("counts").total;
    assert_eq!(schools, 1);
}

#[tokio::test]
async fn unreachable_servers_are_reported_without_secrets() {
    for url in [
        "postgres://finder:s3cr3t%21@127.0.0.1:1/schools",
        "postgres://finder:s3cr3t%21@no.such.host.invalid/schools",
        "postgres://finder:s3cr3t%21@localhost:1/schools?sslmode=verify-full",
    ] {
        let mut config = Config::from_url(url).expect("a server");
        config.pool.connect_timeout = Duration::from_secs(1);
        let begun = Instant::now();
        let error = connect(&config).await.expect_err("nobody is there");
        assert!(matches!(error, Error::Unavailable { .. } | Error::InvalidSetting { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("s3cr3t"));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    // The right server and the wrong password.
    let database = database().await;
    let url = std::env::var("TEST_DATABASE_URL").expect("the server");
    if let Some((before, after)) = url.split_once('@')
        && let Some((user, _)) = before.rsplit_once(':')
    {
        let wrong = Config::from_url(&format!("{user}:s3cr3t%21@{after}")).expect("a server");
        if let Err(error) = connect(&wrong).await {
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error}");
        }
    }
    drop(database);
}

#[tokio::test]
async fn connections_are_set_up() {
    let database = database().await;
    let repository = open(database.config()).await;
    for (setting, value) in [
        ("statement_timeout", "30s"),
        ("lock_timeout", "5s"),
        ("plan_cache_mode", "force_generic_plan"),
        ("application_name", "school-finder-db"),
        ("max_parallel_workers_per_gather", "0"),
    ] {
        let shown = async |c: &mut AsyncPgConnection| {
            Ok(sql::<Text>("SELECT current_setting(").bind::<Text, _>(setting).sql(")").get_result::<String>(c).await?)
        };
        assert_eq!(repository.with_connection(shown).await.expect("a setting"), value, "{setting}");
    }
}

/// Each search with other conditions is another statement, which the server plans and keeps.
#[tokio::test]
async fn a_connection_caches_a_bounded_number_of_statements() {
    let database = database().await;
    let mut config = database.config().clone();
    config.pool.max_size = 1;
    let repository = open(&config).await;
    let prepared = async || number(&repository, "SELECT count(*)::float8 FROM pg_prepared_statements").await;
    let connected = async || number(&repository, "SELECT pg_backend_pid()::float8").await.expect("a server process");
    let first = connected().await;
    let mut most = 0.0;
    for round in 0..3_u8 {
        for clubs in 0..=10 {
            for lists in 0..9_u8 {
                let mut search = SchoolSearch::open();
                search.sort = [Sort::Name, Sort::Rating, Sort::Name][usize::from(round)];
                search.filter.age = (round == 2).then_some(7);
                search.filter.clubs = vec![ClubFilter { kind: ClubKind::Breakfast, on: None, until: None }; clubs];
                search.filter.councils = (0..lists % 3).map(|n| format!("council {n}")).collect();
                search.filter.phases = [Phase::Primary, Phase::Secondary][..usize::from(lists / 3)].to_vec();
                repository.find_schools(&search).await.expect("a result");
            }
            most = f64::max(most, prepared().await.expect("a number").expect("a number"));
        }
    }
    assert!((100.0..=256.0).contains(&most), "{most} statements");
    assert_ne!(connected().await, first, "the first connection was closed");
}

#[tokio::test]
async fn a_timeout_of_forever_is_a_long_timeout() {
    let database = database().await;
    let mut config = database.config().clone();
    let pool = &mut config.pool;
    (pool.acquire_timeout, pool.statement_timeout, pool.busy_timeout) = (Duration::MAX, Duration::MAX, Duration::MAX);
    pool.connect_timeout = Duration::MAX;
    let repository = open(&config).await;
    repository.councils().await.expect("a result");
    for setting in ["statement_timeout", "lock_timeout"] {
        assert_eq!(milliseconds(&repository, setting).await, f64::from(i32::MAX), "{setting}");
    }
}

/// To the server zero is for ever.
#[tokio::test]
async fn a_timeout_below_the_resolution_is_the_shortest() {
    let database = database().await;
    let mut config = database.config().clone();
    config.pool.busy_timeout = Duration::ZERO;
    let repository = open(&config).await;
    assert_eq!(milliseconds(&repository, "lock_timeout").await, 1.0);
    config.pool.busy_timeout = Duration::from_micros(10);
    config.pool.statement_timeout = Duration::ZERO;
    let repository = open(&config).await;
    assert_eq!(milliseconds(&repository, "lock_timeout").await, 1.0);
    assert_eq!(milliseconds(&repository, "statement_timeout").await, 0.0, "as long as it likes");
}

async fn milliseconds(repository: &PostgresRepository, setting: &str) -> f64 {
    let query = format!("SELECT setting::float8 FROM pg_settings WHERE name = '{setting}'");
    number(repository, &query).await.expect("a result").expect("a setting")
}
