//! What a search fetches for each school, on every backend.

use super::cursor::Position;
use super::search::{Page, Settled, Sort};
use crate::ids::SchoolId;
use crate::models::{CatchmentHit, Evidence, Facets, Gender, Phase, SchoolDetails, SchoolHit, SchoolSummary, Status};
use crate::units::Kilometres;

/// A school, what it is ordered by (its distance in an order by distance, its margin in one by margin, both in kilometres;
/// nothing in the others) and its folded name.
pub(crate) type HitRow = (SchoolSummary, Option<f64>, String);

/// A school and its folded name.
pub(crate) type ListedRow = (SchoolSummary, String);

/// A school, its folded name, whether its catchment is an outline, and the radius in kilometres of one that is a circle.
pub(crate) type CatchmentRow = (SchoolSummary, String, bool, Option<f64>);

impl Settled {
    /// What was fetched in an order that an index has, as a page.
    pub(crate) fn page_of_listed(&self, rows: Vec<ListedRow>) -> Page<SchoolHit> {
        self.page_of_hits(rows.into_iter().map(|(school, name)| (school, None, name)).collect())
    }

    /// What was fetched, as a page.
    pub(crate) fn page_of_hits(&self, rows: Vec<HitRow>) -> Page<SchoolHit> {
        self.page(rows, |row| self.position(row), |row| self.hit(row))
    }

    /// Catchments whose outline holds the search's point, or whose circle may, as a page. They are few, so that what is left is
    /// decided here: distances, the order, and what comes after a cursor.
    pub(crate) fn page_of_catchments(&self, rows: Vec<CatchmentRow>) -> Page<CatchmentHit> {
        let mut serving = Vec::with_capacity(rows.len());
        for (school, name, has_outline, circle) in rows {
            let km = self.km_to(&school).map(Kilometres::get);
            let within = |radius: Option<f64>| km.zip(radius).is_some_and(|(km, radius)| km <= radius);
            let asked = self.near.and_then(|near| near.radius).is_none_or(|radius| within(Some(radius.get())));
            if asked && (has_outline || within(circle)) {
                let row = (school, km, name);
                let evidence = if has_outline { Evidence::Polygon } else { Evidence::Radius };
                serving.push((self.position(&row), row, evidence));
            }
        }
        serving.retain(|(position, ..)| self.after.as_ref().is_none_or(|after| position.in_order(after).is_gt()));
        serving.sort_by(|(a, ..), (b, ..)| a.in_order(b));
        let catchment = |(_, row, evidence)| CatchmentHit { hit: self.hit(row), evidence };
        self.page(serving, |(position, ..)| position.clone(), catchment)
    }

    fn hit(&self, (school, km, _): HitRow) -> SchoolHit {
        let distance_km = match self.search.sort {
            Sort::Distance => km.and_then(|km| Kilometres::new(km).ok()),
            Sort::Margin | Sort::Name | Sort::Rating => self.km_to(&school),
        };
        SchoolHit { school, distance_km }
    }

    pub(super) fn km_to(&self, school: &SchoolSummary) -> Option<Kilometres> {
        Some(self.near?.point.distance_to(school.location()?))
    }

    /// A row's place in the search's order.
    pub(super) fn position(&self, (school, km, name): &HitRow) -> Position {
        match self.search.sort {
            Sort::Distance => Position::Distance { km: *km, id: school.id },
            // The filter lets only schools through of which it is known.
            Sort::Margin => Position::Margin { km: km.unwrap_or_default(), id: school.id },
            Sort::Name => Position::Name { name: name.clone(), id: school.id },
            Sort::Rating => Position::Rating { rating: school.ofsted_rating, name: name.clone(), id: school.id },
        }
    }
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
