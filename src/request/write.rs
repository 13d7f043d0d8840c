//! The parameters of writes.

use std::collections::HashSet;
use std::hash::Hash;

use crate::error::{Error, Result};
use crate::ids::Urn;
use crate::models::NewSchool;

/// The schools of a write, one at a time, so that a register need not fit in memory. An error rolls the write back.
pub type SchoolStream = Box<dyn Iterator<Item = Result<NewSchool>> + Send>;

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
    stream: std::iter::Fuse<SchoolStream>,
    size: usize,
    seen: HashSet<Urn>,
}

impl Batches {
    pub(crate) fn new(stream: SchoolStream, size: usize) -> Self {
        Self { stream: stream.fuse(), size, seen: HashSet::new() }
    }
}

impl Iterator for Batches {
    type Item = Result<Vec<NewSchool>>;

    fn next(&mut self) -> Option<Self::Item> {
        let schools = self.stream.by_ref().take(self.size).map(|school| {
            let school = school?;
            school.validate()?;
            refuse_twice(&mut self.seen, school.urn)?;
            Ok(school)
        });
        let batch: Result<Vec<NewSchool>> = schools.collect();
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
