//! The rows that a search fetches for each school, on every backend.

use std::collections::BTreeMap;

use super::{Position, ValidatedSearch};
use crate::ids::SchoolId;
use crate::models::{
    CatchmentHit, Evidence, Facets, Gender, Phase, Rating, School, SchoolDetails, SchoolHit, SchoolSummary, Status,
};
use crate::request::{Page, Sort};
use crate::units::Kilometres;

/// A school, and the kilometres that it is ordered by: its distance, or its margin in an order by margin.
pub(crate) type HitRow = (SchoolSummary, Option<f64>);

/// A school and the folded name that it is ordered by.
pub(crate) type ListedRow = (SchoolSummary, String);

/// A school, the folded name that it is ordered by, and how well that matches.
pub(crate) type MatchedRow = (SchoolSummary, String, i32);

/// A school, its folded name, whether its catchment is an outline, and the radius in kilometres of a circular one.
pub(crate) type CatchmentRow = (SchoolSummary, String, bool, Option<f64>);

impl ValidatedSearch {
    /// Returns the page of rows in an order by name or rating.
    pub(crate) fn page_of_listed(&self, rows: Vec<ListedRow>) -> Page<SchoolHit> {
        self.page(rows, |(school, name)| self.position(school, None, name), |(school, _)| self.hit(school, None))
    }

    /// Returns the page of rows in an order by match.
    pub(crate) fn page_of_matched(&self, rows: Vec<MatchedRow>) -> Page<SchoolHit> {
        let position = |(school, name, rank): &MatchedRow| Position {
            km: None,
            rank: Some(*rank),
            rating: None,
            name: name.clone(),
            id: school.id,
        };
        self.page(rows, position, |(school, ..)| self.hit(school, None))
    }

    /// Returns the page of rows in an order of kilometres.
    pub(crate) fn page_of_hits(&self, rows: Vec<HitRow>) -> Page<SchoolHit> {
        self.page(rows, |(school, km)| self.position(school, *km, ""), |(school, km)| self.hit(school, km))
    }

    /// Returns the page of catchments whose outline contains the search's point, or whose circle may. They are few, so
    /// that distances, the order and the cursor are applied here.
    pub(crate) fn page_of_catchments(&self, rows: Vec<CatchmentRow>) -> Page<CatchmentHit> {
        let mut serving = Vec::with_capacity(rows.len());
        for (school, name, has_outline, circle) in rows {
            let km = self.km_to(&school).map(Kilometres::get);
            let within = |radius: Option<f64>| km.zip(radius).is_some_and(|(km, radius)| km <= radius);
            let is_near = self.radius().is_none_or(|radius| within(Some(radius.get())));
            if is_near && (has_outline || within(circle)) {
                let position = self.position(&school, km, &name);
                if self.after.as_ref().is_none_or(|after| position.in_order(after).is_gt()) {
                    let evidence = if has_outline { Evidence::Polygon } else { Evidence::Radius };
                    serving.push((position, CatchmentHit { hit: self.hit(school, km), evidence }));
                }
            }
        }
        // No two have the same position.
        serving.sort_unstable_by(|(a, _), (b, _)| a.in_order(b));
        self.page(serving, |(position, _)| position.clone(), |(_, catchment)| catchment)
    }

    fn hit(&self, school: SchoolSummary, km: Option<f64>) -> SchoolHit {
        let distance_km = match self.search.sort {
            Sort::Distance => km.and_then(|km| Kilometres::new(km).ok()),
            Sort::Margin | Sort::Name | Sort::Rating | Sort::Match => self.km_to(&school),
        };
        SchoolHit { school, distance_km }
    }

    pub(super) fn km_to(&self, school: &SchoolSummary) -> Option<Kilometres> {
        Some(self.near?.point.distance_to(school.location()?))
    }

    /// Returns a school's position in the search's order.
    fn position(&self, school: &SchoolSummary, km: Option<f64>, name: &str) -> Position {
        let by_name = |rating| Position { km: None, rank: None, rating, name: name.to_owned(), id: school.id };
        match self.search.sort {
            Sort::Distance => Position::by_km(km, school.id),
            // The widest margin comes first.
            Sort::Margin => Position::by_km(km.map(|km| -km), school.id),
            // Rows in an order by match have positions of their own.
            Sort::Name | Sort::Match => by_name(None),
            Sort::Rating => by_name(school.ofsted_rating.map(Rating::number)),
        }
    }
}

/// Adds to each school its rows of one collection, possibly none. Schools are in the order of their ids.
pub(crate) fn attach<T>(
    details: &mut [SchoolDetails],
    rows: Vec<(SchoolId, T)>,
    collection: fn(&mut SchoolDetails) -> &mut Option<Vec<T>>,
) {
    for school in &mut *details {
        *collection(school) = Some(Vec::new());
    }
    for (id, row) in rows {
        if let Ok(at) = details.binary_search_by_key(&id, |details| details.school.id)
            && let Some(rows) = collection(&mut details[at])
        {
            rows.push(row);
        }
    }
}

/// Returns of each key's schools the open ones, or every one where none is open. The keys are sorted.
pub(crate) fn of_today<K: PartialEq>(mut found: Vec<(K, School)>) -> Vec<(K, School)> {
    let mut kept = Vec::with_capacity(found.len());
    for of_key in found.chunk_by(|(one, _), (next, _)| one == next) {
        let is_any_open = of_key.iter().any(|(_, school)| school.is_open());
        kept.extend(of_key.iter().map(|(_, school)| school.is_open() == is_any_open));
    }
    let mut kept = kept.into_iter();
    found.retain(|_| kept.next() == Some(true));
    found
}

/// The number of schools that share these values.
pub(crate) type FacetRow =
    (Option<String>, Option<Phase>, Status, Option<Rating>, Option<Gender>, Option<String>, Option<bool>, i64);

/// Returns the counts of each value by itself.
pub(crate) fn facets_of(rows: Vec<FacetRow>) -> Facets {
    let mut facets = Facets::default();
    for (council, phase, status, rating, gender, faith, is_private, schools) in rows {
        let schools = schools.unsigned_abs();
        facets.total += schools;
        add(&mut facets.council, council, schools);
        add(&mut facets.phase, phase, schools);
        add(&mut facets.status, Some(status), schools);
        add(&mut facets.rating, rating, schools);
        add(&mut facets.gender, gender, schools);
        add(&mut facets.faith, faith, schools);
        add(&mut facets.ownership, is_private.map(|private| if private { "private" } else { "state" }), schools);
    }
    facets
}

fn add(counts: &mut BTreeMap<String, u64>, value: Option<impl ToString>, schools: u64) {
    let key = value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
    *counts.entry(key).or_default() += schools;
}
