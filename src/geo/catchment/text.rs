//! Outlines as text: WKT, and GeoJSON through serde.

use std::fmt;
use std::str::FromStr;

use geo_types::{Coord, LineString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wkt::types::{Coord as WktCoord, Dimension};
use wkt::{ToWkt, Wkt};

use super::{Catchment, MAX_VERTICES, Rings, invalid};
use crate::error::{Error, Result};

/// The longest WKT that is parsed, in bytes: more than the longest outline needs.
const MAX_WKT_BYTES: usize = 64 * MAX_VERTICES;

/// Writes WKT: `MULTIPOLYGON(((lng lat, ...)))`.
impl fmt::Display for Catchment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.wkt_string())
    }
}

/// Parses WKT, a `POLYGON` or a `MULTIPOLYGON`, longitude first.
impl FromStr for Catchment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::from_rings(wkt_rings(text)?)
    }
}

pub(super) fn wkt_rings(text: &str) -> Result<Rings> {
    if text.len() > MAX_WKT_BYTES {
        return Err(Error::GeometryTooLarge { what: "bytes of WKT", max: MAX_WKT_BYTES });
    }
    // The parser recurses into nested collections without a limit, so other types are rejected first.
    let upper = text.trim_start().get(..12).unwrap_or_default().to_ascii_uppercase();
    if !upper.starts_with("POLYGON") && !upper.starts_with("MULTIPOLYGON") {
        return Err(invalid("it is not a POLYGON or MULTIPOLYGON in WKT, without an SRID"));
    }
    let polygons = match Wkt::<f64>::from_str(text) {
        Ok(Wkt::Polygon(polygon)) => vec![polygon],
        Ok(Wkt::MultiPolygon(polygons)) => polygons.into_inner().0,
        Ok(_) => return Err(invalid("it is not a POLYGON or MULTIPOLYGON")),
        Err(reason) => return Err(invalid(reason)),
    };
    let corner = |WktCoord { x, y, z: _, m: _ }| Coord { x, y };
    let rings = polygons.into_iter().map(|polygon| {
        let (rings, dimension) = polygon.into_inner();
        match dimension {
            Dimension::XY => {
                Ok(rings.into_iter().map(|ring| ring.into_inner().0.into_iter().map(corner).collect()).collect())
            }
            Dimension::XYZ | Dimension::XYM | Dimension::XYZM => Err(invalid("it has Z or M values: leave them out")),
        }
    });
    rings.collect()
}

/// A GeoJSON geometry.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum GeoJson {
    Polygon { coordinates: Vec<Vec<Position>> },
    MultiPolygon { coordinates: Vec<Vec<Vec<Position>>> },
}

/// A longitude, then a latitude. A third number, a height, is rejected.
type Position = [f64; 2];

/// Serializes as a GeoJSON `MultiPolygon`.
impl Serialize for Catchment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ring = |ring: &LineString<f64>| ring.coords().map(|corner| [corner.x, corner.y]).collect();
        let polygons = self.0.iter().map(|polygon| {
            std::iter::once(polygon.exterior()).chain(polygon.interiors()).map(ring).collect::<Vec<Vec<Position>>>()
        });
        GeoJson::MultiPolygon { coordinates: polygons.collect() }.serialize(serializer)
    }
}

/// Deserializes from a GeoJSON `Polygon` or `MultiPolygon`.
impl<'de> Deserialize<'de> for Catchment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let polygons = match GeoJson::deserialize(deserializer)? {
            GeoJson::Polygon { coordinates } => vec![coordinates],
            GeoJson::MultiPolygon { coordinates } => coordinates,
        };
        let ring = |ring: Vec<Position>| ring.into_iter().map(|[x, y]| Coord { x, y }).collect();
        let rings = polygons.into_iter().map(|rings| rings.into_iter().map(ring).collect());
        Self::from_rings(rings.collect()).map_err(serde::de::Error::custom)
    }
}
