//! Reads GeoJSON in the forms that it is published in: a FeatureCollection, a Feature, or one after another (RFC 8142,
//! or a line each).
//!
//! The parts of a feature stay texts at first, so that an invalid one is the feature's error and not the file's.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use geo_types::Coord;
use serde::de::{DeserializeSeed, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::crs::Crs;
use crate::error::{Error, ImportError};
use crate::geo::{MAX_VERTICES, Rings};
use crate::import::rows::Reason;
use crate::text::shortened;

/// The most features of a file, and the most bytes of one's properties.
const MAX_FEATURES: usize = 1_000_000;
const MAX_PROPERTIES_BYTES: usize = 1 << 20;

/// The longest outline that is parsed, in bytes of JSON: more than the largest accepted one needs.
const MAX_OUTLINE_BYTES: usize = 64 * MAX_VERTICES;

/// The deepest that collections of geometries are nested.
const MAX_NESTING: usize = 8;

/// The features of a file.
#[derive(Debug, Default)]
pub(super) struct Features<'a> {
    pub(super) list: Vec<Feature<'a>>,
    /// What the file says itself of features that it leaves out.
    pub(super) incomplete: Option<String>,
}

/// A feature, in texts.
#[derive(Debug)]
pub(super) struct Feature<'a> {
    json: &'a str,
    /// The system that its collection declares.
    crs: Option<Crs>,
}

/// The members of any object of the file.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    crs: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    geometry: Option<&'a RawValue>,
    #[serde(borrow)]
    features: Option<&'a RawValue>,
    #[serde(borrow)]
    coordinates: Option<&'a RawValue>,
    #[serde(borrow)]
    geometries: Option<&'a RawValue>,
    // What servers say of the features that they leave out.
    #[serde(borrow, rename = "exceededTransferLimit")]
    exceeded_transfer_limit: Option<&'a RawValue>,
    #[serde(borrow, rename = "numberMatched")]
    number_matched: Option<&'a RawValue>,
    #[serde(borrow)]
    links: Option<&'a RawValue>,
    #[serde(borrow)]
    next: Option<&'a RawValue>,
    // What shows that it is another format.
    #[serde(borrow, rename = "geometryType")]
    geometry_type: Option<&'a RawValue>,
    #[serde(borrow, rename = "spatialReference")]
    spatial_reference: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl<'a> Object<'a> {
    fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    fn kind(&self) -> Option<String> {
        parsed(self.kind)
    }

    /// Returns what a collection says of further ones.
    fn incomplete(&self) -> Option<String> {
        let is_true = |flag: Option<&RawValue>| parsed::<bool>(flag) == Some(true);
        let properties: Option<BTreeMap<Cow<'_, str>, &RawValue>> = parsed(self.properties);
        let in_properties = properties.and_then(|properties| properties.get("exceededTransferLimit").copied());
        if is_true(self.exceeded_transfer_limit) || is_true(in_properties) {
            return Some("its exceededTransferLimit is true".to_owned());
        }
        #[derive(Deserialize)]
        struct Link<'a> {
            #[serde(borrow)]
            rel: Option<Cow<'a, str>>,
        }
        let links: Vec<Link<'_>> = parsed(self.links).unwrap_or_default();
        let is_paged = links.iter().any(|link| link.rel.as_deref() == Some("next"));
        let has_next = parsed::<String>(self.next).is_some_and(|next| !next.is_empty());
        (is_paged || has_next).then(|| "it links to a next page".to_owned())
    }
}

fn parsed<'a, T: Deserialize<'a>>(json: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(json?.get()).ok()
}

fn refused<T>(reason: impl Into<String>) -> Result<T, ImportError> {
    Err(ImportError::NotGeoJson { reason: reason.into() })
}

/// Returns the features of a file.
pub(super) fn features(json: &str) -> Result<Features<'_>, ImportError> {
    let (mut features, mut matched) = (Features::default(), 0);
    for value in serde_json::Deserializer::from_str(json).into_iter::<&RawValue>() {
        let value = value.map_err(|error| match json.trim_start().get(..1) {
            Some("{") if error.is_eof() => ImportError::Truncated { line: error.line() as u64 },
            Some("{") => {
                let reason = format!("line {}, column {} is not valid JSON", error.line(), error.column());
                ImportError::NotGeoJson { reason }
            }
            _ => ImportError::NotGeoJson { reason: format!("it begins with {:?}", shortened(json.trim_start())) },
        })?;
        let Some(object) = Object::parse(value.get()) else {
            return refused("an object has a member twice, or it is a list");
        };
        let crs = object.crs.and_then(|crs| Crs::declared(crs.get()));
        match object.kind().as_deref() {
            Some("FeatureCollection") => {
                let room = MAX_FEATURES - features.list.len();
                let Some(list) = object.features.and_then(|list| list_of(list.get(), room)) else {
                    return refused(format!("it has no list of features, or more than {MAX_FEATURES}"));
                };
                features.list.extend(list.into_iter().map(|json| Feature { json: json.get(), crs: crs.clone() }));
                // Pages may follow each other in one file.
                features.incomplete = object.incomplete();
                matched = matched.max(parsed::<u64>(object.number_matched).unwrap_or(0));
            }
            Some("Feature") if features.list.len() < MAX_FEATURES => {
                features.list.push(Feature { json: value.get(), crs: None });
            }
            Some("Feature") => return refused(format!("it has more than {MAX_FEATURES} features")),
            kind => return refused(other_format(&object, kind)),
        }
    }
    if let Some(Crs::Other(name)) = features.list.iter().find_map(|feature| feature.crs.as_ref()) {
        return refused(format!("its crs is {name}: {CONVERT}"));
    }
    if features.list.len() as u64 >= matched {
        return Ok(features);
    }
    let count = features.list.len();
    features.incomplete.get_or_insert_with(|| format!("its numberMatched is {matched}, and it has {count} of them"));
    Ok(features)
}

