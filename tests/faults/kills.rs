//! Programs that are killed (`kill -9`) at any moment. Nothing is half done, and the next run finishes. It proves that
//! writes are whole, not that they outlive a power cut: the system keeps what a killed program wrote.

use std::time::Instant;

use school_finder_db::config::Backend;
use school_finder_db::migrate::{self, Migrator};

use crate::raw::Raw;
use crate::rows::fill;
use crate::support::{BACKENDS, Place, Random, integrity, program, register, say, setting, succeeds};

/// How many runs are killed of each of import, migration and backfill, on both backends together.
fn kills() -> u64 {
    setting("SCHOOL_FINDER_KILLS", 200)
}

/// Kills runs of the program, each on a copy of `start`, looks at what they leave, and has another run finish.
async fn killed(
    what: &str,
    start: &Place,
    arguments: &[&str],
    left: impl AsyncFn(&mut Raw),
    finished: impl AsyncFn(&Place, &mut Raw),
) {
    let backend = start.config().backend();
    let measured = async || {
        let place = start.copy().await;
        let begun = Instant::now();
        succeeds(program(&place.url, arguments));
        let whole = begun.elapsed();
        finished(&place, &mut place.raw().await).await;
        whole
    };
    // The second of two, when everything is in memory.
    measured().await;
    let mut whole = measured().await;
    let (mut killed, mut random, per_backend) = (0, Random::new(1), kills() / 2);
    for round in 0..per_backend * 10 {
        if killed == per_backend {
            break;
        }
        let place = start.copy().await;
        let mut child = program(&place.url, arguments).spawn().expect("the program runs");
        let part = u32::try_from(random.below(1_000)).expect("small");
        std::thread::sleep(whole.mul_f64(f64::from(part) / 1_000.0));
        child.kill().expect("kill -9");
        if child.wait_with_output().expect("its end").status.success() {
            // It ended first: the machine may have less to do than when the whole run was measured.
            whole = measured().await;
        } else {
            killed += 1;
        }
        place.alone().await;
        if let Some(path) = place.path() {
            assert_eq!(integrity(&path).await, "ok", "round {round}");
        }
        left(&mut place.raw().await).await;
        succeeds(program(&place.url, arguments));
        finished(&place, &mut place.raw().await).await;
    }
    assert_eq!(killed, per_backend, "so many were still at it");
    say(&format!("{what} on {backend}: {killed} killed within {whole:?}"));
}

async fn count(raw: &mut Raw, rows: &str) -> usize {
    let count = raw.texts(&format!("SELECT CAST(count(*) AS TEXT) FROM {rows}")).await;
    count[0].parse().expect("a number")
}

#[tokio::test]
async fn killed_imports_are_atomic() {
    const SCHOOLS: usize = 1_500;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("register.csv");
    std::fs::write(&file, register(1..=i64::try_from(SCHOOLS).expect("small"), "School")).expect("a register");
    let file = file.to_str().expect("UTF-8");
    for backend in BACKENDS {
        let start = Place::new(backend).await;
        let left = async |raw: &mut Raw| {
            let rows = count(raw, "schools").await;
            assert!(rows == 0 || rows == SCHOOLS, "{rows} of {SCHOOLS} rows");
        };
        let finished = async |_: &Place, raw: &mut Raw| {
            assert_eq!(count(raw, "schools WHERE name = 'School ' || urn AND lat IS NOT NULL").await, SCHOOLS);
            assert_eq!(count(raw, "schools").await, SCHOOLS);
        };
        killed("import", &start, &["import", "register", file], left, finished).await;
    }
}

#[tokio::test]
async fn killed_migrations_are_finished_by_the_next() {
    for backend in BACKENDS {
        let start = Place::new(backend).await;
        let half = migrate::scripts(backend).len() / 2;
        Migrator::new(&start.config()).accept_loss().down(half).await.expect("half of them");
        fill(&mut start.raw().await, backend).await;
        let old = start.raw().await.schema().await;
        let expected = {
            let whole = start.copy().await;
            migrate::up(&whole.config()).await.expect("all of them");
            let mut raw = whole.raw().await;
            (raw.schema().await, raw.rows().await)
        };
        let left = async |raw: &mut Raw| {
            // A server may still be at what a killed program began.
            if backend == Backend::Sqlite {
                let schema = raw.schema().await;
                assert!(schema == old || schema == expected.0, "neither the old schema nor the new one");
            }
        };
        let finished = async |place: &Place, raw: &mut Raw| {
            assert_eq!(migrate::check(&place.config()).await.expect("a check"), Vec::<String>::new());
            assert_eq!(raw.rows().await, expected.1);
        };
        killed("migration", &start, &["migrate", "up"], left, finished).await;
    }
}

#[tokio::test]
async fn killed_backfills_resume_where_they_stopped() {
    // As src/backfill.rs writes them: one transaction each.
    const CHUNK: usize = 5_000;
    const SCHOOLS: usize = 2 * CHUNK + 17;
    for backend in BACKENDS {
        let start = Place::new(backend).await;
        let series = match backend {
            Backend::Sqlite => format!(
                "(WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {SCHOOLS}) SELECT n FROM t)"
            ),
            _ => format!("generate_series(1, {SCHOOLS}) AS t (n)"),
        };
        let insert = format!(
            "INSERT INTO folded_names SELECT 'School ' || n, 'school ' || n FROM {series};
             INSERT INTO schools (urn, name, name_folded, status, age_range_from, age_range_to)
             SELECT n, 'School ' || n, 'school ' || n, 'open', 4, 11 FROM {series}"
        );
        start.raw().await.execute(&insert).await;
        let left = async |raw: &mut Raw| {
            let filled = count(raw, "schools WHERE phase = 'primary'").await;
            assert!(filled % CHUNK == 0 || filled == SCHOOLS, "{filled} filled");
        };
        let finished = async |_: &Place, raw: &mut Raw| {
            assert_eq!(count(raw, "schools WHERE phase = 'primary' AND version = 2").await, SCHOOLS, "each once");
        };
        killed("backfill", &start, &["backfill", "phase"], left, finished).await;
    }
}
