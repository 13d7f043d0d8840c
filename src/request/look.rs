//! An order by distance in several statements: places alone, close by and then farther, and at last the schools of the page. For a
//! backend where a statement costs less than what it looks at: SQLite.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::cursor::Position;
use super::reach::Reach;
use super::rows::HitRow;
use super::search::{Near, Settled, Sort};
use crate::geo::{self, LatLng};
use crate::ids::SchoolId;
use crate::models::SchoolSummary;
use crate::units::Kilometres;

impl Settled {
    /// The first look of a search in an order by distance. Nothing in any other order: an index has that.
    pub(crate) fn first_look(&self, first_km: f64) -> Option<Look> {
        self.look(self.first_reach(first_km))
    }

    /// The next, wider look after one that found so many schools, or nothing where these are the answer.
    pub(crate) fn wider_look(&self, look: &Look, found: usize) -> Option<Look> {
        self.look(self.wider_reach(look.reach, found)?)
    }

    fn look(&self, reach: Reach) -> Option<Look> {
        let Near { point, .. } = self.near.filter(|_| self.search.sort == Sort::Distance)?;
        let after = match self.after {
            Some(Position::Distance { km, id }) => Some(Place { km, id }),
            _ => None,
        };
        let radius = self.circle(reach).map(|(_, km)| km);
        Some(Look { reach, point, radius, after, wanted: usize::try_from(self.fetch()).unwrap_or(usize::MAX) })
    }
}

/// A look round a point, in an order by distance: the places of schools are fetched alone, and the schools of the page after them.
#[derive(Debug)]
pub(crate) struct Look {
    pub reach: Reach,
    point: LatLng,
    radius: Option<Kilometres>,
    after: Option<Place>,
    wanted: usize,
}

/// A school and how far it is, where that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    km: Option<f64>,
    pub id: SchoolId,
}

impl Place {
    /// By distance, those that stand nowhere last, then by id.
    fn in_order(&self, other: &Self) -> Ordering {
        let by_distance = match (self.km, other.km) {
            (Some(km), Some(other)) => km.total_cmp(&other),
            (ours, theirs) => ours.is_none().cmp(&theirs.is_none()),
        };
        by_distance.then(self.id.cmp(&other.id))
    }
}

impl Look {
    fn km_to(&self, lat: Option<f64>, lng: Option<f64>) -> Option<f64> {
        Some(geo::haversine(self.point.lat().degrees(), self.point.lng().degrees(), lat?, lng?))
    }

    /// The nearest of these schools that are in the circle and come after the search's cursor, one more than a page holds.
    /// Distances are worked out here and not in SQL, where each would be a call of a function for the radius, for the order
    /// and for the answer, and could differ between backends in the last bit.
    pub(crate) fn nearest(&self, candidates: Vec<(SchoolId, Option<f64>, Option<f64>)>) -> Vec<Place> {
        let within = |place: &Place| {
            self.radius.is_none_or(|radius| place.km.is_some_and(|km| km <= radius.get()))
                && self.after.is_none_or(|after| place.in_order(&after).is_gt())
        };
        let places = candidates.into_iter().map(|(id, lat, lng)| Place { km: self.km_to(lat, lng), id });
        let mut near: Vec<Place> = places.filter(within).collect();
        if near.len() > self.wanted {
            near.select_nth_unstable_by(self.wanted, Place::in_order);
            near.truncate(self.wanted);
        }
        near.sort_unstable_by(Place::in_order);
        near
    }

    /// The schools of these places, in the places' order.
    pub(crate) fn rows(places: &[Place], schools: Vec<SchoolSummary>) -> Vec<HitRow> {
        let mut schools: HashMap<SchoolId, SchoolSummary> =
            schools.into_iter().map(|school| (school.id, school)).collect();
        let row = |place: &Place| Some((schools.remove(&place.id)?, place.km));
        places.iter().filter_map(row).collect()
    }
}
