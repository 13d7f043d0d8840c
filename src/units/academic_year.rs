//! School years.

use std::fmt;
use std::str::FromStr;

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::SmallInt;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::newtype::sql_value;
use crate::text::shortened;

/// A school year, from one September to the next August.
///
/// It is displayed as `2024/2025`, parsed from every usual spelling, and stored as the year in which it begins.
///
/// ```
/// use school_finder_db::units::AcademicYear;
///
/// let year: AcademicYear = "2024-25".parse()?;
/// assert_eq!(year, AcademicYear::starting(2024)?);
/// assert_eq!(year.to_string(), "2024/2025");
/// assert!("2024/26".parse::<AcademicYear>().is_err());
/// # Ok::<(), school_finder_db::Error>(())
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, AsExpression, FromSqlRow,
)]
#[diesel(sql_type = SmallInt)]
#[serde(try_from = "String", into = "String")]
pub struct AcademicYear(i16);

impl AcademicYear {
    /// Returns the school year that begins in this calendar year.
    ///
    /// # Errors
    /// [`Error::InvalidAcademicYear`] before 1900 or after 2199.
    pub fn starting(year: i16) -> Result<Self> {
        if (1900..=2199).contains(&year) {
            Ok(Self(year))
        } else {
            Err(Error::InvalidAcademicYear { given: year.to_string() })
        }
    }

    /// Returns the calendar year in which it begins.
    pub const fn starts_in(self) -> i16 {
        self.0
    }
}

impl fmt::Display for AcademicYear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.0 + 1)
    }
}

/// Parses `2024/2025`, `2024/25`, `2024-25`, `2024–2025`, `2024 to 2025` or `202425`. A single year is ambiguous, and
/// rejected.
impl FromStr for AcademicYear {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::InvalidAcademicYear { given: shortened(text) };
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let between = text.trim().trim_matches(|c: char| c.is_ascii_digit());
        let is_joined = match between.trim() {
            "/" | "-" | "–" | "—" | "_" | "to" => true,
            _ => between.is_empty() && digits.len() == 6,
        };
        if !is_joined {
            return Err(invalid());
        }
        let (first, second) = digits.split_at_checked(4).ok_or_else(invalid)?;
        let first: i16 = first.parse().map_err(|_| invalid())?;
        let next = (first + 1).to_string();
        if second != next && Some(second) != next.get(2..) {
            return Err(invalid());
        }
        Self::starting(first).map_err(|_| invalid())
    }
}

impl TryFrom<String> for AcademicYear {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<AcademicYear> for String {
    fn from(year: AcademicYear) -> Self {
        year.to_string()
    }
}

sql_value!(AcademicYear: SmallInt as i16, Self::starting);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_every_usual_spelling() {
        for text in ["2024/2025", "2024/25", "2024-25", "2024-2025", "2024–25", " 2024 to 2025 ", "2024 / 25", "202425"]
        {
            assert_eq!(text.parse::<AcademicYear>().expect(text).starts_in(), 2024, "{text}");
        }
        assert_eq!("1999/00".parse::<AcademicYear>().expect("a year").to_string(), "1999/2000");
    }

    #[test]
    fn rejects_texts_that_are_no_year() {
        for text in [
            "",
            "2024",
            "2025/2024",
            "2024/26",
            "24/25",
            "2024/2025/2026",
            "2024 25",
            "1899/1900",
            "9999/10000",
            "year",
            "2024x25",
        ] {
            let error = text.parse::<AcademicYear>().expect_err(text);
            assert!(matches!(error, Error::InvalidAcademicYear { .. }), "{text}");
        }
    }
}
