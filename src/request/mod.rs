//! What callers ask, as plain data. Defaults, limits and cursors are settled here, before any SQL.

mod admissions;
mod backfill;
mod cursor;
mod filter;
mod lineage;
#[cfg(feature = "sqlite")]
mod look;
#[cfg(feature = "postgres")]
mod plane;
mod reach;
mod rows;
mod search;
mod write;

pub use admissions::{ReachFilter, ReachHit, ReachYear};
pub use backfill::PhaseGaps;
pub use cursor::Cursor;
pub(crate) use cursor::Position;
pub use filter::{ClubFilter, Faith, FeeFilter, NoPhase, Ownership, RatingFilter, SchoolFilter, Unrated};
pub(crate) use lineage::{Step, Walk};
#[cfg(feature = "sqlite")]
pub(crate) use look::{Look, Place};
#[cfg(feature = "postgres")]
pub(crate) use plane::{Looks, Plane, SLACK_KM, Seen};
pub(crate) use reach::Reach;
pub(crate) use rows::{CatchmentRow, FacetRow, HitRow, ListedRow, facets_of, give};
pub(crate) use search::Settled;
pub use search::{MAX_LIMIT, Page, SchoolSearch, Sort};
pub(crate) use write::{Batches, Ended, refuse_repeated, refuse_twice};
pub use write::{SchoolStream, WriteMode};

/// How the register writes that a school has no religious character; an unknown one is NULL.
pub(crate) const NO_FAITH: &str = "None";

/// How many ids one query asks about.
pub(crate) const MAX_IDS: usize = 10_000;
