//! Names of the real register as people type them.

use std::collections::HashMap;
use std::fs::File;

use school_finder_db::SchoolSearch;
use school_finder_db::config::Backend;
use school_finder_db::import::Import;
use school_finder_db::testing::TestDatabase;
use school_finder_db::text::fold;

/// How many names are typed, and how many of them have to be among the first five.
const NAMES: usize = 200;
const FOUND: usize = 190;

/// The keys beside each letter's.
const NEIGHBOURS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// Returns the letter of the key to the right, or of the one to the left at the end of a row.
fn neighbour(letter: char) -> char {
    let beside = |row: &str| {
        let at = row.find(letter)?;
        row[at + 1..].chars().next().or_else(|| row[..at].chars().next_back())
    };
    NEIGHBOURS.into_iter().find_map(beside).unwrap_or(letter)
}

/// Returns the text with its longest word changed at the middle.
fn mistyped(name: &str, change: impl Fn(&mut Vec<char>, usize)) -> String {
    let mut words: Vec<String> = name.split(' ').map(str::to_owned).collect();
    let length = |word: &String| word.chars().filter(|c| c.is_alphabetic()).count();
    if let Some(longest) = words.iter_mut().max_by_key(|word| length(word)) {
        let mut letters: Vec<char> = longest.chars().collect();
        let middle = letters.len() / 2;
        change(&mut letters, middle);
        *longest = letters.into_iter().collect();
    }
    words.join(" ")
}

/// Returns a name as it is typed by a rule, or `None` where the rule does not change it.
fn typed(name: &str, rule: usize) -> Option<String> {
    let name = name.to_lowercase();
    let words: Vec<&str> = name.split(' ').collect();
    let typed = match rule {
        // A letter is left out.
        0 => mistyped(&name, |letters, at| {
            letters.remove(at);
        }),
        // A letter is doubled.
        1 => mistyped(&name, |letters, at| letters.insert(at, letters[at])),
        // Two letters are swapped.
        2 => mistyped(&name, |letters, at| letters.swap(at - 1, at)),
        // The key beside is hit.
        3 => mistyped(&name, |letters, at| letters[at] = neighbour(letters[at])),
        4 => name.replace(['\'', '’'], ""),
        // Another order.
        5 => words.iter().rev().copied().collect::<Vec<_>>().join(" "),
        // Two words are written as one.
        6 => words
            .iter()
            .enumerate()
            .map(|(at, word)| if at < 2 { (*word).to_owned() } else { format!(" {word}") })
            .collect(),
        // The last word is unfinished.
        _ => name[..name.char_indices().rev().nth(3)?.0].to_owned(),
    };
    (typed != name).then_some(typed)
}

async fn import(backend: Backend) -> TestDatabase {
    let database = TestDatabase::new(backend).await.expect("a database");
    let file = File::open(super::register()).expect("the register");
    Import::new().register(database.repository(), file).await.expect("an import");
    database
}

#[tokio::test]
async fn mistyped_names_find_their_schools() {
    let mut databases = vec![import(Backend::Sqlite).await];
    if cfg!(feature = "postgres") {
        databases.push(import(Backend::Postgres).await);
    }
    let finder = databases[0].repository();
    let schools = finder.all_schools(&SchoolSearch::open()).await.expect("schools");
    let mut by_name: HashMap<String, usize> = HashMap::new();
    for hit in &schools {
        *by_name.entry(fold(&hit.school.name)).or_default() += 1;
    }
    // Names of one school each, all over the alphabet. Every rule has as many.
    let unique: Vec<_> = schools.iter().filter(|hit| by_name[&fold(&hit.school.name)] == 1).collect();
    let mut names = Vec::new();
    for rule in 0..8 {
        let mut names_of_rule = Vec::new();
        for at in 0.. {
            // Steps by a prime number cover the alphabet evenly.
            let hit = unique[(at * 7_919 + rule * 101) % unique.len()];
            if let Some(typed) = typed(&hit.school.name, rule) {
                names_of_rule.push((rule, hit.school.name.clone(), hit.school.urn, typed));
            }
            if names_of_rule.len() == NAMES / 8 {
                break;
            }
        }
        names.extend(names_of_rule);
    }
    assert_eq!(names.len(), NAMES);
    let (mut found, mut missed) = (0, Vec::new());
    for (rule, name, urn, typed) in &names {
        let suggestions = finder.suggest(typed, None, 5).await.expect("suggestions");
        for database in &databases[1..] {
            let others = database.repository().suggest(typed, None, 5).await.expect("suggestions");
            assert_eq!(suggestions, others, "the backends differ: {typed}");
        }
        if suggestions.iter().any(|suggestion| suggestion.hit.school.urn == *urn) {
            found += 1;
        } else {
            let first = suggestions.first().map(|suggestion| suggestion.hit.school.name.as_str());
            missed.push(format!("rule {rule}: {name:?} typed as {typed:?} finds {first:?}"));
        }
    }
    println!("{found} of {NAMES} mistyped names find their school among the first five");
    assert!(found >= FOUND, "{found} of {NAMES}:\n{}", missed.join("\n"));
}
