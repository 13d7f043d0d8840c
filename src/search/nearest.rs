//! The nearest schools among the candidates of a probe.

use super::{Expansion, Position, ValidatedSearch};
use crate::geo::{LatLng, Latitude, Longitude};
use crate::ids::SchoolId;
use crate::models::SchoolSummary;
use crate::units::Kilometres;

/// How far a database's distance may be from this crate's, in kilometres, beside the difference of their spheres: a
/// metre. The rounding of either formula is less than 1e-9 km nearly everywhere, and about 0.2 m near the antipode. The
/// point that candidates are measured from is up to 0.22 m from the search's.
pub(crate) const SLACK_KM: f64 = 1e-3;

/// The result of a probe's candidates. Each row has its distance in kilometres, where it has a location.
#[derive(Debug, PartialEq)]
pub(crate) enum Nearest<C> {
    /// The rows of the page and the one after them, in order.
    Page(Vec<(C, Option<f64>)>),
    /// Too few are certain: the same probe has to return more candidates.
    MoreCandidates,
    /// Too few are within the probe: a probe of this radius in kilometres has to follow.
    WiderProbe(f64),
}

/// A school that may be on a page.
pub(crate) trait Candidate {
    fn id(&self) -> SchoolId;

    fn location(&self) -> Option<LatLng>;
}

impl Candidate for SchoolSummary {
    fn id(&self) -> SchoolId {
        self.id
    }

    fn location(&self) -> Option<LatLng> {
        self.location()
    }
}

impl Candidate for (SchoolId, Option<Latitude>, Option<Longitude>) {
    fn id(&self) -> SchoolId {
        self.0
    }

    fn location(&self) -> Option<LatLng> {
        Some(LatLng::new(self.1?, self.2?))
    }
}

