//! From the features of a file to catchments: coordinates in degrees, one outline for each school.

use std::collections::BTreeMap;

use geo_types::Coord;

use super::crs::Crs;
use super::geojson::{CONVERT, Outline};
use super::keys::{KeyKind, Owner, Owners};
use super::{Feature, File};
use crate::error::{Error, ImportError};
use crate::geo::{Catchment, LatLng, MAX_VERTICES, Mends, Rings, from_national_grid, mended};
use crate::ids::Urn;
use crate::import::Import;
use crate::import::rows::Reason;
use crate::models::NewCatchment;

/// How far from its school an outline may be, in kilometres, where only that shows that they belong together:
/// on the Irish Grid it would be more than a hundred away from there, and a school of the same name anywhere.
const NEAR_KM: f64 = 25.0;

/// The longest edge on the National Grid that is converted by its ends alone, in metres. The straight line in degrees
/// is within 20 cm of it.
const LONGEST_EDGE: f64 = 2_000.0;

/// Northings of the National Grid are smaller, and those of Web Mercator in the United Kingdom larger.
const WEB_MERCATOR: f64 = 2_000_000.0;

/// The most features of one school, which are compared with each other.
const MAX_PARTS: usize = 1_000;

/// How many features of a school are named.
const PARTS_SHOWN: usize = 5;

/// The outline of one feature, whose school is known.
struct Part {
    number: u64,
    key: String,
    owner: Owner,
    outline: Outline,
}

/// Returns the catchments of a file, in the order of their URNs, and reports what cannot be used.
pub(super) fn catchments(file: File, owners: &Owners) -> Result<(Import, Vec<NewCatchment>), ImportError> {
    let File { mut import, features, mut rejects } = file;
    let rows = (features.len() + rejects.len()) as u64;
    let mut schools: BTreeMap<Urn, Vec<Result<Part, u64>>> = BTreeMap::new();
    let mut parts = Vec::new();
    for Feature { number, key, outline } in features {
        match owners.owner(&key) {
            Err(reason) => rejects.push((number, key, Reason(reason))),
            Ok(owner) => match outline {
                Ok(outline) => parts.push(Part { number, key, owner: owner.clone(), outline }),
                Err(reason) => {
                    schools.entry(owner.urn).or_default().push(Err(number));
                    rejects.push((number, key, reason));
                }
            },
        }
    }
    let system = Metres::of(&parts)?;
    for notice in system.notices(&parts) {
        import.remark(notice);
    }
    for mut part in parts {
        let school = schools.entry(part.owner.urn).or_default();
        match system.to_degrees(&mut part).and_then(|()| part.refuse_namesake(owners.kind)) {
            Ok(()) => {
                if let Some(km) = part.km_from_school().filter(|km| *km > NEAR_KM && km.is_finite()) {
                    let far = format!("its outline is {km:.0} km from its school: check that the key is right");
                    import.note(part.number, &part.owner.urn.to_string(), far);
                }
                school.push(Ok(part));
            }
            Err(reason) => {
                school.push(Err(part.number));
                rejects.push((part.number, part.key, reason));
            }
        }
    }
    let mut catchments = Vec::with_capacity(schools.len());
    for (urn, parts) in schools {
        catchments.extend(catchment(urn, parts, &mut import, &mut rejects));
    }
    rejects.sort_by_key(|(number, ..)| *number);
    for (number, key, Reason(reason)) in rejects {
        import.reject(number, &key, reason);
    }
    if catchments.is_empty() {
        return Err(ImportError::NothingUsable { rows, unit: "feature" });
    }
    Ok((import, catchments))
}

