//! Repairs the outlines of published files, in which drawing programs leave small faults.
//!
//! Only importers repair: [`Catchment`] itself refuses an invalid outline, and a valid one is not changed. Only parts
//! narrower than a metre are removed. So a home farther than about a metre from every edge of the published outline is
//! inside the repaired one exactly if it was inside the published one.

use std::fmt;
use std::iter;

use geo::algorithm::unary_union;
use geo::line_intersection::LineIntersection;
use geo_types::{Coord, Line, MultiPolygon};

use super::catchment::{Crossing, Rings, at_most, each_crossing};
use super::{Catchment, EARTH_RADIUS_KM, Latitude, Longitude};
use crate::error::{Error, Result};

/// The greatest width of a spike or a loop that is removed, in metres.
const NARROW_METRES: f64 = 1.0;

const METRES_PER_DEGREE: f64 = EARTH_RADIUS_KM * 1_000.0 * std::f64::consts::PI / 180.0;

/// The most crossings of an outline that are examined. No drawn outline has more.
const MAX_CROSSINGS: usize = 10_000;

/// The most pairs of edges in which parts may meet. It bounds how long it takes to unite them.
const MAX_MEETINGS: usize = 200_000;

/// The most times that a ring is searched for crossings: removing a spike or loop may reveal another.
const MAX_PASSES: usize = 16;

/// The most distances that are measured in an outline to tell whether loops are narrow.
const MAX_STEPS: usize = 20_000_000;

/// The repairs of an outline.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mends {
    /// Rings whose last corner did not repeat the first.
    pub(crate) closed: usize,
    /// Spikes, loops and rings narrower than a metre that were removed.
    pub(crate) removed: usize,
    /// Whether parts that overlapped or shared an edge were united.
    pub(crate) united: bool,
}

impl fmt::Display for Mends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let mut mends = Vec::new();
        if self.closed > 0 {
            mends.push(format!("closed {} open ring{}", self.closed, plural(self.closed)));
        }
        if self.removed > 0 {
            mends.push(format!("removed {} spike{} narrower than a metre", self.removed, plural(self.removed)));
        }
        if self.united {
            mends.push("united parts that overlap or share an edge".to_owned());
        }
        f.write_str(&mends.join(", "))
    }
}

/// Returns the outline of these rings, repaired where it was not valid, and the repairs.
///
/// # Errors
/// Those of [`Catchment::new`], for a fault that cannot be repaired.
pub(crate) fn mended(mut polygons: Rings) -> Result<(Catchment, Mends)> {
    let mut mends = Mends::default();
    for ring in polygons.iter_mut().flatten() {
        for corner in &*ring {
            Longitude::new(corner.x)?;
            Latitude::new(corner.y)?;
        }
        if let (Some(first), Some(last)) = (ring.first().copied(), ring.last())
            && first != *last
        {
            ring.push(first);
            mends.closed += 1;
        }
    }
    let error = match Catchment::from_rings(polygons.clone()) {
        Err(error @ Error::InvalidGeometry { .. }) => error,
        valid_or_too_large => return Ok((valid_or_too_large?, mends)),
    };
    let polygons = without_spikes(polygons, &mut mends)?;
    let error = match Catchment::from_rings(polygons.clone()) {
        Ok(outline) => return Ok((outline, mends)),
        // Of an outline that was a spike altogether.
        Err(_) if polygons.is_empty() => return Err(error),
        Err(error) if polygons.len() == 1 => return Err(error),
        Err(error) => error,
    };
    let parts = polygons.into_iter().map(|polygon| Catchment::from_rings(vec![polygon])).collect::<Result<Vec<_>>>()?;
    mends.united = true;
    let united = united(&parts)?;
    // Corners where parts meet are rounded, which may leave loops of a fraction of a millimetre.
    let rounding = &mut Mends::default();
    match Catchment::from_rings(without_spikes(united, rounding)?) {
        Ok(outline) => Ok((outline, mends)),
        Err(_) => Err(error),
    }
}

