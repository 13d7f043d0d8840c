//! Units of work: several calls in one transaction.

use std::sync::Arc;
use std::time::Duration;

use school_finder_db::models::{NewSchool, SchoolPatch};
#[cfg(feature = "postgres")]
use school_finder_db::postgres::PostgresRepository;
use school_finder_db::prelude::*;
use school_finder_db::request::WriteMode;
#[cfg(feature = "sqlite")]
use school_finder_db::sqlite::SqliteRepository;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Config, Error, Result, SchoolSearch, UnitOfWork, connect};

use super::on_every_backend;
use crate::support::{school, urn};

on_every_backend! {
    a_unit_is_committed_as_a_whole,
    a_dropped_unit_is_rolled_back,
    a_failed_call_leaves_the_unit_as_it_was,
    a_savepoint_rolls_back_what_came_after_it,
    a_unit_that_ended_says_why,
    a_cancelled_task_rolls_its_unit_back,
    own_queries_run_in_the_unit,
    a_closure_is_committed_if_it_succeeds,
    two_tasks_of_one_unit_take_turns,
}

/// A repository of the database with a pool.
async fn pooled(database: &TestDatabase, change: impl FnOnce(&mut Config)) -> Arc<dyn SchoolRepository> {
    let mut config = database.config().clone();
    change(&mut config);
    connect(&config).await.expect("a repository")
}

async fn count(finder: &dyn CountSchools) -> u64 {
    finder.facets(&SchoolSearch::open()).await.expect("counts").total
}

fn schools(numbers: std::ops::RangeInclusive<i64>) -> Vec<NewSchool> {
    numbers.map(school).collect()
}

async fn a_unit_is_committed_as_a_whole(database: &TestDatabase) {
    let finder = pooled(database, |_| ()).await;
    let unit = finder.begin().await.expect("a unit");
    unit.insert_schools(schools(1..=3)).await.expect("schools");
    let one = unit.school_by_urn(urn(1)).await.expect("a result").expect("it reads what it wrote");
    let patch = SchoolPatch { name: Some("Renamed".to_owned()), ..SchoolPatch::default() };
    unit.update_school(one.id, one.version, patch).await.expect("an update");
    let upserted = unit.upsert_schools(Box::new(schools(3..=4).into_iter().map(Ok)), WriteMode::Commit);
    assert_eq!(upserted.await.expect("an upsert").inserted, 1);
    assert_eq!((count(&*unit).await, count(finder.as_ref()).await), (4, 0), "others do not see it yet");
    unit.commit().await.expect("a commit");
    assert_eq!(count(finder.as_ref()).await, 4);
    assert_eq!(finder.school_by_urn(urn(1)).await.expect("a result").expect("it").name, "Renamed");
    // Its connection is back in the pool, and is as before.
    finder.insert_schools(schools(9..=9)).await.expect("a school");
}

async fn a_dropped_unit_is_rolled_back(database: &TestDatabase) {
    let finder = pooled(database, |config| config.pool.max_size = 1).await;
    for _ in 0..3 {
        let unit = finder.begin().await.expect("a unit");
        unit.insert_schools(schools(1..=3)).await.expect("schools");
        drop(unit);
    }
    let unit = finder.begin().await.expect("a unit");
    unit.insert_schools(schools(1..=3)).await.expect("schools");
    unit.rollback().await.expect("a rollback");
    assert_eq!(count(finder.as_ref()).await, 0);
    let panicked = tokio::spawn({
        let finder = Arc::clone(&finder);
        async move {
            let unit = finder.begin().await.expect("a unit");
            unit.insert_schools(schools(1..=3)).await.expect("schools");
            panic!("in the middle of a unit");
        }
    });
    assert!(panicked.await.is_err_and(|error| error.is_panic()));
    finder.insert_schools(schools(1..=1)).await.expect("the lock is free");
    assert_eq!(count(finder.as_ref()).await, 1);
}

async fn a_failed_call_leaves_the_unit_as_it_was(database: &TestDatabase) {
    let finder = pooled(database, |_| ()).await;
    let unit = finder.begin().await.expect("a unit");
    unit.insert_schools(schools(1..=1)).await.expect("a school");
    let error = unit.insert_schools(schools(1..=5)).await.expect_err("the first is there");
    assert!(matches!(error, Error::DuplicateUrn { .. }), "{error}");
    assert_eq!(count(&*unit).await, 1);
    unit.insert_schools(schools(2..=2)).await.expect("the unit goes on");
    unit.commit().await.expect("a commit");
    assert_eq!(count(finder.as_ref()).await, 2);
}

