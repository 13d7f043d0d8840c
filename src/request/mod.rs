//! What callers ask for, as plain data, checked before any SQL.

mod backfill;
mod cursor;
mod filter;
mod search;
mod write;

pub use backfill::PhaseGaps;
pub use cursor::Cursor;
pub use filter::{ClubFilter, Faith, FeeFilter, NoPhase, Ownership, RatingFilter, ReachFilter, SchoolFilter, Unrated};
pub use search::{MAX_LIMIT, Page, SchoolSearch, Sort};
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
