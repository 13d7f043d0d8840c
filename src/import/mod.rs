//! Imports of published files.
//!
//! An import reads a stream to its end, then writes in one transaction. The values that identify a row are essential.
//! Any other value that cannot be read is reported, the row is imported without it, and the stored value is kept. A row
//! that cannot be used is reported and skipped. If the file is empty, cut off, of another kind, or without any usable
//! row, the import stops, and the database is unchanged.

mod admissions;
mod catchments;
mod csv_file;
mod facts;
mod links;
mod postcodes;
mod records;
mod register;
mod rows;
mod source;
mod values;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

pub use self::catchments::{CatchmentOptions, KeyKind};
pub use self::postcodes::postcode_files;
pub use crate::error::ImportError;
use crate::models::UpsertCounts;
use crate::request::{MissingSchools, WriteMode};

/// The largest file that is read into memory before it is written, in bytes.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// An import of a published file, committed by default. The method that runs it selects the kind of file:
/// [`register`](Self::register), [`links`](Self::links), [`admissions`](Self::admissions),
/// [`catchments`](Self::catchments) or [`postcodes`](Self::postcodes).
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use school_finder_db::import::Import;
/// use school_finder_db::{Config, connect};
///
/// let finder = connect(&Config::in_memory()).await?;
/// let file = "URN,LA (name),EstablishmentName,EstablishmentStatus (name),PhaseOfEducation (name),Easting,Northing\n\
///             110533,Milton Keynes,Hilltop Primary School,Open,Primary,485280,238480\n";
/// let import = Import::new()
///     .on_reject(|reject| eprintln!("line {}: {}", reject.number, reject.reason))
///     .on_notice(|notice| eprintln!("{notice}"));
/// let counts = import.register(finder.as_ref(), file.as_bytes()).await?;
/// assert_eq!((counts.inserted, counts.rejected), (1, 0));
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("an import");
/// ```
pub struct Import {
    mode: WriteMode,
    on_progress: Box<dyn FnMut(u64, u64) + Send>,
    on_reject: Box<dyn FnMut(Reject) + Send>,
    on_notice: Box<dyn FnMut(Notice) + Send>,
    rejected: Arc<AtomicU64>,
    encoding: Option<&'static encoding_rs::Encoding>,
    source: String,
    missing: MissingSchools,
    clear: Vec<String>,
    distance_criteria: Vec<String>,
    northern_ireland: bool,
    /// The last remark, which is not repeated for the next of several files.
    remarked: String,
}

impl Default for Import {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Import {
    /// Creates an import that commits.
    pub fn new() -> Self {
        Self {
            mode: WriteMode::Commit,
            on_progress: Box::new(|_, _| {}),
            on_reject: Box::new(|_| {}),
            on_notice: Box::new(|_| {}),
            rejected: Arc::default(),
            encoding: None,
            source: register::SOURCE.to_owned(),
            missing: MissingSchools::Keep,
            clear: Vec::new(),
            distance_criteria: Vec::new(),
            northern_ireland: false,
            remarked: String::new(),
        }
    }

    /// Sets whether the import is committed. A dry run does everything, counts, and rolls back.
    #[must_use]
    pub fn mode(self, mode: WriteMode) -> Self {
        Self { mode, ..self }
    }

    /// Sets a callback for the number of rows and bytes read, called for each row. An import of postcodes calls it
    /// again from the first row on, for each area that it stores.
    #[must_use]
    pub fn on_progress(self, callback: impl FnMut(u64, u64) + Send + 'static) -> Self {
        Self { on_progress: Box::new(callback), ..self }
    }

    /// Sets a callback for every row that is not imported.
    #[must_use]
    pub fn on_reject(self, callback: impl FnMut(Reject) + Send + 'static) -> Self {
        Self { on_reject: Box::new(callback), ..self }
    }

    /// Sets a callback for notices: values that could not be read or were repaired, facts about the file, and open
    /// schools that a register lacks.
    #[must_use]
    pub fn on_notice(self, callback: impl FnMut(Notice) + Send + 'static) -> Self {
        Self { on_notice: Box::new(callback), ..self }
    }

    /// Sets the encoding of a CSV file by its label on the web, such as `windows-1252`. Without one, a file that is
    /// valid UTF-8 is read as UTF-8, and any other as windows-1252.
    ///
    /// # Errors
    /// [`ImportError::UnknownEncoding`], also for an encoding that does not extend ASCII, such as UTF-16.
    pub fn encoding(self, label: &str) -> Result<Self, ImportError> {
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).filter(|found| found.is_ascii_compatible());
        match encoding {
            Some(encoding) => Ok(Self { encoding: Some(encoding), ..self }),
            None => Err(ImportError::UnknownEncoding { label: crate::text::shortened(label) }),
        }
    }

