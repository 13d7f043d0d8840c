//! Writes criterion's own estimates into the README as tables, between its two marks, and a picture of them. `scripts/bench` runs
//! it after the measurement.
#![allow(clippy::expect_used, reason = "a script that cannot go on should stop and say so")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

const BEGIN: &str = "<!-- benchmarks: written by scripts/bench -->\n";
const END: &str = "<!-- benchmarks: end -->";

/// Where the picture is kept, for the README to show.
const PICTURE: &str = "docs/latency.svg";

/// The questions in the order of the tables.
const QUESTIONS: [&str; 5] =
    ["radius 5 km, first 20", "radius 5 km, filtered", "nearest 20", "catchment", "listing 50"];

/// The ways to answer one, from the limit on, and the colour of each.
const WAYS: [(&str, &str); 5] = [
    ("memory", "#777777"),
    ("sqlite by hand", "#7fb2e5"),
    ("sqlite", "#1f6fb4"),
    ("postgres by hand", "#f2b27a"),
    ("postgres", "#c8641b"),
];

/// Medians in nanoseconds: of a question, a way to answer it and a number of schools.
struct Medians(BTreeMap<(String, String, u64), f64>);

impl Medians {
    /// Reads criterion's files.
    fn read(folder: &Path) -> Self {
        let mut medians = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() && entry.file_name() != "base" {
                    folders.push(entry.path());
                }
            }
            let read = |file: &str| -> Option<Value> {
                serde_json::from_str(&std::fs::read_to_string(folder.join(file)).ok()?).ok()
            };
            let (Some(benchmark), Some(estimates)) = (read("benchmark.json"), read("estimates.json")) else { continue };
            let text = |key: &str| benchmark[key].as_str().map(str::to_owned);
            let (Some(group), Some(way), Some(value)) = (text("group_id"), text("function_id"), text("value_str"))
            else {
                continue;
            };
            if let (Ok(number), Some(median)) = (value.parse(), estimates["median"]["point_estimate"].as_f64()) {
                medians.insert((group, way, number), median);
            }
        }
        Self(medians)
    }

    fn of(&self, question: &str, way: &str, number: u64) -> Option<f64> {
        self.0.get(&(question.to_owned(), way.to_owned(), number)).copied()
    }

    fn sizes(&self) -> Vec<u64> {
        let mut sizes: Vec<u64> =
            self.0.keys().filter(|(question, ..)| QUESTIONS.contains(&question.as_str())).map(|key| key.2).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }
}

fn main() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let medians = Medians::read(&target(project).join("criterion"));
    let sizes = medians.sizes();
    assert!(!sizes.is_empty(), "nothing was measured: run scripts/bench");
    let mut text = String::new();
    for size in &sizes {
        text.push_str(&times(&medians, *size));
    }
    text.push_str(&growth(&medians, &sizes));
    text.push_str(&readers(&medians, &sizes));
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    writeln!(text, "On {processors} cores; the ways are measured in turn, size by size.").expect("text");

    let path = project.join("README.md");
    let readme = std::fs::read_to_string(&path).expect("the README");
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the mark of the tables' beginning");
    let (_, after) = rest.split_once(END).expect("the README has the mark of the tables' end");
    std::fs::write(&path, format!("{before}{BEGIN}\n{text}\n{END}{after}")).expect("the README can be written");
    std::fs::write(project.join(PICTURE), picture(&medians, &sizes)).expect("the picture can be written");
    println!("{text}");
}

/// Where cargo builds, which criterion writes into.
fn target(project: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| project.join("target"), PathBuf::from)
}

/// What each way takes, and how often the limit or the same by hand.
fn times(medians: &Medians, size: u64) -> String {
    let mut table = format!("| {} schools; median, µs | memory", thousands(size));
    table.push_str(" | SQLite by hand | SQLite | over memory | Postgres by hand | Postgres | over by hand |\n");
    table.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for question in QUESTIONS {
        let median = |way: &str| medians.of(question, way, size);
        let [memory, sqlite_by_hand, sqlite, postgres_by_hand, postgres] = WAYS.map(|(way, _)| median(way));
        writeln!(
            table,
            "| {question} | {} | {} | {} | {} | {} | {} | {} |",
            microseconds(memory),
            microseconds(sqlite_by_hand),
            microseconds(sqlite),
            ratio(sqlite, memory),
            microseconds(postgres_by_hand),
            microseconds(postgres),
            ratio(postgres, postgres_by_hand),
        )
        .expect("text");
    }
    table.push('\n');
    table
}

