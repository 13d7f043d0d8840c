//! Outlines of catchments, as councils publish them in GeoJSON (RFC 7946 and older forms).

mod crs;
mod geojson;
mod keys;
mod outlines;

use std::collections::BTreeSet;
use std::io::Read;

use self::geojson::{KeyPlace, Outline};
pub use self::keys::KeyKind;
use self::keys::Owners;
use super::rows::Reason;
use super::source::open_geojson;
use super::{Import, ImportCounts, ImportError};
use crate::error::Result;
use crate::repository::SchoolRepository;
use crate::tasks::blocking;

/// The most bytes of a file: all of them are held in memory.
const MAX_BYTES: u64 = 256 << 20;

/// How a file of catchments names its schools.
///
/// ```
/// use school_finder_db::import::{CatchmentOptions, KeyKind};
///
/// let mut options = CatchmentOptions::new("SCHOOL_NAME");
/// options.council = Some("Milton Keynes".to_owned());
/// assert_eq!(options.key_is, None);
/// options.key_is = Some(KeyKind::Name);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CatchmentOptions {
    /// The property that names a feature's school, in any case. `id` is the feature's own id, where no feature has a
    /// property of that name.
    pub key: String,
    /// The kind of the key. `None`: the kind by which most of the file's keys match schools of the database. If more
    /// than a tenth as many match by another kind, the import stops with [`ImportError::UnclearKey`].
    pub key_is: Option<KeyKind>,
    /// The council whose schools the names are of. `None`: a name must be unique among all open schools.
    pub council: Option<String>,
    /// Whether to import a file that declares itself incomplete.
    pub partial: bool,
}

impl CatchmentOptions {
    /// Names schools by a property, whose kind is recognised.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), key_is: None, council: None, partial: false }
    }
}

impl From<&str> for CatchmentOptions {
    fn from(key: &str) -> Self {
        Self::new(key)
    }
}

impl Import {
    /// Imports outlines of catchments: the polygons of a school's features become its catchment. `options` is the name
    /// of the property that holds its URN, or [`CatchmentOptions`].
    ///
    /// Outlines in metres of the National Grid are converted to degrees by OSTN15. Small faults, such as open rings and
    /// spikes narrower than a metre, are repaired. Both are reported as notices.
    ///
    /// A feature that cannot be used (no key, an unknown school, an invalid outline) is reported and skipped, and its
    /// school's catchment is unchanged. The import is atomic.
    ///
    /// # Errors
    /// [`Error::Import`](crate::Error::Import) where the file cannot be trusted; those of the database. Nothing is
    /// written on an error.
    pub async fn catchments(
        self,
        repository: &dyn SchoolRepository,
        source: impl Read + Send + 'static,
        options: impl Into<CatchmentOptions>,
    ) -> Result<ImportCounts> {
        let options = options.into();
        let (mut file, options) = blocking(move || Ok((File::read(self, source, &options)?, options))).await?;
        let texts: BTreeSet<String> = file.features.iter().map(|feature| feature.key.clone()).collect();
        let owners = Owners::find(repository.on_writer().as_ref(), &texts, &options).await?;
        if let Some(notice) = &owners.notice {
            file.import.remark(notice.clone());
        }
        let (import, catchments) = blocking(move || Ok(outlines::catchments(file, &owners)?)).await?;
        let counts = repository.upsert_catchments(catchments, import.mode).await?;
        Ok(ImportCounts::new(counts, &import.rejected))
    }
}

/// A file that was read to its end.
struct File {
    import: Import,
    features: Vec<Feature>,
    /// The features that cannot be used, and why.
    rejects: Vec<(u64, String, Reason)>,
}

/// A feature with a key.
struct Feature {
    number: u64,
    key: String,
    outline: Result<Outline, Reason>,
}

impl File {
    fn read(mut import: Import, source: impl Read, options: &CatchmentOptions) -> Result<Self, ImportError> {
        let text = text(source)?;
        let features = geojson::features(&text)?;
        if features.list.is_empty() {
            return Err(ImportError::Empty);
        }
        match features.incomplete {
            Some(said) if !options.partial => return Err(ImportError::Incomplete { said }),
            Some(said) => import.remark(format!("it is imported though incomplete: {said}")),
            None => {}
        }
        let is_id = options.key.eq_ignore_ascii_case("id")
            && !features.list.iter().any(|feature| feature.has_property(&options.key));
        let place = if is_id { KeyPlace::Id } else { KeyPlace::Property };
        let (mut file, mut done) = (Self { import, features: Vec::new(), rejects: Vec::new() }, 0);
        for (number, feature) in (1..).zip(features.list) {
            done += feature.bytes();
            match feature.key(place, &options.key) {
                Ok(key) => file.features.push(Feature { number, key, outline: feature.outline() }),
                Err(reason) => file.rejects.push((number, String::new(), reason)),
            }
            (file.import.on_progress)(number, done);
        }
        Ok(file)
    }
}

/// Returns the text of a file in UTF-8 or windows-1252.
fn text(source: impl Read) -> Result<String, ImportError> {
    let mut bytes = Vec::new();
    open_geojson(source, MAX_BYTES)?.file.read_to_end(&mut bytes)?;
    // A byte order mark, which some programs write, is not valid JSON.
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    // The separators of a text sequence (RFC 8142) are allowed nowhere else.
    bytes.iter_mut().filter(|byte| **byte == b'\x1E').for_each(|byte| *byte = b' ');
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| encoding_rs::WINDOWS_1252.decode_without_bom_handling(error.as_bytes()).0.into_owned());
    if text.trim().is_empty() { Err(ImportError::Empty) } else { Ok(text) }
}
