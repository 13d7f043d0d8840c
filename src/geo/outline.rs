//! Whether an outline contains a point, for polygons in memory and for their encoding as WKB without decoding it.
//!
//! PostGIS decides by the sign of the same product, in the same order of operations (`lw_segment_side`). So every
//! backend returns the same for a point so close to an edge that the product's last bit decides.

use geo_types::Coord;

/// The side of a ring on which a point lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Inside,
    Boundary,
    Outside,
}

/// Returns the side of a closed ring on which a point lies, by its winding number.
pub(super) fn side_of_ring(mut corners: impl Iterator<Item = Coord<f64>>, point: Coord<f64>) -> Side {
    let Some(mut from) = corners.next() else { return Side::Outside };
    let mut winding = 0;
    for to in corners {
        // Most edges lie entirely above or below the point.
        let is_level = from.y.min(to.y) <= point.y && point.y <= from.y.max(to.y);
        if is_level {
            let side = (to.x - from.x) * (point.y - from.y) - (point.x - from.x) * (to.y - from.y);
            if side == 0.0 && from.x.min(to.x) <= point.x && point.x <= from.x.max(to.x) {
                return Side::Boundary;
            }
            if from.y <= point.y && point.y < to.y && side > 0.0 {
                winding += 1;
            } else if to.y <= point.y && point.y < from.y && side < 0.0 {
                winding -= 1;
            }
        }
        from = to;
    }
    if winding == 0 { Side::Outside } else { Side::Inside }
}

/// Returns whether a polygon contains a point. `rings` begins with the outer ring. Every boundary is inside.
pub(super) fn polygon_covers<C>(mut rings: impl Iterator<Item = C>, point: Coord<f64>) -> bool
where
    C: Iterator<Item = Coord<f64>>,
{
    match rings.next().map(|exterior| side_of_ring(exterior, point)) {
        None | Some(Side::Outside) => false,
        Some(Side::Boundary) => true,
        Some(Side::Inside) => rings.all(|hole| side_of_ring(hole, point) != Side::Inside),
    }
}

#[cfg(feature = "sqlite")]
pub(crate) use wkb::{is_wkb, to_wkb, wkb_covers};

/// Little-endian well-known binary (WKB) of the Open Geospatial Consortium, as PostGIS's `ST_AsBinary` returns it.
#[cfg(feature = "sqlite")]
mod wkb {
    use geo_types::{Coord, LineString};

    use super::polygon_covers;
    use crate::geo::{Catchment, LatLng};

    const LITTLE_ENDIAN: u8 = 1;
    const POLYGON: u32 = 3;
    const MULTI_POLYGON: u32 = 6;
    /// Two coordinates of eight bytes.
    const CORNER_BYTES: usize = 16;

    /// Returns an outline as WKB.
    pub(crate) fn to_wkb(outline: &Catchment) -> Vec<u8> {
        // An outline has far fewer parts than 32 bits can count.
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
        let polygons = &outline.as_multi_polygon().0;
        let mut wkb = Vec::with_capacity(outline.vertices() * CORNER_BYTES + 9 + polygons.len() * 64);
        wkb.push(LITTLE_ENDIAN);
        wkb.extend(MULTI_POLYGON.to_le_bytes());
        wkb.extend(count(polygons.len()));
        for polygon in polygons {
            wkb.push(LITTLE_ENDIAN);
            wkb.extend(POLYGON.to_le_bytes());
            wkb.extend(count(polygon.interiors().len() + 1));
            for LineString(ring) in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
                wkb.extend(count(ring.len()));
                wkb.extend(ring.iter().flat_map(|corner| [corner.x, corner.y]).flat_map(f64::to_le_bytes));
            }
        }
        wkb
    }

    /// Returns whether an outline in WKB contains a point, as [`Catchment::covers`] does, or `None` where the bytes are
    /// not such an outline.
    pub(crate) fn wkb_covers(wkb: &[u8], point: LatLng) -> Option<bool> {
        let at = Coord { x: point.lng().degrees(), y: point.lat().degrees() };
        any_polygon(wkb, |rings| polygon_covers(rings.into_iter().map(corners), at))
    }

    /// Returns whether bytes are an outline in WKB.
    pub(crate) fn is_wkb(bytes: &[u8]) -> bool {
        any_polygon(bytes, |_| false).is_some()
    }

    /// Returns whether `test` is true of the rings of a polygon of an outline in WKB, or `None` where it is malformed
    /// before the end of that polygon.
    fn any_polygon(wkb: &[u8], mut test: impl FnMut(Vec<&[u8]>) -> bool) -> Option<bool> {
        let mut bytes = Bytes(wkb);
        for _ in 0..bytes.header(MULTI_POLYGON)? {
            let rings = bytes.header(POLYGON)?;
            if test((0..rings).map(|_| bytes.ring()).collect::<Option<_>>()?) {
                return Some(true);
            }
        }
        Some(false)
    }

    /// The bytes that are left to read.
    struct Bytes<'a>(&'a [u8]);

    impl<'a> Bytes<'a> {
        fn take(&mut self, count: usize) -> Option<&'a [u8]> {
            let (taken, left) = self.0.split_at_checked(count)?;
            self.0 = left;
            Some(taken)
        }

        fn number(&mut self) -> Option<u32> {
            Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
        }

        /// Reads the header of a geometry of this type, and returns the number of its parts.
        fn header(&mut self, geometry: u32) -> Option<u32> {
            (self.take(1)? == [LITTLE_ENDIAN] && self.number()? == geometry).then(|| self.number())?
        }

        /// Reads a ring, and returns its corners' bytes.
        fn ring(&mut self) -> Option<&'a [u8]> {
            let corners = usize::try_from(self.number()?).ok()?;
            self.take(corners.checked_mul(CORNER_BYTES)?)
        }
    }

    /// Returns the corners of a ring.
    fn corners(ring: &[u8]) -> impl Iterator<Item = Coord<f64>> {
        ring.chunks_exact(CORNER_BYTES).map_while(|corner| {
            let (x, y) = corner.split_first_chunk()?;
            Some(Coord { x: f64::from_le_bytes(*x), y: f64::from_le_bytes(y.try_into().ok()?) })
        })
    }
}
