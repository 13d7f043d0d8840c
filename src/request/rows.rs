//! What a search fetches for each school, on every backend.

use super::cursor::Position;
use super::search::{Page, Settled, Sort};
use crate::ids::SchoolId;
use crate::models::{CatchmentHit, Evidence, Facets, Gender, Phase, SchoolDetails, SchoolHit, SchoolSummary, Status};
use crate::units::Kilometres;

/// A school, its distance in kilometres (its margin in an order by margin) and its folded name.
pub(crate) type HitRow = (SchoolSummary, Option<f64>, String);

/// A school, its distance in kilometres, its folded name, and whether it has an outline.
pub(crate) type CatchmentRow = (SchoolSummary, Option<f64>, String, bool);

impl Settled {
    /// What was fetched, as a page.
    pub(crate) fn page_of_hits(&self, rows: Vec<HitRow>) -> Page<SchoolHit> {
        match (self.search.sort, self.near) {
            (Sort::Margin, Some(near)) => self.page(
                rows,
                |row| self.position(row),
                |(school, _, _)| SchoolHit {
                    distance_km: school.location().map(|place| near.point.distance_to(place)),
                    school,
                },
            ),
            _ => self.page(rows, |row| self.position(row), hit),
        }
    }

    /// What was fetched, as a page of catchments.
    pub(crate) fn page_of_catchments(&self, rows: Vec<CatchmentRow>) -> Page<CatchmentHit> {
        let rows = rows.into_iter().map(|(school, km, name, has_outline)| ((school, km, name), has_outline));
        let catchment = |(row, has_outline)| CatchmentHit {
            hit: hit(row),
            evidence: if has_outline { Evidence::Polygon } else { Evidence::Radius },
        };
        self.page(rows.collect(), |(row, _)| self.position(row), catchment)
    }

    /// A row's place in the search's order.
    fn position(&self, (school, km, name): &HitRow) -> Position {
        match self.search.sort {
            Sort::Distance => Position::Distance { km: *km, id: school.id },
            // The filter lets only schools through of which it is known.
            Sort::Margin => Position::Margin { km: km.unwrap_or_default(), id: school.id },
            Sort::Name => Position::Name { name: name.clone(), id: school.id },
            Sort::Rating => Position::Rating { rating: school.ofsted_rating, name: name.clone(), id: school.id },
        }
    }
}

fn hit((school, km, _): HitRow) -> SchoolHit {
    SchoolHit { school, distance_km: km.and_then(|km| Kilometres::new(km).ok()) }
}

/// Gives each school its rows of one collection, none included. Schools are in the order of their ids.
pub(crate) fn give<T>(
    details: &mut [SchoolDetails],
    rows: Vec<(SchoolId, T)>,
    part: fn(&mut SchoolDetails) -> &mut Option<Vec<T>>,
) {
    for school in &mut *details {
        *part(school) = Some(Vec::new());
    }
    for (id, row) in rows {
        if let Ok(at) = details.binary_search_by_key(&id, |details| details.school.id)
            && let Some(rows) = part(&mut details[at])
        {
            rows.push(row);
        }
    }
}

/// How many schools share these facts.
pub(crate) type FacetRow =
    (Option<String>, Option<Phase>, Status, Option<i16>, Option<Gender>, Option<String>, Option<bool>, i64);

/// The counts of each fact by itself.
pub(crate) fn facets_of(rows: Vec<FacetRow>) -> Facets {
    let mut facets = Facets::default();
    for (council, phase, status, rating, gender, faith, is_private, schools) in rows {
        facets.total += schools;
        facets.council.add(council, schools);
        facets.phase.add(phase, schools);
        facets.status.add(Some(status), schools);
        facets.rating.add(rating, schools);
        facets.gender.add(gender, schools);
        facets.faith.add(faith, schools);
        facets.ownership.add(is_private.map(|private| if private { "private" } else { "state" }), schools);
    }
    facets
}

trait Add {
    fn add(&mut self, value: Option<impl ToString>, schools: i64);
}

impl Add for std::collections::BTreeMap<String, i64> {
    fn add(&mut self, value: Option<impl ToString>, schools: i64) {
        let key = value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
        *self.entry(key).or_default() += schools;
    }
}