/// Returns the union of outlines.
fn united(parts: &[Catchment]) -> Result<Rings> {
    let mut meetings = 0;
    let edges = parts.iter().flat_map(|part| part.as_multi_polygon()).flat_map(|polygon| {
        iter::once(polygon.exterior()).chain(polygon.interiors()).flat_map(geo_types::LineString::lines)
    });
    each_crossing(edges, |_| {
        meetings += 1;
        at_most("edges that meet those of another part", meetings, MAX_MEETINGS)
    })?;
    let MultiPolygon(polygons) = unary_union(parts.iter().map(Catchment::as_multi_polygon));
    let rings = polygons.into_iter().map(|polygon| {
        let (exterior, interiors) = polygon.into_inner();
        iter::once(exterior).chain(interiors).map(|ring| ring.0).collect()
    });
    Ok(rings.collect())
}

/// Removes spikes and loops, and rings that are nothing else.
fn without_spikes(polygons: Rings, mends: &mut Mends) -> Result<Rings> {
    let mut cutter = Cutter { steps: 0, removed: 0 };
    let mut kept = Rings::with_capacity(polygons.len());
    for polygon in polygons {
        let mut rings = polygon.into_iter();
        let Some(exterior) = rings.next() else { continue };
        let exterior = cutter.without_spikes(exterior)?;
        if exterior.is_empty() {
            continue;
        }
        let mut polygon = vec![exterior];
        for hole in rings {
            let hole = cutter.without_spikes(hole)?;
            polygon.extend((!hole.is_empty()).then_some(hole));
        }
        kept.push(polygon);
    }
    mends.removed += cutter.removed;
    Ok(kept)
}

/// Cuts spikes and loops off rings.
struct Cutter {
    /// How many distances were measured.
    steps: usize,
    removed: usize,
}

/// Corners to remove: `count` of them from `first` on, where the first corner follows the last one. A corner may take
/// their place.
struct Cut {
    first: usize,
    count: usize,
    by: Option<Coord<f64>>,
}

impl Cutter {
    /// Returns a closed ring without its spikes and loops. An empty one was nothing else.
    fn without_spikes(&mut self, ring: Vec<Coord<f64>>) -> Result<Vec<Coord<f64>>> {
        let (mut corners, mut published) = (ring, Vec::new());
        for pass in 0..MAX_PASSES {
            corners.dedup();
            while corners.len() > 1 && corners.first() == corners.last() {
                corners.pop();
            }
            if corners.len() < 3 {
                self.removed += usize::from(!corners.is_empty());
                return Ok(Vec::new());
            }
            if pass == 0 {
                published.clone_from(&corners);
            }
            let (mut cuts, mut refused, mut crossings) = (Vec::new(), None, 0);
            each_crossing(edges(&corners), |crossing| {
                crossings += 1;
                at_most("crossings", crossings, MAX_CROSSINGS)?;
                let narrow_loop = self.narrow_loop(&corners, &crossing);
                match narrow_loop.or_else(|| self.spike(&corners, &published, &crossing)) {
                    Some(cut) => cuts.push(cut),
                    None => refused = Some(crossing),
                }
                Ok(())
            })?;
            match (cuts.is_empty(), refused) {
                (true, Some(crossing)) => return Err(crossing.error()),
                (true, None) => {
                    corners.extend(corners.first().copied());
                    return Ok(corners);
                }
                (false, _) => corners = self.apply(&corners, cuts),
            }
        }
        corners.extend(corners.first().copied());
        Ok(corners)
    }

    /// Returns the cut of the loop between two edges of a ring, if it is narrow.
    fn narrow_loop(&mut self, corners: &[Coord<f64>], crossing: &Crossing) -> Option<Cut> {
        let [(first, one), (second, other)] = crossing.edges;
        let between = second - first;
        // A loop leads from one of the edges to the other, and the rest of the ring is a loop as well.
        let mut loops = [(first, one, between), (second, other, corners.len() - between)];
        loops.sort_by_key(|(_, _, count)| *count);
        loops.into_iter().find_map(|(edge, line, count)| {
            let by = match crossing.shared {
                LineIntersection::SinglePoint { .. } => crossing_point(one, other)?,
                // The loop begins where the edges meet first.
                LineIntersection::Collinear { intersection: Line { start, end } } => {
                    let away = |at: Coord<f64>| (at.x - line.start.x).hypot(at.y - line.start.y);
                    if away(start) <= away(end) { start } else { end }
                }
            };
            let first = (edge + 1) % corners.len();
            self.is_narrow(corners, by, first, count).then_some(Cut { first, count, by: Some(by) })
        })
    }

