//! The limit: the same results from R-trees in memory, without a database.

use std::collections::HashMap;

use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};
use school_finder_db::LatLng;
use school_finder_db::geo::Catchment;
use school_finder_db::ids::SchoolId;
use school_finder_db::models::{Phase, Rating, School, SchoolHit, SchoolSummary};

use super::made::Country;
use super::{Case, LIMIT, LISTED, Query, RADIUS_KM};

/// The slack beyond the last point that is needed, as a chord of a sphere of radius 1: more than the rounding error.
const SLACK: f64 = 1e-11;

/// A country in memory.
pub struct Memory {
    schools: Vec<(LatLng, SchoolSummary)>,
    /// Points on a sphere of radius 1, where the nearest by straight line is also the nearest by great circle.
    locations: RTree<GeomWithData<[f64; 3], usize>>,
    boxes: RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>,
    outlines: Vec<(usize, Catchment)>,
    /// The schools of each council, by name.
    councils: HashMap<String, Vec<usize>>,
}

impl Memory {
    pub fn of(country: &Country) -> Self {
        let schools: Vec<_> = country
            .schools
            .iter()
            .map(|school| {
                let location = school.location.expect("a location");
                // A new database numbers the schools in this order.
                let id = SchoolId::new(i64::from(school.urn.get()));
                (location, SchoolSummary::from(School::stored(id, 1, school.clone())))
            })
            .collect();
        let locations =
            schools.iter().enumerate().map(|(at, (location, _))| GeomWithData::new(on_sphere(*location), at)).collect();
        let outlines: Vec<(usize, Catchment)> = country
            .catchments
            .iter()
            .map(|catchment| {
                let at = usize::try_from(catchment.urn.get() - 1).expect("an index");
                (at, catchment.outline.clone().expect("an outline"))
            })
            .collect();
        let boxes =
            outlines.iter().enumerate().map(|(at, (_, outline))| GeomWithData::new(bounds(outline), at)).collect();
        let mut councils: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, (_, school)) in schools.iter().enumerate() {
            councils.entry(school.council.clone().expect("a council")).or_default().push(at);
        }
        for listed in councils.values_mut() {
            // In the generated names, folding changes only the case of two letters.
            listed.sort_by_key(|at| (schools[*at].1.name.to_lowercase(), *at));
        }
        Self { schools, locations: RTree::bulk_load(locations), boxes: RTree::bulk_load(boxes), outlines, councils }
    }

    pub fn run(&self, query: Query, case: &Case) -> Vec<SchoolHit> {
        match query {
            Query::Radius => self.nearest(case.home, RADIUS_KM, |_| true),
            Query::Filtered => self.nearest(case.home, RADIUS_KM, |school| {
                school.phase == Some(Phase::Primary)
                    && school.ofsted_rating.is_none_or(|rating| rating.is_at_least(Rating::Good))
            }),
            Query::Nearest => self.nearest(case.home, f64::INFINITY, |_| true),
            Query::Catchment => {
                let (lng, lat) = (case.home.lng().degrees(), case.home.lat().degrees());
                let boxes = self.boxes.locate_in_envelope_intersecting(&AABB::from_point([lng, lat]));
                let serving =
                    boxes.map(|bounds| &self.outlines[bounds.data]).filter(|(_, outline)| outline.covers(case.home));
                self.first(case.home, serving.map(|(at, _)| *at).collect())
            }
            Query::Listing => self.councils[&case.council]
                .iter()
                .take(LISTED)
                .map(|at| SchoolHit::new(self.schools[*at].1.clone(), None))
                .collect(),
        }
    }

    fn nearest(&self, home: LatLng, radius_km: f64, passes: impl Fn(&SchoolSummary) -> bool) -> Vec<SchoolHit> {
        let mut found = Vec::with_capacity(LIMIT + 1);
        let widest = 2.0 * (radius_km / 6_371.0 / 2.0).min(std::f64::consts::FRAC_PI_2).sin() + SLACK;
        let mut enough = f64::INFINITY;
        for (point, chord_squared) in self.locations.nearest_neighbor_iter_with_distance_2(&on_sphere(home)) {
            let chord = chord_squared.sqrt();
            if chord > widest || found.len() >= LIMIT && chord > enough {
                break;
            }
            if passes(&self.schools[point.data].1) {
                if found.len() < LIMIT {
                    enough = chord + SLACK;
                }
                if home.distance_to(self.schools[point.data].0).get() <= radius_km {
                    found.push(point.data);
                }
            }
        }
        self.first(home, found)
    }

    /// Returns the nearest of these, as in a result list.
    fn first(&self, home: LatLng, found: Vec<usize>) -> Vec<SchoolHit> {
        let mut found: Vec<_> = found.into_iter().map(|at| (home.distance_to(self.schools[at].0), at)).collect();
        found.sort_by(|a, b| a.0.get().total_cmp(&b.0.get()).then(a.1.cmp(&b.1)));
        found.truncate(LIMIT);
        let hit = |(km, at): (_, usize)| SchoolHit::new(self.schools[at].1.clone(), Some(km));
        found.into_iter().map(hit).collect()
    }
}

fn on_sphere(location: LatLng) -> [f64; 3] {
    let (lat, lng) = (location.lat().degrees().to_radians(), location.lng().degrees().to_radians());
    [lat.cos() * lng.cos(), lat.cos() * lng.sin(), lat.sin()]
}

fn bounds(outline: &Catchment) -> Rectangle<[f64; 2]> {
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for corner in outline.as_multi_polygon().0.iter().flat_map(|polygon| polygon.exterior().coords()) {
        (low, high) = ([low[0].min(corner.x), low[1].min(corner.y)], [high[0].max(corner.x), high[1].max(corner.y)]);
    }
    Rectangle::from_corners(low, high)
}
