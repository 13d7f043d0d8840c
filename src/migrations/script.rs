//! The text of a migration, and the metadata in it.

#[cfg(feature = "testing")]
use crate::error::{Error, Result};
use crate::fnv::fnv1a;

/// The direction in which a migration is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// A migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Script {
    /// The folder's name, such as `2026-11-28-060100_create_schools`.
    pub name: &'static str,
    /// The SQL that applies the migration.
    pub up: &'static str,
    /// The SQL that reverts the migration.
    pub down: &'static str,
    /// Whether the SQL may run in a transaction, from `metadata.toml`, as Diesel's own tool reads it.
    pub run_in_transaction: bool,
}

impl Script {
    /// Returns the version, as Diesel records it: the name's digits.
    pub(crate) fn version(&self) -> String {
        version(self.name)
    }

    /// Returns the oldest version whose builds may use the schema that the migration leaves, from a comment in `up.sql`
    /// such as `-- Serves builds from 2026-11-28-061000_create_catchments on.` Without one, no older build may.
    pub(crate) fn floor(&self) -> String {
        let oldest = self.up.lines().find_map(|line| line.strip_prefix("-- Serves builds from "));
        version(oldest.unwrap_or(self.name))
    }

    /// Returns the SQL for a direction.
    pub(crate) fn sql(&self, direction: Direction) -> &'static str {
        match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        }
    }

    /// Returns the checksum of the migration's `up`. It ignores carriage returns, since version control may change line
    /// endings.
    pub(crate) fn checksum(&self) -> String {
        format!("{:016x}", fnv1a(self.up.bytes().filter(|byte| *byte != b'\r')))
    }

    /// Returns what reverting the migration loses, from a comment in `down.sql` such as `-- Loses every school's
    /// phase.`
    pub(crate) fn loses(&self) -> Option<&'static str> {
        let line = self.down.lines().find_map(|line| line.strip_prefix("-- Loses "))?;
        Some(line.trim_end_matches(['.', '\r']))
    }
}

/// Returns the version at the start of a migration's name.
fn version(name: &str) -> String {
    name.split(['_', ' ']).next().unwrap_or_default().replace('-', "")
}

/// Reads the migrations of a folder, for tests of schema changes. Like the embedded ones, they stay in memory for the
/// life of the process.
///
/// # Errors
/// [`Error::MigrationFailed`] where the path is not a folder of migrations or cannot be read.
#[cfg(feature = "testing")]
pub(crate) fn read_folder(path: &std::path::Path) -> Result<&'static [Script]> {
    let read = || -> std::io::Result<Vec<Script>> {
        let mut scripts = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let folder = entry?.path();
            if !folder.is_dir() {
                continue;
            }
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned().leak();
            let text = |file: &str| std::fs::read_to_string(folder.join(file));
            let metadata = text("metadata.toml").unwrap_or_default();
            scripts.push(Script {
                name,
                up: text("up.sql")?.leak(),
                down: text("down.sql")?.leak(),
                run_in_transaction: !metadata.contains("run_in_transaction = false"),
            });
        }
        scripts.sort_by_key(|script| script.name);
        Ok(scripts)
    };
    match read() {
        Ok(scripts) => Ok(scripts.leak()),
        Err(error) => {
            Err(Error::MigrationFailed { version: "?".to_owned(), reason: format!("{}: {error}", path.display()) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: Script = Script {
        name: "2026-11-28-060000_add_motto",
        up: "ALTER TABLE schools\nADD COLUMN motto TEXT;\n",
        down: "-- Loses every motto.\r\nALTER TABLE schools DROP COLUMN motto;\n",
        run_in_transaction: true,
    };

    #[test]
    fn a_script_has_its_version_its_floor_its_loss_and_its_checksum() {
        assert_eq!((SCRIPT.version().as_str(), SCRIPT.floor().as_str()), ("20261128060000", "20261128060000"));
        for oldest in ["2026-11-27-010203", "2026-11-27-010203_add_phase"] {
            let up = format!("-- Adds a motto.\r\n-- Serves builds from {oldest} on.\r\nSELECT 1;").leak();
            assert_eq!(Script { up, ..SCRIPT }.floor(), "20261127010203");
        }
        assert_eq!(SCRIPT.loses(), Some("every motto"));
        assert_eq!(Script { down: "DROP INDEX ix_motto;", ..SCRIPT }.loses(), None);
        let same = Script { up: "ALTER TABLE schools\r\nADD COLUMN motto TEXT;\r\n", ..SCRIPT };
        assert_eq!(same.checksum(), SCRIPT.checksum());
        let edited = Script { up: "ALTER TABLE schools\nADD COLUMN mottos TEXT;\n", ..SCRIPT };
        assert_ne!(edited.checksum(), SCRIPT.checksum());
    }
}
