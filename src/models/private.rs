//! What only private schools have.

use chrono::NaiveTime;
use diesel::Queryable;
use serde::{Deserialize, Serialize};

use super::checks::{check_text, check_time};
use crate::error::Result;
use crate::units::{AcademicYear, Money};

/// Facts of a private school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable)]
pub struct PrivateDetails {
    /// What is said of its fees. At most 2,000 characters.
    pub fees_notes: Option<String>,
    /// When its day begins.
    pub day_starts_at: Option<NaiveTime>,
    /// When its day ends, after it begins.
    pub day_ends_at: Option<NaiveTime>,
    /// How pupils get there. At most 2,000 characters.
    pub transport: Option<String>,
}

impl PrivateDetails {
    pub(crate) fn validate(&self) -> Result<()> {
        let Self { fees_notes, day_starts_at, day_ends_at, transport } = self;
        check_text("fees_notes", fees_notes.as_ref(), 2_000)?;
        check_time("day_starts_at", *day_starts_at)?;
        check_time("day_ends_at", *day_ends_at)?;
        check_text("transport", transport.as_ref(), 2_000)
    }
}

/// What a private school charges for children of some ages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable)]
pub struct PrivateFee {
    /// The school year.
    pub academic_year: AcademicYear,
    /// The youngest age it is for, in years.
    pub age_from: i16,
    /// The oldest age it is for, in years.
    pub age_to: i16,
    /// Pounds a term.
    pub per_term: Option<Money>,
    /// Pounds a year.
    pub per_year: Option<Money>,
}
