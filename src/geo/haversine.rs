//! The great-circle distance, which decides every comparison of distances.

/// The mean radius of the earth in every distance, in kilometres.
pub const EARTH_RADIUS_KM: f64 = 6371.0;

/// Returns the great-circle distance in kilometres between two points in degrees, by the haversine formula (R. W.
/// Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984) on a sphere of [`EARTH_RADIUS_KM`].
///
/// The argument of the arcsine is clamped to [0, 1], so that antipodes give half the circumference and never a NaN. The
/// SQL function `haversine` of each backend performs the same operations.
///
/// ```
/// use school_finder_db::geo::haversine;
///
/// let london_to_edinburgh = haversine(51.5074, -0.1278, 55.9533, -3.1883);
/// assert!((london_to_edinburgh - 534.0).abs() < 1.0);
/// ```
pub fn haversine(lat1: f64, lng1: f64, lat2: f64, lng2: f64) -> f64 {
    let half_lat = ((lat2 - lat1).to_radians() / 2.0).sin();
    let half_lng = ((lng2 - lng1).to_radians() / 2.0).sin();
    let a = half_lat * half_lat + lat1.to_radians().cos() * lat2.to_radians().cos() * half_lng * half_lng;
    2.0 * EARTH_RADIUS_KM * a.sqrt().clamp(0.0, 1.0).asin()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use proptest::prelude::*;

    use super::*;

    const HALF_ROUND: f64 = PI * EARTH_RADIUS_KM;

    #[test]
    fn known_pairs_have_their_known_distances() {
        for (name, a, b, km) in [
            ("identical", (52.04, -0.76), (52.04, -0.76), 0.0),
            ("identical at a pole", (90.0, 10.0), (90.0, -170.0), 0.0),
            ("pole to pole", (90.0, 0.0), (-90.0, 0.0), HALF_ROUND),
            ("antipodes on the equator", (0.0, 0.0), (0.0, 180.0), HALF_ROUND),
            ("other antipodes", (52.0, -0.7), (-52.0, 179.3), HALF_ROUND),
            ("across the dateline", (0.0, 179.5), (0.0, -179.5), HALF_ROUND / 180.0),
            ("both names of the dateline", (10.0, 180.0), (10.0, -180.0), 0.0),
            ("one degree of latitude", (51.0, 0.0), (52.0, 0.0), HALF_ROUND / 180.0),
            ("a quarter round", (0.0, 0.0), (90.0, 0.0), HALF_ROUND / 2.0),
            // Two published examples: Wikipedia's White House to Eiffel Tower, and JFK to Heathrow.
            ("Washington to Paris", (38.898, -77.037), (48.858, 2.294), 6161.6),
            ("JFK to Heathrow", (40.6413, -73.7781), (51.4700, -0.4543), 5540.0),
        ] {
            let found = haversine(a.0, a.1, b.0, b.1);
            let slack = if name.contains(" to ") && !name.starts_with("pole") { 1.0 } else { 1e-9 };
            assert!((found - km).abs() <= slack, "{name}: {found} is not {km}");
        }
    }

    proptest! {
        #[test]
        fn finite_symmetric_and_bounded(
            lat1 in -90.0..=90.0, lng1 in -180.0..=180.0, lat2 in -90.0..=90.0, lng2 in -180.0..=180.0,
        ) {
            let there = haversine(lat1, lng1, lat2, lng2);
            prop_assert!(there.is_finite() && (0.0..=HALF_ROUND).contains(&there));
            prop_assert!((there - haversine(lat2, lng2, lat1, lng1)).abs() < 1e-9);
            prop_assert_eq!(haversine(lat1, lng1, lat1, lng1), 0.0);
        }
    }
}
