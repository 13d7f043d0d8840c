//! Answers about a million schools, in little memory.

use std::process::Command;

use school_finder_db::{Config, migrate};

use crate::raw::Raw;
use crate::support::{program, say};

const SCHOOLS: u64 = 1_000_000;

/// Every command that reads runs in 384 MiB of addresses, of which the program's own code and its threads' stacks take
/// a part.
#[tokio::test]
async fn a_million_schools_are_searched_in_little_memory() {
    // Not in memory, where it would take up what is measured.
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("schools.db").display());
    migrate::up(&Config::from_url(&url).expect("a path")).await.expect("a schema");
    let insert = format!(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;
         INSERT INTO folded_names
         WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {SCHOOLS})
         SELECT 'School ' || n, 'school ' || n FROM t;
         INSERT INTO schools (urn, name, name_folded, status, council, phase, lat, lng, catchment_radius_km)
         WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {SCHOOLS})
         SELECT n, 'School ' || n, 'school ' || n, 'open', 'Council ' || n % 150, 'primary',
             50.0 + n * 613 % 100003 / 20000.0, -5.0 + n * 317 % 100019 / 16000.0, 1.5 FROM t;
         INSERT INTO school_words SELECT 'school', id, 1 FROM schools"
    );
    Raw::open(&url).await.execute(&insert).await;
    for arguments in [
        &["find", "--limit", "1000"][..],
        &["find", "--lat", "52", "--lng=-1", "--limit", "1000"],
        &["find", "--lat", "52", "--lng=-1", "--within", "500", "--limit", "1000"],
        &["find", "--name", "school", "--limit", "1000"],
        &["catchment", "--lat", "52", "--lng=-1"],
        &["facets"],
        &["councils"],
    ] {
        let inner = program(&url, arguments);
        let mut command = Command::new("prlimit");
        command.arg("--as=402653184").arg(inner.get_program()).args(inner.get_args());
        let output = command.output().expect("prlimit runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.len() > 10, "{arguments:?}");
    }
    say(&format!("{SCHOOLS} schools were asked in 384 MiB of addresses"));
}