/// What the large country costs over the small one.
fn growth(medians: &Medians, sizes: &[u64]) -> String {
    let (Some(small), Some(large)) = (sizes.first(), sizes.last()) else { return String::new() };
    if small == large {
        return String::new();
    }
    let mut table =
        format!("| {} schools over {} | memory | SQLite | Postgres |\n", thousands(*large), thousands(*small));
    table.push_str("| --- | ---: | ---: | ---: |\n");
    for question in QUESTIONS {
        let grown = |way: &str| ratio(medians.of(question, way, *large), medians.of(question, way, *small));
        writeln!(table, "| {question} | {} | {} | {} |", grown("memory"), grown("sqlite"), grown("postgres"))
            .expect("text");
    }
    table.push('\n');
    table
}

/// What two readers do together over what one does.
fn readers(medians: &Medians, sizes: &[u64]) -> String {
    let throughput = |way: &str, size: &u64| {
        let group = format!("readers of {size}");
        ratio(medians.of(&group, way, 1), medians.of(&group, way, 2))
    };
    let mut text = String::new();
    for size in sizes {
        let (sqlite, postgres) = (throughput("sqlite", size), throughput("postgres", size));
        writeln!(text, "Two readers at once, {} schools: SQLite {sqlite}, Postgres {postgres}.\n", thousands(*size))
            .expect("text");
    }
    text
}

fn microseconds(nanoseconds: Option<f64>) -> String {
    nanoseconds.map_or_else(|| "-".to_owned(), |ns| format!("{:.*}", usize::from(ns < 10_000.0), ns / 1_000.0))
}

fn ratio(of: Option<f64>, over: Option<f64>) -> String {
    of.zip(over)
        .map_or_else(|| "-".to_owned(), |(of, over)| format!("×{:.*}", usize::from(of < over * 10.0), of / over))
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).expect("digits")).collect();
    groups.join(",")
}

/// A bar for each way and size, by question, on a logarithmic scale.
fn picture(medians: &Medians, sizes: &[u64]) -> String {
    const LEFT: f64 = 170.0;
    const WIDTH: f64 = 620.0;
    const BAR: f64 = 11.0;
    // From a microsecond to ten milliseconds.
    let across = |ns: f64| LEFT + WIDTH * (ns / 1_000.0).max(1.0).log10() / 4.0;
    let mut body = String::new();
    let mut y = 70.0;
    for question in QUESTIONS {
        for size in sizes {
            let measured: Vec<_> =
                WAYS.iter().filter_map(|(way, colour)| Some((medians.of(question, way, *size)?, *colour))).collect();
            let middle = y + BAR * 3.0;
            writeln!(
                body,
                "<text x=\"{:.0}\" y=\"{middle:.0}\" text-anchor=\"end\">{question}</text>\
                 <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\" fill=\"#777\">{} schools</text>",
                LEFT - 8.0,
                LEFT - 8.0,
                middle + 13.0,
                thousands(*size),
            )
            .expect("text");
            for (ns, colour) in measured {
                let end = across(ns);
                writeln!(
                    body,
                    "<rect x=\"{LEFT:.0}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\
                     <text x=\"{:.1}\" y=\"{:.1}\" class=\"small\">{} µs</text>",
                    end - LEFT,
                    BAR - 2.0,
                    end + 4.0,
                    y + BAR - 3.0,
                    microseconds(Some(ns)),
                )
                .expect("text");
                y += BAR;
            }
            y += 10.0;
        }
    }
    let bottom = y;
    let mut grid = String::new();
    for (power, name) in ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms"].iter().enumerate() {
        let x = LEFT + WIDTH * f64::from(u32::try_from(power).expect("small")) / 4.0;
        writeln!(
            grid,
            "<line x1=\"{x:.1}\" y1=\"52\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"46\" text-anchor=\"middle\" fill=\"#777\">{name}</text>"
        )
        .expect("text");
    }
    let mut legend = String::new();
    for (at, (way, colour)) in WAYS.iter().enumerate() {
        let x = LEFT + 130.0 * f64::from(u32::try_from(at).expect("small"));
        writeln!(
            legend,
            "<rect x=\"{x:.0}\" y=\"10\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{:.0}\" y=\"20\">{way}</text>",
            x + 17.0
        )
        .expect("text");
    }
    let (width, height) = (LEFT + WIDTH + 80.0, bottom + 10.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\" aria-label=\"Median latency of each question, by way and number of schools\">\n\
         <style>.small {{ font-size: 9px; fill: #444 }}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{grid}{legend}{body}</svg>\n"
    )
}
