//! What callers ask, as plain data. Defaults, limits and cursors are validated here, before any SQL.

mod admissions;
mod backfill;
mod cursor;
mod filter;
mod lineage;
#[cfg(feature = "postgres")]
mod nearest;
#[cfg(feature = "sqlite")]
mod probe;
mod rows;
mod search;
mod search_radius;
mod write;

pub use admissions::{ReachFilter, ReachHit, ReachYear};
pub use backfill::PhaseGaps;
pub use cursor::Cursor;
pub(crate) use cursor::Position;
pub use filter::{ClubFilter, Faith, FeeFilter, NoPhase, Ownership, RatingFilter, SchoolFilter, Unrated};
pub(crate) use lineage::{Step, Walk};
#[cfg(feature = "postgres")]
pub(crate) use nearest::{Nearest, SLACK_KM};
#[cfg(feature = "sqlite")]
pub(crate) use probe::{Candidate, Probe};
pub(crate) use rows::{CatchmentRow, FacetRow, HitRow, ListedRow, facets_of, give};
pub(crate) use search::ValidatedSearch;
pub use search::{MAX_LIMIT, Page, SchoolSearch, Sort};
pub(crate) use search_radius::{Expansion, SearchRadius};
pub(crate) use write::{Batches, refuse_repeated, refuse_twice};
pub use write::{SchoolStream, WriteMode};

/// How the register writes that a school has no religious character; an unknown one is NULL.
pub(crate) const NO_FAITH: &str = "None";

/// How many ids one query asks about.
pub(crate) const MAX_IDS: usize = 10_000;

/// Returns the values in order, each once.
pub(crate) fn distinct<T: Ord + Copy>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}
