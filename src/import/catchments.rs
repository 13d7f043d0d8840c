//! Outlines of catchments, as councils publish them: a GeoJSON `FeatureCollection` (RFC 7946) in WGS84.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufReader, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Import, ImportCounts, ImportError, MAX_FILE_BYTES, Reject};
use crate::error::{Error, Result};
use crate::geo::{Catchment, MAX_VERTICES};
use crate::ids::Urn;
use crate::models::NewCatchment;
use crate::repository::SchoolRepository;
use crate::tasks::blocking;

/// The longest outline that is parsed, in bytes of JSON: more than the largest accepted one needs.
const MAX_OUTLINE_BYTES: usize = 64 * MAX_VERTICES;

impl Import {
    /// Imports outlines of catchments: every feature's polygon becomes the catchment of the school whose URN is in the
    /// feature's property `key`.
    ///
    /// A feature that cannot be used (no URN, an unknown URN, an invalid outline) is reported and skipped, and its
    /// school's catchment is unchanged. The import is atomic.
    ///
    /// # Errors
    /// [`Error::Import`] where the file cannot be trusted; those of the database. Nothing is written on an error.
    pub async fn catchments(
        self,
        repository: &dyn SchoolRepository,
        source: impl Read + Send + 'static,
        key: &str,
    ) -> Result<ImportCounts> {
        let Self { mode, on_progress, on_reject } = self;
        let features =
            Features { key: key.to_owned(), read: 0, found: Vec::new(), rejected: 0, on_progress, on_reject };
        let mut features = blocking(move || features.read_all(source).map_err(Error::from)).await?;

        let urns: Vec<Urn> = features.found.iter().map(|(_, catchment)| catchment.urn).collect();
        let known: Vec<Urn> = repository.schools_by_urn(&urns).await?.iter().map(|school| school.urn).collect();
        let mut catchments = Vec::with_capacity(known.len());
        for (number, catchment) in std::mem::take(&mut features.found) {
            if known.binary_search(&catchment.urn).is_ok() {
                catchments.push(catchment);
            } else {
                let urn = catchment.urn;
                features.reject(number, urn.to_string(), Error::UnknownUrn { urn }.to_string());
            }
        }
        let counts = repository.upsert_catchments(catchments, mode).await?;
        Ok(ImportCounts {
            inserted: counts.inserted,
            updated: counts.updated,
            unchanged: counts.unchanged,
            rejected: features.rejected,
        })
    }
}

/// The features of a file: those that are usable so far, each with its number.
struct Features {
    key: String,
    read: u64,
    found: Vec<(u64, NewCatchment)>,
    rejected: u64,
    on_progress: Box<dyn FnMut(u64, u64) + Send>,
    on_reject: Box<dyn FnMut(Reject) + Send>,
}

/// A feature with unparsed parts.
#[derive(Deserialize)]
struct Feature {
    properties: Option<Box<RawValue>>,
    geometry: Option<Box<RawValue>>,
}

impl Features {
    fn read_all(mut self, source: impl Read) -> Result<Self, ImportError> {
        let bytes = std::cell::Cell::new(0);
        let counted = Counted { source: source.take(MAX_FILE_BYTES + 1), bytes: &bytes };
        let mut source = BufReader::with_capacity(64 << 10, counted);
        // A byte order mark, which some programs write, is not valid JSON.
        let mut first = Vec::with_capacity(3);
        source.by_ref().take(3).read_to_end(&mut first)?;
        if first == [0xEF, 0xBB, 0xBF] {
            first.clear();
        }
        let mut json = serde_json::Deserializer::from_reader(io::Cursor::new(first).chain(source));
        let outcome =
            Collection { features: &mut self, bytes: &bytes }.deserialize(&mut json).and_then(|()| json.end());
        if bytes.get() > MAX_FILE_BYTES {
            return Err(ImportError::TooLarge { max: MAX_FILE_BYTES });
        }
        match outcome {
            Ok(()) => {}
            Err(_) if bytes.get() == 0 => return Err(ImportError::Empty),
            Err(error) if error.is_eof() => {
                return Err(ImportError::Truncated { line: u64::try_from(error.line()).unwrap_or(u64::MAX) });
            }
            Err(error) if error.is_io() => return Err(ImportError::Io(error.into())),
            Err(error) => return Err(ImportError::NotGeoJson { reason: error.to_string() }),
        }
        if self.read == 0 {
            return Err(ImportError::Empty);
        }
        let mut first = HashMap::with_capacity(self.found.len());
        for (second, NewCatchment { urn, .. }) in &self.found {
            if let Some(first) = first.insert(*urn, *second) {
                return Err(ImportError::DuplicateFeature { urn: *urn, first, second: *second });
            }
        }
        Ok(self)
    }

