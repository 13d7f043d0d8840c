//! The text of a migration, and what it says of itself.

use crate::fnv::fnv1a;

/// The text of an embedded migration, which Diesel's own value of it does not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Script {
    /// The folder's name, such as `2026-11-24-060000_create_schools`.
    pub name: &'static str,
    /// What brings a database forward.
    pub up: &'static str,
    /// What takes it back.
    pub down: &'static str,
}

#[cfg(feature = "sqlite")]
pub(crate) static SQLITE: &[Script] = include!(concat!(env!("OUT_DIR"), "/migrations_sqlite.rs"));
#[cfg(feature = "postgres")]
pub(crate) static POSTGRES: &[Script] = include!(concat!(env!("OUT_DIR"), "/migrations_postgres.rs"));

impl Script {
    /// The version, as Diesel records it: the name's digits.
    pub(crate) fn version(&self) -> String {
        self.name.split('_').next().unwrap_or_default().replace('-', "")
    }

    /// A number for what the migration does to a database. How lines end does not matter: version control may change
    /// that.
    pub(crate) fn checksum(&self) -> String {
        format!("{:016x}", fnv1a(self.up.bytes().filter(|byte| *byte != b'\r')))
    }

    /// What reverting the migration loses, by its own word: a comment in `down.sql` such as `-- Loses every school's
    /// phase.`
    pub(crate) fn loses(&self) -> Option<&'static str> {
        let line = self.down.lines().find_map(|line| line.strip_prefix("-- Loses "))?;
        Some(line.trim_end_matches(['.', '\r']))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: Script = Script {
        name: "2026-11-24-060000_add_motto",
        up: "ALTER TABLE schools\nADD COLUMN motto TEXT;\n",
        down: "-- Loses every motto.\r\nALTER TABLE schools DROP COLUMN motto;\n",
    };

    #[test]
    fn a_script_tells_its_version_its_loss_and_whether_it_was_edited() {
        assert_eq!(SCRIPT.version(), "20261124060000");
        assert_eq!(SCRIPT.loses(), Some("every motto"));
        assert_eq!(Script { down: "DROP INDEX ix_motto;", ..SCRIPT }.loses(), None);
        let same = Script { up: "ALTER TABLE schools\r\nADD COLUMN motto TEXT;\r\n", ..SCRIPT };
        assert_eq!(same.checksum(), SCRIPT.checksum());
        let edited = Script { up: "ALTER TABLE schools\nADD COLUMN mottos TEXT;\n", ..SCRIPT };
        assert_ne!(edited.checksum(), SCRIPT.checksum());
    }
}
