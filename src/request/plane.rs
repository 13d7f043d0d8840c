//! An order by distance in one statement: it looks close by and, where that is too little, farther; and gives the schools of the
//! page with a few more. For a backend where a statement costs more than what it looks at: a server.

use super::reach::{Reach, up_to};
use super::rows::HitRow;
use super::search::{Settled, Sort};
use crate::geo::{BoundingBox, EARTH_RADIUS_KM, LatLng};
use crate::models::SchoolSummary;
use crate::units::Kilometres;

/// How many looks one statement takes.
const LOOKS_A_STATEMENT: usize = 3;

/// How many times farther each of them reaches.
const WIDER: f64 = 2.8;

/// How much a distance in kilometres may be off that SQL worked out: a metre. It is less than 1e-9 km nearly everywhere, and some
/// 0.2 m beside the antipode.
pub(crate) const SLACK_KM: f64 = 1e-3;

/// The looks of one statement, each wider than the one before it and taken only where that found too few. Each has a box round it, or
/// none has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Looks {
    pub reaches: Vec<Reach>,
    /// How many schools each gives at most, the first of its order.
    pub most: i64,
    /// That order is by a plane, and not by `haversine`. All looks have the same: a full answer does not say which of them it is
    /// from.
    pub by_plane: bool,
}

impl Looks {
    /// The reach of the last one.
    fn widest(&self) -> Reach {
        self.reaches.last().copied().unwrap_or(Reach::Whole)
    }
}

/// What a statement found.
#[derive(Debug)]
pub(crate) enum Seen {
    /// The rows of the page, and the one after them.
    Enough(Vec<HitRow>),
    /// Too few for that: look again.
    TooFew(Looks),
}

impl Settled {
    /// The first looks of a search in an order by distance. Nothing in any other order: an index has that.
    pub(crate) fn first_looks(&self, first_km: f64) -> Option<Looks> {
        if self.near.is_none() || self.search.sort != Sort::Distance {
            return None;
        }
        // A few more than are wanted, since a plane's order is not quite that of the distances.
        Some(self.looks_from(self.first_reach(first_km), self.fetch() + self.fetch() / 16 + 4))
    }

    fn looks_from(&self, first: Reach, most: i64) -> Looks {
        // What comes after a cursor is told by `haversine`, which is then worked out already; and the farther that is, the less a
        // plane knows of it.
        let has_box = self.bounds(first).is_some();
        let by_plane = self.after.is_none() && has_box;
        let radius = self.near.and_then(|near| near.radius);
        let wider = |reach: &Reach| match reach {
            Reach::Whole => None,
            Reach::Partial(km) => Some(up_to(radius, km * WIDER)),
        };
        let reaches = std::iter::successors(Some(first), wider)
            .take(LOOKS_A_STATEMENT)
            .take_while(|reach| self.bounds(*reach).is_some() == has_box)
            .collect();
        Looks { reaches, most, by_plane }
    }

    /// The plane round the search's point, as wide as a look. Nothing where the look has no box.
    pub(crate) fn plane(&self, reach: Reach) -> Option<Plane> {
        Some(Plane::around(self.near?.point, &self.bounds(reach)?))
    }

    /// How far away a school of a look may be: on the plane, or else in kilometres. Infinity where nothing but its box is a bound.
    pub(crate) fn farthest(&self, reach: Reach, by_plane: bool) -> f64 {
        let radius = self.near.and_then(|near| near.radius).map(Kilometres::get);
        let most = match (reach, by_plane) {
            (Reach::Partial(km), true) => Some(Plane::reach(km)),
            (Reach::Partial(km), false) => Some(km),
            // The corners of the box hold as many schools as fill a page, which are farther than was asked.
            (Reach::Whole, true) => self.plane(reach).zip(radius).and_then(|(plane, km)| plane.most(km)),
            (Reach::Whole, false) => radius.map(|km| km + SLACK_KM),
        };
        most.unwrap_or(f64::INFINITY)
    }

