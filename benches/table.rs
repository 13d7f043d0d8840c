//! Writes criterion's own estimates into the README as a table, between its two marks. `scripts/bench` runs it after the
//! measurement.
#![allow(clippy::expect_used, reason = "a script that cannot go on should stop and say so")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

const BEGIN: &str = "<!-- benchmarks: written by scripts/bench -->\n";
const END: &str = "<!-- benchmarks: end -->";

/// The questions in the order of the table.
const QUESTIONS: [&str; 4] = ["radius 5 km, first 20", "radius 5 km, filtered", "nearest 20", "catchment"];

fn main() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let medians = medians(&target(project).join("criterion"));
    let sets: BTreeSet<&str> = medians.keys().map(|(_, set)| set.as_str()).collect();
    // The embedded backend first, small sets before large ones.
    let mut sets: Vec<&str> = sets.into_iter().collect();
    sets.sort_by_key(|set| (!set.starts_with("sqlite"), count(set)));
    let mut table = String::from("| median, µs |");
    for set in &sets {
        let words: Vec<&str> = set.split(' ').collect();
        write!(table, " {} schools, {} |", thousands(count(set)), words.first().copied().unwrap_or_default())
            .expect("text");
    }
    table.push_str("\n| --- |");
    table.push_str(&" ---: |".repeat(sets.len()));
    for question in QUESTIONS {
        write!(table, "\n| {question} |").expect("text");
        for set in &sets {
            let median = medians.get(&(question.to_owned(), (*set).to_owned()));
            write!(table, " {} |", median.map_or_else(|| "-".to_owned(), |ns| format!("{:.0}", ns / 1_000.0)))
                .expect("text");
        }
    }
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    write!(table, "\n\nOn {processors} cores, one call at a time, through the public interface.\n").expect("text");

    let path = project.join("README.md");
    let readme = std::fs::read_to_string(&path).expect("the README");
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the mark of the table's beginning");
    let (_, after) = rest.split_once(END).expect("the README has the mark of the table's end");
    std::fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}")).expect("the README can be written");
    println!("{table}");
}

/// Where cargo builds, which criterion writes into.
fn target(project: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| project.join("target"), PathBuf::from)
}

/// The median of each question on each set in nanoseconds, from criterion's files.
fn medians(folder: &Path) -> BTreeMap<(String, String), f64> {
    let mut medians = BTreeMap::new();
    for question in std::fs::read_dir(folder).expect("criterion's folder: run scripts/bench").flatten() {
        for set in std::fs::read_dir(question.path()).into_iter().flatten().flatten() {
            let read = |file: &str| -> Option<Value> {
                serde_json::from_str(&std::fs::read_to_string(set.path().join("new").join(file)).ok()?).ok()
            };
            let (Some(benchmark), Some(estimates)) = (read("benchmark.json"), read("estimates.json")) else { continue };
            let text = |key: &str| benchmark[key].as_str().map(str::to_owned);
            let (Some(question), Some(set)) = (text("group_id"), text("value_str")) else { continue };
            if let Some(median) = estimates["median"]["point_estimate"].as_f64() {
                medians.insert((question, set), median);
            }
        }
    }
    medians
}

/// The number of schools, which ends a set's name.
fn count(set: &str) -> u32 {
    set.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or_default()
}

fn thousands(number: u32) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}