/// What to do with coordinates in another system.
pub(super) const CONVERT: &str =
    "convert it to degrees (WGS84), such as by `ogr2ogr -t_srs EPSG:4326 converted.geojson FILE`";

/// Returns what a file is that is no GeoJSON of features, and what to do.
fn other_format(object: &Object<'_>, kind: Option<&str>) -> String {
    match kind {
        Some("Topology") => "it is TopoJSON: convert it, such as by `ogr2ogr converted.geojson FILE`".to_owned(),
        Some(kind) if object.coordinates.is_some() || object.geometries.is_some() => {
            format!("it is a {} without a Feature, so that nothing says whose it is", shortened(kind))
        }
        Some(kind) => format!("its type is {:?}", shortened(kind)),
        None if object.geometry_type.is_some() || object.spatial_reference.is_some() => {
            "it is Esri JSON: download it with f=geojson, or convert it, such as by `ogr2ogr converted.geojson FILE`"
                .to_owned()
        }
        None if object.error.is_some() => "it is the error of a server: download it again".to_owned(),
        None => "it has no type".to_owned(),
    }
}

/// Returns the texts of a list's elements, unless it is none or has more than `max`. A hostile file may have a hundred
/// million in a few bytes each.
fn list_of(json: &str, max: usize) -> Option<Vec<&RawValue>> {
    struct Bounded(usize);
    impl<'de> Visitor<'de> for Bounded {
        type Value = Option<Vec<&'de RawValue>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = list.next_element()? {
                if elements.len() == self.0 {
                    while list.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(None);
                }
                elements.push(element);
            }
            Ok(Some(elements))
        }
    }
    impl<'de> DeserializeSeed<'de> for Bounded {
        type Value = Option<Vec<&'de RawValue>>;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_seq(self)
        }
    }
    Bounded(max).deserialize(&mut serde_json::Deserializer::from_str(json)).ok()?
}

/// The outline of a feature, before it is repaired.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) rings: Rings,
    pub(super) crs: Option<Crs>,
    /// The types of geometries that are no area.
    pub(super) left_out: Vec<String>,
}

/// Where a feature's key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyPlace {
    Property,
    Id,
}

impl Feature<'_> {
    /// Returns the length of its text, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.json.len() as u64
    }

    /// Returns whether it has a property of this name, in any case.
    pub(super) fn has_property(&self, name: &str) -> bool {
        Object::parse(self.json)
            .and_then(|feature| properties(&feature))
            .is_some_and(|properties| member(&properties, name).is_some())
    }

    /// Returns the text of its key.
    pub(super) fn key(&self, place: KeyPlace, name: &str) -> Result<String, Reason> {
        let feature = Object::parse(self.json).ok_or("it is not a Feature")?;
        let value = match place {
            KeyPlace::Id => feature.id.ok_or("it has no id")?,
            KeyPlace::Property => {
                if feature.properties.is_some_and(|properties| properties.get().len() > MAX_PROPERTIES_BYTES) {
                    return Err(format!("its properties have more than {MAX_PROPERTIES_BYTES} bytes").into());
                }
                let properties = properties(&feature).unwrap_or_default();
                match member(&properties, name) {
                    Some(value) => value,
                    None => return Err(no_property(name, &properties)),
                }
            }
        };
        let text = serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned());
        let text = text.trim();
        // Programs that know only floating-point numbers write 110533.0.
        let whole = text.split_once('.').filter(|(whole, fraction)| {
            !whole.is_empty()
                && whole.bytes().all(|byte| byte.is_ascii_digit())
                && fraction.bytes().all(|byte| byte == b'0')
        });
        match whole.map_or(text, |(whole, _)| whole) {
            "" | "null" => Err(format!("its {name:?} is blank").into()),
            text => Ok(text.chars().take(200).collect()),
        }
    }

    /// Parses its outline.
    pub(super) fn outline(&self) -> Result<Outline, Reason> {
        let feature = Object::parse(self.json).ok_or("it is not a Feature")?;
        let geometry = feature.geometry.map_or("null", RawValue::get);
        if geometry == "null" {
            return Err("it has no geometry".into());
        }
        if geometry.len() > MAX_OUTLINE_BYTES {
            return Err(Error::GeometryTooLarge { what: "bytes of JSON", max: MAX_OUTLINE_BYTES }.into());
        }
        let declared = feature.crs.and_then(|crs| Crs::declared(crs.get()));
        let mut outline =
            Outline { rings: Vec::new(), crs: declared.or_else(|| self.crs.clone()), left_out: Vec::new() };
        outline.add(geometry, 0)?;
        if let Some(Crs::Other(name)) = &outline.crs {
            return Err(format!("its crs is {name}: {CONVERT}").into());
        }
        match outline.left_out.first() {
            Some(kind) if outline.rings.is_empty() => {
                Err(format!("it is a {kind}: an outline is a Polygon or MultiPolygon").into())
            }
            _ => Ok(outline),
        }
    }
}