    /// Returns the cut of the longest spike at a crossing: a corner to which the ring comes by one edge and leaves
    /// along it, within a metre. Both have to be along edges of the `published` ring too, so that what is removed is
    /// not measured from edges that have moved already.
    fn spike(&mut self, corners: &[Coord<f64>], published: &[Coord<f64>], crossing: &Crossing) -> Option<Cut> {
        let beside = |ring: &[Coord<f64>], at: usize| {
            [ring.len() - 1, 1].map(|step| metres(ring[(at + step) % ring.len()], ring[at]))
        };
        let is_near = |corner, end| distance_to_edge(corner, ORIGIN, end) <= NARROW_METRES;
        let mut longest: Option<(f64, Cut)> = None;
        for first in crossing.edges.iter().flat_map(|(edge, _)| [*edge, (edge + 1) % corners.len()]) {
            let [before, after] = beside(corners, first);
            let is_acute = before.x * after.x + before.y * after.y > 0.0;
            if !is_acute || !(is_near(after, before) || is_near(before, after)) {
                continue;
            }
            self.steps += published.len();
            let place = published.iter().position(|corner| *corner == corners[first]);
            let Some(place) = place.filter(|_| self.steps <= MAX_STEPS) else { continue };
            let [published_before, published_after] = beside(published, place);
            let length = distance(before, ORIGIN).min(distance(after, ORIGIN));
            if is_near(before, published_before)
                && is_near(after, published_after)
                && longest.as_ref().is_none_or(|(longest, _)| length > *longest)
            {
                longest = Some((length, Cut { first, count: 1, by: None }));
            }
        }
        longest.map(|(_, cut)| cut)
    }

    /// Returns whether a loop from `start` round `count` corners is narrow: each corner of the way to the farthest one
    /// is within a metre of the way back, and the other way round.
    fn is_narrow(&mut self, corners: &[Coord<f64>], start: Coord<f64>, first: usize, count: usize) -> bool {
        self.steps += count;
        if self.steps > MAX_STEPS {
            return false;
        }
        let path = corners.iter().cycle().skip(first).take(count).map(|corner| metres(*corner, start));
        let path: Vec<_> = iter::once(ORIGIN).chain(path).chain(iter::once(ORIGIN)).collect();

        let length: f64 = path.windows(2).map(|edge| distance(edge[0], edge[1])).sum();
        let area: f64 = path.windows(2).map(|edge| edge[0].x * edge[1].y - edge[1].x * edge[0].y).sum::<f64>() / 2.0;
        if area.abs() > NARROW_METRES * length / 2.0 {
            return false;
        }
        let far = |at: &usize| distance(path[*at], ORIGIN);
        let Some(tip) = (0..path.len()).max_by(|one, other| far(one).total_cmp(&far(other))) else { return false };
        let (out, back) = (&path[..=tip], &path[tip..]);
        self.is_along(out, back) && self.is_along(back, out)
    }

    /// Returns whether each corner of a path is within a metre of another path.
    fn is_along(&mut self, path: &[Coord<f64>], other: &[Coord<f64>]) -> bool {
        path.iter().all(|corner| {
            other.windows(2).any(|edge| {
                self.steps += 1;
                self.steps <= MAX_STEPS && distance_to_edge(*corner, edge[0], edge[1]) <= NARROW_METRES
            })
        })
    }

