//! The outline of a catchment: one type for both backends, WKT to SQLite and EWKB to PostGIS.

mod text;
mod values;

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use geo::line_intersection::{LineIntersection, line_intersection};
use geo_types::{Coord, Line, LineString, MultiPolygon, Polygon};
use rstar::primitives::GeomWithData;
use rstar::{RTree, RTreeObject};

pub(crate) use self::values::StoredOutline;
use super::outline::{Side, polygon_covers, side_of_ring};
use super::{LatLng, Latitude, Longitude};
use crate::error::{Error, Result};

/// The most vertices of an outline. The largest of Edinburgh's real ones has 4,535.
pub const MAX_VERTICES: usize = 100_000;

/// The most rings of an outline.
pub const MAX_RINGS: usize = 10_000;

/// The most pairs of edges with touching boxes that are compared before an outline is rejected as too intricate. Real
/// outlines have about three per edge.
const MAX_EDGE_PAIRS: usize = 5_000_000;

/// The most corners that are compared to check that all holes are inside.
const MAX_HOLE_STEPS: usize = 50_000_000;

/// Vertices closer than this, in degrees (a tenth of a micrometre), are merged: PostGIS skips so short an edge.
const SHORTEST_EDGE: f64 = 1e-12;

/// The outline of a catchment: valid, normalised polygons in WGS84, with holes.
///
/// Every ring is closed, has at least three corners and an area, and is on the earth. Outer rings run anticlockwise and
/// holes clockwise, as in GeoJSON (RFC 7946). No two edges cross or overlap, though they may touch. An outline does not
/// cross the antimeridian and has no empty part, at most [`MAX_VERTICES`] vertices and [`MAX_RINGS`] rings.
///
/// Edges are straight lines in degrees, as on a council's map. Boundaries are inside, those of holes too.
///
/// ```
/// use school_finder_db::LatLng;
/// use school_finder_db::geo::Catchment;
///
/// let outline: Catchment = "POLYGON((-0.8 52, -0.7 52, -0.7 52.1, -0.8 52.1, -0.8 52))".parse()?;
/// assert!(outline.covers(LatLng::from_lat_lng(52.05, -0.75)?));
/// assert!(outline.covers(LatLng::from_lat_lng(52.0, -0.75)?), "on its boundary");
/// assert!(!outline.covers(LatLng::from_lat_lng(52.05, -0.65)?));
/// # Ok::<(), school_finder_db::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, AsExpression, FromSqlRow)]
#[cfg_attr(feature = "sqlite", diesel(sql_type = diesel::sql_types::Text))]
#[cfg_attr(feature = "postgres", diesel(sql_type = postgis_diesel::sql_types::Geometry))]
pub struct Catchment(MultiPolygon<f64>);

/// Polygons before validation: rings of corners, the outer one first.
pub(crate) type Rings = Vec<Vec<Vec<Coord<f64>>>>;

impl Catchment {
    /// Validates and normalises an outline. Coordinates are in degrees, `x` the longitude.
    ///
    /// # Errors
    /// [`Error::InvalidGeometry`] says what is wrong, and where; [`Error::InvalidCoordinate`] for a corner that is not
    /// on the earth; [`Error::GeometryTooLarge`].
    pub fn new(outline: MultiPolygon<f64>) -> Result<Self> {
        let rings = outline.into_iter().map(|polygon| {
            let (exterior, interiors) = polygon.into_inner();
            std::iter::once(exterior).chain(interiors).map(LineString::into_inner).collect()
        });
        Self::from_rings(rings.collect())
    }

    pub(crate) fn from_rings(polygons: Rings) -> Result<Self> {
        let outline = Self::from_stored(polygons)?;
        outline.refuse_crossing_edges()?;
        outline.refuse_stray_holes()?;
        Ok(outline)
    }

