//! What the documents say is what happens.

use school_finder_db::config::Backend;
use school_finder_db::models::{Phase, Rating};
use school_finder_db::request::{ClubFilter, ReachFilter, Unrated};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{SchoolRepository, SchoolSearch, sample};

use crate::support::km;
use crate::support::raw::url_of;
use crate::support::transcript::{DOCUMENTS, RUN, Run, Session, project, shown};

fn document(name: &str) -> String {
    std::fs::read_to_string(project().join(name)).expect("the document")
}

#[test]
fn every_command_is_run_by_a_test_or_listed_with_a_reason() {
    let shown = shown();
    for command in &shown {
        let is_listed = RUN.iter().any(|(listed, _)| *listed == command.command);
        assert!(is_listed, "{}: say in `RUN` where `{}` is run", command.document, command.command);
    }
    for (listed, _) in RUN {
        assert!(shown.iter().any(|command| command.command == *listed), "no document shows `{listed}` any more");
    }
}

#[tokio::test]
async fn commands_print_what_the_documents_show() {
    let server = TestDatabase::new(Backend::Postgres).await.expect("a database");
    let mut run = 0;
    for document in DOCUMENTS {
        let mut session = Session::new();
        let url = format!("'{}'", url_of(&server).await);
        session.replace("postgres://postgres@localhost/schools", &url);
        session.replace("postgres://postgres@localhost/sample", &url);
        for command in shown().iter().filter(|command| command.document == document) {
            if RUN.contains(&(command.command.as_str(), Run::OnTheSample)) {
                session.check(command);
                run += 1;
            }
        }
    }
    assert_eq!(run, RUN.iter().filter(|(_, run)| *run == Run::OnTheSample).count(), "each is shown once");
}

#[test]
fn the_dependency_is_this_crate_with_features_that_it_has() {
    let (_, block) =
        document("README.md").split_once("```toml\n").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a block");
    let line = block.lines().find(|line| line.starts_with(env!("CARGO_PKG_NAME"))).expect("this crate");
    let (_, features) = line.split_once("features = [").expect("features");
    let features: Vec<&str> =
        features.split_once(']').expect("a list").0.split(", ").map(|name| name.trim_matches('"')).collect();
    let manifest = document("Cargo.toml");
    let known = manifest.split_once("[features]\n").expect("features").1.split_once("\n\n").expect("an end").0;
    for feature in &features {
        assert!(known.lines().any(|line| line.starts_with(&format!("{feature} = ["))), "there is no feature {feature}");
    }
    assert!(!features.is_empty() && known.contains("default = [\"sqlite\"]"), "SQLite is on by default");
}

#[test]
fn the_first_lines_are_the_example_quickstart() {
    let example = document("examples/quickstart.rs");
    let code = example.split_once("\n\n").expect("a comment, and then code").1;
    assert!(document("README.md").contains(&format!("```rust,no_run\n{code}```\n")), "the README shows\n{code}");
}

#[tokio::test]
async fn an_own_query_returns_the_same_on_both_backends() {
    let server = TestDatabase::new(Backend::Postgres).await.expect("a database");
    let session = Session::new();
    let own_query = "cargo run --example own_query";
    let sqlite = session.run(own_query);
    assert_eq!(sqlite, "0.35 km  Millpond Primary School: 18:00:00\n0.94 km  St Osyth's CE Primary School: 18:00:00\n");
    assert_eq!(session.run(&format!("{own_query} -- '{}'", url_of(&server).await)), sqlite);
}

/// The README's table, made anew from what each backend answers.
#[tokio::test]
async fn both_backends_return_the_results_of_the_table() {
    let mut columns = Vec::new();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = TestDatabase::new(backend).await.expect("a database");
        sample::fill(database.repository()).await.expect("a town");
        columns.push(results(database.repository()).await);
    }
    let mut table = String::from("| search from a home in the sample town | SQLite and PostgreSQL |\n| --- | --- |\n");
    for ((name, sqlite), (_, postgres)) in columns[0].iter().zip(&columns[1]) {
        assert_eq!(sqlite, postgres, "{name}");
        table.push_str(&format!("| {name} | {sqlite} |\n"));
    }
    assert!(document("README.md").contains(&table), "the README has not this table:\n{table}");
}

async fn results(finder: &dyn SchoolRepository) -> Vec<(&'static str, String)> {
    let home = SchoolSearch::near(sample::home());
    let nearest = finder.find_schools(&home.clone().limit(1)).await.expect("a result");
    let hit = nearest.items.first().expect("a school");
    let nearest_km = hit.distance_km.expect("a distance");
    let primary = home.clone().within(km(2.0)).phase(Phase::Primary).rated(Rating::Good, Unrated::Exclude);
    let primary = finder.find_schools(&primary).await.expect("a result");
    let until = chrono::NaiveTime::from_hms_opt(17, 30, 0);
    let club = ClubFilter { kind: school_finder_db::models::ClubKind::AfterSchool, on: None, until };
    let cared_for = finder.find_schools(&home.clone().club(club)).await.expect("a result");
    let serving = finder.find_catchments(&home).await.expect("a result");
    let reach = home.reached(ReachFilter { intake: None, years: 2 });
    let reach = finder.find_reach(&reach).await.expect("a result");
    let names = |names: Vec<String>| names.join("<br>");
    vec![
        ("the nearest school", format!("{}, {nearest_km} km", hit.school.name)),
        ("primary schools within 2 km, rated good or better", primary.items.len().to_string()),
        (
            "with a club until half past five",
            names(cared_for.items.iter().map(|hit| hit.school.name.clone()).collect()),
        ),
        (
            "whose catchment holds the home",
            names(serving.items.iter().map(|item| format!("{} ({})", item.hit.school.name, item.evidence)).collect()),
        ),
        (
            "would have offered a place in both of the last two years",
            names(
                reach
                    .items
                    .iter()
                    .map(|hit| {
                        format!("{}, by {:.2} km", hit.hit.school.name, hit.years[0].margin_km.expect("a margin"))
                    })
                    .collect(),
            ),
        ),
    ]
}
