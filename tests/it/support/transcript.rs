//! What documents show of a shell: blocks marked `console`, in which a line `$ command` is followed by what it prints.
//! Each command is run by a test, or listed here with the reason why not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The documents whose commands are run, in the order in which a reader comes to them.
pub const DOCUMENTS: [&str; 3] = ["README.md", "docs/program.md", "docs/analysis.md"];

/// Where a command that a document shows is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// By `tests/it/readme.rs`: on the sample, or on a database that the document makes.
    OnTheSample,
    /// By `tests/real_data/readme.rs`, on published files, which are not part of the project.
    OnPublishedData,
    /// By no test, for a reason.
    Nowhere(#[allow(dead_code, reason = "for whoever reads the list")] &'static str),
}

/// Where each is run. A command that is not among these stops the test, as does one that no document shows any more.
#[rustfmt::skip]
pub const RUN: &[(&str, Run)] = &[
    ("cargo run --example quickstart", Run::OnTheSample),
    ("cargo run --features postgres --example quickstart -- postgres://postgres@localhost/sample", Run::OnTheSample),
    ("cargo run --features cli -- find --lat 52.0406 --lng -0.7594 --within 5 --limit 3", Run::OnTheSample),
    ("scripts/test", Run::Nowhere("it runs this test itself, and all others")),
    ("cargo install --path . --features cli,postgres", Run::Nowhere("a release build of the program takes minutes, and puts it into the home of whoever tests")),
    ("school-finder import register edubasealldata.csv", Run::OnPublishedData),
    ("school-finder find --lat 52.0406 --lng -0.7594 --within 5 --limit 3", Run::OnPublishedData),
    ("school-finder import admissions admissions_history.csv", Run::OnPublishedData),
    ("school-finder reach --lat 52.0406 --lng -0.7594 --phase secondary --limit 3", Run::OnPublishedData),
    ("cargo run --bin web_service", Run::Nowhere("it serves until it is stopped: scripts/web-test runs it")),
    ("DATABASE_URL=postgres://finder@localhost/schools cargo run --features postgres --bin web_service", Run::Nowhere("it serves until it is stopped: scripts/web-test runs it")),
    ("school-finder find --lat 52.0406 --lng -0.7594 --phase primary --max-rating 2 --has-club after_school --club-until 17:30", Run::OnTheSample),
    ("school-finder catchment --lat 52.0406 --lng -0.7594", Run::OnTheSample),
    ("school-finder find --phase nursery --limit 1 --format csv", Run::OnTheSample),
    ("school-finder import register edubasealldata.csv --dry-run", Run::OnPublishedData),
    ("school-finder import links links_edubasealldata.csv", Run::OnPublishedData),
    ("school-finder show 100012", Run::OnPublishedData),
    ("school-finder import register edinburgh.csv --database edinburgh.db", Run::OnPublishedData),
    ("school-finder import catchments catchments.geojson --key urn --database edinburgh.db", Run::OnPublishedData),
    ("school-finder catchment --lat 55.9533 --lng -3.1883 --database edinburgh.db", Run::OnPublishedData),
    ("school-finder reach --lat 52.024 --lng -0.785 --intake 'Year R' --years 2", Run::OnPublishedData),
    ("DATABASE_URL=postgres://postgres@localhost/schools school-finder migrate check", Run::OnTheSample),
    ("mkdir -p ~/.local/share/bash-completion/completions", Run::OnTheSample),
    ("school-finder completions bash > ~/.local/share/bash-completion/completions/school-finder", Run::OnTheSample),
    ("school-finder man ~/.local/share/man/man1", Run::OnTheSample),
    ("school-finder find --lat 52.0406 --lng -0.7594 --within 5 --phase secondary --parquet secondary.parquet", Run::OnPublishedData),
    ("school-finder backfill phase --not-applicable --dry-run", Run::OnPublishedData),
    ("printf 'lat,lng\\n52.0406,-0.7594\\n51.5072,-0.1276\\n' > homes.csv", Run::OnPublishedData),
    ("school-finder batch nearest homes.csv nearest.parquet", Run::OnPublishedData),
];

/// A command and what a document says that it prints.
#[derive(Debug, Clone)]
pub struct Shown {
    pub document: &'static str,
    pub command: String,
    pub output: String,
}