    /// As [`from_rings`](Self::from_rings), without the slowest checks, for crossing edges and holes outside: a stored
    /// outline passed them when it was written.
    fn from_stored(polygons: Rings) -> Result<Self> {
        if polygons.is_empty() {
            return Err(invalid("it is empty"));
        }
        at_most("rings", polygons.iter().map(Vec::len).sum(), MAX_RINGS)?;
        at_most("vertices", polygons.iter().flatten().map(Vec::len).sum(), MAX_VERTICES)?;
        polygons.into_iter().map(polygon).collect::<Result<_>>().map(|polygons| Self(MultiPolygon(polygons)))
    }

    /// Returns the polygons, in degrees, `x` the longitude.
    pub const fn as_multi_polygon(&self) -> &MultiPolygon<f64> {
        &self.0
    }

    /// Returns whether a point is inside the outline or on its boundary, as both databases do.
    pub fn covers(&self, point: LatLng) -> bool {
        let at = Coord { x: point.lng().degrees(), y: point.lat().degrees() };
        self.0.iter().any(|polygon| {
            let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
            polygon_covers(rings.map(|ring| ring.coords().copied()), at)
        })
    }

    /// Returns the number of vertices. The last of each ring, which repeats the first, counts.
    pub fn vertices(&self) -> usize {
        self.rings().map(|ring| ring.0.len()).sum()
    }

    /// Returns a corner, which shows where on the earth the outline is.
    pub fn corner(&self) -> Option<LatLng> {
        let corner = self.rings().next()?.0.first()?;
        LatLng::from_lat_lng(corner.y, corner.x).ok()
    }

    fn rings(&self) -> impl Iterator<Item = &LineString<f64>> {
        self.0.iter().flat_map(|polygon| std::iter::once(polygon.exterior()).chain(polygon.interiors()))
    }

    fn refuse_stray_holes(&self) -> Result<()> {
        let steps = self.0.iter().map(|polygon| polygon.interiors().len() * polygon.exterior().0.len()).sum();
        at_most("corners times holes", steps, MAX_HOLE_STEPS)?;
        for polygon in &self.0 {
            // No edge crosses another, so one corner decides for the whole ring.
            let is_stray = |hole: &LineString<f64>| {
                let exterior = polygon.exterior().coords().copied();
                hole.0.first().is_some_and(|corner| side_of_ring(exterior, *corner) == Side::Outside)
            };
            if polygon.interiors().iter().any(is_stray) {
                return Err(invalid("a hole lies outside its polygon"));
            }
        }
        Ok(())
    }

    fn refuse_crossing_edges(&self) -> Result<()> {
        each_crossing(self.rings().flat_map(LineString::lines), |crossing| Err(crossing.error()))
    }
}

/// Two edges that cross or run along each other. They are numbered in their order, `first` before `second`.
pub(super) struct Crossing {
    pub(super) edges: [(usize, Line<f64>); 2],
    pub(super) shared: LineIntersection<f64>,
}

impl Crossing {
    /// Returns the error for edges that truly cross: where, and the corners that the two begin at.
    pub(super) fn error(&self) -> Error {
        let (how, at) = match self.shared {
            LineIntersection::SinglePoint { intersection, .. } => ("cross", intersection),
            LineIntersection::Collinear { intersection } => ("run along each other", intersection.start),
        };
        let [(_, first), (_, second)] = self.edges;
        let place = |corner: Coord<f64>| format!("lat {}, lng {}", corner.y, corner.x);
        invalid(format!(
            "two edges {how} at {}: the one from {}, and the one from {}",
            place(at),
            place(first.start),
            place(second.start)
        ))
    }
}

/// Calls `found` for each two edges that cross or run along each other, in any order, until it fails. Edges may touch.
pub(super) fn each_crossing(
    edges: impl Iterator<Item = Line<f64>>,
    mut found: impl FnMut(Crossing) -> Result<()>,
) -> Result<()> {
    let tree = RTree::bulk_load(edges.enumerate().map(|(at, edge)| GeomWithData::new(edge, at)).collect());
    let mut pairs = 0;
    for edge in &tree {
        for other in tree.locate_in_envelope_intersecting(&edge.geom().envelope()) {
            pairs += 1;
            at_most("pairs of close edges", pairs, MAX_EDGE_PAIRS)?;
            if other.data <= edge.data {
                continue;
            }
            let is_crossing = |shared: &LineIntersection<f64>| match shared {
                LineIntersection::SinglePoint { is_proper, .. } => *is_proper,
                LineIntersection::Collinear { intersection: Line { start, end } } => start != end,
            };
            if let Some(shared) = line_intersection(*edge.geom(), *other.geom()).filter(is_crossing) {
                found(Crossing { edges: [edge, other].map(|edge| (edge.data, *edge.geom())), shared })?;
            }
        }
    }
    Ok(())
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::InvalidGeometry { reason: reason.into() }
}

