//! Counts of schools.

use std::collections::BTreeMap;

use diesel::Queryable;
use serde::{Deserialize, Serialize};

/// A council and its open schools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable)]
pub struct CouncilCount {
    /// The council's name.
    pub council: String,
    /// How many open schools lie in it.
    #[diesel(deserialize_as = i64)]
    pub schools: u64,
    /// How many of them are known to be state schools.
    #[diesel(deserialize_as = i64)]
    pub state: u64,
    /// How many of them are known to be private. The rest of `schools` is not known to be either.
    #[diesel(deserialize_as = i64)]
    pub private: u64,
}

/// How many of the schools that a search finds have each value.
///
/// Every map but `clubs` counts the same schools, so that each sums to `total`. The key `"unknown"` counts those of
/// which the fact is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facets {
    /// How many schools the search finds.
    pub total: u64,
    /// By council.
    pub council: BTreeMap<String, u64>,
    /// By phase.
    pub phase: BTreeMap<String, u64>,
    /// By status.
    pub status: BTreeMap<String, u64>,
    /// By Ofsted rating, `"1"` to `"4"`.
    pub rating: BTreeMap<String, u64>,
    /// By gender.
    pub gender: BTreeMap<String, u64>,
    /// By faith.
    pub faith: BTreeMap<String, u64>,
    /// `"state"` and `"private"`.
    pub ownership: BTreeMap<String, u64>,
    /// Those with a breakfast club, and those with an after-school club; a school may have both or none.
    pub clubs: BTreeMap<String, u64>,
}

/// What an upsert did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpsertCounts {
    /// Rows that are new.
    pub inserted: u64,
    /// Rows of which something changed.
    pub updated: u64,
    /// Rows that were stored as given already.
    pub unchanged: u64,
}

/// What merging two schools did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeCounts {
    /// Reviews that belong to the other school now.
    pub reviews: u64,
    /// Links that were not there before.
    pub links: u64,
}

/// What deleting a school took along, and what it left behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteCounts {
    /// Clubs that were deleted.
    pub clubs: u64,
    /// Terms that were deleted.
    pub term_dates: u64,
    /// Results that were deleted.
    pub performance: u64,
    /// Facts of a private school that were deleted.
    pub private_details: u64,
    /// Fees that were deleted.
    pub fees: u64,
    /// Years of admissions that were deleted.
    pub admissions: u64,
    /// The school's own links, which were deleted.
    pub links: u64,
    /// Reviews, which stay and belong to no school any more.
    pub reviews_kept: u64,
    /// Links of other schools to it, which stay and name it by its URN alone.
    pub links_kept: u64,
}
