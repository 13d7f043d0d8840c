//! What a question takes beside the limit and beside the same by hand, in the same minute: all ways answer in turn, 200 places
//! each, round after round. So a machine that grows slower does so for all, and each begins with caches that another has filled.
//! Writes the README's tables, between its two marks, and a picture of them, unless `SCHOOL_FINDER_SIZES` says otherwise than
//! that all is measured. `scripts/bench` runs it with a throw-away Postgres.
//!
//! All ways give the same answers: that is checked before anything is measured.
#![allow(clippy::expect_used, reason = "a bench that cannot go on should stop and say so")]

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use school_finder_db::SchoolRepository;
use support::made::Country;
use support::ways::{Way, Ways, answer};
use support::{Ask, At, Database, Question, by_hand, sizes};

const BEGIN: &str = "<!-- benchmarks: written by scripts/bench -->\n";
const END: &str = "<!-- benchmarks: end -->";

/// Where the picture is kept, for the README to show.
const PICTURE: &str = "docs/latency.svg";

/// How often each way is asked from each place.
const ROUNDS: usize = 32;

/// How often the readers ask in a round, together.
const READINGS: usize = 2_000;

/// The name and the colour of each way in the picture, in their order.
const LEGEND: [(&str, &str); Way::ALL.len()] = [
    ("memory", "#777777"),
    ("SQLite by hand", "#7fb2e5"),
    ("SQLite", "#1f6fb4"),
    ("Postgres by hand", "#f2b27a"),
    ("Postgres", "#c8641b"),
];

fn main() {
    // `cargo test --benches` runs it too, and has nothing to do here.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let measured: Vec<Measured> =
        sizes().into_iter().map(|size| runtime.block_on(measure(Country::of(size), folder.path()))).collect();

    let mut text: String = measured.iter().map(times).collect();
    text.push_str(&growth(&measured));
    text.extend(measured.iter().map(readers));
    writeln!(
        text,
        "{ROUNDS} rounds of all ways in turn; the sizes, and the readers, one after the other. {}, and Postgres on the same machine.",
        machine(),
    )
    .expect("text");
    println!("{text}");
    for measured in &measured {
        println!("{}", fastest(measured));
    }

    if std::env::var_os("SCHOOL_FINDER_SIZES").is_some() {
        return;
    }
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = project.join("README.md");
    let readme = std::fs::read_to_string(&path).expect("the README");
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the mark of the tables' beginning");
    let (_, after) = rest.split_once(END).expect("the README has the mark of the tables' end");
    std::fs::write(&path, format!("{before}{BEGIN}\n{text}\n{END}{after}")).expect("the README can be written");
    std::fs::write(project.join(PICTURE), picture(&measured)).expect("the picture can be written");
}

/// What it is measured on.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or_else(String::new, |(_, model)| format!(" ({model})"));
    format!("{cores} cores{model}")
}

/// What was measured over one country.
struct Measured {
    schools: usize,
    /// Of each question by each way, in their order.
    times: Vec<[Times; Way::ALL.len()]>,
    /// How often one reader's throughput two have: on SQLite by hand, on SQLite, and on Postgres.
    two_readers: [f64; 3],
}

/// What a question takes by a way, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// The median of the rounds, and of that the mean over the places: what a service has to do.
    typical: f64,
    /// The best of the rounds, and of that the median over the places: what is left where nothing disturbs.
    best: f64,
}

async fn measure(country: Country, folder: &Path) -> Measured {
    let ways = Ways::over(country, folder).await;
    ways.check().await;
    let mut times = Vec::new();
    for question in Question::ALL {
        let mut taken = Way::ALL.map(|_| vec![Vec::with_capacity(ROUNDS); ways.country.asks.len()]);
        for way in turns() {
            for (ask, taken) in ways.country.asks.iter().zip(&mut taken[way as usize]) {
                let begun = Instant::now();
                let answer = ways.answer(way, question, ask).await;
                taken.push(begun.elapsed());
                drop(answer);
            }
        }
        times.push(taken.map(Times::of));
    }
    let schools = ways.country.schools.len();
    let asks = Arc::new(ways.country.asks.clone());
    let two_readers = [
        two_threads(&ways.sqlite, &asks).await,
        two_readers(&ways.sqlite.repository, &asks).await,
        two_readers(&ways.postgres.repository, &asks).await,
    ];
    ways.remove().await;
    Measured { schools, times, two_readers }
}

