//! The way from an old URN to the schools of today.

use std::collections::BTreeSet;

use crate::ids::Urn;
use crate::models::{School, Status};

/// A walk from school to successor. It stops at schools that are open, and never goes twice to the same, so that a circle
/// of links ends it.
pub(crate) struct Walk {
    next: Vec<Urn>,
    seen: BTreeSet<Urn>,
    open: Vec<School>,
    /// Schools that are not open, and lead to no other that is new.
    last: Vec<School>,
    waiting: Vec<School>,
}

impl Walk {
    pub(crate) fn from(urn: Urn) -> Self {
        Self { next: vec![urn], seen: BTreeSet::from([urn]), open: Vec::new(), last: Vec::new(), waiting: Vec::new() }
    }

    /// The URNs to look at next, or nothing at the end.
    pub(crate) fn step(&mut self) -> Option<Vec<Urn>> {
        (!self.next.is_empty()).then(|| std::mem::take(&mut self.next))
    }

    /// Takes the schools that stand at a step's URNs, and gives the URNs whose successors are to be looked for.
    pub(crate) fn arrive(&mut self, step: &[Urn], schools: Vec<School>) -> Vec<Urn> {
        let (open, closed): (Vec<_>, Vec<_>) =
            schools.into_iter().partition(|school| matches!(school.status, Status::Open | Status::ProposedToClose));
        let is_open = |urn: &&Urn| open.iter().any(|school| school.urn == **urn);
        let beyond = step.iter().filter(|urn| !is_open(urn)).copied().collect();
        self.open.extend(open);
        self.waiting = closed;
        beyond
    }

    /// Goes on to the successors, each with the school that it follows.
    pub(crate) fn go_on(&mut self, beyond: &[Urn], successors: BTreeSet<(Urn, Urn)>) {
        debug_assert!(successors.iter().all(|(from, _)| beyond.contains(from)));
        let leads_on = |urn: Urn| successors.iter().any(|(from, to)| *from == urn && !self.seen.contains(to));
        let waiting = std::mem::take(&mut self.waiting);
        self.last.extend(waiting.into_iter().filter(|school| !leads_on(school.urn)));
        for (_, urn) in successors {
            if self.seen.insert(urn) {
                self.next.push(urn);
            }
        }
    }

    /// Where it ended: the open schools, or, where there is none, the last ones that are known; in the order of their ids.
    pub(crate) fn ended(self) -> Vec<School> {
        let mut schools = if self.open.is_empty() { self.last } else { self.open };
        schools.sort_by_key(|school| school.id);
        schools
    }
}
