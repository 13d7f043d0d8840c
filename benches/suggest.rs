//! Measures suggestions among 50,000 schools on each backend, through the public interface, without and with a home:
//! for words that few schools have, for misspelt ones, and for the most frequent words. The medians and the 95th
//! percentiles are printed.
//!
//! `scripts/bench suggest`
#![allow(clippy::expect_used, reason = "a bench that cannot go on should stop and say so")]
#![allow(dead_code, reason = "the queries are for the other benches")]

mod support;

use std::time::{Duration, Instant};

use school_finder_db::models::NewSchool;
use school_finder_db::{LatLng, SchoolRepository};
use support::Database;
use support::made::Country;

/// How often each kind of text is typed.
const ROUNDS: usize = 200;

const BEGINNINGS: [&str; 14] =
    ["Den", "Har", "Brack", "Wol", "Stan", "Mill", "Ash", "Thorn", "Kings", "Oak", "Wey", "Rad", "Pem", "Lang"];
const MIDDLES: [&str; 12] = ["big", "ling", "en", "ver", "mor", "el", "ing", "ber", "ster", "win", "cot", "ham"];
const ENDINGS: [&str; 16] = [
    "h", "ton", "ford", "ley", "field", "worth", "wick", "bury", "ham", "stead", "combe", "dale", "gate", "bridge",
    "well", "mere",
];
const PATRONS: [&str; 8] = [
    "St Mary's",
    "St John's",
    "St Joseph's",
    "Holy Trinity",
    "All Saints",
    "SS Peter and Paul",
    "St James'",
    "St Anne's",
];
const KINDS: [&str; 8] = [
    "Primary School",
    "CofE Primary School",
    "Catholic Primary School",
    "Primary School",
    "Infant School",
    "Junior School",
    "Academy",
    "High School",
];

/// Returns one of 2,688 names of places.
fn place(number: usize) -> String {
    let middle = MIDDLES[number / BEGINNINGS.len() % MIDDLES.len()];
    let ending = ENDINGS[number / (BEGINNINGS.len() * MIDDLES.len()) % ENDINGS.len()];
    format!("{}{middle}{ending}", BEGINNINGS[number % BEGINNINGS.len()])
}

/// Returns the country with names as schools have them.
fn named(mut country: Country) -> Country {
    for (number, school) in country.schools.iter_mut().enumerate() {
        let kind = KINDS[number / 3 % KINDS.len()];
        let place = place(number * 7_919);
        let name = match number % 3 {
            0 => format!("{} {kind}, {place}", PATRONS[number / 24 % PATRONS.len()]),
            _ => format!("{place} {kind}"),
        };
        *school = NewSchool { name, ..school.clone() };
    }
    country
}

/// A kind of text, and the text of each round.
type Kind = (&'static str, fn(usize) -> String);

const TEXTS: [Kind; 8] = [
    ("a rare word", |round| place(round * 101).to_lowercase()),
    ("a rare word, begun", |round| place(round * 101).chars().take(6).collect()),
    ("a rare word, misspelt", |round| {
        let mut letters: Vec<char> = place(round * 101).to_lowercase().chars().collect();
        let middle = letters.len() / 2;
        letters.remove(middle);
        letters.into_iter().collect()
    }),
    ("three words", |round| format!("primary school {}", place(round * 101))),
    ("st", |_| "st".to_owned()),
    ("st marys primary", |_| "st marys primary".to_owned()),
    ("primary", |_| "primary".to_owned()),
    ("one letter", |round| char::from(b'a' + u8::try_from(round % 26).expect("a letter")).to_string()),
];

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let country = named(Country::of(50_000));
    let folder = tempfile::tempdir().expect("a folder");
    let mut databases = vec![("sqlite", runtime.block_on(Database::sqlite(folder.path(), &country)))];
    databases.push(("postgres", runtime.block_on(Database::postgres(&country))));
    println!("{:24}{:10}{:>22}{:>22}", "", "", "without a home, ms", "with a home, ms");
    for (kind, text) in TEXTS {
        for (backend, database) in &databases {
            let home = |round: usize| Some(country.cases[round % country.cases.len()].home);
            let nowhere = runtime.block_on(measured(database.repository.as_ref(), text, |_| None));
            let near = runtime.block_on(measured(database.repository.as_ref(), text, home));
            println!("{kind:24}{backend:10}{nowhere:>22}{near:>22}");
        }
    }
    for (_, database) in databases {
        runtime.block_on(database.remove());
    }
}

/// Returns the median and the 95th percentile of the suggestions for each round's text.
async fn measured(
    finder: &dyn SchoolRepository,
    text: fn(usize) -> String,
    home: impl Fn(usize) -> Option<LatLng>,
) -> String {
    let mut times: Vec<Duration> = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let text = text(round);
        let begun = Instant::now();
        finder.suggest(&text, home(round), 10).await.expect("suggestions");
        times.push(begun.elapsed());
    }
    times.sort();
    let ms = |share: usize| times[ROUNDS * share / 100].as_secs_f64() * 1_000.0;
    format!("{:.2} ({:.2})", ms(50), ms(95))
}
