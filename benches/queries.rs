//! Measures the queries of a result list on each backend, through the public interface: each time includes pool, task,
//! SQL and decoding. The baselines are the same queries in raw SQL against the same database, and in memory, which is
//! the limit.
//!
//! Use it for tuning: criterion reports whether each time changed since the last run. `cargo bench` measures SQLite;
//! `scripts/bench queries` also measures Postgres, on a temporary server. Each call searches from the next of 200
//! locations, half of them in towns. All results are checked to be equal before anything is measured. To compare the
//! implementations, use benches/compare.rs.
#![allow(clippy::expect_used, reason = "a bench that cannot go on should stop and say so")]

mod support;

use std::cell::Cell;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use support::implementations::{Implementation, Implementations};
use support::made::Country;
use support::{Query, sizes};

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut criterion = Criterion::default().configure_from_args();
    let folder = tempfile::tempdir().expect("a folder");
    for size in sizes() {
        let mut implementations = runtime.block_on(Implementations::new(Country::of(size), folder.path()));
        runtime.block_on(implementations.check());
        for query in Query::ALL {
            // The plans and pages of another query do not serve this one.
            runtime.block_on(implementations.reconnect(query));
            let mut group = criterion.benchmark_group(query.name());
            group.sample_size(50).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
            for implementation in Implementation::ALL {
                let next = Cell::new(0);
                group.bench_function(BenchmarkId::new(implementation.name(), size), |bencher| {
                    bencher.to_async(&runtime).iter(|| {
                        let case = &implementations.country.cases[next.get() % implementations.country.cases.len()];
                        next.set(next.get() + 1);
                        implementations.run(implementation, query, case)
                    });
                });
            }
            group.finish();
        }
        runtime.block_on(implementations.remove());
    }
    criterion.final_summary();
}