/// Returns a school's catchment. A feature that cannot be used takes the others of its school with it: a part of an
/// outline would leave out homes that the council serves.
fn catchment(
    urn: Urn,
    parts: Vec<Result<Part, u64>>,
    import: &mut Import,
    rejects: &mut Vec<(u64, String, Reason)>,
) -> Option<NewCatchment> {
    let mut unusable = parts.iter().find_map(|part| part.as_ref().err().copied());
    let mut whole: Vec<(Part, Catchment, Mends)> = Vec::new();
    for mut part in parts.into_iter().flatten() {
        match mended(std::mem::take(&mut part.outline.rings)).and_then(valid(urn)) {
            Ok((outline, mends)) => whole.push((part, outline, mends)),
            Err(error) => {
                unusable.get_or_insert(part.number);
                rejects.push((part.number, part.key, error.into()));
            }
        }
    }
    let mut reject_all = |whole: Vec<(Part, Catchment, Mends)>, reason: &str| {
        rejects.extend(whole.into_iter().map(|(part, ..)| (part.number, part.key, reason.into())));
        None
    };
    if let Some(number) = unusable {
        return reject_all(whole, &format!("feature {number} is of the same school and cannot be used"));
    }
    if whole.len() > MAX_PARTS {
        return reject_all(whole, &format!("more than {MAX_PARTS} features are of its school"));
    }
    let numbers = whole.iter().take(PARTS_SHOWN).map(|(part, ..)| part.number.to_string()).collect::<Vec<_>>();
    let numbers = match whole.len().saturating_sub(PARTS_SHOWN) {
        0 => numbers.join(" and "),
        others => format!("{} and {others} others", numbers.join(", ")),
    };
    let mut distinct: Vec<&Catchment> = Vec::new();
    for (_, outline, _) in &whole {
        if !distinct.contains(&outline) {
            distinct.push(outline);
        }
    }
    let outline = match distinct.as_slice() {
        [] => return None,
        [outline] => Ok((*outline).clone()),
        several => mended(several.iter().flat_map(|outline| rings(outline)).collect()).map(|(outline, _)| outline),
    };
    let outline = match outline {
        Ok(outline) => outline,
        Err(error) => return reject_all(whole, &format!("features {numbers} of one school: {error}")),
    };
    if whole.len() > 1 {
        let together =
            format!("features {numbers} are of one school, URN {urn}: its catchment is all of them together");
        import.remark(together);
    }
    for (part, _, mends) in &whole {
        let left_out = (!part.outline.left_out.is_empty())
            .then(|| format!("left out what is no Polygon: {}", part.outline.left_out.join(", ")));
        let mends = Some(mends.to_string()).filter(|mends| !mends.is_empty());
        let said: Vec<String> = left_out.into_iter().chain(mends).collect();
        if !said.is_empty() {
            import.note(part.number, &urn.to_string(), said.join(", "));
        }
    }
    Some(NewCatchment { urn, outline: Some(outline) })
}

/// Checks what an outline's own validation does not.
fn valid(urn: Urn) -> impl Fn((Catchment, Mends)) -> Result<(Catchment, Mends), Error> {
    move |(outline, mends)| {
        let catchment = NewCatchment { urn, outline: Some(outline) };
        catchment.validate()?;
        // It was given an outline above.
        catchment.outline.map(|outline| (outline, mends)).ok_or(Error::InvalidGeometry { reason: "it is empty".into() })
    }
}

fn rings(outline: &Catchment) -> Rings {
    let polygons = outline.as_multi_polygon().iter();
    let rings = polygons.map(|polygon| std::iter::once(polygon.exterior()).chain(polygon.interiors()));
    rings.map(|rings| rings.map(|ring| ring.0.clone()).collect()).collect()
}

/// What the coordinates of a file in metres are.
struct Metres {
    /// Whether those without a declaration are of the National Grid.
    undeclared: Result<(), String>,
}

impl Metres {
    /// Recognises the National Grid where a file does not declare it: by outlines that fall near their schools.
    fn of(parts: &[Part]) -> Result<Self, ImportError> {
        let metres: Vec<&Part> = parts.iter().filter(|part| part.is_in_undeclared_metres()).collect();
        let convert = |what: String| format!("its coordinates are metres, {what}: {CONVERT}");
        let is_mercator = |part: &&Part| part.outline.corners().all(|corner| corner.y > WEB_MERCATOR);
        let undeclared = if metres.is_empty() {
            Ok(())
        } else if metres.iter().all(is_mercator) {
            Err(convert("of Web Mercator (EPSG:3857)".to_owned()))
        } else {
            let distances: Vec<(f64, &Part)> =
                metres.iter().filter_map(|part| Some((part.km_from_school()?, *part))).collect();
            let near = distances.iter().filter(|(km, _)| *km <= NEAR_KM).count();
            match distances.iter().find(|(km, _)| *km > NEAR_KM) {
                _ if near * 2 > distances.len() => Ok(()),
                Some((_, part)) => {
                    let urn = part.owner.urn;
                    Err(convert(format!("and not of the National Grid, where the outline of URN {urn} is far from it")))
                }
                None => Err(convert("and no school's location shows of which system".to_owned())),
            }
        };
        match undeclared {
            // It is the file's fault, and said once.
            Err(reason) if metres.len() == parts.len() => Err(ImportError::NotGeoJson { reason }),
            undeclared => Ok(Self { undeclared }),
        }
    }

    /// Returns what to say of the file.
    fn notices(&self, parts: &[Part]) -> Vec<String> {
        let mut notices = Vec::new();
        let converted = "its coordinates are metres of the National Grid (EPSG:27700), converted to degrees by OSTN15";
        if parts.iter().any(|part| part.outline.crs == Some(Crs::NationalGrid) && part.is_in_metres()) {
            notices.push(converted.to_owned());
        } else if self.undeclared.is_ok() && parts.iter().any(Part::is_in_undeclared_metres) {
            notices.push(format!("{converted}: the file does not say so, but they fall near the schools"));
        }
        if parts.iter().any(|part| part.outline.crs == Some(Crs::NationalGrid) && part.is_in_degrees()) {
            notices.push("its crs is the National Grid, but its coordinates are degrees, and read as such".to_owned());
        }
        notices
    }