    /// Applies cuts, the longest of those that are at one place. The others are found again, if they are still there.
    fn apply(&mut self, corners: &[Coord<f64>], mut cuts: Vec<Cut>) -> Vec<Coord<f64>> {
        cuts.sort_by_key(|cut| std::cmp::Reverse(cut.count));
        let mut is_taken = vec![false; corners.len()];
        let mut kept: Vec<_> = corners.iter().copied().map(Some).collect();
        for Cut { first, count, by } in cuts {
            // From the corner before to the corner after.
            let at = |step: usize| (first + corners.len() - 1 + step) % corners.len();
            if (0..count + 2).any(|step| is_taken[at(step)]) {
                continue;
            }
            (0..count + 2).for_each(|step| is_taken[at(step)] = true);
            (1..=count).for_each(|step| kept[at(step)] = if step == 1 { by } else { None });
            self.removed += 1;
        }
        kept.into_iter().flatten().collect()
    }
}

/// Returns where two edges cross, or `None` where they are parallel but for rounding. The point that `geo` computes may
/// be an end of an edge, kilometres away.
fn crossing_point(one: Line<f64>, other: Line<f64>) -> Option<Coord<f64>> {
    let cross = |one: Coord<f64>, other: Coord<f64>| one.x * other.y - one.y * other.x;
    let share = cross(other.start - one.start, other.delta()) / cross(one.delta(), other.delta());
    (0.0..=1.0).contains(&share).then(|| one.start + one.delta() * share)
}

/// Returns the edges of a ring whose last corner does not repeat the first.
fn edges(corners: &[Coord<f64>]) -> impl Iterator<Item = Line<f64>> {
    iter::zip(corners, corners.iter().cycle().skip(1)).map(|(from, to)| Line::new(*from, *to))
}

const ORIGIN: Coord<f64> = Coord { x: 0.0, y: 0.0 };

/// Returns where a point is from another, in metres.
fn metres(point: Coord<f64>, from: Coord<f64>) -> Coord<f64> {
    let east = METRES_PER_DEGREE * from.y.to_radians().cos();
    Coord { x: (point.x - from.x) * east, y: (point.y - from.y) * METRES_PER_DEGREE }
}

fn distance(one: Coord<f64>, other: Coord<f64>) -> f64 {
    (one.x - other.x).hypot(one.y - other.y)
}

