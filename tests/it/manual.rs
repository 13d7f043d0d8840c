//! The program's help and manual pages, and its output on a terminal.

use std::process::{Command, Output};

use crate::support::transcript::Session;

/// Files by the names that the examples use, with next to nothing in them.
const FILES: [(&str, &str); 6] = [
    (
        "edubasealldata.csv",
        "URN,LA (name),EstablishmentName,EstablishmentStatus (name),PhaseOfEducation (name),Easting,Northing\r\n\
         110375,Milton Keynes,Hilltop School,Open,Primary,485280,238480\r\n\
         110376,Milton Keynes,Valley School,Open,Secondary,486280,238480\r\n",
    ),
    (
        "links_edubasealldata.csv",
        "URN,LinkURN,LinkName,LinkType,LinkEstablishedDate\r\n110375,100012,Old School,Predecessor,01-09-2010\r\n",
    ),
    (
        "admissions_history.csv",
        "urn,academic_year,intake_year,last_distance_offered_km\n110375,2025/2026,Year R,2.5\n110375,2024/2025,Year R,3\n",
    ),
    (
        "catchments.geojson",
        r#"{"type":"FeatureCollection","features":[{"type":"Feature",
           "properties":{"school_urn":110375,"SCHOOL_NAME":"Hilltop School"},"geometry":{"type":"Polygon",
           "coordinates":[[[-0.8,52],[-0.7,52],[-0.7,52.1],[-0.8,52.1],[-0.8,52]]]}}]}"#,
    ),
    ("homes.csv", "lat,lng\n52.0406,-0.7594\n"),
    ("NSPL_AUG_2026_UK.csv", "pcds,doterm,gridind,lat,long\r\nMK9 3EP,,1,52.0406,-0.7594\r\n"),
];

/// A home with those files, and the register and the postcodes imported.
fn home() -> Session {
    let session = Session::new();
    for (name, content) in FILES {
        std::fs::write(session.folder().join(name), content).expect("a file");
    }
    let imported = session.run("school-finder import register edubasealldata.csv");
    assert!(imported.ends_with("inserted 2, updated 0, unchanged 0, rejected 0\n"), "{imported}");
    let imported = session.run("school-finder import postcodes NSPL_AUG_2026_UK.csv");
    assert!(imported.ends_with("inserted 1, updated 0, unchanged 0, rejected 0\n"), "{imported}");
    session
}

fn program(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_school-finder"));
    command.args(arguments).env_remove("DATABASE_URL").env_remove("DB_BACKEND").output().expect("the program runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// The help of a command and of every command below it.
fn helps(command: &[&str]) -> Vec<(String, String)> {
    let output = program(&[command, &["--help"]].concat());
    let help = text(&output.stdout).to_owned();
    let commands = help.split_once("Commands:\n").map_or("", |(_, commands)| commands);
    // Text that goes on in the next line stands farther in.
    let names = commands.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let names: Vec<String> = names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    let below = names.iter().filter(|name| *name != "help").flat_map(|name| helps(&[command, &[name]].concat()));
    let mut all: Vec<(String, String)> = below.collect();
    all.push((command.join(" "), help));
    all
}

/// Needs a server with a role of that name; `health.rs` has roles.
const NEEDS_A_ROLE: &str = "migrate grant";

/// What a command answers that this build has not.
const NEEDS_POLARS: &str = "needs Polars: build with --features cli,polars\n";

#[test]
fn every_help_has_an_example_that_runs() {
    let helps = helps(&[]);
    assert!(helps.len() > 25, "{} commands", helps.len());
    for (command, help) in helps {
        let examples = help.split_once("Example").map_or("", |(_, examples)| examples);
        let lines = examples.lines().filter_map(|line| line.strip_prefix("  "));
        let examples: Vec<&str> = lines.filter(|line| line.starts_with("school-finder ")).collect();
        assert!(!examples.is_empty(), "`{command} --help` has no example");
        if command == NEEDS_A_ROLE {
            continue;
        }
        let home = home();
        std::fs::create_dir_all(home.folder().join(".local/share/bash-completion/completions")).expect("a folder");
        for example in examples {
            assert!(example.starts_with(&format!("school-finder {command}")), "`{command}` has the example {example}");
            let printed = home.run(&format!("{example} && echo done"));
            let is_left_out = cfg!(not(feature = "polars")) && printed.ends_with(NEEDS_POLARS);
            assert!(is_left_out || printed.ends_with("done\n"), "$ {example}\n{printed}");
        }
    }
}

#[test]
fn completions_and_pages_name_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = program(&["completions", shell]);
        assert!(script.status.success() && script.stderr.is_empty());
        for name in ["catchment", "max-rating", "accept-loss"] {
            assert!(text(&script.stdout).contains(name), "{shell}: {name}");
        }
    }
    let home = Session::new();
    // The script is one that its shell takes.
    assert_eq!(home.run("school-finder completions bash > script && bash -n script && echo done"), "done\n");
    assert_eq!(home.run("school-finder man pages/man1"), "");
    for (command, _) in helps(&[]) {
        let name = format!("school-finder {command}").trim_end().replace(' ', "-");
        let page = std::fs::read_to_string(home.folder().join(format!("pages/man1/{name}.1"))).expect("a page");
        assert!(page.contains(".TH") && page.contains("Example"), "{name}");
    }
    assert!(home.run("school-finder man").contains(".TH school-finder 1"));
    let refused = home.run("touch file; school-finder man file/pages");
    assert!(refused.starts_with("school-finder: cannot write \"file/pages\""), "{refused}");
}

