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

pub use crate::error::ImportError;
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
