//! The walk from an old URN to the current schools.

use std::collections::BTreeSet;

use crate::ids::Urn;
use crate::models::School;

/// The longest line of successors that is followed. The register's longest has a few.
const MAX_STEPS: usize = 100;

/// A link to follow: from a school to its successor, or (`true`) to one that it merged with.
pub(crate) type Step = (Urn, Urn, bool);

/// A walk from school to successor. It stops at open schools and visits none twice, so that cycles of links end.
#[derive(Default)]
pub(crate) struct Walk {
    next: Vec<Urn>,
    steps: usize,
    seen: BTreeSet<Urn>,
    schools: Vec<School>,
    /// Pairs of a school and its successor.
    successors: BTreeSet<(Urn, Urn)>,
}

impl Walk {
    pub(crate) fn from(urn: Urn) -> Self {
        Self { next: vec![urn], seen: BTreeSet::from([urn]), ..Self::default() }
    }

    /// Returns the URNs to read next, or `None` at the end.
    pub(crate) fn step(&mut self) -> Option<Vec<Urn>> {
        self.steps += 1;
        (!self.next.is_empty() && self.steps <= MAX_STEPS).then(|| std::mem::take(&mut self.next))
    }

    /// Records the schools of a step's URNs, and returns the URNs whose successors to read.
    pub(crate) fn record(&mut self, step: &[Urn], schools: Vec<School>) -> Vec<Urn> {
        let open: BTreeSet<Urn> = schools.iter().filter(|school| school.is_open()).map(|school| school.urn).collect();
        self.schools.extend(schools);
        step.iter().filter(|urn| !open.contains(urn)).copied().collect()
    }

    /// Follows these links.
    pub(crate) fn follow(&mut self, links: impl IntoIterator<Item = Step>) {
        for (from, to, is_merger) in links {
            if !is_merger {
                self.successors.insert((from, to));
            }
            if self.seen.insert(to) {
                self.next.push(to);
            }
        }
    }

    /// Returns the open schools that the walk reached, or where there is none the last known ones, in the order of
    /// their ids.
    pub(crate) fn into_schools(mut self) -> Vec<School> {
        self.schools.sort_by_key(|school| school.id);
        let found = |is_found: &dyn Fn(&School) -> bool| -> Vec<School> {
            self.schools.iter().filter(|school| is_found(school)).cloned().collect()
        };
        let open = found(&School::is_open);
        let last = found(&|school| !self.has_known_successor(school.urn));
        // In a cycle each school has a successor: then all are returned.
        [open, last].into_iter().find(|schools| !schools.is_empty()).unwrap_or(self.schools)
    }

    /// Returns whether another known school succeeds this one, directly or later.
    fn has_known_successor(&self, urn: Urn) -> bool {
        let (mut seen, mut next) = (BTreeSet::from([urn]), vec![urn]);
        while let Some(urn) = next.pop() {
            let successors = self.successors.range((urn, Urn::LEAST)..).take_while(|(from, _)| *from == urn);
            next.extend(successors.map(|(_, to)| *to).filter(|to| seen.insert(*to)));
        }
        self.schools.iter().any(|school| school.urn != urn && seen.contains(&school.urn))
    }
}
