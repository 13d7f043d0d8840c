//! Newtypes for identifiers, so that one number cannot be passed for another.

mod postcode;

use std::fmt;
use std::str::FromStr;

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::{BigInt, Integer};
use serde::{Deserialize, Serialize};

pub use self::postcode::{InvalidPostcode, Postcode, UnknownPostcode};
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

/// A school's UK Provider Reference Number, of eight digits.
///
/// ```
/// use school_finder_db::ids::Ukprn;
///
/// assert_eq!("10046564".parse::<Ukprn>()?.get(), 10_046_564);
/// assert!("1004656".parse::<Ukprn>().is_err());
/// # Ok::<(), school_finder_db::ids::InvalidIdentifier>(())
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, AsExpression, FromSqlRow,
)]
#[diesel(sql_type = Integer)]
#[serde(try_from = "i32", into = "i32")]
pub struct Ukprn(i32);

impl Ukprn {
    /// Returns the number.
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl TryFrom<i32> for Ukprn {
    type Error = InvalidIdentifier;

    fn try_from(number: i32) -> Result<Self, InvalidIdentifier> {
        match number {
            10_000_000..=99_999_999 => Ok(Self(number)),
            _ => Err(InvalidIdentifier::new(&number.to_string(), "a UKPRN of eight digits, like 10046564")),
        }
    }
}

impl FromStr for Ukprn {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
        text.parse().unwrap_or(0).try_into().map_err(|error| InvalidIdentifier { given: shortened(text), ..error })
    }
}

impl From<Ukprn> for i32 {
    fn from(ukprn: Ukprn) -> Self {
        ukprn.0
    }
}

impl fmt::Display for Ukprn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

sql_value!(Ukprn: Integer as i32, Self::try_from);

/// A school's LAESTAB, also called its DfE number: the code of its local authority and its establishment number. A
/// closed school and the academy after it often share one.
///
/// ```
/// use school_finder_db::ids::Laestab;
///
/// let laestab: Laestab = "826/4004".parse()?;
/// assert_eq!(laestab, "8264004".parse()?);
/// assert_eq!(laestab, Laestab::new(826, 4004)?);
/// assert_eq!(laestab.to_string(), "826/4004");
/// # Ok::<(), school_finder_db::ids::InvalidIdentifier>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Laestab {
    la_code: i16,
    establishment_number: i16,
}

impl Laestab {
    /// Returns the LAESTAB of a local authority's code and an establishment number.
    ///
    /// # Errors
    /// [`InvalidIdentifier`] unless they have at most three and at most four digits.
    pub fn new(la_code: i16, establishment_number: i16) -> Result<Self, InvalidIdentifier> {
        if (1..=999).contains(&la_code) && (0..=9_999).contains(&establishment_number) {
            Ok(Self { la_code, establishment_number })
        } else {
            Err(Self::invalid(&format!("{la_code}/{establishment_number}")))
        }
    }

    /// Returns the local authority's code.
    pub const fn la_code(self) -> i16 {
        self.la_code
    }

    /// Returns the establishment number.
    pub const fn establishment_number(self) -> i16 {
        self.establishment_number
    }

    fn invalid(given: &str) -> InvalidIdentifier {
        InvalidIdentifier::new(given, "a LAESTAB like 826/4004")
    }
}

impl FromStr for Laestab {
    type Err = InvalidIdentifier;

    /// Parses seven digits, with or without `/`, `-` or a space after the third.
    fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        let parts = match text.split_once(['/', '-', ' ']) {
            Some(parts) => Some(parts),
            None => text.split_at_checked(3),
        };
        match parts {
            Some((la_code, number)) if la_code.len() == 3 && number.len() == 4 && is_number(la_code) => {
                let number = is_number(number).then(|| number.parse().ok()).flatten();
                let (la_code, number) = la_code.parse().ok().zip(number).ok_or_else(|| Self::invalid(text))?;
                Self::new(la_code, number)
            }
            _ => Err(Self::invalid(text)),
        }
    }
}

impl fmt::Display for Laestab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}/{:04}", self.la_code, self.establishment_number)
    }
}

/// A text or number that is no identifier of its kind. It converts into
/// [`Error::InvalidIdentifier`](crate::Error::InvalidIdentifier).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not {expected}")]
pub struct InvalidIdentifier {
    /// The given text or number.
    pub given: String,
    /// What is expected, with an example.
    pub expected: &'static str,
}

impl InvalidIdentifier {
    fn new(given: &str, expected: &'static str) -> Self {
        Self { given: shortened(given), expected }
    }
}
