//! What a database records of this crate's migrations, and which builds may use it.

use super::script::Script;
use crate::error::{Error, Result};

/// A row of the crate's history: an applied migration.
#[derive(Debug, Clone, PartialEq, Eq, diesel::Queryable)]
pub(crate) struct Applied {
    pub(crate) version: String,
    /// The checksum of the text that was applied.
    pub(crate) checksum: String,
    /// The oldest version whose builds may use the schema.
    pub(crate) floor: String,
}

/// The tables of a database in which migrations are recorded.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// The crate's own, in order of version; `None` where the table is missing.
    pub(crate) own: Option<Vec<Applied>>,
    /// The versions in Diesel's table, read where the crate's own table is empty.
    pub(crate) diesel: Vec<String>,
    /// Whether there is the table of a build that was never released.
    pub(crate) is_unreleased: bool,
}

/// The applied migrations of a database, as a build with some migrations sees them.
#[derive(Debug)]
pub(crate) struct History {
    scripts: &'static [Script],
    /// In order of version.
    applied: Vec<Applied>,
    /// Whether Diesel's tool ran them, so that they stand in Diesel's table.
    is_diesel: bool,
    is_unreleased: bool,
}

impl History {
    /// Reads the records. The crate's first migration creates the crate's table, so an empty one means that Diesel's
    /// tool ran it. In any other database, Diesel's table is another program's, equal versions included.
    pub(crate) fn new(scripts: &'static [Script], Records { own, diesel, is_unreleased }: Records) -> Self {
        let is_diesel = own.as_ref().is_some_and(Vec::is_empty);
        let applied = match own {
            Some(_) if is_diesel => {
                scripts.iter().filter(|script| diesel.contains(&script.version())).map(Applied::from).collect()
            }
            own => own.unwrap_or_default(),
        };
        Self { scripts, applied, is_diesel, is_unreleased }
    }

    /// Returns the build's migrations that are applied.
    pub(crate) fn scripts(&self) -> Vec<Script> {
        self.scripts.iter().filter(|script| self.has(script)).copied().collect()
    }

    /// Returns whether a migration is applied.
    pub(crate) fn has(&self, script: &Script) -> bool {
        self.applied.iter().any(|applied| applied.version == script.version())
    }

    /// Returns the applied migrations that the build does not have.
    pub(crate) fn unknown(&self) -> impl DoubleEndedIterator<Item = &Applied> {
        let is_known = |applied: &Applied| self.scripts.iter().any(|script| script.version() == applied.version);
        self.applied.iter().filter(move |applied| !is_known(applied))
    }

    /// Returns the rows to move from Diesel's table into the crate's own.
    pub(crate) fn to_adopt(&self) -> &[Applied] {
        if self.is_diesel { &self.applied } else { &[] }
    }

    /// Returns how many of the build's migrations are not applied.
    pub(crate) fn pending(&self) -> usize {
        self.scripts.iter().filter(|script| !self.has(script)).count()
    }

    /// Returns the newest applied migration of a newer build, where the schema still serves this one.
    ///
    /// # Errors
    /// [`Error::SchemaTooNew`] where it does not, and errors where an applied migration is missing from this build.
    pub(crate) fn newer(&self) -> Result<Option<&str>> {
        if self.is_unreleased {
            return Err(Error::SchemaUnreleased);
        }
        let known = self.scripts.last().map(Script::version).unwrap_or_default();
        let (newer, missing): (Vec<_>, Vec<_>) = self.unknown().partition(|applied| applied.version > known);
        let newest = newer.last().map(|applied| applied.version.as_str());
        match newer.iter().map(|applied| &applied.floor).max() {
            Some(floor) if *floor > known => {
                Err(Error::SchemaTooNew { found: newest.unwrap_or_default().to_owned(), known, floor: floor.clone() })
            }
            _ => match missing.last() {
                Some(applied) => Err(Error::MigrationMissing { found: applied.version.clone() }),
                None => Ok(newest),
            },
        }
    }

    /// Returns an error for a database that this build may not change or judge: another build's, and a newer one's also
    /// where it serves this build.
    pub(crate) fn refuse_newer(&self) -> Result<()> {
        match self.newer()? {
            None => Ok(()),
            Some(found) => {
                let known = self.scripts.last().map(Script::version).unwrap_or_default();
                Err(Error::SchemaNewer { found: found.to_owned(), known })
            }
        }
    }

    /// Returns an error for a database with a migration whose text differs from this build's.
    pub(crate) fn refuse_edited(&self) -> Result<()> {
        let is_edited = |script: &&Script| {
            let of_version = self.applied.iter().find(|applied| applied.version == script.version());
            of_version.is_some_and(|applied| applied.checksum != script.checksum())
        };
        match self.scripts.iter().find(is_edited) {
            Some(script) => Err(Error::MigrationEdited { migration: script.name.to_owned() }),
            None => Ok(()),
        }
    }

    /// Returns an error while migrations of this build are pending.
    pub(crate) fn refuse_pending(&self) -> Result<()> {
        match self.pending() {
            0 => Ok(()),
            pending if pending == self.scripts.len() => Err(Error::SchemaMissing),
            pending => Err(Error::SchemaPending { pending }),
        }
    }

    /// Returns the newest applied migration: its name, or its version where only a newer build knows the name.
    ///
    /// # Errors
    /// Where this build may not use the schema.
    pub(crate) fn require_usable(&self) -> Result<String> {
        let newer = self.newer()?;
        self.refuse_edited()?;
        self.refuse_pending()?;
        Ok(newer.or(self.scripts.last().map(|script| script.name)).unwrap_or_default().to_owned())
    }
}

impl From<&Script> for Applied {
    fn from(script: &Script) -> Self {
        Self { version: script.version(), checksum: script.checksum(), floor: script.floor() }
    }
}