    /// Converts a part's coordinates to degrees.
    fn to_degrees(&self, part: &mut Part) -> Result<(), Reason> {
        if part.is_in_undeclared_metres() {
            self.undeclared.clone().map_err(Reason)?;
            if let Some(km) = part.km_from_school().filter(|km| *km > NEAR_KM) {
                return Err(format!("on the National Grid it would be {km:.0} km from its school").into());
            }
        }
        if part.is_in_metres() {
            for ring in part.outline.rings.iter_mut().flatten() {
                *ring = ring_in_degrees(ring)?;
            }
        }
        Ok(())
    }
}

impl Outline {
    fn corners(&self) -> impl Iterator<Item = &Coord<f64>> {
        self.rings.iter().flatten().flatten()
    }
}

impl Part {
    /// Returns whether no corner can be in degrees. In the United Kingdom, eastings and northings are far greater.
    fn is_in_metres(&self) -> bool {
        self.outline.corners().all(|corner| corner.x.abs() > 180.0 || corner.y.abs() > 90.0)
    }

    fn is_in_degrees(&self) -> bool {
        self.outline.corners().all(|corner| corner.x.abs() <= 180.0 && corner.y.abs() <= 90.0)
    }

    fn is_in_undeclared_metres(&self) -> bool {
        self.outline.crs != Some(Crs::NationalGrid) && self.outline.corners().next().is_some() && self.is_in_metres()
    }

    /// Refuses a school that has the name, and is elsewhere.
    fn refuse_namesake(&self, kind: KeyKind) -> Result<(), Reason> {
        let urn = self.owner.urn;
        match self.km_from_school().filter(|km| kind == KeyKind::Name && *km > NEAR_KM) {
            Some(km) => {
                Err(format!("the school of that name, URN {urn}, is {km:.0} km away: another must be meant").into())
            }
            None => Ok(()),
        }
    }

    /// Returns how far the school is from the box of its outline, which is in degrees or on the National Grid. `None`:
    /// the location of the school is unknown.
    fn km_from_school(&self) -> Option<f64> {
        let location = self.owner.location?;
        let [mut least, mut most] = [f64::INFINITY, f64::NEG_INFINITY].map(|end| Coord { x: end, y: end });
        for corner in self.outline.corners() {
            (least.x, least.y) = (least.x.min(corner.x), least.y.min(corner.y));
            (most.x, most.y) = (most.x.max(corner.x), most.y.max(corner.y));
        }
        let is_in_metres = self.is_in_metres();
        let degrees = |corner: Coord<f64>| match is_in_metres {
            true => from_national_grid(corner.x, corner.y),
            false => Some((corner.y, corner.x)),
        };
        let ends = [least, most].map(degrees);
        let [Some(low), Some(high)] = ends else { return Some(f64::INFINITY) };
        let clamped = |value: f64, low: f64, high: f64| value.max(low.min(high)).min(low.max(high));
        let lat = clamped(location.lat().degrees(), low.0, high.0);
        let lng = clamped(location.lng().degrees(), low.1, high.1);
        Some(LatLng::from_lat_lng(lat, lng).map_or(f64::INFINITY, |nearest| nearest.distance_to(location).get()))
    }
}

/// Returns a ring on the National Grid in degrees. A long edge gets corners on its way, because a straight line on the
/// grid is none in degrees.
fn ring_in_degrees(ring: &[Coord<f64>]) -> Result<Vec<Coord<f64>>, Reason> {
    let mut degrees = Vec::with_capacity(ring.len());
    let mut before: Option<Coord<f64>> = None;
    for corner in ring {
        let from = before.replace(*corner).unwrap_or(*corner);
        // Neighbours that share an edge get the same corners, whichever end they begin at.
        let pieces = ((corner.x - from.x).hypot(corner.y - from.y) / LONGEST_EDGE).ceil().max(1.0);
        let mut piece = 1.0;
        while piece <= pieces {
            let Coord { x, y } = if piece < pieces { from + (*corner - from) * (piece / pieces) } else { *corner };
            piece += 1.0;
            let (lat, lng) =
                from_national_grid(x, y).ok_or_else(|| format!("easting {x}, northing {y} is not in Great Britain"))?;
            // Rounded to a millimetre, as grid references are.
            degrees.push(Coord { x: (lng * 1e8).round() / 1e8, y: (lat * 1e8).round() / 1e8 });
            if degrees.len() > MAX_VERTICES {
                return Err(Error::GeometryTooLarge { what: "vertices", max: MAX_VERTICES }.into());
            }
        }
    }
    Ok(degrees)
}
