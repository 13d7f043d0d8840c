//! The National Grid of Great Britain.

use serde::{Deserialize, Serialize};

use super::{LatLng, ostn15};

/// A point on the Ordnance Survey National Grid (OSGB36), in metres east and north of its false origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridReference {
    /// Metres east.
    pub easting: i32,
    /// Metres north.
    pub northing: i32,
}

impl GridReference {
    /// Returns the same point in WGS84, by the Ordnance Survey's official transformation OSTN15 ("A Guide to Coordinate
    /// Systems in Great Britain", and the OSTN15 user guide). Without its shifts a point would be 60 to 137 m off.
    ///
    /// Returns `None` outside the grid's 700 by 1,300 km, and where the transformation is undefined.
    ///
    /// ```
    /// use school_finder_db::geo::GridReference;
    ///
    /// let vauxhall = GridReference { easting: 530_625, northing: 178_388 }.to_lat_lng().expect("in London");
    /// assert!((vauxhall.lat().degrees() - 51.489_36).abs() < 1e-5);
    /// assert!((vauxhall.lng().degrees() + 0.119_93).abs() < 1e-5);
    /// ```
    pub fn to_lat_lng(self) -> Option<LatLng> {
        // The grid's extent, which the database checks too.
        if !(0..=700_000).contains(&self.easting) || !(0..=1_300_000).contains(&self.northing) {
            return None;
        }
        let (lat, lng) = ostn15::to_lat_lng(self.easting.into(), self.northing.into())?;
        // Rounded to a millimetre, as the Ordnance Survey publishes its test points.
        let rounded = |degrees: f64| (degrees * 1e8).round() / 1e8;
        LatLng::from_lat_lng(rounded(lat), rounded(lng)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_outside_great_britain_have_no_location() {
        for (easting, northing) in
            [(1, 1), (0, 0), (-5, 238_480), (700_001, 238_480), (485_280, 1_300_001), (i32::MAX, i32::MIN)]
        {
            assert_eq!(GridReference { easting, northing }.to_lat_lng(), None, "{easting}, {northing}");
        }
    }
}