pub(super) fn at_most(what: &'static str, found: usize, max: usize) -> Result<()> {
    if found > max { Err(Error::GeometryTooLarge { what, max }) } else { Ok(()) }
}

/// Returns one polygon, each ring checked and given its direction.
fn polygon(rings: Vec<Vec<Coord<f64>>>) -> Result<Polygon<f64>> {
    let mut rings = rings.into_iter();
    let exterior = ring(rings.next().ok_or_else(|| invalid("a polygon is empty"))?, Turn::Anticlockwise)?;
    let (west, east) = exterior
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(west, east), corner| (west.min(corner.x), east.max(corner.x)));
    if east - west > 180.0 {
        return Err(invalid("a polygon is more than half round the earth: cut it at the antimeridian"));
    }
    let holes = rings.map(|hole| ring(hole, Turn::Clockwise).map(LineString)).collect::<Result<_>>()?;
    Ok(Polygon::new(LineString(exterior), holes))
}

#[derive(Clone, Copy, PartialEq)]
enum Turn {
    Anticlockwise,
    Clockwise,
}

fn ring(corners: Vec<Coord<f64>>, turn: Turn) -> Result<Vec<Coord<f64>>> {
    match (corners.first(), corners.last()) {
        (Some(first), Some(last)) if first == last => {}
        (Some(first), Some(last)) if first.x.is_finite() && last.x.is_finite() => {
            return Err(invalid("a ring is not closed: its last corner must repeat its first"));
        }
        (Some(_), Some(_)) => {}
        _ => return Err(invalid("a ring is empty")),
    }
    let mut distinct: Vec<Coord<f64>> = Vec::with_capacity(corners.len());
    for Coord { x, y } in corners {
        let corner = Coord { x: Longitude::new(x)?.degrees(), y: Latitude::new(y)?.degrees() };
        if distinct.last().is_none_or(|last| (corner.x - last.x).hypot(corner.y - last.y) >= SHORTEST_EDGE) {
            distinct.push(corner);
        }
    }
    // Where the last corner was merged with the one before it, the ring is closed again.
    if let (Some(first), Some(last)) = (distinct.first().copied(), distinct.last_mut()) {
        *last = first;
    }
    if distinct.len() < 4 {
        return Err(invalid("a ring needs at least three corners"));
    }
    // Twice the area, relative to the first corner to lose no precision.
    let Coord { x: x0, y: y0 } = distinct[0];
    let area: f64 =
        distinct.windows(2).map(|edge| (edge[0].x - x0) * (edge[1].y - y0) - (edge[1].x - x0) * (edge[0].y - y0)).sum();
    if area == 0.0 {
        return Err(invalid("a ring has no area: it crosses itself, or its corners lie on one line"));
    }
    if (area > 0.0) != (turn == Turn::Anticlockwise) {
        distinct.reverse();
    }
    Ok(distinct)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(wkt: &str) -> String {
        wkt.parse::<Catchment>().expect_err("refused").to_string()
    }

    #[test]
    fn rejects_invalid_outlines_with_a_reason() {
        for (wkt, expected) in [
            ("", "not a POLYGON or MULTIPOLYGON"),
            ("POINT(0 0)", "not a POLYGON or MULTIPOLYGON"),
            ("SRID=27700;POLYGON((0 0,1 0,1 1,0 0))", "not a POLYGON or MULTIPOLYGON"),
            ("GEOMETRYCOLLECTION(POLYGON((0 0,1 0,1 1,0 0)))", "not a POLYGON or MULTIPOLYGON"),
            ("POLYGON EMPTY", "empty"),
            ("MULTIPOLYGON EMPTY", "empty"),
            ("MULTIPOLYGON(((0 0,1 0,1 1,0 0)),EMPTY)", "empty"),
            ("POLYGON((0 0,1 0,1 1,0 0),EMPTY)", "empty"),
            ("POLYGON Z((0 0 1,1 0 1,1 1 1,0 0 1))", "Z or M"),
            ("POLYGON M((0 0 1,1 0 1,1 1 1,0 0 1))", "Z or M"),
            ("POLYGON((0 0,1 0,1 1))", "not closed"),
            ("POLYGON((0 0,1 0,0 0))", "three corners"),
            ("POLYGON((0 0,0 0,0 0,0 0,0 0))", "three corners"),
            ("POLYGON((0 0,1 1,2 2,0 0))", "no area"),
            ("POLYGON((0 0,1 1,1 0,0 1,0 0))", "no area"),
            ("POLYGON((0 0,2 2,2 0,0 2,-1 1,0 0))", "cross at lat 1, lng 1"),
            ("POLYGON((0 0,2 0,2 2,1 2,1 3,1 2,0 2,0 0))", "run along each other at lat"),
            ("POLYGON((0 0,4 0,4 4,0 4,0 0),(3 1,5 1,5 2,3 1))", "cross"),
            ("POLYGON((0 0,4 0,4 4,0 4,0 0),(5 1,6 1,6 2,5 1))", "hole lies outside"),
            ("MULTIPOLYGON(((0 0,2 0,2 2,0 2,0 0)),((1 1,3 1,3 3,1 3,1 1)))", "cross"),
            ("MULTIPOLYGON(((0 0,2 0,2 2,0 0)),((0 0,2 0,2 2,0 0)))", "run along each other"),
            ("POLYGON((-179 0,179 0,179 1,-179 0))", "antimeridian"),
            ("POLYGON((0 0,181 0,1 1,0 0))", "lng 181 is not on the earth"),
            ("POLYGON((0 0,1 91,1 1,0 0))", "lat 91 is not on the earth"),
            ("POLYGON((0 0,nan 0,1 1,0 0))", "cannot be used"),
            ("POLYGON((0 0,1e999 0,1 1,0 0))", "not on the earth"),
            ("POLYGON((0 0,1 0,1 1,0 0)", "cannot be used"),
        ] {
            let reason = reason(wkt);
            assert!(reason.contains(expected), "{wkt}: {reason} is not {expected:?}");
        }
        // Numbers that are NaN, which no text can contain.
        let broken = Polygon::new(LineString::from(vec![(0.0, 0.0), (f64::NAN, 0.0), (1.0, 1.0), (0.0, 0.0)]), vec![]);
        assert!(matches!(Catchment::new(broken.into()), Err(Error::InvalidCoordinate { field: "lng", .. })));
    }

    #[test]
    fn outlines_are_normalised() {
        let outline: Catchment =
            "polygon((0 0, 0 4, 4 4, 4 4, 4 0, -0 0), (1 1, 2 1, 2 2, 1 1))".parse().expect("an outline");
        // The outer ring anticlockwise, the hole clockwise, no corner repeated.
        assert_eq!(outline.to_string(), "MULTIPOLYGON(((0 0,4 0,4 4,0 4,0 0),(1 1,2 2,2 1,1 1)))");
        assert_eq!(outline.vertices(), 9);
        assert_eq!(outline.to_string().parse::<Catchment>().expect("an outline"), outline);
        let json = serde_json::to_string(&outline).expect("JSON");
        assert_eq!(
            json,
            r#"{"type":"MultiPolygon","coordinates":[[[[0.0,0.0],[4.0,0.0],[4.0,4.0],[0.0,4.0],[0.0,0.0]],[[1.0,1.0],[2.0,2.0],[2.0,1.0],[1.0,1.0]]]]}"#
        );
        assert_eq!(serde_json::from_str::<Catchment>(&json).expect("an outline"), outline);
        // A hole may touch its polygon, and an island the mainland, at single points.
        "POLYGON((0 0,4 0,4 4,0 4,0 0),(0 2,1 1,1 3,0 2))".parse::<Catchment>().expect("an outline");
        "MULTIPOLYGON(((0 0,1 0,1 1,0 1,0 0)),((1 1,2 1,2 2,1 2,1 1)))".parse::<Catchment>().expect("an outline");
    }

    /// Returns a circle with this many corners.
    fn circle(corners: u32) -> Vec<Coord<f64>> {
        let corner = |step: u32| {
            let angle = std::f64::consts::TAU * f64::from(step % corners) / f64::from(corners);
            Coord { x: angle.cos(), y: 50.0 + angle.sin() }
        };
        (0..=corners).map(corner).collect()
    }

    #[test]
    fn size_is_bounded() {
        assert_eq!(Catchment::from_rings(vec![vec![circle(99_999)]]).expect("just small enough").vertices(), 100_000);
        let refused = Catchment::from_rings(vec![vec![circle(100_000)]]);
        assert!(matches!(refused, Err(Error::GeometryTooLarge { what: "vertices", max: MAX_VERTICES })));
        let hole = |at: u32| {
            let (x, y) = (f64::from(at % 100) * 0.01 - 0.5, 49.5 + f64::from(at / 100) * 0.01);
            let corner = |(east, north): (f64, f64)| Coord { x: x + east * 0.001, y: y + north * 0.001 };
            [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)].map(corner).to_vec()
        };
        let rings = |holes| vec![std::iter::once(circle(1_000)).chain((0..holes).map(hole)).collect()];
        assert_eq!(Catchment::from_rings(rings(9_999)).expect("just few enough").rings().count(), MAX_RINGS);
        let refused = Catchment::from_rings(rings(10_000));
        assert!(matches!(refused, Err(Error::GeometryTooLarge { what: "rings", max: MAX_RINGS })));
        // A saw with long teeth, whose boxes all overlap.
        let tooth = |at: u32| Coord {
            x: f64::from(at) * 1e-5 + f64::from(at % 2),
            y: 50.0 - f64::from(at) * 1e-5 + f64::from(at % 2),
        };
        let mut saw: Vec<_> = (0..50_000).map(tooth).collect();
        saw.extend([Coord { x: 3.0, y: 49.0 }, Coord { x: 0.0, y: 46.0 }, Coord { x: -1.0, y: 49.0 }, saw[0]]);
        let refused = Catchment::from_rings(vec![vec![saw]]);
        assert!(matches!(refused, Err(Error::GeometryTooLarge { what: "pairs of close edges", .. })), "{refused:?}");
        assert!(reason(&"POLYGON(".repeat(1_000_000)).contains("bytes of WKT"));
        assert!(reason(&format!("POLYGON{}", "(".repeat(1_000_000))).contains("cannot be used"));
        assert!(reason(&"GEOMETRYCOLLECTION(".repeat(100_000)).contains("not a POLYGON"));
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn wkb_covers_what_the_outline_covers() {
        use crate::geo::{to_wkb, wkb_covers};
        let outline: Catchment = "MULTIPOLYGON(((0 0,4 0,4 4,0 4,0 0),(1 1,2 2,2 1,1 1),(3 3,3.5 3,3 3.5,3 3)),\
                                  ((5 0,6 0,6 1,5 0)))"
            .parse()
            .expect("an outline");
        let wkb = to_wkb(&outline);
        for step in 0..=70 * 50 {
            let (lat, lng) = (f64::from(step / 70) * 0.1 - 0.5, f64::from(step % 70) * 0.1 - 0.5);
            let point = LatLng::from_lat_lng(lat, lng).expect("a place");
            assert_eq!(wkb_covers(&wkb, point), Some(outline.covers(point)), "{point:?}");
        }
        let point = LatLng::from_lat_lng(-1.0, -1.0).expect("a place");
        for cut in 0..wkb.len() {
            assert_eq!(wkb_covers(&wkb[..cut], point), None, "cut at {cut}");
        }
    }
}
