//! Newtypes for identifiers, so that one number cannot be passed for another.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::{BigInt, Integer};
use serde::{Deserialize, Serialize};

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

impl std::fmt::Display for SchoolId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<DB: Backend> FromSql<BigInt, DB> for SchoolId
where
    i64: FromSql<BigInt, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        i64::from_sql(value).map(Self)
    }
}

impl<DB: Backend> ToSql<BigInt, DB> for SchoolId
where
    i64: ToSql<BigInt, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.to_sql(out)
    }
}

/// A school's unique reference number in the official register: up to seven digits, permanent, never reused.
///
/// ```
/// use school_finder_db::ids::Urn;
///
/// assert_eq!(Urn::new(110_533)?.get(), 110_533);
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
            _ => Err(InvalidUrn { given: urn }),
        }
    }

    /// Returns the number.
    pub const fn get(self) -> i32 {
        self.0
    }
}

/// A number that is not a URN. It converts into [`Error::InvalidUrn`](crate::Error::InvalidUrn).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{given} is not a URN: a school's unique reference number has up to seven digits")]
pub struct InvalidUrn {
    /// The number that was given.
    pub given: i64,
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

impl std::fmt::Display for Urn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<DB: Backend> FromSql<Integer, DB> for Urn
where
    i32: FromSql<Integer, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::new(i32::from_sql(value)?.into())?)
    }
}

impl<DB: Backend> ToSql<Integer, DB> for Urn
where
    i32: ToSql<Integer, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.to_sql(out)
    }
}
