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
    /// Nothing outside the grid's 700 by 1,300 km, and nothing where the transformation is not defined.
    ///
    /// ```
    /// use school_finder_db::geo::GridReference;
    ///
    /// let vauxhall = GridReference { easting: 530_625, northing: 178_388 }.to_lat_lng().expect("in London");
    /// assert!((vauxhall.lat().degrees() - 51.489_36).abs() < 1e-5);
    /// assert!((vauxhall.lng().degrees() + 0.119_93).abs() < 1e-5);
    /// ```
    pub fn to_lat_lng(self) -> Option<LatLng> {
        // The grid's own extent, which the database checks as well.
        if !(0..=700_000).contains(&self.easting) || !(0..=1_300_000).contains(&self.northing) {
            return None;
        }
        osgb36_to_wgs84(self.easting.into(), self.northing.into())
    }
}

fn osgb36_to_wgs84(easting: f64, northing: f64) -> Option<LatLng> {
    let (lng, lat) = lonlat_bng::convert_osgb36_to_ll(easting, northing).ok()?;
    LatLng::from_lat_lng(lat, lng).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Ordnance Survey's own test points, from the files that come with OSTN15 (`OSTN15_OSGM15_TestInput` and
    /// `TestOutput_OSGBtoETRS`): easting, northing, latitude, longitude.
    const OFFICIAL: [(f64, f64, f64, f64); 13] = [
        (91_492.146, 11_318.804, 49.922_263_937_30, -6.299_777_520_14),
        (170_370.718, 11_572.405, 49.960_061_378_20, -5.203_046_099_98),
        (250_359.811, 62_016.569, 50.438_858_256_10, -4.108_645_635_61),
        (449_816.371, 75_335.861, 50.575_636_650_00, -1.297_822_772_40),
        (438_710.920, 114_792.250, 50.931_279_379_10, -1.450_514_337_00),
        (292_184.870, 168_003.465, 51.400_782_201_40, -3.551_283_492_40),
        (639_821.835, 169_565.858, 51.374_470_255_50, 1.444_547_304_09),
        (362_269.991, 169_978.690, 51.427_547_430_20, -2.544_076_183_49),
        (530_624.974, 178_388.464, 51.489_365_649_50, -0.119_925_571_80),
        (241_124.584, 220_332.641, 51.858_908_964_00, -4.308_524_769_60),
        (599_445.590, 225_722.826, 51.894_366_373_50, 0.897_243_270_12),
        (389_544.190, 261_912.153, 52.255_293_816_30, -2.154_586_143_87),
        (422_242.186, 433_818.701, 53.800_215_196_30, -1.663_791_682_42),
    ];

    #[test]
    fn agrees_with_the_official_conversion_to_the_centimetre() {
        for (easting, northing, lat, lng) in OFFICIAL {
            let found = osgb36_to_wgs84(easting, northing).expect("in Great Britain");
            let official = LatLng::from_lat_lng(lat, lng).expect("on the earth");
            let metres = found.distance_to(official).get() * 1_000.0;
            assert!(metres < 0.01, "{easting}, {northing} is {metres} m off");
        }
    }

    #[test]
    fn nothing_outside_great_britain() {
        for (easting, northing) in
            [(1, 1), (0, 0), (-5, 238_480), (700_001, 238_480), (485_280, 1_300_001), (i32::MAX, i32::MIN)]
        {
            assert_eq!(GridReference { easting, northing }.to_lat_lng(), None, "{easting}, {northing}");
        }
    }
}
