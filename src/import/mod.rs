//! Imports of published files.
//!
//! An import reads a stream, writes in one transaction, and reports every row it could not use. Where the file itself
//! cannot be trusted (empty, truncated, in another encoding, with a duplicate school) it stops, and the database is
//! unchanged.

mod admissions;
mod catchments;
mod csv_file;
mod facts;
mod links;
mod register;
mod rows;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

pub use crate::error::ImportError;
use crate::models::UpsertCounts;
use crate::request::WriteMode;

/// The largest file that is read into memory before it is written, in bytes.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// An import of a published file, committed by default. The method that runs it selects the kind of file:
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
    rejected: Arc<AtomicU64>,
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
            rejected: Arc::default(),
        }
    }

    /// Sets whether the import is committed. A dry run does everything, counts, and rolls back.
    #[must_use]
    pub fn mode(self, mode: WriteMode) -> Self {
        Self { mode, ..self }
    }

    /// Sets a callback for the number of rows and bytes read, called for each row.
    #[must_use]
    pub fn on_progress(self, callback: impl FnMut(u64, u64) + Send + 'static) -> Self {
        Self { on_progress: Box::new(callback), ..self }
    }

    /// Sets a callback for every row that is not imported.
    #[must_use]
    pub fn on_reject(self, callback: impl FnMut(Reject) + Send + 'static) -> Self {
        Self { on_reject: Box::new(callback), ..self }
    }

    /// Reports a row that is not imported, and counts it.
    fn reject(&mut self, number: u64, urn: &str, reason: String) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        (self.on_reject)(Reject { number, urn: urn.chars().take(40).collect(), reason });
    }
}

/// A row that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The line in a CSV file, where the header is line 1, or the number among the features of a GeoJSON file, from 1.
    pub number: u64,
    /// The text in the URN's field, cut to 40 characters.
    pub urn: String,
    /// Why the row was not imported.
    pub reason: String,
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
}

impl ImportCounts {
    fn new(UpsertCounts { inserted, updated, unchanged }: UpsertCounts, rejected: &AtomicU64) -> Self {
        Self { inserted, updated, unchanged, rejected: rejected.load(Ordering::Relaxed) }
    }
}
