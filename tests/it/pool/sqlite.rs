//! Connections to the file.

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Double, Integer, Nullable, Text};
use school_finder_db::config::{Backend, PoolMode};
use school_finder_db::prelude::*;
use school_finder_db::request::WriteMode;
use school_finder_db::sqlite::SqliteRepository;
use school_finder_db::sqlite::functions::haversine;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Config, Error, SchoolSearch, sample};

use super::{runtime, schools_that_wait};
use crate::support::{school, until};

fn pragma(connection: &mut SqliteConnection, sql: &str) -> i32 {
    diesel::dsl::sql::<Integer>(sql).get_result(connection).expect("a pragma")
}

async fn database() -> TestDatabase {
    TestDatabase::new(Backend::Sqlite).await.expect("a database")
}

async fn open(config: &Config) -> SqliteRepository {
    SqliteRepository::connect(config).await.expect("the database")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_of_the_pool_is_set_up() {
    let database = database().await;
    let mut config = database.config().clone();
    config.pool.max_size = 6;
    config.pool.busy_timeout = Duration::from_millis(1_234);
    // One that is not made in time would leave the others waiting for it.
    config.pool.acquire_timeout = Duration::from_secs(60);
    let repository = open(&config).await;
    let all_taken = Arc::new(Barrier::new(6));
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let (repository, all_taken) = (repository.clone(), Arc::clone(&all_taken));
            tokio::spawn(async move {
                let check = move |connection: &mut SqliteConnection| {
                    all_taken.wait();
                    assert_eq!(pragma(connection, "SELECT foreign_keys FROM pragma_foreign_keys"), 1);
                    assert_eq!(pragma(connection, "SELECT timeout FROM pragma_busy_timeout"), 1_234);
                    assert_eq!(pragma(connection, "SELECT trusted_schema FROM pragma_trusted_schema"), 0);
                    // FULL: the log is synced before a commit returns.
                    assert_eq!(pragma(connection, "SELECT synchronous FROM pragma_synchronous"), 2);
                    let mode: String = diesel::dsl::sql::<Text>("SELECT journal_mode FROM pragma_journal_mode")
                        .get_result(connection)?;
                    assert_eq!(mode, "wal");
                    let km: Option<f64> = diesel::select(haversine(52.0, -0.7, 52.0, -0.7)).get_result(connection)?;
                    assert_eq!(km, Some(0.0));
                    Ok(())
                };
                repository.with_connection(check).await.expect("a ready connection");
            })
        })
        .collect();
    for call in calls {
        call.await.expect("all six at once");
    }
}

/// A service that is stopped has its writes whole, or not at all.
#[test]
fn a_dropped_runtime_waits_for_a_running_write() {
    let (dropped, other) = (runtime(), runtime());
    let database = other.block_on(database());
    let repository = dropped.block_on(open(database.config()));
    let (schools, reached, go) = schools_that_wait(3, 2);
    dropped.spawn(async move { repository.upsert_schools(Box::new(schools), WriteMode::Commit).await });
    reached.recv().expect("it begins");
    // A task that never ends is dropped once the runtime is ending, and only then does the write go on.
    dropped.spawn(async move {
        let _go = go;
        std::future::pending::<()>().await;
    });
    drop(dropped);
    let schools = other.block_on(database.repository().facets(&SchoolSearch::open())).expect("counts").total;
    assert_eq!(schools, 3);
}

#[tokio::test]
async fn foreign_keys_turned_off_by_a_call_are_on_for_the_next() {
    for mode in [PoolMode::Pooled, PoolMode::Single] {
        let database = database().await;
        let mut config = database.config().clone().with_mode(mode);
        config.pool.max_size = 1;
        let repository = open(&config).await;
        repository.with_connection(|c| Ok(c.batch_execute("PRAGMA foreign_keys = OFF")?)).await.expect("off");
        let on = |c: &mut SqliteConnection| Ok(pragma(c, "SELECT foreign_keys FROM pragma_foreign_keys"));
        assert_eq!(repository.with_connection(on).await.expect("a pragma"), 1, "{mode:?}");
    }
}

