//! The parameters of writes.

use std::collections::HashSet;
use std::hash::Hash;

use crate::error::{Error, Result};
use crate::ids::Urn;
use crate::models::{NewSchool, PostcodePlace, SchoolIdentifiers, SchoolPatch};

/// The schools of a write, one at a time, so that a register need not fit in memory. An error rolls the write back.
pub type SchoolStream = Box<dyn Iterator<Item = Result<NewSchool>> + Send>;

/// A school of a register, with its other identifiers and a patch.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterSchool {
    /// The school. A value that is `None` leaves the stored one unchanged.
    pub school: NewSchool,
    /// Its other identifiers. A value that is `None` leaves the stored one unchanged.
    pub identifiers: Option<SchoolIdentifiers>,
    /// The town of its address. `None` leaves the stored one unchanged.
    pub town: Option<String>,
    /// Changes to the school as stored afterwards, such as to make a value unknown.
    pub patch: Option<SchoolPatch>,
}

impl From<NewSchool> for RegisterSchool {
    fn from(school: NewSchool) -> Self {
        Self { school, identifiers: None, town: None, patch: None }
    }
}

/// The schools of a register, one at a time, as those of a [`SchoolStream`].
pub type RegisterStream = Box<dyn Iterator<Item = Result<RegisterSchool>> + Send>;

/// The postcodes of a published file, one area at a time: each item has all postcodes of one area, such as MK, in any
/// order and each once. An error rolls the write back.
pub type PostcodeStream = Box<dyn Iterator<Item = Result<Vec<PostcodePlace>>> + Send>;

/// The coverage of a register. The schools that it lacks are the open ones of its councils whose
/// [`SchoolIdentifiers::source`] is this register.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegisterCoverage {
    /// The register's name, as in [`SchoolIdentifiers::source`].
    pub source: String,
    /// The councils that it covers.
    pub councils: Vec<String>,
    /// Every school that it lists.
    pub urns: HashSet<Urn>,
    /// How the open schools that it lacks are treated.
    pub missing: MissingSchools,
}

/// How an upsert of a register treats the open schools that the register lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MissingSchools {
    /// Returns them.
    #[default]
    Keep,
    /// Closes and returns them. More than a twentieth of the open schools of the register's councils is an error.
    Close,
    /// Closes and returns them, however many they are.
    CloseAny,
}

/// Whether a write is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// Commits the write.
    Commit,
    /// Runs the write with every check, counts it, and rolls it back.
    DryRun,
}

/// A stream in batches of validated schools. It is of no use after the first error.
pub(crate) struct Batches {
    stream: std::iter::Fuse<RegisterStream>,
    size: usize,
    seen: HashSet<Urn>,
}

impl Batches {
    pub(crate) fn new(stream: RegisterStream, size: usize) -> Self {
        Self { stream: stream.fuse(), size, seen: HashSet::new() }
    }
}

impl Iterator for Batches {
    type Item = Result<Vec<RegisterSchool>>;

    fn next(&mut self) -> Option<Self::Item> {
        let schools = self.stream.by_ref().take(self.size).map(|school| {
            let school = school?;
            school.school.validate()?;
            school.identifiers.iter().try_for_each(SchoolIdentifiers::validate)?;
            refuse_twice(&mut self.seen, school.school.urn)?;
            Ok(school)
        });
        let batch: Result<Vec<RegisterSchool>> = schools.collect();
        batch.as_ref().map_or(true, |batch| !batch.is_empty()).then_some(batch)
    }
}

/// Returns an error for a URN that was seen before.
pub(crate) fn refuse_twice(seen: &mut HashSet<Urn>, urn: Urn) -> Result<()> {
    if seen.insert(urn) { Ok(()) } else { Err(Error::DuplicateUrn { urn }) }
}

/// Returns an error where two rows have the same key. `constraint` keeps keys distinct in the database.
pub(crate) fn refuse_repeated<K: Eq + Hash>(keys: impl IntoIterator<Item = K>, constraint: &str) -> Result<()> {
    let mut seen = HashSet::new();
    match keys.into_iter().all(|key| seen.insert(key)) {
        true => Ok(()),
        false => Err(Error::DuplicateRow { constraint: constraint.to_owned() }),
    }
}
