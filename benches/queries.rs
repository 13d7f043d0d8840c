//! The questions of a result list on each backend, through the public interface: pool, task, SQL and decoding are in each
//! figure. Beside them stand the same questions written by hand against the same database, and answered from memory, which
//! is the limit.
//!
//! `scripts/bench` runs it with a throw-away Postgres. Each call asks from the next of 200 places, half of them in towns. All
//! ways give the same answers: that is checked before anything is measured.
#![allow(clippy::expect_used, reason = "a bench that cannot go on should stop and say so")]

mod support;

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use school_finder_db::models::{Phase, SchoolHit};
use school_finder_db::request::Unrated;
use school_finder_db::{Kilometres, SchoolRepository, SchoolSearch};
use support::made::Country;
use support::memory::Memory;
use support::{Ask, At, Database, LISTED, Question, RADIUS_KM, by_hand, sizes};
use tokio::runtime::Runtime;

/// A question by the crate.
async fn answer(finder: &dyn SchoolRepository, question: Question, ask: &Ask) -> Vec<SchoolHit> {
    let near = SchoolSearch::near(ask.place);
    let five_km = Kilometres::new(RADIUS_KM).expect("a distance");
    let search = match question {
        Question::Radius => near.within(five_km),
        Question::Filtered => near.within(five_km).phase(Phase::Primary).rated(2, Unrated::Include),
        Question::Nearest => near,
        Question::Catchment => {
            let page = finder.find_catchments(&near).await.expect("an answer");
            return page.items.into_iter().map(|catchment| catchment.hit).collect();
        }
        Question::Listing => SchoolSearch::all().council(&ask.council).limit(u32::try_from(LISTED).expect("small")),
    };
    finder.find_schools(&search).await.expect("an answer").items
}

/// Runs one way to answer a question from place after place.
fn measure<F>(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, way: &str, country: &Country, ask: F)
where
    F: AsyncFn(&Ask) -> Vec<SchoolHit>,
{
    let next = Cell::new(0);
    group.bench_function(BenchmarkId::new(way, country.schools.len()), |bencher| {
        bencher.to_async(runtime).iter(|| {
            let at = &country.asks[next.get() % country.asks.len()];
            next.set(next.get() + 1);
            ask(at)
        });
    });
}

/// The time of so many calls, shared between so many tasks.
fn readers(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    way: &str,
    database: &Arc<Database>,
    asks: &Arc<Vec<Ask>>,
    tasks: u64,
) {
    group.bench_function(BenchmarkId::new(way, tasks), |bencher| {
        bencher.iter_custom(|calls| {
            let begun = Instant::now();
            runtime.block_on(async {
                let tasks: Vec<_> = (0..tasks)
                    .map(|task| {
                        let (database, asks) = (Arc::clone(database), Arc::clone(asks));
                        tokio::spawn(async move {
                            for call in (task..calls).step_by(usize::try_from(tasks).expect("small")) {
                                let at = usize::try_from(call).expect("small") % asks.len();
                                answer(database.repository.as_ref(), Question::Radius, &asks[at]).await;
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await.expect("answers");
                }
            });
            begun.elapsed()
        });
    });
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut criterion = Criterion::default().configure_from_args();
    let folder = tempfile::tempdir().expect("a folder");
    for size in sizes() {
        let country = Country::of(size);
        let memory = Memory::of(&country);
        let sqlite = runtime.block_on(Database::sqlite(folder.path(), &country));
        let postgres = runtime.block_on(Database::postgres(&country));
        let (At::Sqlite(path), At::Postgres(settings)) = (&sqlite.at, &postgres.at) else {
            unreachable!("made as such")
        };
        let by_rusqlite = by_hand::Sqlite::open(path);
        let by_tokio_postgres = runtime.block_on(by_hand::Postgres::connect(settings));
        runtime.block_on(async {
            for (question, ask) in
                Question::ALL.iter().flat_map(|question| country.asks.iter().map(|ask| (*question, ask)))
            {
                let expected = memory.answer(question, ask);
                assert_eq!(answer(sqlite.repository.as_ref(), question, ask).await, expected, "{question:?} {ask:?}");
                assert_eq!(answer(postgres.repository.as_ref(), question, ask).await, expected, "{question:?} {ask:?}");
                assert_eq!(by_rusqlite.answer(question, ask), expected, "{question:?} {ask:?}");
                assert_eq!(by_tokio_postgres.answer(question, ask).await, expected, "{question:?} {ask:?}");
            }
        });
        for question in Question::ALL {
            let mut group = criterion.benchmark_group(question.name());
            group.sample_size(50).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
            measure(&mut group, &runtime, "memory", &country, async |ask| memory.answer(question, ask));
            measure(&mut group, &runtime, "sqlite by hand", &country, async |ask| by_rusqlite.answer(question, ask));
            measure(&mut group, &runtime, "sqlite", &country, async |ask| {
                answer(sqlite.repository.as_ref(), question, ask).await
            });
            measure(&mut group, &runtime, "postgres by hand", &country, async |ask| {
                by_tokio_postgres.answer(question, ask).await
            });
            measure(&mut group, &runtime, "postgres", &country, async |ask| {
                answer(postgres.repository.as_ref(), question, ask).await
            });
            group.finish();
        }
        let (sqlite, postgres, asks) = (Arc::new(sqlite), Arc::new(postgres), Arc::new(country.asks));
        let mut group = criterion.benchmark_group(format!("readers of {size}"));
        group.sample_size(30).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
        for (way, database) in [("sqlite", &sqlite), ("postgres", &postgres)] {
            for tasks in [1, 2] {
                readers(&mut group, &runtime, way, database, &asks, tasks);
            }
        }
        group.finish();
        drop(by_tokio_postgres);
        for database in [sqlite, postgres] {
            if let Some(database) = Arc::into_inner(database) {
                runtime.block_on(database.remove());
            }
        }
    }
    criterion.final_summary();
}
