//! The text of a migration, and the metadata in it.

#[cfg(feature = "testing")]
use crate::error::{Error, Result};
use crate::fnv::fnv1a;

/// The text of a migration, which Diesel's own value of it does not expose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Script {
    /// The folder's name, such as `2026-11-28-060100_create_schools`.
    pub name: &'static str,
    /// The SQL that applies the migration.
    pub up: &'static str,
    /// The SQL that reverts the migration.
    pub down: &'static str,
}

impl Script {
    /// Returns the version, as Diesel records it: the name's digits.
    pub(crate) fn version(&self) -> String {
        self.name.split('_').next().unwrap_or_default().replace('-', "")
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

/// The migrations of a folder, for tests of schema changes.
#[cfg(feature = "testing")]
#[derive(Clone)]
pub(crate) struct Folder {
    pub(crate) migrations: diesel_migrations::FileBasedMigrations,
    pub(crate) scripts: &'static [Script],
}

#[cfg(feature = "testing")]
impl Folder {
    /// Reads the texts of all migrations in a folder. Like the embedded ones, they stay in memory for the life of the
    /// process.
    ///
    /// # Errors
    /// [`Error::MigrationFailed`] where the path is not a folder of migrations or cannot be read.
    pub(crate) fn read(path: &std::path::Path) -> Result<Self> {
        let broken = |error: &dyn std::fmt::Display| Error::MigrationFailed {
            version: "?".to_owned(),
            reason: format!("{}: {error}", path.display()),
        };
        let migrations = diesel_migrations::FileBasedMigrations::from_path(path).map_err(|error| broken(&error))?;
        let mut scripts = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|error| broken(&error))? {
            let folder = entry.map_err(|error| broken(&error))?.path();
            if !folder.is_dir() {
                continue;
            }
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = |file: &str| std::fs::read_to_string(folder.join(file)).map_err(|error| broken(&error));
            let (up, down) = (text("up.sql")?.leak(), text("down.sql")?.leak());
            scripts.push(Script { name: name.leak(), up, down });
        }
        scripts.sort_by_key(|script| script.name);
        Ok(Self { migrations, scripts: scripts.leak() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: Script = Script {
        name: "2026-11-28-060000_add_motto",
        up: "ALTER TABLE schools\nADD COLUMN motto TEXT;\n",
        down: "-- Loses every motto.\r\nALTER TABLE schools DROP COLUMN motto;\n",
    };

    #[test]
    fn a_script_has_its_version_its_loss_and_its_checksum() {
        assert_eq!(SCRIPT.version(), "20261128060000");
        assert_eq!(SCRIPT.loses(), Some("every motto"));
        assert_eq!(Script { down: "DROP INDEX ix_motto;", ..SCRIPT }.loses(), None);
        let same = Script { up: "ALTER TABLE schools\r\nADD COLUMN motto TEXT;\r\n", ..SCRIPT };
        assert_eq!(same.checksum(), SCRIPT.checksum());
        let edited = Script { up: "ALTER TABLE schools\nADD COLUMN mottos TEXT;\n", ..SCRIPT };
        assert_ne!(edited.checksum(), SCRIPT.checksum());
    }
}