async fn a_savepoint_rolls_back_what_came_after_it(database: &TestDatabase) {
    let finder = pooled(database, |_| ()).await;
    let unit = finder.begin().await.expect("a unit");
    unit.insert_schools(schools(1..=1)).await.expect("a school");
    let one = unit.savepoint().await.expect("a savepoint");
    unit.insert_schools(schools(2..=2)).await.expect("a school");
    let two = unit.savepoint().await.expect("a savepoint");
    unit.insert_schools(schools(3..=3)).await.expect("a school");
    unit.rollback_to(&two).await.expect("rolled back");
    assert_eq!(count(&*unit).await, 2);
    unit.rollback_to(&one).await.expect("rolled back");
    unit.rollback_to(&one).await.expect("the savepoint stays");
    assert_eq!(count(&*unit).await, 1);
    unit.insert_schools(schools(4..=4)).await.expect("a school");
    unit.commit().await.expect("a commit");
    assert_eq!(count(finder.as_ref()).await, 2);

    let unit = finder.begin().await.expect("a unit");
    let one = unit.savepoint().await.expect("a savepoint");
    let two = unit.savepoint().await.expect("a savepoint");
    unit.rollback_to(&one).await.expect("rolled back");
    unit.rollback_to(&two).await.expect_err("it is gone");
    let error = unit.commit().await.expect_err("the unit has ended");
    assert!(matches!(error, Error::UnitOfWorkEnded { reason: "a savepoint failed" }), "{error}");
}

async fn a_unit_that_ended_says_why(database: &TestDatabase) {
    let limit = Duration::from_millis(300);
    let finder = pooled(database, |config| config.pool.unit_of_work_timeout = limit).await;
    let unit = finder.begin().await.expect("a unit");
    unit.insert_schools(schools(1..=3)).await.expect("schools");
    // Another write waits for the limit, and then succeeds.
    let other = tokio::spawn({
        let finder = Arc::clone(&finder);
        async move { finder.insert_schools(schools(1..=1)).await }
    });
    other.await.expect("no panic").expect("the lock is free");
    tokio::time::sleep(limit).await;
    let error = unit.insert_schools(schools(4..=4)).await.expect_err("too late");
    let too_long = "it took longer than unit_of_work_timeout";
    assert!(matches!(error, Error::UnitOfWorkEnded { reason } if reason == too_long), "{error}");
    assert!(matches!(unit.commit().await, Err(Error::UnitOfWorkEnded { reason }) if reason == too_long));
    assert_eq!(count(finder.as_ref()).await, 1);
    // A unit has no units.
    let unit = finder.begin().await.expect("a unit");
    assert!(matches!(unit.begin().await, Err(Error::UnitOfWorkOpen)));
}

async fn a_cancelled_task_rolls_its_unit_back(database: &TestDatabase) {
    let finder = pooled(database, |config| config.pool.max_size = 1).await;
    // Cancelled at another point of the unit each time, also in the middle of a call.
    for delay in 0..20 {
        let task = tokio::spawn({
            let finder = Arc::clone(&finder);
            async move {
                let unit = finder.begin().await?;
                loop {
                    unit.insert_schools(schools(1..=50)).await?;
                    let found = unit.schools_by_urn(&[urn(1), urn(2)]).await?;
                    for school in found {
                        unit.delete_school(school.id).await?;
                    }
                    let savepoint = unit.savepoint().await?;
                    unit.rollback_to(&savepoint).await?;
                    let rest: Vec<_> = (3..=50).map(urn).collect();
                    for school in unit.schools_by_urn(&rest).await? {
                        unit.delete_school(school.id).await?;
                    }
                }
                #[expect(unreachable_code, reason = "the type of the result")]
                Ok::<(), Error>(())
            }
        });
        tokio::time::sleep(Duration::from_millis(delay * 3)).await;
        task.abort();
        assert!(task.await.is_err_and(|error| error.is_cancelled()), "{delay} ms");
        assert_eq!(count(finder.as_ref()).await, 0, "{delay} ms");
        finder.insert_schools(schools(1..=1)).await.expect("the lock is free");
        let school = finder.school_by_urn(urn(1)).await.expect("a result").expect("it");
        finder.delete_school(school.id).await.expect("deleted");
    }
}

async fn own_queries_run_in_the_unit(database: &TestDatabase) {
    let finder = pooled(database, |_| ()).await;
    let unit = finder.begin().await.expect("a unit");
    unit.insert_schools(schools(1..=3)).await.expect("schools");
    let counted: Option<i64> = own_count(&unit).await.expect("a count");
    assert_eq!(counted, Some(3));
    // Work that fails has written nothing, and the unit goes on.
    own_failure(&unit).await.expect_err("it fails");
    assert_eq!(count(&*unit).await, 3);
    unit.commit().await.expect("a commit");
    assert_eq!(count(finder.as_ref()).await, 3);
}

