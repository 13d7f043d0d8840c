//! Newtypes for identifiers, so that one number cannot be passed for another.

use std::fmt;
use std::str::FromStr;

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::{BigInt, Integer};
use serde::{Deserialize, Serialize};

use crate::newtype::sql_value;
use crate::text::shortened;

/// The id of a school's row in this database. Never reused, and meaningless in another database.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, AsExpression, FromSqlRow,
)]
#[diesel(sql_type = BigInt)]
#[serde(transparent)]
pub struct SchoolId(i64);

impl SchoolId {
    /// Returns the id with this number.
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// Returns the number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for SchoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

sql_value!(SchoolId: BigInt as i64);

/// A school's unique reference number in the official register: up to seven digits, permanent, never reused.
///
/// ```
/// use school_finder_db::ids::Urn;
///
/// assert_eq!(Urn::new(110_533)?.get(), 110_533);
/// assert_eq!("110533".parse::<Urn>()?.to_string(), "110533");
/// assert!(Urn::new(0).is_err());
/// # Ok::<(), school_finder_db::Error>(())
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, AsExpression, FromSqlRow,
)]
#[diesel(sql_type = Integer)]
#[serde(try_from = "i64", into = "i32")]
pub struct Urn(i32);

impl Urn {
    /// The lowest URN.
    pub(crate) const LEAST: Self = Self(1);

    /// Returns the URN with this number.
    ///
    /// # Errors
    /// [`InvalidUrn`] unless the number is from 1 to 9,999,999.
    pub fn new(urn: i64) -> Result<Self, InvalidUrn> {
        match i32::try_from(urn) {
            Ok(number @ 1..=9_999_999) => Ok(Self(number)),
            _ => Err(InvalidUrn { given: urn.to_string() }),
        }
    }

    /// Returns the number.
    pub const fn get(self) -> i32 {
        self.0
    }
}

/// A number or text that is not a URN. It converts into [`Error::InvalidUrn`](crate::Error::InvalidUrn).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not a URN: a school's unique reference number has up to seven digits")]
pub struct InvalidUrn {
    /// The given number or text.
    pub given: String,
}

impl FromStr for Urn {
    type Err = InvalidUrn;

    fn from_str(text: &str) -> Result<Self, InvalidUrn> {
        let number = text.parse().map_err(|_| InvalidUrn { given: shortened(text) })?;
        Self::new(number)
    }
}

impl TryFrom<i64> for Urn {
    type Error = InvalidUrn;

    fn try_from(urn: i64) -> Result<Self, InvalidUrn> {
        Self::new(urn)
    }
}

impl From<Urn> for i32 {
    fn from(urn: Urn) -> Self {
        urn.0
    }
}

impl fmt::Display for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

sql_value!(Urn: Integer as i32, |number: i32| Self::new(number.into()));