/// All ways, round after round. Each round takes other steps round their circle, whose number is prime: so each way follows each
/// other one as often, and never itself.
fn turns() -> impl Iterator<Item = Way> {
    let ways = Way::ALL.len();
    let steps = (0..ROUNDS).flat_map(move |round| std::iter::repeat_n(1 + round % (ways - 1), ways));
    steps.scan(0, move |at, step| {
        *at = (*at + step) % ways;
        Some(Way::ALL[*at])
    })
}

/// What a reader asks, of some readers who share the work: all places, again and again. They begin as far apart as can be.
fn readings(reader: usize, readers: usize, asks: &[Ask]) -> impl Iterator<Item = &Ask> {
    asks.iter().cycle().skip(reader * asks.len() / readers).take(READINGS / readers)
}

/// The throughput of two readers over that of one.
async fn two_readers(repository: &Arc<dyn SchoolRepository>, asks: &Arc<Vec<Ask>>) -> f64 {
    two_over_one(async |readers| {
        let reading = |reader| {
            let (repository, asks) = (Arc::clone(repository), Arc::clone(asks));
            tokio::spawn(async move {
                for ask in readings(reader, readers, &asks) {
                    answer(repository.as_ref(), Question::Radius, ask).await;
                }
            })
        };
        for reading in (0..readers).map(reading).collect::<Vec<_>>() {
            reading.await.expect("answers");
        }
    })
    .await
}

/// As [`two_readers`], of two threads that have nothing in common but the file: what the machine gives.
async fn two_threads(sqlite: &Database, asks: &[Ask]) -> f64 {
    let At::Sqlite(path) = &sqlite.at else { unreachable!("made as such") };
    let mut connections = [by_hand::Sqlite::open(path), by_hand::Sqlite::open(path)];
    two_over_one(async |readers| {
        std::thread::scope(|scope| {
            for (reader, connection) in connections.iter_mut().take(readers).enumerate() {
                scope.spawn(move || {
                    for ask in readings(reader, readers, asks) {
                        connection.answer(Question::Radius, ask);
                    }
                });
            }
        });
    })
    .await
}

/// How long one takes for all readings over how long two take, in turn.
async fn two_over_one(mut read: impl AsyncFnMut(usize)) -> f64 {
    let mut taken = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (readers, taken) in [1, 2].into_iter().zip(&mut taken) {
            let begun = Instant::now();
            read(readers).await;
            taken.push(begun.elapsed());
        }
    }
    let [one, two] = taken.map(median);
    one / two
}

impl Times {
    /// Of each place's rounds.
    #[expect(clippy::cast_precision_loss, reason = "small")]
    fn of(places: Vec<Vec<Duration>>) -> Self {
        let best = places.iter().filter_map(|rounds| rounds.iter().min().copied()).collect();
        let count = places.len() as f64;
        Self { typical: places.into_iter().map(median).sum::<f64>() / count, best: median(best) }
    }
}

/// In microseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// What each way takes, and how often the same by hand and the limit.
fn times(measured: &Measured) -> String {
    let mut table = format!("| {} schools; µs | memory", thousands(measured.schools));
    for backend in ["SQLite", "Postgres"] {
        write!(table, " | {backend} by hand | {backend} | over by hand | over memory").expect("text");
    }
    table.push_str(" |\n| ---");
    table.push_str(&" | ---:".repeat(9));
    table.push_str(" |\n");
    for (question, times) in Question::ALL.iter().zip(&measured.times) {
        let [memory, sqlite_by_hand, sqlite, postgres_by_hand, postgres] = times.map(|times| times.typical);
        writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            question.name(),
            microseconds(memory),
            microseconds(sqlite_by_hand),
            microseconds(sqlite),
            ratio(sqlite, sqlite_by_hand),
            ratio(sqlite, memory),
            microseconds(postgres_by_hand),
            microseconds(postgres),
            ratio(postgres, postgres_by_hand),
            ratio(postgres, memory),
        )
        .expect("text");
    }
    table.push('\n');
    table
}

/// The best of the rounds: beside figures from elsewhere that are told so.
fn fastest(measured: &Measured) -> String {
    let mut text =
        format!("Best of the rounds, {} schools, median over the places; µs:\n", thousands(measured.schools));
    for (question, times) in Question::ALL.iter().zip(&measured.times) {
        write!(text, "{:24}", question.name()).expect("text");
        for (way, times) in Way::ALL.iter().zip(times) {
            write!(text, "{} {:8} ", way.name(), microseconds(times.best)).expect("text");
        }
        text.push('\n');
    }
    text
}

