//! Details of private schools.

use chrono::NaiveTime;
use diesel::Queryable;
use serde::{Deserialize, Serialize};

use super::checks::{check_text, check_time};
use crate::error::Result;
use crate::units::{AcademicYear, Money};

/// The details of a private school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct PrivateDetails {
    /// Notes on its fees. At most 2,000 characters.
    pub fees_notes: Option<String>,
    /// When its day begins.
    pub day_starts_at: Option<NaiveTime>,
    /// When its day ends, after it begins.
    pub day_ends_at: Option<NaiveTime>,
    /// Its transport for pupils. At most 2,000 characters.
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

/// A private school's fee for children of some ages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct PrivateFee {
    /// The school year.
    pub academic_year: AcademicYear,
    /// The youngest age it is for, in years.
    pub age_from: i16,
    /// The oldest age it is for, in years.
    pub age_to: i16,
    /// The fee a term, in pounds.
    pub per_term: Option<Money>,
    /// The fee a year, in pounds.
    pub per_year: Option<Money>,
}