impl ValidatedSearch {
    /// Returns the nearest schools among the candidates of a probe, as far as they are certain.
    ///
    /// `limit` is `None` where the candidates are all schools of the probe. Otherwise they are its first `limit`, in
    /// the order of a distance that grows with this crate's but for [`SLACK_KM`]; those without a location come last,
    /// by id.
    ///
    /// Distances are computed in Rust: SQL would call the function for the radius, the order and the result, and
    /// backends could differ in the last bit.
    pub(crate) fn nearest<C: Candidate>(
        &self,
        candidates: Vec<C>,
        limit: Option<i64>,
        probe_km: f64,
        expansion: Expansion,
    ) -> Nearest<C> {
        let is_all = limit.is_none_or(|limit| i64::try_from(candidates.len()).unwrap_or(i64::MAX) < limit);
        let row = |candidate: C| {
            let km = self.near.zip(candidate.location()).map(|(near, at)| near.point.distance_to(at).get());
            (candidate, km)
        };
        let mut rows: Vec<(C, Option<f64>)> = candidates.into_iter().map(row).collect();
        // A school without a location has an infinite distance.
        let far = |km: Option<f64>| km.unwrap_or(f64::INFINITY);
        // The distance up to which no school is missing. One as far as the farthest candidate may have a lower id than
        // it.
        let certain_km = match is_all {
            true => probe_km,
            false => rows.iter().map(|(_, km)| far(*km)).fold(0.0, f64::max) - SLACK_KM,
        };
        let radius_km = self.radius().map_or(f64::INFINITY, Kilometres::get);
        let position = |(candidate, km): &(C, Option<f64>)| Position::by_km(*km, candidate.id());
        let is_after =
            |row: &(C, Option<f64>)| self.after.as_ref().is_none_or(|after| position(row).in_order(after).is_gt());
        rows.retain(|row| far(row.1) <= certain_km.min(radius_km) && is_after(row));

        let wanted = usize::try_from(self.fetch()).unwrap_or(usize::MAX);
        if rows.len() < wanted && certain_km <= radius_km {
            if !is_all {
                return Nearest::MoreCandidates;
            }
            if probe_km.is_finite() {
                return Nearest::WiderProbe(self.next_radius(probe_km, rows.len(), expansion));
            }
        }
        let in_order = |a: &(C, Option<f64>), b: &(C, Option<f64>)| position(a).in_order(&position(b));
        if rows.len() > wanted {
            rows.select_nth_unstable_by(wanted, in_order);
            rows.truncate(wanted);
        }
        rows.sort_unstable_by(in_order);
        Nearest::Page(rows)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::Urn;
    use crate::request::SchoolSearch;
    use crate::search::HitRow;

    fn school(id: i64, location: Option<LatLng>) -> SchoolSummary {
        let urn = Urn::new(100_000 + id).expect("a URN");
        SchoolSummary {
            lat: location.map(LatLng::lat),
            lng: location.map(LatLng::lng),
            ..SchoolSummary::new(SchoolId::new(id), urn, "A School")
        }
    }

    const EXPANSION: Expansion = Expansion { first_km: 3.0, last_km: 20.0 };

    /// Returns what a database would: its distances are off by up to 0.4 m, by a different part of it for each school.
    fn candidates(
        validated: &ValidatedSearch,
        schools: &[SchoolSummary],
        limit: i64,
        radius: f64,
    ) -> Vec<SchoolSummary> {
        let within = validated.circle(radius).map_or(f64::INFINITY, |(_, km)| km.get());
        let km = |school: &SchoolSummary| validated.km_to(school).map_or(f64::INFINITY, Kilometres::get);
        let off = |school: &SchoolSummary| f64::from(i32::try_from(school.id.get() % 9).expect("small") - 4) * 1e-4;
        let is_after = |school: &&SchoolSummary| match validated.after {
            Some(Position { km: Some(after), .. }) => km(school) >= after - SLACK_KM,
            Some(Position { km: None, id, .. }) => school.lat.is_none() && school.id > id,
            _ => true,
        };
        let is_within = |school: &&SchoolSummary| within.is_infinite() || km(school) <= within + SLACK_KM;
        let mut found: Vec<_> = schools.iter().filter(is_after).filter(is_within).cloned().collect();
        found.sort_by(|a, b| (km(a) + off(a)).total_cmp(&(km(b) + off(b))).then(a.id.cmp(&b.id)));
        found.truncate(usize::try_from(limit).expect("small"));
        found
    }

    fn page(validated: &ValidatedSearch, schools: &[SchoolSummary], first_limit: i64) -> Vec<HitRow> {
        let (mut limit, mut radius) = (first_limit, validated.first_radius(EXPANSION));
        loop {
            let candidates = candidates(validated, schools, limit, radius);
            match validated.nearest(candidates, Some(limit), radius, EXPANSION) {
                Nearest::Page(rows) => return rows,
                Nearest::MoreCandidates => limit *= 4,
                Nearest::WiderProbe(wider) => radius = wider,
            }
        }
    }

    #[test]
    fn ties_at_the_last_place_are_broken_by_id() {
        let home = LatLng::from_lat_lng(52.0, -0.7).expect("a place");
        let schools: Vec<SchoolSummary> = (1..=40).map(|id| school(id, Some(home))).collect();
        let validated = ValidatedSearch::new(&SchoolSearch::near(home).limit(5)).expect("a search");
        // The database returns any of them first.
        let reversed: Vec<SchoolSummary> = schools.iter().rev().take(10).cloned().collect();
        assert_eq!(validated.nearest(reversed, Some(10), 3.0, EXPANSION), Nearest::MoreCandidates);
        let ids: Vec<i64> = page(&validated, &schools, 10).iter().map(|(school, _)| school.id.get()).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    }

    proptest! {
        #[test]
        fn pages_are_those_of_the_exact_distances(
            lat in 49.0..59.0f64, lng in -7.0..1.8f64,
            places in prop::collection::vec((-0.4..0.4f64, -0.6..0.6f64, 0..12u8), 0..150),
            limit in 1..12u32, radius in prop::option::of(0.5..60.0f64),
        ) {
            let home = LatLng::from_lat_lng(lat, lng).expect("a place");
            let schools: Vec<SchoolSummary> = (1..).zip(&places).map(|(id, (north, east, kind))| {
                // Some share a point, some are less than a metre from it, and some have no location.
                let (north, east) = match kind {
                    0..=2 => (0.01, 0.02),
                    3 => (0.01 + north * 1e-5, 0.02),
                    _ => (*north, *east),
                };
                school(id, (*kind < 11).then(|| LatLng::from_lat_lng(lat + north, lng + east).expect("a place")))
            }).collect();
            let mut search = SchoolSearch::near(home).limit(limit);
            if let Some(km) = radius {
                search = search.within(Kilometres::new(km).expect("a distance"));
            }
            let km = |school: &SchoolSummary| school.location().map_or(f64::INFINITY, |at| home.distance_to(at).get());
            let mut expected: Vec<&SchoolSummary> =
                schools.iter().filter(|school| radius.is_none_or(|radius| km(school) <= radius)).collect();
            expected.sort_by(|a, b| km(a).total_cmp(&km(b)).then(a.id.cmp(&b.id)));
            let expected: Vec<SchoolId> = expected.iter().map(|school| school.id).collect();
            let mut found = Vec::new();
            loop {
                let validated = ValidatedSearch::new(&search).expect("a search");
                let page = validated.page_of_hits(page(&validated, &schools, i64::from(limit) + 5));
                found.extend(page.items.iter().map(|hit| hit.school.id));
                let Some(next) = page.next else { break };
                search = search.after(next);
            }
            prop_assert_eq!(found, expected);
        }
    }
}
