//! What the database holds, as plain values: no backend, no connection, no SQL.
//!
//! One module serves both backends. A value that is not known is `None`, never zero and never an empty text.

mod catchment;
mod counts;
mod school;
mod words;

pub use catchment::{CatchmentHit, Evidence, NewCatchment, SchoolCatchment};
pub use counts::{CouncilCount, Facets, UpsertCounts};
pub use school::{NewSchool, School, SchoolHit, SchoolSummary};
pub use words::{Gender, Phase, Status};
