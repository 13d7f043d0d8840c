//! Calls that are dropped at every point at which they can be: a service does so whenever a visitor goes away.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use school_finder_db::models::Collections;
use school_finder_db::postgres::PostgresRepository;
use school_finder_db::prelude::*;
use school_finder_db::{Config, LatLng, SchoolSearch, connect};

use crate::support::{BACKENDS, Place, schools, until};

/// Polls a future so many times at most, and drops it.
async fn polled<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    std::future::poll_fn(move |context| {
        let Some(now_left) = left.checked_sub(1) else { return Poll::Ready(None) };
        left = now_left;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// One connection, so that one which does not come back is one too many.
fn of_one(place: &Place) -> Config {
    let mut config = place.config();
    config.pool.max_size = 1;
    config.pool.acquire_timeout = Duration::from_secs(20);
    config
}

async fn no_transaction_is_open(place: &Place) {
    if place.path().is_none() {
        let mut raw = place.raw().await;
        let open = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        until("no transaction is left open", async || raw.texts(open).await.is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_reads_leave_the_connection_usable() {
    for backend in BACKENDS {
        let place = Place::new(backend).await;
        let finder = connect(&of_one(&place)).await.expect("the database");
        let ids = finder.insert_schools(schools(1..=300)).await.expect("schools that fit");
        let near = SchoolSearch::near(LatLng::from_lat_lng(52.0, -0.7).expect("a place"));
        let mut most = [0; 4];
        for (kind, most) in most.iter_mut().enumerate() {
            // More than once: on SQLite a worker thread may have the answer before the first poll asks for it.
            for _ in 0..20 {
                for times in 0.. {
                    let ended = match kind {
                        0 => polled(finder.find_schools(&near), times).await.is_some(),
                        1 => polled(finder.facets(&SchoolSearch::open()), times).await.is_some(),
                        2 => polled(finder.details(&ids, Collections::ALL), times).await.is_some(),
                        _ => polled(finder.find_catchments(&near), times).await.is_some(),
                    };
                    let schools = finder.schools(&ids[..3]).await.expect("the next call is served");
                    assert_eq!(schools.len(), 3, "and gets its own answer");
                    if ended {
                        *most = times.max(*most);
                        break;
                    }
                }
            }
        }
        assert!(most.iter().all(|most| *most > 1), "{most:?}");
        crate::support::say(&format!("reads on {backend} dropped after each of up to {most:?} polls"));
        no_transaction_is_open(&place).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_writes_are_atomic() {
    const EACH: i64 = 700;
    for backend in BACKENDS {
        let place = Place::new(backend).await;
        let finder = connect(&of_one(&place)).await.expect("the database");
        let (mut next, mut most) = (1, 0);
        // More than once: where a task stands when it is dropped depends on the moment.
        for _ in 0..20 {
            for times in 0.. {
                let new = schools(next..=next + EACH - 1);
                next += EACH;
                let ended = polled(finder.insert_schools(new), times).await.is_some();
                let total = finder.facets(&SchoolSearch::open()).await.expect("the next call is served").total;
                assert_eq!(total % EACH.unsigned_abs(), 0, "after {times} polls");
                if ended {
                    most = most.max(times);
                    break;
                }
            }
        }
        // What was begun ends by itself.
        let before = finder.facets(&SchoolSearch::open()).await.expect("a result").total;
        assert!(before >= 20 * EACH.unsigned_abs(), "those that ended are there");
        crate::support::say(&format!("writes on {backend} dropped after each of up to {most} polls"));
        no_transaction_is_open(&place).await;
    }
}

/// A service's own transaction on a connection that it borrowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_own_transaction_is_rolled_back() {
    let place = Place::new(school_finder_db::config::Backend::Postgres).await;
    let finder = PostgresRepository::connect(&of_one(&place)).await.expect("the database");
    finder.insert_schools(schools(1..=10)).await.expect("schools that fit");
    let mut most = 0;
    for times in 0.. {
        let work = async |connection: &mut AsyncPgConnection| {
            let inner = connection.transaction(async |connection| {
                connection.batch_execute("DELETE FROM schools").await?;
                connection.batch_execute("SELECT pg_sleep(0.01)").await?;
                Err::<(), _>(diesel::result::Error::RollbackTransaction)
            });
            Ok(inner.await?)
        };
        let ended = polled(finder.with_connection(work), times).await.is_some();
        assert_eq!(finder.facets(&SchoolSearch::open()).await.expect("the next call is served").total, 10);
        if ended {
            most = times;
            break;
        }
    }
    assert!(most > 3, "{most}");
    no_transaction_is_open(&place).await;
}
