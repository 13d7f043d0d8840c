//! Compares each query with the same query in raw SQL and in memory, which is the limit. Writes the README's table,
//! between its two marks, unless `SCHOOL_FINDER_SIZES` restricts the measurement. `scripts/bench` runs it with a
//! temporary Postgres.
//!
//! All implementations take turns, 200 locations each, round after round. A machine that slows down slows all of them,
//! and each starts with caches that another has filled. Each round of a query uses new connections.
//!
//! The results of all implementations are checked to be equal before anything is measured.
#![allow(clippy::expect_used, reason = "a bench that cannot go on should stop and say so")]

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use school_finder_db::SchoolRepository;
use support::implementations::{Implementation, Implementations, run};
use support::made::Country;
use support::{Case, Query, sizes};

const BEGIN: &str = "<!-- benchmarks: written by scripts/bench -->\n";
const END: &str = "<!-- benchmarks: end -->";

/// How often each implementation runs from each location.
const ROUNDS: usize = 32;

/// The numbers of concurrent callers.
const CALLERS: [usize; 4] = [1, 4, 16, 64];

/// How many searches the callers make in a round, in total.
const SEARCHES: usize = 2_048;

fn main() {
    // `cargo test --benches` also runs this, with nothing to do.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let measured: Vec<Measured> =
        sizes().into_iter().map(|size| runtime.block_on(measure(Country::of(size), folder.path()))).collect();

    for measured in &measured {
        println!("{}{}{}", times(measured), callers(measured), fastest(measured));
    }
    print!("{}", growth(&measured));
    let Some(small) = measured.first().filter(|_| std::env::var_os("SCHOOL_FINDER_SIZES").is_none()) else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(&path).expect("the README");
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the mark of the table's beginning");
    let (_, after) = rest.split_once(END).expect("the README has the mark of the table's end");
    let (table, callers) = (times(small), callers(small));
    let note =
        format!("{ROUNDS} rounds of all implementations in turn, on {}, and Postgres on the same machine.", machine());
    std::fs::write(&path, format!("{before}{BEGIN}\n{table}{note}\n\n{callers}{END}{after}"))
        .expect("the README can be written");
}

/// Returns the machine of the measurement.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or_else(String::new, |(_, model)| format!(" ({model})"));
    format!("{cores} cores{model}")
}

/// The measurements over one country.
struct Measured {
    schools: usize,
    /// By query, then by implementation, in their order.
    times: Vec<[Times; Implementation::ALL.len()]>,
    /// Searches per second for each number of [`CALLERS`]: on SQLite, and on Postgres.
    callers: [[f64; CALLERS.len()]; 2],
}

/// The times of a query in one implementation, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// The mean over the locations of the median of the rounds: a service's load.
    typical: f64,
    /// The median over the locations of the best round: the time without disturbance.
    best: f64,
}

async fn measure(country: Country, folder: &Path) -> Measured {
    let mut implementations = Implementations::new(country, folder).await;
    implementations.check().await;
    let mut times = Vec::new();
    for query in Query::ALL {
        let mut taken =
            Implementation::ALL.map(|_| vec![Vec::with_capacity(ROUNDS); implementations.country.cases.len()]);
        let mut turns = turns();
        for _ in 0..ROUNDS {
            implementations.reconnect(query).await;
            for implementation in turns.by_ref().take(Implementation::ALL.len()) {
                for (case, taken) in implementations.country.cases.iter().zip(&mut taken[implementation as usize]) {
                    let begun = Instant::now();
                    let page = implementations.run(implementation, query, case).await;
                    taken.push(begun.elapsed());
                    drop(page);
                }
            }
        }
        times.push(taken.map(Times::of));
    }
    let schools = implementations.country.schools.len();
    let cases = Arc::new(implementations.country.cases.clone());
    let callers = [
        throughput(&implementations.sqlite.repository, &cases).await,
        throughput(&implementations.postgres.repository, &cases).await,
    ];
    implementations.remove().await;
    Measured { schools, times, callers }
}

/// Returns the implementation of each turn, round after round. Their number is prime, and each round goes round their
/// circle in other steps. So each one follows every other equally often, and never itself.
fn turns() -> impl Iterator<Item = Implementation> {
    let implementations = Implementation::ALL.len();
    let steps =
        (0..ROUNDS).flat_map(move |round| std::iter::repeat_n(1 + round % (implementations - 1), implementations));
    steps.scan(0, move |at, step| {
        *at = (*at + step) % implementations;
        Some(Implementation::ALL[*at])
    })
}

