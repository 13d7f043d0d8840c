//! The walk from an old URN to the current schools.

use std::collections::BTreeSet;

use crate::ids::Urn;
use crate::models::School;

/// The longest line of successors that is followed. The register's longest has a few.
const MAX_STEPS: usize = 100;

/// A link to follow: from a school to its successor, or (`true`) to one that it merged with.
pub(crate) type Step = (Urn, Urn, bool);

/// A walk from school to successor. It stops at open schools and visits none twice, so that cycles of links end.
pub(crate) struct Walk {
    next: Vec<Urn>,
    steps: usize,
    seen: BTreeSet<Urn>,
    open: Vec<School>,
    closed: Vec<School>,
    /// Pairs of a school and its successor.
    after: BTreeSet<(Urn, Urn)>,
}

impl Walk {
    pub(crate) fn from(urn: Urn) -> Self {
        Self {
            next: vec![urn],
            steps: 0,
            seen: BTreeSet::from([urn]),
            open: Vec::new(),
            closed: Vec::new(),
            after: BTreeSet::new(),
        }
    }

    /// Returns the URNs to look up next, or `None` at the end.
    pub(crate) fn step(&mut self) -> Option<Vec<Urn>> {
        self.steps += 1;
        (!self.next.is_empty() && self.steps <= MAX_STEPS).then(|| std::mem::take(&mut self.next))
    }

    /// Records the schools of a step's URNs, and returns the URNs whose successors to look up.
    pub(crate) fn arrive(&mut self, step: &[Urn], schools: Vec<School>) -> Vec<Urn> {
        let (open, closed): (Vec<_>, Vec<_>) = schools.into_iter().partition(School::is_open);
        let are_open: BTreeSet<Urn> = open.iter().map(|school| school.urn).collect();
        self.open.extend(open);
        self.closed.extend(closed);
        step.iter().filter(|urn| !are_open.contains(urn)).copied().collect()
    }

    /// Follows these links.
    pub(crate) fn go_on(&mut self, links: impl IntoIterator<Item = Step>) {
        for (from, to, is_merger) in links {
            if !is_merger {
                self.after.insert((from, to));
            }
            if self.seen.insert(to) {
                self.next.push(to);
            }
        }
    }

    /// Returns the open schools that the walk reached, or where there is none the last known ones, in the order of
    /// their ids.
    pub(crate) fn ended(self) -> Vec<School> {
        let is_last = |school: &School| !self.leads_to_another(school.urn);
        let mut schools = if self.open.is_empty() {
            // In a cycle each school has a successor: then all are returned.
            let last: Vec<School> = self.closed.iter().filter(|school| is_last(school)).cloned().collect();
            if last.is_empty() { self.closed } else { last }
        } else {
            self.open
        };
        schools.sort_by_key(|school| school.id);
        schools
    }

    /// Returns whether another known school succeeds this one, directly or later.
    fn leads_to_another(&self, urn: Urn) -> bool {
        let (mut seen, mut next) = (BTreeSet::from([urn]), vec![urn]);
        while let Some(at) = next.pop() {
            // All pairs that begin with this URN.
            for (_, to) in self.after.range((at, Urn::LEAST)..).take_while(|(from, _)| *from == at) {
                if seen.insert(*to) {
                    if self.closed.iter().any(|school| school.urn == *to) {
                        return true;
                    }
                    next.push(*to);
                }
            }
        }
        false
    }
}
