//! The migrations are embedded by a macro, which does not see new files by itself. Their fingerprint names the template
//! from which tests copy their Postgres databases.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=migrations_sqlite");
    println!("cargo::rerun-if-changed=migrations_postgres");
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for file in files(Path::new("migrations_postgres")) {
        // FNV-1a, as in src/request/cursor.rs.
        for byte in std::fs::read(file).unwrap_or_default() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    println!("cargo::rustc-env=SCHOOL_FINDER_MIGRATIONS={hash:016x}");
}

/// Every file below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