#[tokio::test]
async fn the_sql_function_is_the_rust_function() {
    let repository = open(&Config::in_memory()).await;
    let number = |sql: &'static str| {
        let repository = repository.clone();
        async move {
            let query = diesel::dsl::sql::<Nullable<Double>>(sql);
            repository.with_connection(move |connection| Ok(query.get_result::<Option<f64>>(connection)?)).await
        }
    };
    let expected = school_finder_db::geo::haversine(52.0406, -0.7594, 51.5, 1.25);
    assert_eq!(number("SELECT haversine(52.0406, -0.7594, 51.5, 1.25)").await.expect("a number"), Some(expected));
    assert_eq!(
        number("SELECT haversine(0, 0, 0, 180)").await.expect("whole numbers too").map(f64::round),
        Some(20_015.0)
    );
    for null in [
        "SELECT haversine(NULL, 0, 0, 0)",
        "SELECT haversine(0, NULL, 0, 0)",
        "SELECT haversine(0, 0, NULL, 0)",
        "SELECT haversine(0, 0, 0, NULL)",
        "SELECT haversine(1e999, 0, 0, 0)",
        "SELECT haversine(0, 0, -1e999, 1e999)",
    ] {
        assert_eq!(number(null).await.expect("NULL"), None, "{null}");
    }
    for refused in
        ["SELECT haversine('x', NULL, 1e999, 0)", "SELECT haversine(0, 0, x'00', 0)", "SELECT haversine(0, 0, 0)"]
    {
        assert!(number(refused).await.is_err(), "{refused}");
    }
    // Deterministic: SQLite lets nothing else into an index.
    let index = "CREATE TABLE t (x DOUBLE); CREATE INDEX i ON t (haversine(x, 0, 0, 0));";
    let error = repository.with_connection(move |c| Ok(c.batch_execute(index)?)).await.expect_err("not from a schema");
    assert!(
        error.to_string().contains("unsafe use of haversine"),
        "a schema that is not trusted may not call it: {error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exhausted_pool_is_a_pool_timeout() {
    let database = database().await;
    let mut config = database.config().clone();
    config.pool.max_size = 2;
    config.pool.acquire_timeout = Duration::from_millis(200);
    let repository = open(&config).await;
    let (taken, release) = (Arc::new(Barrier::new(3)), Arc::new(Barrier::new(3)));
    let holders: Vec<_> = (0..2)
        .map(|_| {
            let (repository, taken, release) = (repository.clone(), Arc::clone(&taken), Arc::clone(&release));
            tokio::spawn(async move {
                let hold = move |_: &mut SqliteConnection| {
                    taken.wait();
                    release.wait();
                    Ok(())
                };
                // The second connection is made for its first call, which may take longer than a call waits.
                loop {
                    match repository.with_connection(hold.clone()).await {
                        Err(Error::PoolTimeout { .. }) => {}
                        outcome => break outcome,
                    }
                }
            })
        })
        .collect();
    tokio::task::spawn_blocking(move || taken.wait()).await.expect("both are taken");
    let begun = Instant::now();
    let error = repository.councils().await.expect_err("none is free");
    assert!(matches!(error, Error::PoolTimeout { waited_ms: 200 }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    tokio::task::spawn_blocking(move || release.wait()).await.expect("both are free again");
    for holder in holders {
        holder.await.expect("no panic").expect("it held on");
    }
    repository.councils().await.expect("and the next call is served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_single_connection_is_a_pool_timeout() {
    let mut config = Config::in_memory();
    config.pool.acquire_timeout = Duration::from_millis(200);
    let repository = open(&config).await;
    let (taken, release) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let holder = tokio::spawn({
        let (repository, taken, release) = (repository.clone(), Arc::clone(&taken), Arc::clone(&release));
        async move {
            let hold = move |_: &mut SqliteConnection| {
                taken.wait();
                release.wait();
                Ok(())
            };
            repository.with_connection(hold).await
        }
    });
    tokio::task::spawn_blocking(move || taken.wait()).await.expect("it is taken");
    assert_eq!(repository.pool_status().idle, 0);
    let error = repository.councils().await.expect_err("it is not free");
    assert!(matches!(error, Error::PoolTimeout { waited_ms: 200 }), "{error:?}");
    tokio::task::spawn_blocking(move || release.wait()).await.expect("it is free again");
    holder.await.expect("no panic").expect("it held on");
    repository.councils().await.expect("and the next call is served");
}

/// Where a disk fails SQLite ends a transaction itself, which Diesel learns from a ROLLBACK that fails.
#[tokio::test]
async fn a_transaction_rolled_back_by_sqlite_breaks_no_connection() {
    for mode in [PoolMode::Pooled, PoolMode::Single, PoolMode::PerCall] {
        let database = database().await;
        let mut config = database.config().clone().with_mode(mode);
        config.pool.max_size = 1;
        let repository = open(&config).await;
        let ended = repository
            .with_connection(|connection| {
                connection.transaction(|connection| {
                    connection.batch_execute("ROLLBACK")?;
                    Err::<(), _>(Error::StorageFull)
                })
            })
            .await;
        assert!(ended.is_err());
        // Where a panic passes by, Diesel still takes the transaction for open.
        let panics = |connection: &mut SqliteConnection| {
            connection.transaction::<(), Error, _>(|connection| {
                connection.batch_execute("ROLLBACK")?;
                panic!("on purpose")
            })
        };
        let shared = repository.clone();
        let panicked = tokio::spawn(async move { shared.with_connection(panics).await }).await;
        assert!(panicked.expect_err("a panic").is_panic());
        assert_eq!(repository.insert_schools(sample::schools()).await.expect("so is a write").len(), 27);
    }
}

#[tokio::test]
async fn a_timeout_of_forever_is_a_long_timeout() {
    let database = database().await;
    let mut config = database.config().clone();
    (config.pool.acquire_timeout, config.pool.busy_timeout) = (Duration::MAX, Duration::MAX);
    let repository = open(&config).await;
    let timeout =
        repository.with_connection(|connection| Ok(pragma(connection, "SELECT timeout FROM pragma_busy_timeout")));
    assert_eq!(timeout.await.expect("a pragma"), i32::MAX);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_of_zero_does_not_wait() {
    for mode in [PoolMode::Pooled, PoolMode::Single] {
        let database = database().await;
        let mut config = database.config().clone().with_mode(mode);
        config.pool.max_size = 1;
        config.pool.acquire_timeout = Duration::ZERO;
        let repository = open(&config).await;
        repository.councils().await.expect("a connection that is free");
        let (is_taken, release) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let holder = tokio::spawn({
            let (repository, is_taken, release) = (repository.clone(), Arc::clone(&is_taken), Arc::clone(&release));
            let hold = move |_: &mut SqliteConnection| {
                is_taken.wait();
                release.wait();
                Ok(())
            };
            async move { repository.with_connection(hold).await }
        });
        tokio::task::spawn_blocking(move || is_taken.wait()).await.expect("taken");
        let outcome = repository.councils().await;
        assert!(matches!(outcome, Err(Error::PoolTimeout { waited_ms: 0 })), "{mode:?}: {outcome:?}");
        tokio::task::spawn_blocking(move || release.wait()).await.expect("released");
        holder.await.expect("no panic").expect("held");
    }
}

#[tokio::test]
async fn a_panic_rolls_back_and_connections_stay_usable() {
    for mode in [PoolMode::Pooled, PoolMode::Single, PoolMode::PerCall] {
        let database = database().await;
        let mut config = database.config().clone().with_mode(mode);
        config.pool.max_size = 1;
        let repository = open(&config).await;
        repository.insert_schools(vec![school(1)]).await.expect("a school");
        let of_diesel = |connection: &mut SqliteConnection| {
            connection.immediate_transaction(|connection| {
                connection.batch_execute("DELETE FROM schools")?;
                panic!("in the middle of a transaction");
            })
        };
        let by_hand = |connection: &mut SqliteConnection| {
            connection.batch_execute("BEGIN IMMEDIATE; DELETE FROM schools")?;
            panic!("in the middle of a transaction that Diesel does not know of");
        };
        for work in [of_diesel as fn(&mut SqliteConnection) -> Result<(), Error>, by_hand] {
            let panicking = repository.clone();
            let call = tokio::spawn(async move { panicking.with_connection(work).await });
            assert!(call.await.expect_err("the panic is passed on").is_panic());
            let total = repository.facets(&SchoolSearch::open()).await.expect("a result").total;
            assert_eq!(total, 1, "{mode:?}");
        }
        repository.insert_schools(sample::schools()).await.unwrap_or_else(|error| panic!("{mode:?}: {error}"));
        let page = repository.find_schools(&SchoolSearch::open().limit(1_000)).await.expect("a result");
        assert_eq!(page.items.len(), 26, "{mode:?}");
    }
}

/// A new connection that cannot be made fails one call, in time, and costs the pool nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_connection_is_reported_and_opened_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, away) = (folder.path().join("schools.db"), folder.path().join("away.db"));
    let mut config = Config::sqlite_file(&path);
    school_finder_db::migrate::up(&config).await.expect("a schema");
    config.pool.max_size = 3;
    // Long enough for the attempt to fail within it, so that the call returns its error.
    config.pool.acquire_timeout = Duration::from_secs(2);
    let repository = open(&config).await;
    // The pool has one connection, and would like to have a spare one as soon as that is taken.
    assert_eq!(repository.pool_status().open, 1);
    std::fs::rename(&path, &away).expect("moved");
    let ((taken, is_taken), (release, is_released)) = (channel(), channel::<()>());
    let holder = tokio::spawn({
        let repository = repository.clone();
        async move {
            let hold = move |_: &mut SqliteConnection| {
                taken.send(()).expect("somebody waits");
                // Ends with the test, however that ends.
                let _ = is_released.recv();
                Ok(())
            };
            repository.with_connection(hold).await
        }
    });
    tokio::task::spawn_blocking(move || is_taken.recv()).await.expect("no panic").expect("it is taken");
    let begun = Instant::now();
    let error = repository.councils().await.expect_err("there is no file");
    assert!(matches!(&error, Error::CannotOpen { path: named, .. } if *named == path), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    std::fs::rename(&away, &path).expect("moved back");
    drop(release);
    holder.await.expect("no panic").expect("it held on");
    // It tries again by itself, a few times a second: to have a spare one, and for the call that waited in vain.
    until("it has all its connections", async || repository.pool_status().open == 3).await;
    repository.councils().await.expect("and the next call is served");
}

#[tokio::test]
async fn a_database_in_memory_is_one_database() {
    let repository = open(&Config::from_url("sqlite::memory:").expect("a database")).await;
    repository.insert_schools(sample::schools()).await.expect("schools that fit");
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let repository = repository.clone();
            tokio::spawn(async move { repository.find_schools(&SchoolSearch::open()).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("no panic").expect("a result").items.len(), 20);
    }
    let other = open(&Config::in_memory()).await;
    assert!(other.find_schools(&SchoolSearch::open()).await.expect("a result").items.is_empty(), "a new one is empty");
}

#[tokio::test]
async fn a_locked_database_is_busy_until_it_is_unlocked() {
    let database = database().await;
    let mut config = database.config().clone();
    config.pool.busy_timeout = Duration::from_millis(50);
    let repository = open(&config).await;
    let mut locker = crate::support::raw::Raw::open(&crate::support::raw::url_of(&database).await).await;
    locker.execute("BEGIN EXCLUSIVE").await;
    let error = repository.insert_schools(sample::schools()).await.expect_err("locked");
    assert!(matches!(error, Error::Busy), "{error:?}");
    // In write-ahead mode a writer does not keep readers out.
    repository.find_schools(&SchoolSearch::open()).await.expect("a result");
    drop(locker);
    repository.insert_schools(sample::schools()).await.expect("free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_and_then_writing_loses_no_update() {
    let database = database().await;
    let repository = open(database.config()).await;
    let create = "CREATE TABLE counter (n INTEGER NOT NULL); INSERT INTO counter VALUES (0);";
    repository.with_connection(move |c| Ok(c.batch_execute(create)?)).await.expect("a counter");
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let repository = repository.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    let add = |connection: &mut SqliteConnection| {
                        connection.immediate_transaction(|connection| {
                            let n = pragma(connection, "SELECT n FROM counter");
                            diesel::sql_query("UPDATE counter SET n = ?")
                                .bind::<Integer, _>(n + 1)
                                .execute(connection)?;
                            Ok(())
                        })
                    };
                    repository.with_connection(add).await.expect("never BUSY_SNAPSHOT");
                }
            })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic");
    }
    let n = repository.with_connection(|c| Ok(pragma(c, "SELECT n FROM counter"))).await.expect("the counter");
    assert_eq!(n, 200);
}
