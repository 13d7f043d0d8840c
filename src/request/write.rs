//! What callers write.

use crate::error::Result;
use crate::models::NewSchool;

/// Schools to be written, one at a time, so that a whole register need not fit in memory. An error ends the write and
/// undoes it.
pub type SchoolStream = Box<dyn Iterator<Item = Result<NewSchool>> + Send>;

/// Whether a write is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// It is kept.
    Commit,
    /// It is done with every check, counted, and undone.
    DryRun,
}
