//! Reviews of schools.

use chrono::NaiveDate;
use diesel::Queryable;
use serde::{Deserialize, Serialize};

use super::checks::{check_date, check_text};
use crate::error::Result;
use crate::ids::Urn;

/// A review. It outlives its school: the URN and the name stay as they were when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Review {
    /// The URN of the school that was reviewed.
    pub urn: Urn,
    /// The name of the school at the time. At most 200 characters.
    pub school_name: String,
    /// The publisher. At most 200 characters.
    pub source: String,
    /// The number of stars from 1 to 5, the best.
    pub rating: Option<i16>,
    /// An excerpt. At most 2,000 characters.
    pub snippet: Option<String>,
    /// The day it was written.
    pub reviewed_on: Option<NaiveDate>,
}

impl Review {
    pub(crate) fn validate(&self) -> Result<()> {
        let Self { urn: _, school_name, source, rating: _, snippet, reviewed_on } = self;
        check_text("school_name", Some(school_name), 200)?;
        check_text("review source", Some(source), 200)?;
        check_text("snippet", snippet.as_ref(), 2_000)?;
        check_date("reviewed_on", *reviewed_on)
    }
}
