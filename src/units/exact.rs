//! Exact decimal numbers: money and published results. They are never converted to floats.

use std::fmt;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::newtype::sql_value;
use crate::text::shortened;

/// A decimal number with fixed decimal places and bounds: an integer of its smallest unit in SQLite, `NUMERIC` in
/// Postgres.
macro_rules! exact {
    ($(#[$doc:meta])* $name:ident, places: $places:literal, steps: $low:literal..=$high:literal, what: $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, AsExpression, FromSqlRow)]
        #[cfg_attr(feature = "sqlite", diesel(sql_type = diesel::sql_types::BigInt))]
        #[cfg_attr(feature = "postgres", diesel(sql_type = diesel::sql_types::Numeric))]
        #[serde(try_from = "BigDecimal", into = "BigDecimal")]
        pub struct $name(i64);

        impl $name {
            #[doc = concat!("The exact number.\n\n# Errors\n[`Error::InvalidNumber`] with more than ", $places, " decimal places, which would have to be rounded, or out of bounds.")]
            pub fn new(number: &BigDecimal) -> Result<Self> {
                Self::exact(number).map_err(|reason| Error::InvalidNumber {
                    given: shortened(&number.to_scientific_notation()),
                    reason,
                })
            }

            /// Returns the exact number, or why there is none.
            fn exact(number: &BigDecimal) -> Result<Self, &'static str> {
                // Writing out 1e999999999 would take a billion digits.
                if !(-20..=40).contains(&number.fractional_digit_count()) {
                    return Err(concat!($what, " is out of bounds"));
                }
                let steps = number.with_scale($places);
                if steps != *number {
                    return Err(concat!($what, " has at most ", $places, " decimal places"));
                }
                let (steps, _) = steps.into_bigint_and_exponent();
                match i64::try_from(steps) {
                    Ok(steps) if ($low..=$high).contains(&steps) => Ok(Self(steps)),
                    _ => Err(concat!($what, " is out of bounds")),
                }
            }

            /// Returns the number.
            pub fn to_decimal(&self) -> BigDecimal {
                BigDecimal::new(self.0.into(), $places)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_decimal().to_plain_string())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let invalid = |reason| Error::InvalidNumber { given: shortened(text), reason };
                let no_number = "it is not a decimal number";
                // An exponent could request a billion digits.
                if text.len() > 40 || !text.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-') {
                    return Err(invalid(no_number));
                }
                Self::exact(&text.parse().map_err(|_| invalid(no_number))?).map_err(invalid)
            }
        }

        impl TryFrom<BigDecimal> for $name {
            type Error = Error;

            fn try_from(number: BigDecimal) -> Result<Self> {
                Self::new(&number)
            }
        }

        impl From<$name> for BigDecimal {
            fn from(number: $name) -> Self {
                number.to_decimal()
            }
        }

        // What SQLite stores.
        sql_value!($name: BigInt as i64);

        #[cfg(feature = "postgres")]
        const _: () = {
            use diesel::deserialize::{self, FromSql};
            use diesel::pg::Pg;
            use diesel::serialize::{self, Output, ToSql};
            use diesel::sql_types::Numeric;

            impl FromSql<Numeric, Pg> for $name {
                fn from_sql(value: <Pg as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                    Ok(Self::new(&<BigDecimal as FromSql<Numeric, Pg>>::from_sql(value)?)?)
                }
            }

            impl ToSql<Numeric, Pg> for $name {
                fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                    ToSql::<Numeric, Pg>::to_sql(&self.to_decimal(), &mut out.reborrow())
                }
            }
        };
    };
}

exact! {
    /// An amount in pounds and pence, from 0.00 to 99,999,999.99, exact on every backend. In JSON, a string.
    ///
    /// ```
    /// use school_finder_db::units::Money;
    ///
    /// let fee: Money = "4250.10".parse()?;
    /// assert_eq!(fee.to_string(), "4250.10");
    /// assert!("-0.01".parse::<Money>().is_err() && "0.001".parse::<Money>().is_err());
    /// # Ok::<(), school_finder_db::Error>(())
    /// ```
    Money, places: 2, steps: 0..=9_999_999_999, what: "an amount of money"
}

impl Money {
    /// The smallest amount.
    pub(crate) const LEAST: Self = Self(0);

    /// The largest amount.
    pub(crate) const MOST: Self = Self(9_999_999_999);
}

exact! {
    /// A published result, exact to three decimal places, from minus to plus one billion, exclusive. In JSON, a string.
    Score, places: 3, steps: -999_999_999_999..=999_999_999_999, what: "a result"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact_and_bounded() {
        for text in ["0", "0.1", "0.10", "0.01", "99999999.99", "100", "4250.1"] {
            let money: Money = text.parse().expect(text);
            assert_eq!(money.to_decimal(), text.parse::<BigDecimal>().expect(text), "{text}");
        }
        assert_eq!("0.1".parse::<Money>().expect("money").to_string(), "0.10");
        for text in ["-0.01", "100000000", "99999999.995", "0.001", "1e3", "", "ten", "NaN", "1,000", "--1"] {
            assert!(matches!(text.parse::<Money>(), Err(Error::InvalidNumber { .. })), "{text}");
        }
        let refused = "1.234".parse::<Money>();
        assert!(matches!(&refused, Err(Error::InvalidNumber { given, .. }) if given == "1.234"), "{refused:?}");
        assert_eq!(serde_json::to_string(&"0.10".parse::<Money>().expect("money")).expect("JSON"), "\"0.10\"");
        assert!("-0.235".parse::<Score>().expect("a result") < "0".parse().expect("a result"));
    }
}
