//! Ofsted ratings.

use std::fmt;
use std::str::FromStr;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::SmallInt;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// An Ofsted rating of a school. In JSON, on the command line and in the database it is a number from 1 to 4.
///
/// Ratings have no `<` or `>`: the better rating has the smaller number.
///
/// ```
/// use school_finder_db::models::Rating;
///
/// assert!(Rating::Outstanding.is_at_least(Rating::Good));
/// assert!(!Rating::RequiresImprovement.is_at_least(Rating::Good));
/// assert_eq!("2".parse::<Rating>()?, Rating::Good);
/// # Ok::<(), school_finder_db::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[diesel(sql_type = SmallInt)]
#[serde(try_from = "i16", into = "i16")]
pub enum Rating {
    /// 1, the best.
    Outstanding = 1,
    /// 2.
    Good = 2,
    /// 3; "satisfactory" until 2012.
    RequiresImprovement = 3,
    /// 4, the worst.
    Inadequate = 4,
}

impl Rating {
    /// Every rating, the best first.
    pub const ALL: &'static [Self] = &[Self::Outstanding, Self::Good, Self::RequiresImprovement, Self::Inadequate];

    /// Returns whether it is `other` or better.
    pub const fn is_at_least(self, other: Self) -> bool {
        self.number() <= other.number()
    }

    /// Returns its number, from 1 (outstanding) to 4 (inadequate).
    pub const fn number(self) -> i16 {
        self as i16
    }
}

impl TryFrom<i16> for Rating {
    type Error = Error;

    fn try_from(number: i16) -> Result<Self> {
        Self::ALL.iter().copied().find(|rating| rating.number() == number).ok_or(Error::OfstedRating)
    }
}

impl From<Rating> for i16 {
    fn from(rating: Rating) -> Self {
        rating.number()
    }
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

impl FromStr for Rating {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse::<i16>().map_err(|_| Error::OfstedRating)?.try_into()
    }
}

impl<DB: Backend> FromSql<SmallInt, DB> for Rating
where
    i16: FromSql<SmallInt, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(i16::from_sql(value)?.try_into()?)
    }
}

impl<DB: Backend> ToSql<SmallInt, DB> for Rating
where
    i16: ToSql<SmallInt, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        match self {
            Self::Outstanding => 1_i16.to_sql(out),
            Self::Good => 2_i16.to_sql(out),
            Self::RequiresImprovement => 3_i16.to_sql(out),
            Self::Inadequate => 4_i16.to_sql(out),
        }
    }
}
