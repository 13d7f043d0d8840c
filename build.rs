//! Embeds the migrations. Their fingerprint names the template from which tests copy their Postgres databases.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    for folder in ["migrations_sqlite", "migrations_postgres"] {
        println!("cargo::rerun-if-changed={folder}");
        std::fs::write(out.join(folder).with_extension("rs"), scripts(Path::new(folder)))?;
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    // What a service's role may do is in the template too.
    let grants = PathBuf::from("src/postgres/grants.rs");
    println!("cargo::rerun-if-changed={}", grants.display());
    for file in files(Path::new("migrations_postgres")).into_iter().chain([grants]) {
        // FNV-1a, as in src/fnv.rs.
        for byte in std::fs::read(file)? {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    println!("cargo::rustc-env=SCHOOL_FINDER_MIGRATIONS={hash:016x}");
    Ok(())
}

/// The migrations of a folder as an expression: a list in the order of their names. Where the texts are is
/// left to the compiler, since checkouts that share one target folder may share this list.
fn scripts(folder: &Path) -> String {
    let mut list = String::from("&[\n");
    for migration in entries(folder).into_iter().filter(|path| path.is_dir()) {
        let name = migration.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = |file: &str| {
            let path = format!("/{}/{name}/{file}", folder.display());
            format!("include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))")
        };
        let metadata = std::fs::read_to_string(migration.join("metadata.toml")).unwrap_or_default();
        let run_in_transaction = !metadata.contains("run_in_transaction = false");
        let (up, down) = (text("up.sql"), text("down.sql"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            list,
            "    Script {{ name: {name:?}, up: {up}, down: {down}, run_in_transaction: {run_in_transaction} }},"
        );
    }
    list.push_str("]\n");
    list
}

/// Every file below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
