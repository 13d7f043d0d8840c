//! What callers write.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::ids::Urn;
use crate::models::{NewSchool, UpsertCounts};

/// Schools to be written, one at a time, so that a whole register need not fit in memory. An error ends the write and
/// undoes it.
pub type SchoolStream = Box<dyn Iterator<Item = Result<NewSchool>> + Send>;

/// Whether a write is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// It is kept.
    Commit,
    /// It is done with every check, counted, and undone.
    DryRun,
}

/// Why a transaction did not commit.
pub(crate) enum Ended {
    /// It failed, and it is known how.
    Failed(Error),
    /// The database refused something.
    Database(diesel::result::Error),
    /// It was undone, as it was asked to be.
    Undone(UpsertCounts),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<diesel::result::Error> for Ended {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error)
    }
}

/// A stream in batches, each school checked. The first error ends it.
pub(crate) struct Batches {
    stream: SchoolStream,
    size: usize,
    seen: HashSet<Urn>,
    ended: bool,
}

impl Batches {
    pub(crate) fn new(stream: SchoolStream, size: usize) -> Self {
        Self { stream, size, seen: HashSet::new(), ended: false }
    }

    fn batch(&mut self) -> Result<Vec<NewSchool>> {
        let mut batch = Vec::with_capacity(self.size);
        while batch.len() < self.size {
            let Some(school) = self.stream.next().transpose()? else { break };
            school.validate()?;
            refuse_twice(&mut self.seen, school.urn)?;
            batch.push(school);
        }
        Ok(batch)
    }
}

impl Iterator for Batches {
    type Item = Result<Vec<NewSchool>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let batch = self.batch();
        self.ended = batch.as_ref().map_or(true, |batch| batch.len() < self.size);
        match batch {
            Ok(batch) if batch.is_empty() => None,
            batch => Some(batch),
        }
    }
}

/// Refuses a URN that was seen before.
pub(crate) fn refuse_twice(seen: &mut HashSet<Urn>, urn: Urn) -> Result<()> {
    if seen.insert(urn) { Ok(()) } else { Err(Error::DuplicateUrn { urn }) }
}
