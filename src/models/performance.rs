//! Published results.

use diesel::Queryable;
use serde::{Deserialize, Serialize};

use super::checks::check_text;
use crate::error::Result;
use crate::units::Score;

/// One published result of a school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Performance {
    /// The measure, such as `progress_8`. At most 100 characters.
    pub metric: String,
    /// The calendar year in which it was published.
    pub year: i16,
    /// The exact result, or `None` where it is unknown or suppressed.
    pub value: Option<Score>,
    /// Whether the publisher suppressed it, since it would identify children. Suppressed is not zero.
    pub is_suppressed: bool,
    /// The national average of the same measure.
    pub national_average: Option<Score>,
    /// The publisher. At most 500 characters.
    pub source: Option<String>,
}

impl Performance {
    pub(crate) fn validate(&self) -> Result<()> {
        let Self { metric, year: _, value: _, is_suppressed: _, national_average: _, source } = self;
        check_text("metric", Some(metric), 100)?;
        check_text("performance source", source.as_ref(), 500)
    }
}
