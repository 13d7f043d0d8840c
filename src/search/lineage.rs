//! The way from an old URN to the schools of today.

use std::collections::BTreeSet;

use crate::ids::Urn;
use crate::models::School;

/// How many schools may follow one another. The register's longest line has a few.
const MAX_STEPS: usize = 100;

/// A link that is followed: from a school to one that came after it, or (`true`) that it became one with.
pub(crate) type Step = (Urn, Urn, bool);

/// A walk from school to successor. It stops at schools that are open, and never goes twice to the same, so that a
/// circle of links ends it.
pub(crate) struct Walk {
    next: Vec<Urn>,
    steps: usize,
    seen: BTreeSet<Urn>,
    open: Vec<School>,
    closed: Vec<School>,
    /// From a school to those that came after it.
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

    /// The URNs to look at next, or nothing at the end.
    pub(crate) fn step(&mut self) -> Option<Vec<Urn>> {
        self.steps += 1;
        (!self.next.is_empty() && self.steps <= MAX_STEPS).then(|| std::mem::take(&mut self.next))
    }

    /// Takes the schools that stand at a step's URNs, and gives the URNs whose successors are to be looked for.
    pub(crate) fn arrive(&mut self, step: &[Urn], schools: Vec<School>) -> Vec<Urn> {
        let (open, closed): (Vec<_>, Vec<_>) = schools.into_iter().partition(School::is_open);
        let are_open: BTreeSet<Urn> = open.iter().map(|school| school.urn).collect();
        self.open.extend(open);
        self.closed.extend(closed);
        step.iter().filter(|urn| !are_open.contains(urn)).copied().collect()
    }

    /// Goes on along these links.
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

    /// Where it ended: the open schools, or, where there is none, the last ones that are known; in the order of their
    /// ids.
    pub(crate) fn ended(self) -> Vec<School> {
        let is_last = |school: &School| !self.leads_to_another(school.urn);
        let mut schools = if self.open.is_empty() {
            // In a circle each leads to another: then all are as good.
            let last: Vec<School> = self.closed.iter().filter(|school| is_last(school)).cloned().collect();
            if last.is_empty() { self.closed } else { last }
        } else {
            self.open
        };
        schools.sort_by_key(|school| school.id);
        schools
    }

    /// Whether another known school came after this one, at once or later.
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
