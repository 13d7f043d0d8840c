//! Imports of published files.
//!
//! An import reads a stream, writes in one transaction, and tells of every row it could not use. Where the file itself
//! cannot be trusted (empty, cut off, of another encoding, with a school twice) it stops, and the database is as it
//! was.

mod admissions;
mod catchments;
mod csv_file;
mod facts;
mod links;
mod register;
mod rows;

use serde::{Deserialize, Serialize};

use crate::ids::Urn;
use crate::request::WriteMode;

/// The largest file that is read whole, in bytes: its rows are held in memory until they are written.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// An import of a published file, kept unless told otherwise. Which kind of file it reads is the method that runs it:
/// [`register`](Self::register), [`links`](Self::links), [`admissions`](Self::admissions) or
/// [`catchments`](Self::catchments).
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
/// let import = Import::new().on_reject(|reject| eprintln!("line {}: {}", reject.number, reject.reason));
/// let counts = import.register(finder.as_ref(), file.as_bytes()).await?;
/// assert_eq!((counts.inserted, counts.rejected), (1, 0));
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("an import");
/// ```
pub struct Import {
    mode: WriteMode,
    on_progress: Box<dyn FnMut(u64, u64) + Send>,
    on_reject: Box<dyn FnMut(Reject) + Send>,
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
    /// An import that is kept.
    pub fn new() -> Self {
        Self { mode: WriteMode::Commit, on_progress: Box::new(|_, _| {}), on_reject: Box::new(|_| {}) }
    }

    /// Whether the import is kept. A dry run does everything, counts, and undoes it.
    #[must_use]
    pub fn mode(self, mode: WriteMode) -> Self {
        Self { mode, ..self }
    }

    /// Is told, row by row, how many rows and how many bytes have been read.
    #[must_use]
    pub fn on_progress(self, tell: impl FnMut(u64, u64) + Send + 'static) -> Self {
        Self { on_progress: Box::new(tell), ..self }
    }

    /// Is told of every row that is not imported.
    #[must_use]
    pub fn on_reject(self, tell: impl FnMut(Reject) + Send + 'static) -> Self {
        Self { on_reject: Box::new(tell), ..self }
    }
}

/// A row that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Its line in a CSV file, where the header is line 1, or its number among the features of a GeoJSON file, from 1.
    pub number: u64,
    /// What stands in place of its URN.
    pub urn: String,
    /// Why it was not imported.
    pub reason: String,
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Rows that are new.
    pub inserted: u64,
    /// Rows that changed something.
    pub updated: u64,
    /// Rows that were stored as given already.
    pub unchanged: u64,
    /// Rows that were not imported.
    pub rejected: u64,
}

/// Why an import stopped. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file has no header, or no row after it.
    #[error("the file is empty: nothing was imported")]
    Empty,
    /// The file ends in the middle of a row.
    #[error("the file is cut off in line {line}: download it again")]
    Truncated {
        /// The last line.
        line: u64,
    },
    /// The file is in another encoding than it should be.
    #[error("line {line} is in {found}: import the file as it was published")]
    WrongEncoding {
        /// Where it shows.
        line: u64,
        /// What it looks like.
        found: &'static str,
    },
    /// The header lacks a column that cannot be done without.
    #[error("the file has no column {column:?}: is it the right file?")]
    MissingColumn {
        /// The column.
        column: &'static str,
    },
    /// The header has a column twice, so that it cannot be told which one to read.
    #[error("the file has the column {column:?} twice")]
    DuplicateColumn {
        /// The column.
        column: &'static str,
    },
    /// A row has more or fewer fields than the header.
    #[error("line {line} has {found} fields and the header has {expected}")]
    FieldCount {
        /// The line.
        line: u64,
        /// How many fields it has.
        found: u64,
        /// How many it should have.
        expected: u64,
    },
    /// A row is longer than any honest one, such as after a quotation mark that is never closed.
    #[error("the row that begins in line {line} is longer than {max} bytes: a quotation mark may not be closed")]
    RowTooLong {
        /// Where the row begins.
        line: u64,
        /// The most that is read.
        max: u64,
    },
    /// Two rows are of one school.
    #[error("lines {first_line} and {line} both have URN {urn}")]
    DuplicateUrn {
        /// The school.
        urn: Urn,
        /// The first line.
        first_line: u64,
        /// The second line.
        line: u64,
    },
    /// Two rows are of the same thing, such as one school, year and intake.
    #[error("lines {first_line} and {line} are of the same thing: it cannot be told which is right")]
    DuplicateRow {
        /// The first line.
        first_line: u64,
        /// The second line.
        line: u64,
    },
    /// The file is not the GeoJSON that is needed.
    #[error("the file is not a GeoJSON FeatureCollection in degrees: {reason}")]
    NotGeoJson {
        /// What is wrong, and where.
        reason: String,
    },
    /// Two features are of one school.
    #[error("features {first} and {second} both have URN {urn}: make them one MultiPolygon")]
    DuplicateFeature {
        /// The school.
        urn: Urn,
        /// The first feature's number.
        first: u64,
        /// The second feature's number.
        second: u64,
    },
    /// The file is larger than what is held in memory.
    #[error("the file has more than {max} bytes: import it in parts")]
    TooLarge {
        /// The most that is read.
        max: u64,
    },
    /// The file could not be read.
    #[error("the file could not be read: {0}")]
    Io(#[from] std::io::Error),
}