    /// Sets the name of the register that a file is from. The default is `gias`: Get Information About Schools, the
    /// official register of England. An import of a register never closes schools of another one.
    #[must_use]
    pub fn source(self, name: impl Into<String>) -> Self {
        Self { source: name.into(), ..self }
    }

    /// Sets how the open schools that a register lacks are treated. They are those that an earlier import of the same
    /// register stored, that the file does not list, and whose council has other schools in the file. By default they
    /// are kept and reported.
    #[must_use]
    pub fn missing_schools(self, missing: MissingSchools) -> Self {
        Self { missing, ..self }
    }

    /// Sets columns of a register whose blanks mean that the stored value no longer holds. By default a blank keeps it.
    #[must_use]
    pub fn clear(self, columns: impl IntoIterator<Item = String>) -> Self {
        Self { clear: columns.into_iter().collect(), ..self }
    }

    /// Adds names of the criterion "by distance alone", as the column `criterion` of a file of admissions has them.
    /// Usual ones, such as `Home to school distance`, are known.
    #[must_use]
    pub fn distance_criteria(self, words: impl IntoIterator<Item = String>) -> Self {
        Self { distance_criteria: words.into_iter().collect(), ..self }
    }

    /// Sets whether postcodes of Northern Ireland are read. They have a licence of their own, so by default they are
    /// left out.
    #[must_use]
    pub fn northern_ireland(self, northern_ireland: bool) -> Self {
        Self { northern_ireland, ..self }
    }

    /// Reports a row that is not imported, and counts it.
    fn reject(&mut self, number: u64, urn: &str, reason: String) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        (self.on_reject)(Reject { number, urn: urn.chars().take(40).collect(), reason });
    }

    /// Reports a notice about a row that is imported.
    fn note(&mut self, number: u64, urn: &str, text: String) {
        let urn = urn.chars().take(40).collect();
        (self.on_notice)(Notice { kind: NoticeKind::Value, number: Some(number), urn, text });
    }

    /// Reports a notice about the file.
    fn remark(&mut self, text: String) {
        if text == self.remarked {
            return;
        }
        self.remarked.clone_from(&text);
        (self.on_notice)(Notice { kind: NoticeKind::File, number: None, urn: String::new(), text });
    }
}

/// A row that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The line in a CSV file, where the header is line 1, or the number among the features of a GeoJSON file, from 1.
    pub number: u64,
    /// The text that names the school, such as the one in the URN's field, cut to 40 characters.
    pub urn: String,
    /// Why the row was not imported.
    pub reason: String,
}

/// A notice of an import, about anything but a rejected row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Notice {
    /// Its subject.
    pub kind: NoticeKind,
    /// The line or the feature, as in [`Reject::number`], if it concerns one.
    pub number: Option<u64>,
    /// The school's URN or other key, cut to 40 characters, or an empty text.
    pub urn: String,
    /// The message.
    pub text: String,
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.number {
            Some(number) => write!(f, "{number}, URN {}: {}", self.urn, self.text),
            None if self.urn.is_empty() => f.write_str(&self.text),
            None => write!(f, "URN {}: {}", self.urn, self.text),
        }
    }
}

/// The subject of a [`Notice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoticeKind {
    /// A value of an imported row: it could not be read, or it was converted or repaired.
    Value,
    /// The file.
    File,
    /// An open school of this register that the file lacks.
    MissingSchool,
}

/// The counts of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// New rows.
    pub inserted: u64,
    /// Rows that changed a stored value.
    pub updated: u64,
    /// Rows already stored as given.
    pub unchanged: u64,
    /// Rows that were not imported.
    pub rejected: u64,
    /// Open schools that the register lacks. 0 for other files.
    pub missing: u64,
    /// Those of them that were closed.
    pub closed: u64,
    /// Stored postcodes that the file lacks, and are now marked as withdrawn. 0 for other files.
    pub withdrawn: u64,
}

impl ImportCounts {
    fn new(UpsertCounts { inserted, updated, unchanged }: UpsertCounts, rejected: &AtomicU64) -> Self {
        let rejected = rejected.load(Ordering::Relaxed);
        Self { inserted, updated, unchanged, rejected, missing: 0, closed: 0, withdrawn: 0 }
    }
}