    /// What a statement found, as rows in order, one more than the page holds if there are so many; or what to look at next.
    ///
    /// Distances are worked out here and not in SQL, so that they are the same to the last bit on every backend.
    pub(crate) fn see(&self, looks: &Looks, found: Vec<SchoolSummary>) -> Seen {
        let wanted = usize::try_from(self.fetch()).unwrap_or(usize::MAX);
        let is_all = i64::try_from(found.len()).unwrap_or(i64::MAX) < looks.most;
        let radius_km = self.near.and_then(|near| near.radius).map_or(f64::INFINITY, Kilometres::get);
        let certain_km = self.certain_km(looks, is_all, &found);
        let row = |school: SchoolSummary| {
            let km = self.km_to(&school).map(Kilometres::get);
            (school, km)
        };
        // Schools that stand nowhere are as far as can be.
        let is_certain = |km: Option<f64>| km.unwrap_or(f64::INFINITY) <= certain_km.min(radius_km);
        let position = |(school, km): &HitRow| self.position_by_km(school, *km);
        let is_after = |row: &HitRow| self.after.as_ref().is_none_or(|after| position(row).in_order(after).is_gt());
        let mut rows: Vec<HitRow> =
            found.into_iter().map(row).filter(|row| is_certain(row.1) && is_after(row)).collect();

        // Without a radius there may always be more: schools that stand nowhere.
        let is_last = looks.widest() == Reach::Whole && (is_all || radius_km.is_finite() && certain_km >= radius_km);
        if rows.len() < wanted && !is_last {
            let wider = self.wider_reach(looks.widest(), rows.len()).filter(|_| is_all);
            return Seen::TooFew(match wider {
                Some(reach) => self.looks_from(reach, looks.most),
                None => Looks { most: looks.most.saturating_mul(4), ..looks.clone() },
            });
        }
        rows.sort_unstable_by(|a, b| position(a).in_order(&position(b)));
        rows.truncate(wanted);
        Seen::Enough(rows)
    }

    /// Up to which distance, in kilometres, nothing was missed by looks that found these: all that there are, or the first of them.
    fn certain_km(&self, looks: &Looks, is_all: bool, found: &[SchoolSummary]) -> f64 {
        let plane = self.plane(looks.widest()).filter(|_| looks.by_plane);
        match (looks.widest(), plane) {
            (Reach::Whole, _) if is_all => f64::INFINITY,
            (Reach::Partial(km), Some(plane)) if is_all => plane.least_km(Plane::reach(km)),
            (Reach::Partial(km), None) if is_all => km - SLACK_KM,
            (_, Some(plane)) => {
                let away = found.iter().filter_map(|school| Some(plane.away(school.location()?)));
                plane.least_km(away.fold(0.0, f64::max))
            }
            (_, None) => {
                let km = found.iter().map(|school| self.km_to(school).map_or(f64::INFINITY, Kilometres::get));
                km.fold(0.0, f64::max) - SLACK_KM
            }
        }
    }
}

/// A plane that touches the earth at a point. What is near on it is cheap to tell in SQL, where a call of `haversine` for
/// each school costs more than all else; and it says from where on a school cannot be nearer than another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plane {
    /// The point's latitude in degrees.
    pub lat: f64,
    /// The point's longitude in degrees.
    pub lng: f64,
    /// By how much shorter than a degree of latitude one of longitude is there, squared.
    pub shrink: f64,
    /// How far in longitude the plane is used at most, in radians.
    half_width: f64,
}

impl Plane {
    fn around(point: LatLng, bounds: &BoundingBox) -> Self {
        let (lat, lng) = (point.lat().degrees(), point.lng().degrees());
        let half_width = (lng - bounds.west).max(bounds.east - lng).to_radians();
        Self { lat, lng, shrink: lat.to_radians().cos().powi(2), half_width }
    }

    /// How far away on the plane a place is, in degrees of latitude squared. SQL works out the same.
    fn away(&self, place: LatLng) -> f64 {
        let (lat, lng) = (place.lat().degrees() - self.lat, place.lng().degrees() - self.lng);
        lat * lat + lng * lng * self.shrink
    }

    /// As [`Self::away`], for a distance in kilometres to the north.
    fn reach(km: f64) -> f64 {
        (km / EARTH_RADIUS_KM).to_degrees().powi(2)
    }

    /// How far away on the plane, at most, a place of a look is that is no farther than this in kilometres. Nothing where the
    /// plane cannot tell.
    fn most(&self, km: f64) -> Option<f64> {
        let wider = |part: f64| Self::reach(km * part + 2.0 * SLACK_KM);
        [1.001, 1.01, 1.1].map(wider).into_iter().find(|away| self.least_km(*away) > km)
    }

