//! Would my child have got in? What past years' last distances say of a home.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::search::{Page, ValidatedSearch};
use crate::ids::SchoolId;
use crate::models::{Admissions, SchoolHit};
use crate::units::{AcademicYear, Kilometres};

/// A condition on how far a school's offers reached: in each of the newest so many years of which it is known, a child
/// living at the search's point would have been offered a place by distance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReachFilter {
    /// Only for this intake, such as `Year R`, as the source spells it. Nothing: for any one.
    pub intake: Option<String>,
    /// In how many of the newest years that are known of an intake, however long ago they are: 1 is its latest one. An
    /// intake with fewer known years does not pass.
    pub years: u8,
}

impl Default for ReachFilter {
    /// Any intake, in the latest year.
    fn default() -> Self {
        Self { intake: None, years: 1 }
    }
}

/// One year of an intake whose offers reached the place that was asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReachYear {
    /// The school year.
    pub academic_year: AcademicYear,
    /// Which children.
    pub intake: Option<String>,
    /// How far away the last child lived who was offered a place by distance.
    pub last_distance_km: f64,
    /// By how much that is farther than the place: below zero, a child from there was not offered one.
    pub margin_km: f64,
    /// How much farther it was than in the known year before: the trend. Nothing for the first.
    pub change_km: Option<f64>,
    /// How many asked for each place, where it is known.
    pub applications_per_place: Option<f64>,
}

/// A school that would have offered a child from the search's point a place by distance. An estimate: next year's
/// distance will be another, and other criteria come before distance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReachHit {
    /// The school and its distance.
    #[serde(flatten)]
    pub hit: SchoolHit,
    /// Every known year of the intakes that pass, by intake, the newest first.
    pub years: Vec<ReachYear>,
    /// The known years of the intake that has the most.
    pub years_of_evidence: usize,
    /// Always true: past years are no promise.
    pub estimate: bool,
}

impl ValidatedSearch {
    /// The hits of a search by reach, each with its years.
    pub(crate) fn page_of_reach(
        &self,
        page: Page<SchoolHit>,
        admissions: Vec<(SchoolId, Admissions)>,
    ) -> Page<ReachHit> {
        let mut of_schools: BTreeMap<SchoolId, Vec<Admissions>> = BTreeMap::new();
        for (id, year) in admissions {
            of_schools.entry(id).or_default().push(year);
        }
        let filter = self.search.filter.reach.clone().unwrap_or_default();
        let hit = |hit: SchoolHit| {
            let years = of_schools.remove(&hit.school.id).unwrap_or_default();
            let (years, years_of_evidence) = reached(&filter, hit.distance_km, years);
            ReachHit { hit, years, years_of_evidence, estimate: true }
        };
        Page { items: page.items.into_iter().map(hit).collect(), next: page.next }
    }
}

/// The known years of the intakes that pass, and the most there are of one.
fn reached(filter: &ReachFilter, distance: Option<Kilometres>, years: Vec<Admissions>) -> (Vec<ReachYear>, usize) {
    let Some(distance) = distance.map(Kilometres::get) else { return (Vec::new(), 0) };
    let mut intakes: BTreeMap<Option<String>, Vec<Admissions>> = BTreeMap::new();
    for year in years {
        let is_asked = filter.intake.is_none() || filter.intake == year.intake;
        if is_asked && year.last_distance_offered_km.is_some() {
            intakes.entry(year.intake.clone()).or_default().push(year);
        }
    }
    let wanted = usize::from(filter.years);
    let (mut passing, mut most) = (Vec::new(), 0);
    for (intake, mut years) in intakes {
        years.sort_by_key(|year| std::cmp::Reverse(year.academic_year));
        let km: Vec<f64> = years.iter().filter_map(|year| year.last_distance_offered_km).collect();
        if km.len() < wanted || km.iter().take(wanted).any(|km| *km < distance) {
            continue;
        }
        most = most.max(km.len());
        passing.extend(years.iter().zip(&km).enumerate().map(|(at, (year, last))| ReachYear {
            academic_year: year.academic_year,
            intake: intake.clone(),
            last_distance_km: *last,
            margin_km: last - distance,
            change_km: km.get(at + 1).map(|before| last - before),
            applications_per_place: year.applications_per_place(),
        }));
    }
    (passing, most)
}
