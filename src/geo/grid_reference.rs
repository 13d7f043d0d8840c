//! The national grid of Great Britain.

use serde::{Deserialize, Serialize};

use super::LatLng;

/// A place on the Ordnance Survey National Grid (OSGB36), in metres east and north of its false origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridReference {
    /// Metres east.
    pub easting: i32,
    /// Metres north.
    pub northing: i32,
}

impl GridReference {
    /// The same place in WGS84, by the Ordnance Survey's official transformation OSTN15 ("A Guide to Coordinate Systems
    /// in Great Britain", and the OSTN15 user guide). Without its shifts a school would stand 60 to 137 m off.
    ///
    /// Nothing where the transformation is not defined: off the coast, or outside Great Britain.
    ///
    /// ```
    /// use school_finder_db::geo::GridReference;
    ///
    /// let tower = GridReference { easting: 651_410, northing: 313_177 }.to_lat_lng().expect("in Norfolk");
    /// assert!((tower.lat().degrees() - 52.657_977).abs() < 1e-5);
    /// assert!((tower.lng().degrees() - 1.716_073).abs() < 1e-5);
    /// ```
    pub fn to_lat_lng(self) -> Option<LatLng> {
        let (lng, lat) = lonlat_bng::convert_osgb36_to_ll(self.easting.into(), self.northing.into()).ok()?;
        LatLng::from_lat_lng(lat, lng).ok()
    }
}
