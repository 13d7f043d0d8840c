//! A service's own tables in the database of `school_finder_db`: parents' favourite schools, with a foreign key to
//! `schools`, and bus stops, with points of their own. `docs/own-tables.md` walks through it.

use chrono::NaiveTime;
use school_finder_db::models::SchoolSummary;

#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;

/// A favourite school of a parent.
#[derive(Debug, Clone, PartialEq, diesel::Queryable)]
pub struct Favourite {
    /// The school.
    pub school: SchoolSummary,
    /// Its distance from the search's point, in kilometres.
    pub distance_km: Option<f64>,
    /// What the parent noted.
    pub note: Option<String>,
    /// When its day starts, where it is private and that is known.
    pub day_starts_at: Option<NaiveTime>,
}
