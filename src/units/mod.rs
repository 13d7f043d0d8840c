//! Types for quantities with a unit: distances, school years, money and results.

/// Implements `Display`, `FromStr` and serde's conversions for a newtype over `f64`, by its own `new`.
macro_rules! float {
    ($name:ident, $what:literal) => {
        impl TryFrom<f64> for $name {
            type Error = $crate::error::Error;

            fn try_from(number: f64) -> Result<Self, Self::Error> {
                Self::new(number)
            }
        }

        impl From<$name> for f64 {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::error::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let number: f64 = text.parse().map_err(|_| $crate::error::Error::InvalidNumber {
                    given: $crate::text::shortened(text),
                    reason: concat!($what, " is a number"),
                })?;
                Self::new(number)
            }
        }
    };
}

mod academic_year;
mod exact;
mod kilometres;

pub use academic_year::AcademicYear;
pub use exact::{Money, Score};
pub(crate) use float;
pub use kilometres::{Kilometres, SignedKilometres, kilometres_of};
