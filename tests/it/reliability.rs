//! What docs/reliability.md says, held to what there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use school_finder_db::{Error, Kilometres};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The table names tests as `file.rs::test`, and each row has at least one.
#[test]
fn every_test_of_the_table_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/reliability.md")).expect("the document");
    let mut all = Vec::new();
    files(&root.join("src"), &mut all);
    files(&root.join("tests"), &mut all);
    let named: BTreeSet<&str> = document.split('`').filter(|text| text.contains(".rs::")).collect();
    assert!(named.len() > 80, "{}", named.len());
    for name in named {
        let (file, test) = name.split_once("::").expect("a file and a test");
        let is_there = all.iter().filter(|path| path.ends_with(file)).any(|path| {
            let text = std::fs::read_to_string(path).expect("a file");
            text.contains(&format!("fn {test}(")) || text.contains(&format!("fn {test}\n"))
        });
        assert!(is_there, "docs/reliability.md names {name}, which is not there");
    }
    for row in document.lines().filter(|line| line.starts_with("| ")).filter(|line| !line.starts_with("| what ")) {
        let has_test = row.contains(".rs::") || row.starts_with("| ---");
        assert!(has_test, "no test holds: {row}");
    }
}

#[test]
fn a_radius_is_a_finite_number_of_kilometres() {
    for km in [-1.0, -f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(matches!(Kilometres::new(km), Err(Error::InvalidRadius { .. })), "{km}");
    }
    assert!(Kilometres::new(-0.0).expect("nothing").get().is_sign_positive());
}

/// No answer depends on what a clock says, nor on where it stands: leap days, changes of the clocks and clocks that
/// jump are nothing to it. Times are measured by a clock that only goes forward.
#[test]
fn no_result_depends_on_the_time_of_day() {
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    assert!(all.len() > 50);
    for path in all {
        let text = std::fs::read_to_string(&path).expect("a file");
        for clock in
            ["SystemTime", "Utc::now", "Local::now", "chrono::Local", "current_timestamp", "CURRENT_TIMESTAMP", "now()"]
        {
            let lines = text.lines().filter(|line| line.contains(clock) && !line.contains("Instant::now()"));
            assert_eq!(lines.collect::<Vec<_>>(), Vec::<&str>::new(), "{}", path.display());
        }
    }
}