    fn take(&mut self, feature: &Feature) {
        self.read += 1;
        let properties = feature.properties.as_ref().map_or("null", |properties| properties.get());
        let mut json = serde_json::Deserializer::from_str(properties);
        // A value that is not an object has no properties.
        let Facts { urn, names } = Named { key: &self.key }.deserialize(&mut json).unwrap_or_default();
        match self.catchment(feature, urn.as_deref(), &names) {
            Ok(catchment) => self.found.push((self.read, catchment)),
            Err(reason) => self.reject(self.read, urn.unwrap_or_default(), reason),
        }
    }

    /// Returns the catchment of a feature. An error is the reason to reject it.
    fn catchment(&self, feature: &Feature, urn: Option<&str>, names: &[String]) -> Result<NewCatchment, String> {
        let Some(urn) = urn else {
            return Err(format!("it has no property {:?} for the URN, only: {}", self.key, names.join(", ")));
        };
        let urn: Urn = urn.parse().map_err(|_| "its URN is not a number of up to seven digits")?;
        let geometry = feature.geometry.as_ref().map_or("null", |geometry| geometry.get());
        if geometry == "null" {
            return Err("it has no geometry".to_owned());
        }
        if geometry.len() > MAX_OUTLINE_BYTES {
            let error = Error::GeometryTooLarge { what: "bytes of JSON", max: MAX_OUTLINE_BYTES };
            return Err(error.to_string());
        }
        let outline: Catchment = serde_json::from_str(geometry).map_err(|error| error.to_string())?;
        let catchment = NewCatchment { urn, outline: Some(outline) };
        catchment.validate().map_err(|error| error.to_string())?;
        Ok(catchment)
    }

    fn reject(&mut self, number: u64, urn: String, reason: String) {
        self.rejected += 1;
        (self.on_reject)(Reject { number, urn, reason });
    }
}

/// The parts of a feature's properties that are needed: the requested one, and the first names, for error messages.
#[derive(Default)]
struct Facts {
    urn: Option<String>,
    names: Vec<String>,
}

/// Reads properties, and discards most of them: they may be anything, and long.
struct Named<'k> {
    key: &'k str,
}

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = Facts;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Facts, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Named<'_> {
    type Value = Facts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Facts, A::Error> {
        const SHOWN: usize = 40;
        let mut facts = Facts::default();
        while let Some(name) = map.next_key::<String>()? {
            if name == self.key {
                let value = map.next_value::<&RawValue>()?.get().trim_matches('"').trim();
                facts.urn = Some(value.chars().take(SHOWN).collect());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            if facts.names.len() < 20 {
                facts.names.push(name.chars().take(SHOWN).collect());
            }
        }
        Ok(facts)
    }
}

/// The collection, whose features are processed one by one as they are read.
struct Collection<'a> {
    features: &'a mut Features,
    bytes: &'a std::cell::Cell<u64>,
}

impl<'de> DeserializeSeed<'de> for Collection<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Collection<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a FeatureCollection")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut is_collection, mut has_features) = (false, false);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "type" => is_collection = map.next_value::<String>()? == "FeatureCollection",
                "features" => {
                    map.next_value_seed(Each { features: &mut *self.features, bytes: self.bytes })?;
                    has_features = true;
                }
                // Predates RFC 7946, which allows only WGS84.
                "crs" => refuse_other_systems(map.next_value::<Box<RawValue>>()?.get()).map_err(A::Error::custom)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if is_collection && has_features { Ok(()) } else { Err(A::Error::custom("its type is another")) }
    }
}

fn refuse_other_systems(crs: &str) -> Result<(), String> {
    // A name like "urn:ogc:def:crs:OGC:1.3:CRS84" or "EPSG:4326"; a longer value is another system.
    let is_wgs84 = crs == "null" || (crs.len() < 1_000 && (crs.contains("CRS84\"") || crs.contains(":4326\"")));
    if is_wgs84 {
        return Ok(());
    }
    Err(format!("its crs is {:?}: convert it to WGS84 (EPSG:4326)", crs.chars().take(100).collect::<String>()))
}

/// The list of features.
struct Each<'a> {
    features: &'a mut Features,
    bytes: &'a std::cell::Cell<u64>,
}

impl<'de> DeserializeSeed<'de> for Each<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Each<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of features")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(feature) = list.next_element::<Feature>()? {
            self.features.take(&feature);
            (self.features.on_progress)(self.features.read, self.bytes.get());
        }
        Ok(())
    }
}

/// Counts the bytes read.
struct Counted<'a, R> {
    source: R,
    bytes: &'a std::cell::Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.bytes.set(self.bytes.get() + count as u64);
        Ok(count)
    }
}