/// Returns the searches per second of concurrent callers, in a radius. Each caller is a task that searches again as
/// soon as it has its page. All numbers of callers take turns; the median of the rounds counts.
#[expect(clippy::cast_precision_loss, reason = "small")]
async fn throughput(repository: &Arc<dyn SchoolRepository>, cases: &Arc<Vec<Case>>) -> [f64; CALLERS.len()] {
    let mut taken = CALLERS.map(|_| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for (callers, taken) in CALLERS.into_iter().zip(&mut taken) {
            let caller = |number: usize| {
                let (repository, cases) = (Arc::clone(repository), Arc::clone(cases));
                tokio::spawn(async move {
                    // As far apart as possible.
                    for case in cases.iter().cycle().skip(number * cases.len() / callers).take(SEARCHES / callers) {
                        run(repository.as_ref(), Query::Radius, case).await;
                    }
                })
            };
            let begun = Instant::now();
            for caller in (0..callers).map(caller).collect::<Vec<_>>() {
                caller.await.expect("pages");
            }
            taken.push(begun.elapsed());
        }
    }
    taken.map(|taken| SEARCHES as f64 / median(taken) * 1e6)
}

impl Times {
    /// Summarises the rounds of each location.
    #[expect(clippy::cast_precision_loss, reason = "small")]
    fn of(cases: Vec<Vec<Duration>>) -> Self {
        let best = cases.iter().filter_map(|rounds| rounds.iter().min().copied()).collect();
        let count = cases.len() as f64;
        Self { typical: cases.into_iter().map(median).sum::<f64>() / count, best: median(best) }
    }
}

/// Returns the median in microseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// Formats the times of each implementation, and their ratios to raw SQL and to the limit.
fn times(measured: &Measured) -> String {
    let mut table = format!("| {} schools; µs | memory", thousands(measured.schools));
    for backend in ["SQLite", "Postgres"] {
        write!(table, " | {backend} raw SQL | {backend} | over raw SQL | over memory").expect("text");
    }
    table.push_str(" |\n| ---");
    table.push_str(&" | ---:".repeat(9));
    table.push_str(" |\n");
    for (query, times) in Query::ALL.iter().zip(&measured.times) {
        let [memory, sqlite_raw_sql, sqlite, postgres_raw_sql, postgres] = times.map(|times| times.typical);
        writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            query.name(),
            microseconds(memory),
            microseconds(sqlite_raw_sql),
            microseconds(sqlite),
            ratio(sqlite, sqlite_raw_sql),
            ratio(sqlite, memory),
            microseconds(postgres_raw_sql),
            microseconds(postgres),
            ratio(postgres, postgres_raw_sql),
            ratio(postgres, memory),
        )
        .expect("text");
    }
    table.push('\n');
    table
}

/// Formats the best rounds, for comparison with published best times.
fn fastest(measured: &Measured) -> String {
    let mut text = format!("Best of the rounds, {} schools, median over the cases; µs:\n", thousands(measured.schools));
    for (query, times) in Query::ALL.iter().zip(&measured.times) {
        write!(text, "{:24}", query.name()).expect("text");
        for (implementation, times) in Implementation::ALL.iter().zip(times) {
            write!(text, "{} {:8} ", implementation.name(), microseconds(times.best)).expect("text");
        }
        text.push('\n');
    }
    text
}

/// Formats the cost of the large country relative to the small one.
fn growth(measured: &[Measured]) -> String {
    let [small, .., large] = measured else { return String::new() };
    let mut table = format!(
        "| {} schools over {} | memory | SQLite | Postgres |\n",
        thousands(large.schools),
        thousands(small.schools)
    );
    table.push_str("| --- | ---: | ---: | ---: |\n");
    for (query, (small, large)) in Query::ALL.iter().zip(small.times.iter().zip(&large.times)) {
        let [memory, _, sqlite, _, postgres] =
            [0, 1, 2, 3, 4].map(|implementation| ratio(large[implementation].typical, small[implementation].typical));
        writeln!(table, "| {} | {memory} | {sqlite} | {postgres} |", query.name()).expect("text");
    }
    table.push('\n');
    table
}

/// Formats the searches per second of concurrent callers.
fn callers(measured: &Measured) -> String {
    let mut table = format!("| {} schools; searches a second, radius 5 km", thousands(measured.schools));
    for callers in CALLERS {
        write!(table, " | {callers} caller{}", if callers == 1 { "" } else { "s" }).expect("text");
    }
    table.push_str(" |\n| ---");
    table.push_str(&" | ---:".repeat(CALLERS.len()));
    table.push_str(" |\n");
    for (backend, searches) in ["SQLite", "Postgres"].into_iter().zip(measured.callers) {
        write!(table, "| {backend}").expect("text");
        for searches in searches {
            write!(table, " | {}", thousands(format!("{searches:.0}"))).expect("text");
        }
        table.push_str(" |\n");
    }
    table.push('\n');
    table
}

fn microseconds(microseconds: f64) -> String {
    format!("{microseconds:.*}", usize::from(microseconds < 10.0))
}

fn ratio(of: f64, over: f64) -> String {
    let ratio = of / over;
    format!("×{ratio:.*}", usize::from(ratio < 10.0) + usize::from(ratio < 2.0))
}

fn thousands(number: impl std::fmt::Display) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).expect("digits")).collect();
    groups.join(",")
}