/// Every command of the documents, in order. A shell block that is not marked `console`, and so not run, stops the
/// test.
pub fn shown() -> Vec<Shown> {
    let mut all = Vec::new();
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(project().join(document)).expect("the document");
        let mut language = None;
        for line in text.lines() {
            match (line.strip_prefix("```"), language) {
                (Some(begun), None) => {
                    let is_run = begun == "console"
                        || (document == "README.md" && (begun == "toml" || begun.starts_with("rust")));
                    assert!(is_run, "{document}: a block of {begun:?} is not run by any test");
                    language = Some(begun);
                }
                (Some(_), Some(_)) => language = None,
                (None, Some("console")) => match (line.strip_prefix("$ "), all.last_mut()) {
                    (Some(command), _) => {
                        all.push(Shown { document, command: command.to_owned(), output: String::new() });
                    }
                    (None, Some(Shown { output, .. })) => {
                        output.push_str(line);
                        output.push('\n');
                    }
                    (None, None) => panic!("{document}: {line:?} stands before any command"),
                },
                (None, _) => {}
            }
        }
    }
    all
}

/// A home to run commands in, one after the other, as a person at a terminal would.
pub struct Session {
    folder: tempfile::TempDir,
    replaced: BTreeMap<String, String>,
}

impl Session {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), replaced: BTreeMap::new() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// From now on, this stands where the documents have that.
    pub fn replace(&mut self, shown: &str, by: &str) {
        self.replaced.insert(shown.to_owned(), by.to_owned());
    }

    /// Runs a command by the shell, and gives all that it prints, on either output, in order.
    pub fn run(&self, command: &str) -> String {
        let mut command = command.to_owned();
        for (shown, by) in &self.replaced {
            command = command.replace(shown, by);
        }
        // What cargo would build is built already, with both backends.
        command = command.replace("cargo run --features cli --", "school-finder").replace(" --features postgres", "");
        if let Some((before, run)) = command.split_once("cargo run --example ") {
            let (example, arguments) = run.split_once(" -- ").unwrap_or((run, ""));
            require_built(example);
            command = format!("{before}{example} {arguments}");
        }
        let path = self.folder().join(".printed");
        let printed = std::fs::File::create(&path).expect("a file");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &command])
            .current_dir(self.folder())
            .env("HOME", self.folder())
            .env_remove("XDG_DATA_HOME")
            .env("PATH", path_to_programs())
            .stdin(Stdio::null())
            .stdout(printed.try_clone().expect("a file"))
            .stderr(printed)
            .env_remove("DATABASE_URL")
            .env_remove("DB_BACKEND");
        shell.status().expect("a shell");
        // A reader has another home.
        std::fs::read_to_string(path).expect("UTF-8").replace(&self.folder().display().to_string(), "~")
    }

    /// Runs a command, which must print what its document says.
    pub fn check(&self, shown: &Shown) {
        let Shown { document, command, output } = shown;
        // A table is the default on a terminal, which a test is not.
        let prints_table = prints_schools(command) && !command.contains("--format") && !command.contains("--parquet");
        let printed = self.run(&format!("{command}{}", if prints_table { " --format table" } else { "" }));
        assert!(printed == *output, "{document}: $ {command}\nis shown to print\n{output}\nand prints\n{printed}");
    }
}

fn folder_of_programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_school-finder")).parent().expect("a folder")
}

/// Where the program, the examples, the test server's programs and the system's own are.
fn path_to_programs() -> std::ffi::OsString {
    let built = folder_of_programs();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let server = std::env::var_os("TEST_POSTGRES_BIN").map(PathBuf::from);
    let folders =
        [built.to_owned(), built.join("examples")].into_iter().chain(server).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).expect("a path")
}

/// `cargo test` builds the examples, but not where it builds one test alone.
fn require_built(example: &str) {
    let changed = |path: PathBuf| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let built = changed(folder_of_programs().join("examples").join(example));
    let is_new = built >= changed(project().join(format!("examples/{example}.rs")));
    assert!(
        is_new,
        "{example} is not built as it is written: cargo build --features sqlite,postgres,cli,testing --examples"
    );
}

fn prints_schools(command: &str) -> bool {
    let commands = ["find", "catchment", "reach", "show", "councils", "facets"];
    let program = ["school-finder ", "cargo run --features cli -- "];
    program
        .iter()
        .find_map(|program| command.strip_prefix(program))
        .is_some_and(|rest| commands.iter().any(|name| rest.starts_with(name)))
}

pub fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
