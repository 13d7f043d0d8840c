//! Compares a backfill of a million schools with one UPDATE per row, on each backend, and reports the memory used.
//!
//! `scripts/cluster run cargo bench --features postgres,polars --bench backfill`. Criterion is not used: each run
//! changes its data.
#![allow(clippy::expect_used, clippy::cast_precision_loss, reason = "a measurement that cannot go on should stop")]

use std::time::{Duration, Instant};

use school_finder_db::backfill::Backfill;
use school_finder_db::config::Backend;
use school_finder_db::ids::SchoolId;
use school_finder_db::models::Phase;
use school_finder_db::request::PhaseGaps;
use school_finder_db::testing::TestDatabase;

const SCHOOLS: u64 = 1_000_000;

/// How many rows are updated one at a time: enough for a rate.
const ONE_AT_A_TIME: u32 = 10_000;

fn main() {
    // `cargo test --benches` would take minutes.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for backend in [Backend::Sqlite, Backend::Postgres] {
        runtime.block_on(measure(backend));
    }
}

async fn measure(backend: Backend) {
    let database = TestDatabase::new(backend).await.expect("a database");
    let folds = "INSERT INTO folded_names SELECT 'School ' || n, 'school ' || n FROM";
    let insert = "INSERT INTO schools (urn, name, name_folded, status, age_range_from, age_range_to)
        SELECT n, 'School ' || n, 'school ' || n, 'open', CASE WHEN n % 5 > 0 THEN n % 17 END,
            CASE WHEN n % 5 > 0 THEN n % 17 + 1 + n % 8 END";
    let numbers = match backend {
        Backend::Sqlite => {
            let numbers = format!(
                "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {SCHOOLS})"
            );
            format!("{numbers} {folds} numbers; {numbers} {insert} FROM numbers")
        }
        _ => {
            let numbers = format!("generate_series(1, {SCHOOLS}) AS numbers (n)");
            format!("{folds} {numbers}; {insert} FROM {numbers}; ANALYZE schools;")
        }
    };
    database.execute(&numbers).await.expect("schools");
    let finder = database.repository();

    // The baseline updates the first rows, with one statement and one transaction for each, by primary key.
    let gaps = finder.phase_gaps(PhaseGaps::Unknown, None, u32::MAX).await.expect("gaps");
    let first: Vec<SchoolId> = gaps.iter().map(|gap| gap.id).take(ONE_AT_A_TIME as usize).collect();
    drop(gaps);
    let begun = Instant::now();
    update_a_row(&database, first).await;
    let row = begun.elapsed().div_f64(f64::from(ONE_AT_A_TIME));

    let before = resident_kib();
    let begun = Instant::now();
    let counts = Backfill::new().phase(finder).await.expect("a backfill");
    let whole = begun.elapsed();
    let done = counts.total() + counts.left;
    let (each, written) = (whole.div_f64(done as f64), whole.div_f64(counts.total() as f64));
    println!(
        "{}: {done} schools, {} filled, in {:.1} s: {:.1} µs each, {:.1} µs a filled one; an UPDATE a row takes {:.1} µs, {:.1} times as long; peak memory {} MiB (before it {} MiB)",
        backend.as_str(),
        counts.total(),
        whole.as_secs_f64(),
        micros(each),
        micros(written),
        micros(row),
        micros(row) / micros(written),
        resident_kib().1 >> 10,
        before.0 >> 10,
    );
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Updates each row in a transaction of its own, all on one connection.
async fn update_a_row(database: &TestDatabase, ids: Vec<SchoolId>) {
    match database.config().backend() {
        Backend::Sqlite => {
            use diesel::prelude::*;
            use school_finder_db::sqlite::schema::schools;
            let repository = school_finder_db::sqlite::SqliteRepository::connect(database.config()).await;
            let update = move |connection: &mut SqliteConnection| {
                for id in ids {
                    diesel::update(schools::table.find(id))
                        .set(schools::phase.eq(Phase::Primary))
                        .execute(connection)?;
                }
                Ok(())
            };
            repository.expect("the database").with_connection(update).await.expect("updated");
        }
        _ => {
            use diesel::{ExpressionMethods, QueryDsl};
            use diesel_async::RunQueryDsl;
            use school_finder_db::postgres::schema::schools;
            let repository = school_finder_db::postgres::PostgresRepository::connect(database.config()).await;
            let update = async |connection: &mut diesel_async::AsyncPgConnection| {
                for id in ids {
                    let phase = schools::phase.eq(Phase::Primary);
                    diesel::update(schools::table.find(id)).set(phase).execute(connection).await?;
                }
                Ok(())
            };
            repository.expect("the database").with_connection(update).await.expect("updated");
        }
    }
}

/// Returns this process's current and peak resident memory, in KiB; zeros where the system does not report them.
fn resident_kib() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    (of("VmRSS:"), of("VmHWM:"))
}
