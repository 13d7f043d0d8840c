//! What callers ask, as plain data. Defaults, limits and cursors are settled here, before any SQL.

mod cursor;
mod filter;
mod search;
mod write;

pub use cursor::Cursor;
pub(crate) use cursor::Position;
pub use filter::{Faith, Ownership, RatingFilter, SchoolFilter, Unrated};
pub use search::{MAX_LIMIT, Page, SchoolSearch, Sort};
pub(crate) use search::{Near, Settled};
pub use write::{SchoolStream, WriteMode};

/// How the register writes that a school has no religious character; an unknown one is NULL.
pub(crate) const NO_FAITH: &str = "None";