impl Outline {
    /// Adds the polygons of a geometry.
    fn add(&mut self, json: &str, depth: usize) -> Result<(), Reason> {
        let geometry = Object::parse(json).ok_or("its geometry is not valid GeoJSON")?;
        if let Some(crs) = geometry.crs.and_then(|crs| Crs::declared(crs.get())) {
            self.crs = Some(crs);
        }
        let coordinates = geometry.coordinates.map_or("null", RawValue::get);
        let unreadable = |_| "its coordinates are not lists of numbers, longitude first, as in [[[-0.76, 52.04], ...]]";
        match geometry.kind().as_deref() {
            Some("Polygon") => self.rings.push(rings(serde_json::from_str(coordinates).map_err(unreadable)?)),
            Some("MultiPolygon") => {
                let polygons: Vec<_> = serde_json::from_str(coordinates).map_err(unreadable)?;
                self.rings.extend(polygons.into_iter().map(rings));
            }
            Some("GeometryCollection") if depth < MAX_NESTING => {
                let members = geometry.geometries.and_then(|list| list_of(list.get(), MAX_FEATURES));
                for member in members.ok_or("its GeometryCollection has no list of geometries")? {
                    self.add(member.get(), depth + 1)?;
                }
                if self.rings.is_empty() && self.left_out.is_empty() {
                    self.left_out.push("GeometryCollection without a Polygon".to_owned());
                }
            }
            Some("GeometryCollection") => return Err("its collections of geometries are nested too deep".into()),
            Some(kind) if self.left_out.iter().any(|other| other == kind) => {}
            Some(kind) => self.left_out.push(shortened(kind)),
            None => return Err("its geometry has no type".into()),
        }
        Ok(())
    }
}

type Properties<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// Returns the properties of a feature in their order.
fn properties<'a>(feature: &Object<'a>) -> Option<Properties<'a>> {
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
        type Value = Properties<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut properties = Vec::new();
            while let Some(Name(name)) = map.next_key()? {
                properties.push((name, map.next_value()?));
            }
            Ok(properties)
        }
    }
    #[derive(Deserialize)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::Deserializer::from_str(feature.properties?.get()).deserialize_map(InOrder).ok()
}

/// Returns the property of this name: as it is written, otherwise in any case.
fn member<'a>(properties: &Properties<'a>, name: &str) -> Option<&'a RawValue> {
    let lower = name.to_lowercase();
    let exact = properties.iter().find(|(other, _)| other == name);
    exact.or_else(|| properties.iter().find(|(other, _)| other.to_lowercase() == lower)).map(|(_, value)| *value)
}

fn no_property(name: &str, properties: &Properties<'_>) -> Reason {
    if properties.is_empty() {
        return format!("it has no property {name:?}, and no other").into();
    }
    let names: Vec<String> = properties.iter().take(20).map(|(name, _)| shortened(name)).collect();
    format!("it has no property {name:?}, only: {}", names.join(", ")).into()
}

fn rings(rings: Vec<Vec<Position>>) -> Vec<Vec<Coord<f64>>> {
    rings.into_iter().map(|ring| ring.into_iter().map(|Position(corner)| corner).collect()).collect()
}

/// A longitude and a latitude, or an easting and a northing. What follows, such as a height, is skipped.
struct Position(Coord<f64>);

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = Position;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("two numbers or more")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Position, A::Error> {
                let (Some(x), Some(y)) = (numbers.next_element()?, numbers.next_element()?) else {
                    return Err(serde::de::Error::invalid_length(1, &self));
                };
                while numbers.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Position(Coord { x, y }))
            }
        }
        deserializer.deserialize_seq(Numbers)
    }
}
