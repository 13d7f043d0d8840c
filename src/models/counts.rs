//! Counts of schools.

use std::collections::BTreeMap;

use diesel::Queryable;
use serde::{Deserialize, Serialize};

use crate::ids::Urn;

/// A council and its open schools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct CouncilCount {
    /// The council's name.
    pub council: String,
    /// The number of open schools in it.
    #[diesel(deserialize_as = i64)]
    pub schools: u64,
    /// The number of them known to be state schools.
    #[diesel(deserialize_as = i64)]
    pub state: u64,
    /// The number of them known to be private. The rest of `schools` is of unknown ownership.
    #[diesel(deserialize_as = i64)]
    pub private: u64,
}

impl CouncilCount {
    /// Returns a council with these numbers of open schools.
    pub fn new(council: impl Into<String>, schools: u64, state: u64, private: u64) -> Self {
        Self { council: council.into(), schools, state, private }
    }
}

/// The number of schools with each value, of those that match a search.
///
/// Every map but `clubs` counts each of these schools once, so its values sum to `total`. The key `"unknown"` counts
/// the schools whose value is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Facets {
    /// The number of schools that match the search.
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
    /// The schools with a breakfast club, and those with an after-school club. A school may have both or none.
    pub clubs: BTreeMap<String, u64>,
}

/// The rows of an upsert.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UpsertCounts {
    /// Rows that were inserted.
    pub inserted: u64,
    /// Rows that were updated.
    pub updated: u64,
    /// Rows that were already stored as given.
    pub unchanged: u64,
}

impl UpsertCounts {
    /// Returns these counts.
    pub const fn new(inserted: u64, updated: u64, unchanged: u64) -> Self {
        Self { inserted, updated, unchanged }
    }
}

/// The result of an upsert of a register.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegisterCounts {
    /// The schools of the register.
    pub schools: UpsertCounts,
    /// The open schools of its councils that the register lacks, by URN.
    pub missing: Vec<(Urn, String)>,
    /// The number of them that were closed.
    pub closed: u64,
}

/// The result of replacing the postcodes of areas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PostcodeCounts {
    /// The given postcodes.
    pub postcodes: UpsertCounts,
    /// Stored postcodes of these areas that were not given, and are now marked as withdrawn.
    pub withdrawn: u64,
}

/// The rows that merging two schools wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MergeCounts {
    /// Reviews that were moved to the other school.
    pub reviews: u64,
    /// Links that were inserted.
    pub links: u64,
}

/// The rows that deleting a school deleted, and those that it kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeleteCounts {
    /// Clubs that were deleted.
    pub clubs: u64,
    /// Terms that were deleted.
    pub term_dates: u64,
    /// Published results that were deleted.
    pub performance: u64,
    /// Private schools' details that were deleted.
    pub private_details: u64,
    /// Fees that were deleted.
    pub fees: u64,
    /// Other identifiers that were deleted.
    pub identifiers: u64,
    /// Years of admissions that were deleted.
    pub admissions: u64,
    /// Offers by criteria other than distance that were deleted.
    pub admissions_criteria: u64,
    /// The school's own links, which were deleted.
    pub links: u64,
    /// Reviews that were kept, and belong to no school any more.
    pub reviews_kept: u64,
    /// Other schools' links to it that were kept, and name it by its URN alone.
    pub links_kept: u64,
}
