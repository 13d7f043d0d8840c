//! Outlines of catchments, as councils publish them: a GeoJSON `FeatureCollection` (RFC 7946) in WGS84.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::rows::{Found, Reason};
use super::{Import, ImportCounts, ImportError, facts};
use crate::error::{Error, Result};
use crate::geo::MAX_VERTICES;
use crate::models::NewCatchment;
use crate::repository::SchoolRepository;
use crate::tasks::blocking;

/// The most bytes of a file: all of them are held in memory.
const MAX_BYTES: u64 = 256 << 20;

/// The most features of a file, and the most bytes of one's properties.
const MAX_FEATURES: usize = 1_000_000;
const MAX_PROPERTIES_BYTES: usize = 1 << 20;

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
        let key = key.to_owned();
        let mut catchments = blocking(move || Ok(read(self, source, &key)?)).await?;
        catchments.refuse_repeated(
            |catchment| catchment.urn,
            |catchment, first, second| ImportError::DuplicateFeature { urn: catchment.urn, first, second },
        )?;
        catchments.reject_unknown_schools(repository, |catchment| catchment.urn).await?;
        let counts = repository.upsert_catchments(catchments.take(), catchments.import.mode).await?;
        Ok(ImportCounts::new(counts, &catchments.import.rejected))
    }
}

/// The file's JSON. The parts of a feature stay texts, so that an invalid one is the feature's error.
#[derive(Deserialize)]
struct Collection<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    features: Option<Features<'a>>,
    #[serde(borrow)]
    crs: Option<&'a RawValue>,
}

/// A list of features, of which a hostile file may have a hundred million in a few bytes each.
struct Features<'a>(Vec<Feature<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Features<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = Features<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of features")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Features<'de>, A::Error> {
                let mut features = Vec::new();
                while let Some(feature) = list.next_element()? {
                    if features.len() == MAX_FEATURES {
                        return Err(A::Error::custom(format!("it has more than {MAX_FEATURES} features")));
                    }
                    features.push(feature);
                }
                Ok(Features(features))
            }
        }
        deserializer.deserialize_seq(Bounded)
    }
}

#[derive(Deserialize)]
struct Feature<'a> {
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    geometry: Option<&'a RawValue>,
}

/// Reads a file to its end. The usable features keep their numbers.
fn read(mut import: Import, source: impl Read, key: &str) -> Result<Found<NewCatchment>, ImportError> {
    let mut bytes = Vec::new();
    source.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ImportError::TooLarge { max: MAX_BYTES });
    }
    let (mut rows, mut done) = (Vec::new(), 0);
    // A byte order mark, which some programs write, is not valid JSON.
    for (number, feature) in (1..).zip(features(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes))?) {
        let [properties, geometry] =
            [feature.properties, feature.geometry].map(|part| part.map_or("null", RawValue::get));
        done += (properties.len() + geometry.len()) as u64;
        if properties.len() > MAX_PROPERTIES_BYTES {
            import.reject(number, "", format!("its properties have more than {MAX_PROPERTIES_BYTES} bytes"));
            continue;
        }
        // A value that is not an object has no properties.
        let properties: BTreeMap<String, &RawValue> = serde_json::from_str(properties).unwrap_or_default();
        let urn = properties.get(key).map(|urn| urn.get().trim_matches('"').trim());
        let catchment = match urn {
            Some(urn) => catchment(urn, geometry),
            None => Err(no_property(key, properties.keys())),
        };
        match catchment {
            Ok(catchment) => rows.push((number, catchment)),
            Err(Reason(reason)) => import.reject(number, urn.unwrap_or_default(), reason),
        }
        (import.on_progress)(number, done);
    }
    Ok(Found { import, rows })
}

/// Returns the features of a file.
fn features(json: &[u8]) -> Result<Vec<Feature<'_>>, ImportError> {
    let refused = |reason: String| Err(ImportError::NotGeoJson { reason });
    let Collection { kind, features, crs } = match serde_json::from_slice(json) {
        Ok(collection) => collection,
        Err(_) if json.is_empty() => return Err(ImportError::Empty),
        Err(error) if error.is_eof() => return Err(ImportError::Truncated { line: error.line() as u64 }),
        Err(error) => return refused(error.to_string()),
    };
    // Predates RFC 7946, which allows only WGS84. A name like "urn:ogc:def:crs:OGC:1.3:CRS84" or "EPSG:4326"; a longer
    // value is another system.
    let is_wgs84 = |crs: &str| crs.len() < 1_000 && (crs.contains("CRS84\"") || crs.contains(":4326\""));
    match (kind.as_deref(), features, crs.map(RawValue::get)) {
        (_, _, Some(crs)) if !is_wgs84(crs) => {
            let crs: String = crs.chars().take(100).collect();
            refused(format!("its crs is {crs:?}: convert it to WGS84 (EPSG:4326)"))
        }
        (Some("FeatureCollection"), Some(Features(features)), _) if features.is_empty() => Err(ImportError::Empty),
        (Some("FeatureCollection"), Some(Features(features)), _) => Ok(features),
        _ => refused("its type is another".to_owned()),
    }
}

fn no_property<'a>(key: &str, names: impl Iterator<Item = &'a String>) -> Reason {
    let names: Vec<String> = names.take(20).map(|name| name.chars().take(40).collect()).collect();
    Reason(format!("it has no property {key:?} for the URN, only: {}", names.join(", ")))
}

fn catchment(urn: &str, geometry: &str) -> Result<NewCatchment, Reason> {
    let urn = facts::urn(urn).map_err(|_| "its URN is not a number of up to seven digits")?;
    if geometry == "null" {
        return Err("it has no geometry".into());
    }
    if geometry.len() > MAX_OUTLINE_BYTES {
        return Err(Error::GeometryTooLarge { what: "bytes of JSON", max: MAX_OUTLINE_BYTES }.into());
    }
    let catchment = NewCatchment { urn, outline: Some(serde_json::from_str(geometry)?) };
    catchment.validate()?;
    Ok(catchment)
}
