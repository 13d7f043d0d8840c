//! The probes of an expanding search on SQLite, where a statement costs less than what it reads: each reads ids and
//! locations alone, and the schools of the page are read at the end.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::{Expansion, HitRow, Near, Position, SearchRadius, ValidatedSearch};
use crate::geo::{self, LatLng};
use crate::ids::SchoolId;
use crate::models::SchoolSummary;
use crate::request::Sort;
use crate::units::Kilometres;

impl ValidatedSearch {
    /// Returns the first probe of a search in an order by distance, or `None` in any other order, which an index has.
    pub(crate) fn first_probe(&self, expansion: Expansion) -> Option<Probe> {
        self.probe(self.first_radius(expansion))
    }

    /// Returns the wider probe after one that found so many schools, or `None` where these are the answer.
    pub(crate) fn next_probe(&self, probe: &Probe, found: usize, expansion: Expansion) -> Option<Probe> {
        self.probe(self.next_radius(probe.radius, found, expansion)?)
    }

    fn probe(&self, radius: SearchRadius) -> Option<Probe> {
        let Near { point, .. } = self.near.filter(|_| self.search.sort == Sort::Distance)?;
        let after = match self.after {
            Some(Position::Distance { km, id }) => Some(Candidate { km, id }),
            _ => None,
        };
        let within = self.circle(radius).map(|(_, km)| km);
        Some(Probe { radius, point, within, after, wanted: usize::try_from(self.fetch()).unwrap_or(usize::MAX) })
    }
}

/// One probe round a point, in an order by distance.
#[derive(Debug)]
pub(crate) struct Probe {
    pub radius: SearchRadius,
    point: LatLng,
    within: Option<Kilometres>,
    after: Option<Candidate>,
    wanted: usize,
}

/// A school's id and its distance, where that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    km: Option<f64>,
    pub id: SchoolId,
}

impl Candidate {
    /// By distance, those without a location last, then by id.
    fn in_order(&self, other: &Self) -> Ordering {
        let by_distance = match (self.km, other.km) {
            (Some(km), Some(other)) => km.total_cmp(&other),
            (ours, theirs) => ours.is_none().cmp(&theirs.is_none()),
        };
        by_distance.then(self.id.cmp(&other.id))
    }
}

impl Probe {
    fn km_to(&self, lat: Option<f64>, lng: Option<f64>) -> Option<f64> {
        Some(geo::haversine(self.point.lat().degrees(), self.point.lng().degrees(), lat?, lng?))
    }

    /// Returns the nearest of the rows that are in the circle and come after the search's cursor, one more than a page
    /// holds.
    ///
    /// Distances are computed here and not in SQL, where each would be a call of a function for the radius, for the
    /// order and for the answer, and could differ between backends in the last bit.
    pub(crate) fn nearest(&self, rows: Vec<(SchoolId, Option<f64>, Option<f64>)>) -> Vec<Candidate> {
        let is_candidate = |candidate: &Candidate| {
            self.within.is_none_or(|within| candidate.km.is_some_and(|km| km <= within.get()))
                && self.after.is_none_or(|after| candidate.in_order(&after).is_gt())
        };
        let candidates = rows.into_iter().map(|(id, lat, lng)| Candidate { km: self.km_to(lat, lng), id });
        let mut nearest: Vec<Candidate> = candidates.filter(is_candidate).collect();
        if nearest.len() > self.wanted {
            nearest.select_nth_unstable_by(self.wanted, Candidate::in_order);
            nearest.truncate(self.wanted);
        }
        nearest.sort_unstable_by(Candidate::in_order);
        nearest
    }

    /// Returns the schools of these candidates, in their order.
    pub(crate) fn rows(candidates: &[Candidate], schools: Vec<SchoolSummary>) -> Vec<HitRow> {
        let mut schools: HashMap<SchoolId, SchoolSummary> =
            schools.into_iter().map(|school| (school.id, school)).collect();
        let row = |candidate: &Candidate| Some((schools.remove(&candidate.id)?, candidate.km));
        candidates.iter().filter_map(row).collect()
    }
}