/// What a command prints on a terminal of so many columns.
fn on_a_terminal(home: &Session, columns: u32, command: &str) -> String {
    // `script` is part of every Debian and Ubuntu.
    let printed = home.run(&format!("script -qec 'stty cols {columns}; {command}' /dev/null"));
    assert!(!printed.contains("not found"), "{printed}");
    printed
}

#[test]
fn tables_fit_the_terminal_and_are_not_cut_in_pipes() {
    let home = Session::new();
    let find = "school-finder find --lat 52.0406 --lng -0.7594";
    let piped = home.run(&format!("{find} --format table 2>/dev/null | cat"));
    assert_eq!(piped.lines().count(), 21, "a line for each school and one for the columns:\n{piped}");
    for columns in [60, 80, 200] {
        let shown = on_a_terminal(&home, columns, &format!("{find} 2>/dev/null"));
        let width = shown.lines().map(|line| line.trim_end().chars().count()).max().expect("lines");
        assert!(width <= usize::try_from(columns).expect("small"), "{width} of {columns} columns:\n{shown}");
        for line in piped.lines().skip(1) {
            let urn = line.split_whitespace().last().expect("a URN");
            assert!(shown.contains(urn), "{urn} is broken at {columns} columns:\n{shown}");
        }
    }
    let shown = on_a_terminal(&home, 0, &format!("{find} --format table 2>/dev/null"));
    assert_eq!(shown.replace('\r', ""), piped, "a terminal that does not know its width");
}

#[test]
fn colours_and_bars_are_for_terminals() {
    let home = home();
    assert!(on_a_terminal(&home, 80, "school-finder --help").contains('\u{1b}'));
    assert!(!on_a_terminal(&home, 80, "NO_COLOR=1 school-finder --help").contains('\u{1b}'));
    for command in ["school-finder --help", "school-finder import register edubasealldata.csv", "school-finder find"] {
        let printed = home.run(command);
        assert!(!printed.contains('\u{1b}') && !printed.contains('\r'), "{printed:?}");
    }
}

#[test]
fn errors_name_the_next_step() {
    let home = home();
    for (command, step) in [
        ("show 7", "look for it by name: school-finder find --name TEXT"),
        ("show 100012", "look for it by name"),
        ("import register nowhere.csv", "check the path"),
        ("import register edubasealldata.csv --rejects nowhere/file.csv", "check the path"),
        ("find --database nowhere.db", "school-finder migrate up"),
        ("find --limit 1001", "lower the limit and follow the cursor"),
        ("find --council Nowhere", "`school-finder facets` lists them"),
        ("find --within 5", "--lat"),
        ("finds", "find"),
        ("find --database mysql://localhost/x", "change the URL or DB_BACKEND, or build with its feature"),
        ("migrate down --steps 100", "add --accept-loss"),
    ] {
        let printed = home.run(&format!("school-finder {command}"));
        assert!(printed.contains(step), "$ school-finder {command}\n{printed}");
    }
}