async fn own_count(unit: &UnitOfWork) -> Result<Option<i64>> {
    #[cfg(feature = "sqlite")]
    if let Some(repository) = unit.downcast_ref::<SqliteRepository>() {
        use diesel::prelude::*;
        use school_finder_db::sqlite::schema::schools;
        let counted = repository.with_connection(|c| Ok(schools::table.count().get_result(c)?)).await?;
        return Ok(Some(counted));
    }
    #[cfg(feature = "postgres")]
    if let Some(repository) = unit.downcast_ref::<PostgresRepository>() {
        use diesel::QueryDsl;
        use diesel_async::RunQueryDsl;
        use school_finder_db::postgres::schema::schools;
        let counted = repository.with_connection(async |c| Ok(schools::table.count().get_result(c).await?)).await?;
        return Ok(Some(counted));
    }
    Ok(None)
}

async fn own_failure(unit: &UnitOfWork) -> Result<()> {
    #[cfg(feature = "sqlite")]
    if let Some(repository) = unit.downcast_ref::<SqliteRepository>() {
        use diesel::connection::SimpleConnection;
        return repository
            .with_connection(|c| Ok(c.batch_execute("DELETE FROM schools; SELECT no_such_function()")?))
            .await;
    }
    #[cfg(feature = "postgres")]
    if let Some(repository) = unit.downcast_ref::<PostgresRepository>() {
        use diesel_async::SimpleAsyncConnection;
        return repository
            .with_connection(async |c| Ok(c.batch_execute("DELETE FROM schools; SELECT no_such_function()").await?))
            .await;
    }
    Ok(())
}

async fn a_closure_is_committed_if_it_succeeds(database: &TestDatabase) {
    let finder = pooled(database, |_| ()).await;
    let id = UnitOfWork::run(finder.as_ref(), async |unit| {
        unit.insert_schools(schools(1..=2)).await?;
        Ok(unit.school_by_urn(urn(2)).await?.map(|school| school.id))
    })
    .await
    .expect("a commit");
    assert!(id.is_some());
    let failed = UnitOfWork::run(finder.as_ref(), async |unit| {
        unit.insert_schools(schools(3..=4)).await?;
        Err::<(), _>(Error::UnknownSchool)
    })
    .await;
    assert!(matches!(failed, Err(Error::UnknownSchool)));
    assert_eq!(count(finder.as_ref()).await, 2);
}

async fn two_tasks_of_one_unit_take_turns(database: &TestDatabase) {
    let finder = pooled(database, |_| ()).await;
    let unit = Arc::new(finder.begin().await.expect("a unit"));
    let tasks = (0..8).map(|task| {
        let unit = Arc::clone(&unit);
        tokio::spawn(async move { unit.insert_schools(schools(task * 10 + 1..=task * 10 + 5)).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic").expect("schools");
    }
    Arc::into_inner(unit).expect("the last one").commit().await.expect("a commit");
    assert_eq!(count(finder.as_ref()).await, 40);
}

/// On SQLite a write of the task that holds the unit would wait for itself.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_write_that_would_wait_for_itself_is_refused() {
    use school_finder_db::config::Backend;

    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    let finder = pooled(&database, |_| ()).await;
    let unit = finder.begin().await.expect("a unit");
    unit.insert_schools(schools(1..=1)).await.expect("a school");
    let begun = std::time::Instant::now();
    assert!(matches!(finder.insert_schools(schools(2..=2)).await, Err(Error::UnitOfWorkOpen)));
    assert!(matches!(finder.begin().await, Err(Error::UnitOfWorkOpen)));
    assert!(begun.elapsed() < Duration::from_secs(1), "it does not wait");
    assert_eq!(count(finder.as_ref()).await, 0, "a read does not wait");
    unit.commit().await.expect("a commit");
    finder.insert_schools(schools(2..=2)).await.expect("the unit has ended");

    // A database in memory has one connection.
    let finder = connect(&Config::in_memory()).await.expect("a database");
    let unit = finder.begin().await.expect("a unit");
    unit.insert_schools(schools(1..=1)).await.expect("a school");
    assert!(matches!(finder.find_schools(&SchoolSearch::open()).await, Err(Error::UnitOfWorkOpen)));
    assert!(matches!(finder.insert_schools(schools(2..=2)).await, Err(Error::UnitOfWorkOpen)));
    // Another task waits.
    let other = tokio::spawn({
        let finder = Arc::clone(&finder);
        async move { count(finder.as_ref()).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!other.is_finished());
    unit.commit().await.expect("a commit");
    assert_eq!(other.await.expect("no panic"), 1);
    drop(finder.begin().await.expect("a unit"));
    assert_eq!(count(finder.as_ref()).await, 1, "its connection is as before");
}
