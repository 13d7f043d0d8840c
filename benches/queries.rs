//! The questions of a result list, on each backend, through the public interface: pool, SQL and decoding are in each figure.
//!
//! `scripts/bench` runs it with a throw-away Postgres. Each call asks from the next of 200 places, half of them in towns.
#![allow(clippy::expect_used, reason = "a bench that cannot go on should stop and say so")]

mod support;

use std::cell::Cell;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use school_finder_db::models::Phase;
use school_finder_db::request::Unrated;
use school_finder_db::{Kilometres, LatLng, SchoolRepository, SchoolSearch};
use support::Set;
use tokio::runtime::Runtime;

/// Runs one question from place after place.
fn measure<F>(criterion: &mut Criterion, runtime: &Runtime, sets: &[Set], question: &str, ask: F)
where
    F: AsyncFn(&dyn SchoolRepository, LatLng) -> usize,
{
    let mut group = criterion.benchmark_group(question);
    group.sample_size(50).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for Set { name, database, places } in sets {
        let finder = database.repository();
        let next = Cell::new(0);
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.to_async(runtime).iter(|| {
                let place = places[next.get() % places.len()];
                next.set(next.get() + 1);
                ask(finder, place)
            });
        });
    }
    group.finish();
}

async fn found(finder: &dyn SchoolRepository, search: SchoolSearch) -> usize {
    finder.find_schools(&search).await.expect("an answer").items.len()
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let mut criterion = Criterion::default().configure_from_args();
    let sets = runtime.block_on(support::sets());
    let five_km = Kilometres::new(5.0).expect("a distance");
    measure(&mut criterion, &runtime, &sets, "radius 5 km, first 20", async |finder, place| {
        found(finder, SchoolSearch::near(place).within(five_km)).await
    });
    measure(&mut criterion, &runtime, &sets, "radius 5 km, filtered", async |finder, place| {
        let search = SchoolSearch::near(place).within(five_km).phase(Phase::Primary).rated(2, Unrated::Include);
        found(finder, search).await
    });
    measure(&mut criterion, &runtime, &sets, "nearest 20", async |finder, place| {
        found(finder, SchoolSearch::near(place)).await
    });
    measure(&mut criterion, &runtime, &sets, "catchment", async |finder, place| {
        finder.find_catchments(&SchoolSearch::near(place)).await.expect("an answer").items.len()
    });
    criterion.final_summary();
}