/// What the large country costs over the small one.
fn growth(measured: &[Measured]) -> String {
    let [small, .., large] = measured else { return String::new() };
    let mut table = format!(
        "| {} schools over {} | memory | SQLite | Postgres |\n",
        thousands(large.schools),
        thousands(small.schools)
    );
    table.push_str("| --- | ---: | ---: | ---: |\n");
    for (question, (small, large)) in Question::ALL.iter().zip(small.times.iter().zip(&large.times)) {
        let [memory, _, sqlite, _, postgres] = [0, 1, 2, 3, 4].map(|way| ratio(large[way].typical, small[way].typical));
        writeln!(table, "| {} | {memory} | {sqlite} | {postgres} |", question.name()).expect("text");
    }
    table.push('\n');
    table
}

/// What two readers do together over what one does.
fn readers(measured: &Measured) -> String {
    let [threads, sqlite, postgres] = measured.two_readers;
    let schools = thousands(measured.schools);
    format!(
        "Two readers at once, {schools} schools: SQLite ×{sqlite:.2} (by hand, on two threads, ×{threads:.2}), Postgres ×{postgres:.2}.\n\n"
    )
}

fn microseconds(microseconds: f64) -> String {
    format!("{microseconds:.*}", usize::from(microseconds < 10.0))
}

fn ratio(of: f64, over: f64) -> String {
    let ratio = of / over;
    format!("×{ratio:.*}", usize::from(ratio < 10.0) + usize::from(ratio < 2.0))
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).expect("digits")).collect();
    groups.join(",")
}

/// A panel for each question: a line for each way from the smallest country to the largest. Both scales are logarithmic, so that
/// a line is as steep as its way grows.
fn picture(measured: &[Measured]) -> String {
    const LEFT: f64 = 60.0;
    const TOP: f64 = 60.0;
    const PANEL: f64 = 150.0;
    const GAP: f64 = 24.0;
    const HEIGHT: f64 = 300.0;
    // From ten microseconds to ten milliseconds.
    let up = |microseconds: f64| TOP + HEIGHT * (1.0 - (microseconds.max(10.0).log10() - 1.0) / 3.0);
    let across = |schools: usize| {
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let power = |schools: usize| (schools as f64).log10();
        let [from, to] = [measured.first(), measured.last()].map(|m| m.map_or(0.0, |m| power(m.schools)));
        20.0 + (PANEL - 40.0) * (power(schools) - from) / (to - from).max(f64::MIN_POSITIVE)
    };
    let width = LEFT + (PANEL + GAP) * 5.0;
    let mut body = String::new();
    for (power, name) in ["10 µs", "100 µs", "1 ms", "10 ms"].iter().enumerate() {
        let y = up(10_f64.powi(i32::try_from(power).expect("small") + 1));
        writeln!(
            body,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#777\">{name}</text>",
            width - GAP,
            LEFT - 6.0,
            y + 4.0,
        )
        .expect("text");
    }
    let mut left = LEFT;
    for (at, question) in Question::ALL.iter().enumerate() {
        writeln!(
            body,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            left + PANEL / 2.0,
            TOP - 8.0,
            question.name()
        )
        .expect("text");
        for measured in measured {
            writeln!(
                body,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#777\">{}</text>",
                left + across(measured.schools),
                TOP + HEIGHT + 18.0,
                thousands(measured.schools)
            )
            .expect("text");
        }
        for (way, (_, colour)) in LEGEND.iter().enumerate() {
            let places: Vec<(f64, f64)> =
                measured.iter().map(|m| (left + across(m.schools), up(m.times[at][way].typical))).collect();
            let points: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            writeln!(
                body,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                points.join(" ")
            )
            .expect("text");
            for (x, y) in places {
                writeln!(body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>").expect("text");
            }
        }
        left += PANEL + GAP;
    }
    let mut x = LEFT;
    for (way, colour) in LEGEND {
        writeln!(
            body,
            "<rect x=\"{x:.0}\" y=\"10\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{:.0}\" y=\"20\">{}</text>",
            x + 17.0,
            way,
        )
        .expect("text");
        x += 130.0;
    }
    let height = TOP + HEIGHT + 50.0;
    writeln!(
        body,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#777\">schools</text>",
        f64::midpoint(LEFT, width - GAP),
        height - 10.0,
    )
    .expect("text");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\" aria-label=\"Latency of each question against the number of schools, by way\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}
