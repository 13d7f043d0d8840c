//! The admissions reach of the schools on a page.

use std::collections::{BTreeMap, HashMap};

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
        selective: &HashMap<SchoolId, Option<bool>>,
    ) -> Page<ReachHit> {
        let mut of_schools: BTreeMap<SchoolId, Vec<Admissions>> = BTreeMap::new();
        for (id, year) in admissions {
            of_schools.entry(id).or_default().push(year);
        }
        let filter = self.search.filter.reach.clone().unwrap_or_default();
        let hit = |hit: SchoolHit| {
            let years = of_schools.remove(&hit.school.id).unwrap_or_default();
            let (years, years_of_evidence) = reached(&filter, hit.distance_km, years);
            let is_selective = selective.get(&hit.school.id).copied().flatten();
            ReachHit { is_selective, ..ReachHit::new(hit, years, years_of_evidence) }
        };
        Page { items: page.items.into_iter().map(hit).collect(), next: page.next }
    }
}

/// The distance in the column `least_km` that means that every applicant was offered a place, as the migrations write
/// it. More than any distance, so that such a school has the widest margins, and the nearest of them the widest.
pub(crate) const ALL_OFFERED_KM: f64 = 40_075.0;

/// Returns the years of evidence of the intakes that match, and the highest number of years of one intake: the same
/// years that the view `admissions_by_recency` counts.
fn reached(filter: &ReachFilter, distance: Option<Kilometres>, years: Vec<Admissions>) -> (Vec<ReachYear>, usize) {
    let Some(distance) = distance else { return (Vec::new(), 0) };
    let mut intakes: BTreeMap<Option<String>, Vec<Admissions>> = BTreeMap::new();
    for year in years {
        if year.last_distance_offered_km.is_some() || year.had_vacancies == Some(true) {
            intakes.entry(year.intake.clone()).or_default().push(year);
        }
    }
    // A year without an intake may be of any.
    let unnamed = intakes.remove(&None).unwrap_or_default();
    if let Some(intake) = &filter.intake {
        intakes.retain(|named, _| named.as_ref() == Some(intake));
    }
    for years in intakes.values_mut() {
        let new = |year: &&Admissions| years.iter().all(|other| other.academic_year != year.academic_year);
        let mut others: Vec<Admissions> = unnamed.iter().filter(new).cloned().collect();
        years.append(&mut others);
    }
    if intakes.is_empty() {
        intakes.insert(None, unnamed);
    }
    let wanted = usize::from(filter.years);
    let (mut passing, mut most) = (Vec::<ReachYear>::new(), 0);
    for mut years in intakes.into_values() {
        years.sort_by_key(|year| std::cmp::Reverse(year.academic_year));
        let years: Vec<ReachYear> =
            (0..years.len()).map(|at| reach_year(&years[at], years.get(at + 1), distance)).collect();
        let reaches = |year: &ReachYear| year.margin_km.is_none_or(|margin| margin.get() >= 0.0);
        if years.len() >= wanted && years.iter().take(wanted).all(reaches) {
            most = most.max(years.len());
            for year in years {
                // A year without an intake counts for several, and may follow another year in each.
                let is_same =
                    |other: &&mut ReachYear| (other.academic_year, &other.intake) == (year.academic_year, &year.intake);
                match passing.iter_mut().find(is_same) {
                    Some(other) if other.change_km != year.change_km => other.change_km = None,
                    Some(_) => {}
                    None => passing.push(year),
                }
            }
        }
    }
    (passing, most)
}

/// Returns a year as evidence, after the known year before it.
fn reach_year(year: &Admissions, before: Option<&Admissions>, distance: Kilometres) -> ReachYear {
    let limit = |year: &Admissions| year.last_distance_offered_km.filter(|_| year.had_vacancies != Some(true));
    let last_distance_km = limit(year);
    ReachYear {
        academic_year: year.academic_year,
        intake: year.intake.clone(),
        last_distance_km,
        margin_km: last_distance_km.map(|last| last - distance),
        all_offered: year.had_vacancies == Some(true),
        change_km: last_distance_km.zip(before.and_then(limit)).map(|(last, before)| last - before),
        applications_per_place: year.applications_per_place(),
    }
}
