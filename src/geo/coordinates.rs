//! Latitudes and longitudes, always in range.

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::Double;
use serde::{Deserialize, Serialize};

use super::haversine;
use crate::error::{Error, Result};
use crate::newtype::sql_value;
use crate::units::{Kilometres, float};

/// A coordinate. The two differ only in names and bounds.
macro_rules! coordinate {
    ($(#[$doc:meta])* $name:ident, $field:literal, $what:literal, $limit:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, AsExpression, FromSqlRow)]
        #[diesel(sql_type = Double)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            #[doc = concat!("The coordinate of so many degrees.\n\n# Errors\n[`Error::InvalidCoordinate`] beyond ±", $limit, ", or where it is not a number.")]
            pub fn new(degrees: f64) -> Result<Self> {
                // A NaN is out of every range.
                if (-$limit..=$limit).contains(&degrees) {
                    // Tiny values become zero: Postgres fails where a product of such numbers underflows. -0.0 becomes
                    // 0.0, so that equal points have equal bits.
                    Ok(Self(if degrees.abs() < 1e-100 { 0.0 } else { degrees }))
                } else {
                    Err(Error::InvalidCoordinate { field: $field, value: degrees })
                }
            }

            /// Returns the number of degrees.
            pub const fn degrees(self) -> f64 {
                self.0
            }
        }

        float!($name, $what);
        sql_value!($name: Double as f64, Self::new);
    };
}

coordinate! {
    /// Degrees north of the equator, from -90 to 90 (WGS84).
    Latitude, "lat", "a latitude in degrees", 90.0
}
coordinate! {
    /// Degrees east of Greenwich, from -180 to 180 (WGS84). Most of the United Kingdom is negative.
    Longitude, "lng", "a longitude in degrees", 180.0
}

/// A point on the earth (WGS84), latitude first. Swapped coordinates are a valid point too: see
/// [`looks_swapped`](Self::looks_swapped).
///
/// ```
/// use school_finder_db::LatLng;
///
/// let home = LatLng::from_lat_lng(52.0406, -0.7594)?;
/// assert_eq!(home.lat().degrees(), 52.0406);
/// assert!(LatLng::from_lat_lng(f64::NAN, 0.0).is_err());
/// # Ok::<(), school_finder_db::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct LatLng {
    lat: Latitude,
    lng: Longitude,
}

impl LatLng {
    /// Returns the point at `lat` degrees north and `lng` degrees east.
    ///
    /// # Errors
    /// [`Error::InvalidCoordinate`] names the coordinate that is out of range or not a number.
    pub fn from_lat_lng(lat: f64, lng: f64) -> Result<Self> {
        Ok(Self { lat: Latitude::new(lat)?, lng: Longitude::new(lng)? })
    }

    /// Returns the point at this latitude and longitude.
    pub const fn new(lat: Latitude, lng: Longitude) -> Self {
        Self { lat, lng }
    }

    /// Returns the latitude, in degrees north.
    pub const fn lat(self) -> Latitude {
        self.lat
    }

    /// Returns the longitude, in degrees east.
    pub const fn lng(self) -> Longitude {
        self.lng
    }

    /// Returns the great-circle distance to `other`, the same number that both databases compute.
    pub fn distance_to(self, other: Self) -> Kilometres {
        let km = haversine(self.lat.0, self.lng.0, other.lat.0, other.lng.0);
        Kilometres::new(km).unwrap_or_else(|_| unreachable!("coordinates in range have a finite distance"))
    }

    /// Returns whether the two coordinates were probably swapped: the point is outside the box of the United Kingdom,
    /// from 49 to 61.5 north and 9 west to 2.5 east, and would be inside with its coordinates swapped. Writing such
    /// schools and outlines, and searching from such a point, fails ([`Error::SuspectSwapped`]).
    ///
    /// ```
    /// # use school_finder_db::LatLng;
    /// assert!(LatLng::from_lat_lng(-0.7594, 52.0406)?.looks_swapped());
    /// # Ok::<(), school_finder_db::Error>(())
    /// ```
    pub fn looks_swapped(self) -> bool {
        let in_uk = |lat: f64, lng: f64| (49.0..=61.5).contains(&lat) && (-9.0..=2.5).contains(&lng);
        !in_uk(self.lat.0, self.lng.0) && in_uk(self.lng.0, self.lat.0)
    }

    /// Returns an error that has the way round that makes sense, where the coordinates look swapped.
    pub(crate) fn refuse_swapped(self) -> Result<()> {
        match self.looks_swapped() {
            true => Err(Error::SuspectSwapped { lat: self.lat.0, lng: self.lng.0 }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_points_that_are_not_on_the_earth() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 90.000_001, -90.000_001, 1e308] {
            assert!(matches!(
                LatLng::from_lat_lng(value, 0.0),
                Err(Error::InvalidCoordinate { field: "lat", value: v }) if v.to_bits() == value.to_bits()
            ));
        }
        for value in [f64::NAN, f64::INFINITY, 180.000_001, -180.000_001] {
            assert!(matches!(LatLng::from_lat_lng(0.0, value), Err(Error::InvalidCoordinate { field: "lng", .. })));
        }
        let corner = LatLng::from_lat_lng(-90.0, 180.0).expect("the bounds themselves are on the earth");
        assert_eq!(corner.lng().degrees(), 180.0);
        let zero = LatLng::from_lat_lng(-0.0, -0.0).expect("zero is on the earth");
        assert!(zero.lat().degrees().is_sign_positive() && zero.lng().degrees().is_sign_positive());
    }

    #[test]
    fn detects_swapped_coordinates() {
        let at = |lat, lng| LatLng::from_lat_lng(lat, lng).expect("in range");
        assert!(at(-0.7, 52.0).looks_swapped());
        assert!(!at(52.0, -0.7).looks_swapped());
        assert!(!at(40.0, 140.0).looks_swapped(), "far away either way: nothing to say");
    }
}
