//! What is published, and which Rust it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::support::transcript::project;

/// The Rust that the feature `polars` needs beyond the rest; the README says so too.
const WITH_POLARS: (u64, u64) = (1, 95);

fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(project()).output().expect("the program runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_package_has_only_what_its_user_needs() {
    let list = printed(
        env!("CARGO"),
        &["package", "--package", env!("CARGO_PKG_NAME"), "--list", "--locked", "--allow-dirty"],
    );
    let files: BTreeSet<&str> = list.lines().collect();
    for needed in ["Cargo.toml", "README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "build.rs", "src/lib.rs"]
    {
        assert!(files.contains(needed), "{needed}");
    }
    let in_clone = |folder: &str| {
        let entries = std::fs::read_dir(project().join(folder)).expect("a folder");
        entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_dir())).count()
    };
    for folder in ["migrations_sqlite", "migrations_postgres"] {
        let ups = files.iter().filter(|file| file.starts_with(folder) && file.ends_with("/up.sql")).count();
        assert_eq!(ups, in_clone(folder), "{folder}");
    }
    let mut bytes = 0;
    for file in &files {
        let folder = file.split('/').next().expect("a part");
        let is_for_its_user = match folder {
            // The table of OSTN15 comes with its licence.
            "src" if file.starts_with("src/geo/ostn15/") => true,
            "src" if *file == "src/sample.json" => true,
            "src" | "examples" => file.ends_with(".rs") || file.starts_with("src/guide/"),
            "migrations_sqlite" | "migrations_postgres" => file.ends_with(".sql") || file.ends_with("/metadata.toml"),
            // Written by cargo.
            ".cargo_vcs_info.json" | "Cargo.toml.orig" | "Cargo.lock" => true,
            "Cargo.toml" | "README.md" | "CHANGELOG.md" | "LICENSE-APACHE" | "LICENSE-MIT" | "build.rs" => true,
            _ => false,
        };
        assert!(is_for_its_user, "{file} is published: add it here or to `include` in Cargo.toml");
        bytes += std::fs::metadata(project().join(file)).map_or(0, |file| file.len());
    }
    // A package may have 10 MB, compressed.
    assert!(bytes < 2_500_000, "{bytes} bytes");
}

/// The newest Rust that a package of the lock says it needs, of those that are built for some features.
fn needed(features: &str, host: &str) -> ((u64, u64), String) {
    let arguments = ["metadata", "--format-version=1", "--locked", "--filter-platform", host, "--no-default-features"];
    let metadata = printed(env!("CARGO"), &[&arguments[..], &["--features", features]].concat());
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|node| (text(&node["id"]), node)).collect();
    let root = text(&metadata["resolve"]["root"]);
    let (mut built, mut left) = (BTreeSet::new(), vec![root.clone()]);
    while let Some(id) = left.pop() {
        for dependency in list(&nodes[&id]["deps"]) {
            // What only tests use is built by nobody else.
            let is_built = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
            let id = text(&dependency["pkg"]);
            if is_built && built.insert(id.clone()) {
                left.push(id);
            }
        }
    }
    assert!(built.len() > 20, "{features}: {} packages", built.len());
    let versions = list(&metadata["packages"]).into_iter().filter(|package| built.contains(&text(&package["id"])));
    let versions = versions.filter_map(|package| {
        let version = package["rust_version"].as_str()?.to_owned();
        Some((parsed(&version), format!("{} {}", text(&package["name"]), text(&package["version"]))))
    });
    versions.max().expect("a package that says what it needs")
}

fn parsed(version: &str) -> (u64, u64) {
    let mut parts = version.split('.').map(|part| part.parse().expect("a number"));
    (parts.next().expect("a major version"), parts.next().unwrap_or(0))
}

/// The stated minimum is what the locked dependencies ask for, neither less nor more. That this crate's own code keeps
/// to it is clippy's to say (`incompatible_msrv`); no older compiler is installed to try it.
#[test]
fn rust_version_is_that_of_the_dependencies() {
    let host = printed("rustc", &["-vV"]);
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let stated = parsed(env!("CARGO_PKG_RUST_VERSION"));
    let (all, of) = needed("sqlite,postgres,register,cli,testing", host);
    assert_eq!(all, stated, "{of}");
    for features in ["sqlite", "postgres"] {
        assert!(needed(features, host).0 <= stated);
    }
    let (polars, of) = needed("sqlite,polars", host);
    assert_eq!(polars, WITH_POLARS, "{of}");
    let (major, minor) = stated;
    let said = format!(
        "The crate needs Rust {major}.{minor} or newer. The feature `polars`, and with it `--all-features` and \
         `scripts/test --long`, needs Rust {}.{}.",
        WITH_POLARS.0, WITH_POLARS.1
    );
    let readme = std::fs::read_to_string(project().join("README.md")).expect("the README").replace('\n', " ");
    assert!(readme.contains(&said), "the README says: {said}");
}
