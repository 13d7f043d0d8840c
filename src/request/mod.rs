//! What callers ask, as plain data. Defaults, limits and cursors are settled here, before any SQL.

mod cursor;
mod filter;
mod reach;
mod rows;
mod search;
mod write;

pub use cursor::Cursor;
pub(crate) use cursor::Position;
pub use filter::{Faith, Ownership, RatingFilter, SchoolFilter, Unrated};
pub(crate) use reach::Reach;
pub(crate) use rows::{CatchmentRow, FacetRow, HitRow, facets_of};
pub(crate) use search::Settled;
pub use search::{MAX_LIMIT, Page, SchoolSearch, Sort};
pub(crate) use write::{Batches, Ended, refuse_twice};
pub use write::{SchoolStream, WriteMode};

/// How the register writes that a school has no religious character; an unknown one is NULL.
pub(crate) const NO_FAITH: &str = "None";
