//! The admissions reach of the schools on a page.

use std::collections::BTreeMap;

use super::ValidatedSearch;
use crate::ids::SchoolId;
use crate::models::{Admissions, ReachHit, ReachYear, SchoolHit};
use crate::request::{Page, ReachFilter};
use crate::units::Kilometres;

impl ValidatedSearch {
    /// Returns the page of a search by admissions reach, each hit with its years.
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

/// Returns the known years of the intakes that match, and the highest number of years of one intake.
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
