//! Requests as plain data, validated before any SQL.

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
pub use write::{
    MissingSchools, PostcodeStream, RegisterCoverage, RegisterSchool, RegisterStream, SchoolStream, WriteMode,
};

/// The register's word for a school without a religious character; an unknown one is NULL.
pub(crate) const NO_FAITH: &str = "None";

/// The most ids of one query.
pub(crate) const MAX_IDS: usize = 10_000;

/// Returns the values sorted, without duplicates.
pub(crate) fn distinct<T: Ord + Copy>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}
