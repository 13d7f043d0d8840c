//! The parameters of writes.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::ids::Urn;
use crate::models::{LinkKind, NewAdmissions, NewLink, NewSchool};
use crate::units::AcademicYear;

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

/// A stream in batches of validated schools. The first error ends it.
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

/// Returns an error for a URN that was seen before.
pub(crate) fn refuse_twice(seen: &mut HashSet<Urn>, urn: Urn) -> Result<()> {
    if seen.insert(urn) { Ok(()) } else { Err(Error::DuplicateUrn { urn }) }
}

/// Rows that must have distinct keys.
pub(crate) trait Distinct {
    /// The key of a row.
    type Key<'a>: Eq + std::hash::Hash
    where
        Self: 'a;
    /// The constraint that enforces distinct keys in the database.
    const CONSTRAINT: &'static str;

    fn key(&self) -> Self::Key<'_>;
}

impl Distinct for NewAdmissions {
    type Key<'a> = (Urn, AcademicYear, Option<&'a str>);
    const CONSTRAINT: &'static str = "uq_admissions_school_year";

    fn key(&self) -> Self::Key<'_> {
        (self.urn, self.admissions.academic_year, self.admissions.intake.as_deref())
    }
}

impl Distinct for NewLink {
    type Key<'a> = (Urn, Urn, LinkKind);
    const CONSTRAINT: &'static str = "uq_school_links";

    fn key(&self) -> Self::Key<'_> {
        (self.urn, self.linked_urn, self.kind)
    }
}

/// Returns an error where two rows have the same key.
pub(crate) fn refuse_repeated<T: Distinct>(rows: &[T]) -> Result<()> {
    let mut seen = HashSet::with_capacity(rows.len());
    match rows.iter().all(|row| seen.insert(row.key())) {
        true => Ok(()),
        false => Err(Error::DuplicateRow { constraint: T::CONSTRAINT.to_owned() }),
    }
}