fn distance_to_edge(point: Coord<f64>, from: Coord<f64>, to: Coord<f64>) -> f64 {
    let (along, at) = (to - from, point - from);
    let square = along.x * along.x + along.y * along.y;
    let share = if square > 0.0 { ((at.x * along.x + at.y * along.y) / square).clamp(0.0, 1.0) } else { 0.0 };
    distance(at, along * share)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geo::LatLng;

    /// Returns the corner so many metres east and north of a place in Milton Keynes.
    fn at(east: f64, north: f64) -> Coord<f64> {
        let y = 52.04 + north / METRES_PER_DEGREE;
        Coord { x: -0.76 + east / (METRES_PER_DEGREE * 52.04_f64.to_radians().cos()), y }
    }

    fn ring(corners: &[(f64, f64)]) -> Vec<Coord<f64>> {
        corners.iter().map(|(east, north)| at(*east, *north)).collect()
    }

    const SQUARE: [(f64, f64); 5] = [(0.0, 0.0), (900.0, 0.0), (900.0, 900.0), (0.0, 900.0), (0.0, 0.0)];

    /// Returns the repairs of a square with other corners after its second.
    fn square_with(corners: &[(f64, f64)]) -> Result<(Catchment, Mends)> {
        mended(vec![vec![ring(&[&SQUARE[..2], corners, &SQUARE[2..]].concat())]])
    }

    #[test]
    fn valid_outlines_stay_as_they_are() {
        // A strip of half a metre to a piece of land is narrow, and no fault.
        let strip = [(900.0, 400.0), (1_500.0, 400.0), (1_600.0, 500.0), (1_500.0, 400.5), (900.0, 400.5)];
        let (outline, mends) = square_with(&strip).expect("valid");
        assert_eq!((outline.vertices(), mends), (10, Mends::default()));
    }

    #[test]
    fn spikes_and_small_loops_are_removed() {
        let square = Catchment::from_rings(vec![vec![ring(&SQUARE)]]).expect("a square");
        for (what, corners) in [
            ("a line out and back", vec![(900.0, 400.0), (9_000.0, 400.0), (900.0, 400.0)]),
            (
                "a line with corners, out and back",
                vec![(900.0, 400.0), (1_000.0, 500.0), (2_000.0, 400.0), (1_000.0, 500.0), (900.0, 400.0)],
            ),
            ("a crossed spike", vec![(900.0, 400.0), (3_000.0, 500.0), (900.0, 399.5)]),
            ("a spike through the other side", vec![(900.0, 400.0), (-5_000.0, 500.0), (900.0, 400.5)]),
            ("a spike along the edge", vec![(900.0, 700.0), (900.0, 300.0)]),
            (
                "a spike from a corner that is a short one itself",
                vec![(900.0, 895.0), (900.8, 899.0), (600.0, -2_120.0), (901.0, 899.1)],
            ),
            ("a loop", vec![(900.0, 400.0), (900.6, 400.3), (900.6, 400.0), (900.0, 400.3)]),
        ] {
            let (outline, mends) = square_with(&corners).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(mends.removed > 0 && mends.closed == 0 && !mends.united, "{what}: {mends:?}");
            for step in 0..900 {
                let Coord { x, y } = at(f64::from(step % 30) * 50.0 - 298.0, f64::from(step / 30) * 50.0 - 298.0);
                let home = LatLng::from_lat_lng(y, x).expect("a home");
                assert_eq!(outline.covers(home), square.covers(home), "{what}: {home:?}");
            }
        }
    }

    #[test]
    fn open_rings_are_closed() {
        let (outline, mends) = mended(vec![vec![ring(&SQUARE[..4])]]).expect("a square");
        assert_eq!((outline.vertices(), mends.to_string().as_str()), (5, "closed 1 open ring"));
    }

    #[test]
    fn parts_that_overlap_or_share_an_edge_are_united() {
        let moved = |by: f64| vec![ring(&SQUARE.map(|(east, north)| (east + by, north + by / 10.0)))];
        let (outline, mends) = mended(vec![moved(0.0), moved(500.0), moved(500.0)]).expect("an outline");
        assert_eq!((outline.as_multi_polygon().0.len(), mends.united), (1, true));
        let (outline, _) = mended(vec![moved(0.0), vec![ring(&SQUARE.map(|(east, north)| (east + 900.0, north)))]])
            .expect("an outline");
        assert_eq!(outline.as_multi_polygon().0.len(), 1);
        // A hole stays one where no other part covers it.
        let hole = |east: f64| ring(&[(east, 300.0), (east, 400.0), (east + 100.0, 400.0), (east, 300.0)]);
        let mut first = moved(0.0);
        first.extend([hole(100.0), hole(700.0)]);
        let (outline, _) = mended(vec![first, moved(500.0)]).expect("an outline");
        let covers = |east, north| {
            let Coord { x, y } = at(east, north);
            outline.covers(LatLng::from_lat_lng(y, x).expect("a home"))
        };
        assert!(!covers(120.0, 380.0) && covers(720.0, 380.0) && covers(1_300.0, 500.0));
    }

    #[test]
    fn real_crossings_are_refused_with_both_corners() {
        // Two areas that one ring crosses between; a loop of two metres; a spike of two metres.
        for corners in [
            vec![(900.0, 400.0), (2_000.0, 900.0), (2_000.0, 400.0), (900.0, 800.0)],
            vec![(900.0, 400.0), (902.0, 403.0), (902.0, 400.0), (900.0, 403.0)],
            vec![(900.0, 400.0), (-500.0, 402.0), (900.0, 404.0)],
        ] {
            let error = square_with(&corners).expect_err("crossed").to_string();
            assert!(
                error.contains("cross at lat 52.04") && error.matches("the one from lat 52.0").count() == 2,
                "{error}"
            );
        }
        let error = mended(vec![vec![ring(&[(0.0, 0.0), (9.0, 9.0), (0.0, 0.0)])]]).expect_err("a line").to_string();
        assert!(error.contains("at least three corners"), "{error}");
    }

    #[test]
    fn mending_takes_bounded_time() {
        // A saw whose edges all cross one, and teeth that fold back on themselves.
        let tooth = |at: u32| (f64::from(at), if at.is_multiple_of(2) { 5.0 } else { -5.0 });
        let saw = iter::once((0.0, 0.0)).chain((0..30_000).map(tooth)).chain([(30_000.0, 900.0), (-9.0, 0.0)]);
        let saw = ring(&saw.chain([(40_000.0, 0.0), (0.0, 0.0)]).collect::<Vec<_>>());
        let folded = (0..20_000).flat_map(|at| [(f64::from(at), 0.0), (f64::from(at), 50.0), (f64::from(at), 0.0)]);
        let folded = ring(&folded.chain([(20_000.0, -900.0), (0.0, 0.0)]).collect::<Vec<_>>());
        let begun = std::time::Instant::now();
        assert!(mended(vec![vec![saw]]).is_err());
        assert!(matches!(mended(vec![vec![folded]]), Err(Error::GeometryTooLarge { what: "crossings", .. })));
        assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    }

    /// A fault at a corner of a ring, in metres from there.
    fn fault() -> impl Strategy<Value = Vec<(f64, f64)>> {
        let far = || (-5_000.0..5_000.0, -5_000.0..5_000.0);
        let near = || (-0.3..0.3, -0.3..0.3);
        prop_oneof![
            far().prop_map(|tip| vec![tip, (0.0, 0.0)]),
            (far(), near()).prop_map(|(tip, back)| vec![tip, back]),
            (far(), far()).prop_map(|(bend, tip)| vec![bend, tip, bend, (0.0, 0.0)]),
            (near(), near(), near()).prop_map(|(one, two, three)| vec![one, two, three]),
        ]
    }

    proptest! {
        /// A ring round a centre, with faults that are narrower than a metre.
        #[test]
        fn homes_away_from_edges_keep_their_answer(
            radii in prop::collection::vec(200.0..3_000.0_f64, 3..30),
            faults in prop::collection::vec((any::<prop::sample::Index>(), fault()), 0..4),
            homes in prop::collection::vec((-6_000.0..6_000.0_f64, -6_000.0..6_000.0_f64), 50),
            near in prop::collection::vec((any::<prop::sample::Index>(), -30.0..30.0_f64, -30.0..30.0_f64), 100),
        ) {
            let steps = f64::from(u32::try_from(radii.len()).expect("few"));
            let corners: Vec<(f64, f64)> = (0_u32..).zip(&radii).map(|(step, radius)| {
                let angle = std::f64::consts::TAU * f64::from(step) / steps;
                (radius * angle.cos(), radius * angle.sin())
            }).collect();
            let close = |mut corners: Vec<(f64, f64)>| { corners.push(corners[0]); ring(&corners) };
            let base = Catchment::from_rings(vec![vec![close(corners.clone())]]).expect("a star has no crossing");
            let mut faulty = corners.clone();
            for (place, fault) in &faults {
                let place = place.index(faulty.len());
                let (east, north) = faulty[place];
                faulty.splice(place + 1..place + 1, fault.iter().map(|(x, y)| (east + x, north + y)));
            }
            // A spike upon a spike may be a true crossing. A repaired outline must be right.
            let Ok((outline, _)) = mended(vec![vec![close(faulty.clone())]]) else { return Ok(()) };
            let near = near.iter().map(|(place, x, y)| {
                let (east, north) = faulty[place.index(faulty.len())];
                (east + x, north + y)
            });
            let homes: Vec<_> = homes.into_iter().chain(near).collect();
            let faulty = close(faulty);
            for (east, north) in homes {
                let home = at(east, north);
                let is_near = |edge: &[Coord<f64>]| {
                    distance_to_edge(ORIGIN, metres(edge[0], home), metres(edge[1], home)) <= 2.0 * NARROW_METRES
                };
                if !faulty.windows(2).any(is_near) {
                    let home = LatLng::from_lat_lng(home.y, home.x).expect("a home");
                    prop_assert_eq!(outline.covers(home), base.covers(home), "{:?}", home);
                }
            }
        }
    }
}
