//! Boxes of latitude and longitude around a circle.

use super::{EARTH_RADIUS_KM, LatLng};
use crate::units::Kilometres;

/// The margin of every box around its circle, in degrees (about 0.1 m): more than the rounding of the formulas.
const PAD_DEGREES: f64 = 1e-6;

/// A box of latitudes and longitudes, edges included, which never crosses the antimeridian.
///
/// It only fetches candidates: [`haversine`](super::haversine) alone decides what is within a radius.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox {
    /// The lowest latitude, in degrees.
    pub south: f64,
    /// The highest latitude, in degrees.
    pub north: f64,
    /// The lowest longitude, in degrees.
    pub west: f64,
    /// The highest longitude, in degrees.
    pub east: f64,
}

impl BoundingBox {
    /// Returns a box that contains every point within `radius` of `centre`. Where the circle reaches a pole or the
    /// antimeridian, the box spans all longitudes: wider than needed, never too narrow.
    pub fn around(centre: LatLng, radius: Kilometres) -> Self {
        let (lat, lng) = (centre.lat().degrees(), centre.lng().degrees());
        // The angle that the radius spans at the centre of the earth.
        let angle = radius.get() / EARTH_RADIUS_KM;
        let half_height = angle.to_degrees() + PAD_DEGREES;
        let (south, north) = ((lat - half_height).max(-90.0), (lat + half_height).min(90.0));
        // The meridians that touch the circle, by J. P. Snyder's spherical triangle: sin(dlng) = sin(angle) / cos(lat).
        let half_width = (angle.sin() / lat.to_radians().cos()).asin().to_degrees() + PAD_DEGREES;
        let (west, east) = (lng - half_width, lng + half_width);
        // A half-width that is NaN, or a radius of a quarter of the circumference or more, means that a pole is inside.
        let reaches_round = south <= -90.0 || north >= 90.0 || !(west >= -180.0 && east <= 180.0);
        let (west, east) = if reaches_round { (-180.0, 180.0) } else { (west, east) };
        Self { south, north, west, east }
    }

    /// Returns the latitude bands that the box touches, as SQLite's index `ix_schools_latitude_band` numbers them: in
    /// hundredths of a degree from the south pole. The operations are the same as in the index, so that both round
    /// alike.
    #[cfg(feature = "sqlite")]
    pub(crate) fn latitude_bands(&self) -> std::ops::RangeInclusive<i32> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "from 0 to 18,000; the part that is cut off is the point of it"
        )]
        let band = |lat: f64| ((lat + 90.0) * 100.0) as i32;
        band(self.south)..=band(self.north)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl BoundingBox {
        fn contains(&self, point: LatLng) -> bool {
            let (lat, lng) = (point.lat().degrees(), point.lng().degrees());
            (self.south..=self.north).contains(&lat) && (self.west..=self.east).contains(&lng)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn nothing_within_the_radius_is_outside_the_box(
            lat1 in -90.0f64..=90.0, lng1 in -180.0f64..=180.0, lat2 in -90.0..=90.0, lng2 in -180.0..=180.0,
            nearby in any::<bool>(),
        ) {
            let centre = LatLng::from_lat_lng(lat1, lng1).expect("in range");
            // Half of the cases are close together, where the box is narrow and an error would show.
            let (lat, lng) = if nearby {
                let (lat, lng): (f64, f64) = (lat1 + (lat2 - lat1) * 0.001, lng1 + (lng2 - lng1) * 0.001);
                (lat.clamp(-90.0, 90.0), lng.clamp(-180.0, 180.0))
            } else {
                (lat2, lng2)
            };
            let point = LatLng::from_lat_lng(lat, lng).expect("in range");
            let bounds = BoundingBox::around(centre, centre.distance_to(point));
            prop_assert!(bounds.contains(point));
            #[cfg(feature = "sqlite")]
            {
                let band = BoundingBox { south: lat, north: lat, ..bounds }.latitude_bands();
                prop_assert!(bounds.latitude_bands().contains(band.start()));
            }
        }
    }

    #[test]
    fn box_at_a_pole_or_the_antimeridian_spans_all_longitudes() {
        let around = |lat, lng, km| {
            BoundingBox::around(
                LatLng::from_lat_lng(lat, lng).expect("in range"),
                Kilometres::new(km).expect("positive"),
            )
        };
        for round in
            [around(89.99, 0.0, 5.0), around(52.0, 179.99, 5.0), around(-52.0, -179.99, 5.0), around(0.0, 0.0, 1e9)]
        {
            assert_eq!((round.west, round.east), (-180.0, 180.0));
        }
        let home = around(52.0406, -0.7594, 5.0);
        assert!(home.east - home.west < 0.15 && home.north - home.south < 0.1, "{home:?} is narrow");
    }
}