    /// No place that is so far away on the plane, or farther, is nearer than this in kilometres.
    ///
    /// With d = √away in radians, and differences Δ of latitude φ and longitude λ from the point's: sin²(x/2) is at least (x/2)² ·
    /// (1 - x²/12). Where |Δφ| is less than d, the cosine of the place's latitude is at least cos φ · (1 - d · |tan φ| - d²/2), so
    /// that what the haversine formula takes the root of, sin²(Δφ/2) + cos φ · cos(φ + Δφ) · sin²(Δλ/2), is at least (d/2)² times
    /// both factors; where |Δφ| is d or more, its first part alone is.
    fn least_km(&self, away: f64) -> f64 {
        let d = away.sqrt().to_radians();
        let parallel = 1.0 - d * self.lat.to_radians().tan().abs() - d * d / 2.0;
        let chord = 1.0 - self.half_width * self.half_width / 12.0;
        EARTH_RADIUS_KM * d * (parallel.max(0.0) * chord.max(0.0)).sqrt() - SLACK_KM
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::{SchoolId, Urn};
    use crate::models::Status;
    use crate::request::{Position, SchoolSearch};

    fn school(id: i64, place: Option<LatLng>) -> SchoolSummary {
        SchoolSummary {
            id: SchoolId::new(id),
            urn: Urn::new(100_000 + id).expect("a URN"),
            name: "A School".to_owned(),
            council: None,
            status: Status::Open,
            phase: None,
            school_type: None,
            gender: None,
            faith: None,
            postcode: None,
            is_private: None,
            age_range_from: None,
            age_range_to: None,
            ofsted_rating: None,
            lat: place.map(|place| place.lat()),
            lng: place.map(|place| place.lng()),
        }
    }

    /// What a database gives for one of the looks. It puts ties on a plane into any order.
    fn taken(settled: &Settled, looks: &Looks, at: usize, schools: &[SchoolSummary]) -> Vec<SchoolSummary> {
        let reach = looks.reaches[at];
        let (bounds, plane) = (settled.bounds(reach), settled.plane(reach).filter(|_| looks.by_plane));
        let farthest = settled.farthest(reach, looks.by_plane);
        let away = |school: &SchoolSummary| match plane {
            Some(plane) => school.location().map_or(f64::INFINITY, |place| plane.away(place)),
            None => settled.km_to(school).map_or(f64::INFINITY, Kilometres::get),
        };
        let is_in_box = |school: &&SchoolSummary| {
            let Some(bounds) = &bounds else { return true };
            school.location().is_some_and(|place| {
                let (lat, lng) = (place.lat().degrees(), place.lng().degrees());
                (bounds.south..=bounds.north).contains(&lat) && (bounds.west..=bounds.east).contains(&lng)
            })
        };
        let is_after = |school: &&SchoolSummary| match &settled.after {
            Some(Position::Distance { km: Some(km), .. }) => away(school) >= km - SLACK_KM,
            Some(Position::Distance { km: None, id }) => school.lat.is_none() && school.id > *id,
            _ => true,
        };
        let near = schools.iter().filter(is_in_box).filter(is_after).filter(|school| away(school) <= farthest);
        let mut taken: Vec<_> = near.cloned().collect();
        let ties = |a: &SchoolSummary, b: &SchoolSummary| {
            if plane.is_some() && at % 2 == 1 { b.id.cmp(&a.id) } else { a.id.cmp(&b.id) }
        };
        taken.sort_by(|a, b| away(a).total_cmp(&away(b)).then_with(|| ties(a, b)));
        taken.truncate(usize::try_from(looks.most).expect("small"));
        taken
    }

    /// Whichever full look a database takes, or the last one, in the end it is this page. Gives how many ways there were.
    fn all_ways(settled: &Settled, looks: &Looks, schools: &[SchoolSummary], page: &[SchoolId]) -> usize {
        let ways = looks.reaches.iter().enumerate().map(|(at, reach)| {
            let found = taken(settled, looks, at, schools);
            let is_full = found.len() == usize::try_from(looks.most).expect("small");
            if !is_full && at + 1 < looks.reaches.len() {
                return 0;
            }
            match settled.see(looks, found) {
                Seen::Enough(rows) => {
                    let rows: Vec<SchoolId> = rows.iter().map(|(school, _)| school.id).collect();
                    assert_eq!(rows, page, "{looks:?} by {reach:?}");
                    1
                }
                Seen::TooFew(next) => all_ways(settled, &next, schools, page),
            }
        });
        ways.sum()
    }

    #[test]
    fn there_are_several_ways_where_schools_stand_close() {
        let home = LatLng::from_lat_lng(52.0, -0.7).expect("a place");
        let place = |id: i64| {
            let away = f64::from(i32::try_from(id).expect("small")) * 1e-4;
            LatLng::from_lat_lng(52.0 + away, -0.7 - away).expect("a place")
        };
        let schools: Vec<SchoolSummary> = (1..100).map(|id| school(id, Some(place(id)))).collect();
        let settled = SchoolSearch::near(home).limit(5).settle().expect("a search");
        let looks = settled.first_looks(2.0).expect("an order by distance");
        let page: Vec<SchoolId> = (1..=6).map(SchoolId::new).collect();
        assert_eq!(all_ways(&settled, &looks, &schools, &page), looks.reaches.len());
    }

    /// To the north-east a plane has schools farther than they are, to the south-east nearer. A look that is full of the latter has not
    /// seen the nearest one, and must not say that it is enough.
    #[test]
    fn a_full_look_does_not_hide_a_nearer_school() {
        let home = LatLng::from_lat_lng(59.0, -3.0).expect("a place");
        let place = |north, east| Some(LatLng::from_lat_lng(59.0 + north, -3.0 + east).expect("a place"));
        let mut schools = vec![school(1, place(0.2, 0.5))];
        schools.extend((2..=12).map(|id| school(id, place(-0.1999, 0.4999))));
        let settled = SchoolSearch::near(home).limit(5).settle().expect("a search");
        let looks =
            Looks { reaches: vec![Reach::Partial(60.0)], ..settled.first_looks(2.0).expect("an order by distance") };
        assert!(taken(&settled, &looks, 0, &schools).iter().all(|school| school.id != SchoolId::new(1)));
        let page: Vec<SchoolId> = (1..=6).map(SchoolId::new).collect();
        all_ways(&settled, &looks, &schools, &page);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]
        #[test]
        fn it_does_not_matter_which_full_look_is_taken(
            lat in 49.0..59.0f64, lng in -7.0..1.8f64,
            places in prop::collection::vec((-0.4..0.4f64, -0.6..0.6f64, 0..12u8), 0..150),
            limit in 1..12u32, radius in prop::option::of(0.5..60.0f64),
        ) {
            let home = LatLng::from_lat_lng(lat, lng).expect("a place");
            let schools: Vec<SchoolSummary> = (1..).zip(&places).map(|(id, (north, east, kind))| {
                // Some stand beside each other, and some nobody knows where.
                let (north, east) = if *kind < 3 { (0.01, 0.02) } else { (*north, *east) };
                school(id, (*kind < 11).then(|| LatLng::from_lat_lng(lat + north, lng + east).expect("a place")))
            }).collect();
            let mut search = SchoolSearch::near(home).limit(limit);
            if let Some(km) = radius {
                search = search.within(Kilometres::new(km).expect("a distance"));
            }
            let km = |school: &SchoolSummary| school.location().map_or(f64::INFINITY, |at| home.distance_to(at).get());
            let mut all: Vec<&SchoolSummary> =
                schools.iter().filter(|school| radius.is_none_or(|radius| km(school) <= radius)).collect();
            all.sort_by(|a, b| km(a).total_cmp(&km(b)).then(a.id.cmp(&b.id)));
            let ids: Vec<SchoolId> = all.iter().map(|school| school.id).collect();
            let page = usize::try_from(limit).expect("small");
            // The first page, and one after a cursor.
            for begin in [0, page] {
                let settled = search.settle().expect("a search");
                let looks = settled.first_looks(2.0).expect("an order by distance");
                let expected: Vec<SchoolId> = ids.iter().copied().skip(begin).take(page + 1).collect();
                all_ways(&settled, &looks, &schools, &expected);
                let rows = all.iter().skip(begin).take(page + 1);
                let rows = rows.map(|school| ((*school).clone(), settled.km_to(school).map(Kilometres::get))).collect();
                let Some(next) = settled.page_of_hits(rows).next else { break };
                search = search.after(next);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn nothing_is_nearer_than_the_plane_says(
            lat in -90.0..=90.0f64, lng in -180.0..=180.0f64, km in 0.0..400.0f64,
            north in -1.0..=1.0f64, east in -1.0..=1.0f64, part in 0.0..=1.0f64,
        ) {
            let home = LatLng::from_lat_lng(lat, lng).expect("a place");
            let bounds = BoundingBox::around(home, Kilometres::new(km).expect("a distance"));
            let between = |part: f64, low: f64, at: f64, high: f64| at + part * if part < 0.0 { at - low } else { high - at };
            let place = LatLng::from_lat_lng(
                between(north, bounds.south, lat, bounds.north).clamp(-90.0, 90.0),
                between(east, bounds.west, lng, bounds.east).clamp(-180.0, 180.0),
            ).expect("in the box");
            let plane = Plane::around(home, &bounds);
            let (least, is) = (plane.least_km(plane.away(place)), home.distance_to(place).get());
            prop_assert!(least <= is, "{least} is more than {is}");
            let least_of_nearer = plane.least_km(plane.away(place) * part);
            prop_assert!(least_of_nearer <= is, "{least_of_nearer} is more than {is}");
            if let Some(most) = plane.most(is) {
                prop_assert!(plane.away(place) <= most, "{} is more than {most}", plane.away(place));
            }
            // Or it would say nothing: where homes are, it is close. A box that meets the dateline goes all the way round.
            if lat.abs() < 61.0 && lng.abs() < 179.0 && km < 20.0 && is < km {
                prop_assert!(least > is * 0.99 - 2.0 * SLACK_KM, "{least} is much less than {is}");
                let most = plane.most(is).expect("near enough");
                prop_assert!(most < Plane::reach(is * 1.02 + 4.0 * SLACK_KM), "{most} is much more than {is}");
            }
        }
    }
}
