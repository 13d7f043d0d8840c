//! Distances, and the differences between them.

use std::ops::Sub;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::newtype::sql_value;

/// A distance in kilometres: finite and not negative.
///
/// ```
/// use school_finder_db::Kilometres;
///
/// assert_eq!(Kilometres::new(5.0)?.get(), 5.0);
/// assert_eq!("0.5".parse::<Kilometres>()?.to_string(), "0.5");
/// assert!(Kilometres::new(-1.0).is_err());
/// assert!(Kilometres::new(f64::NAN).is_err());
/// # Ok::<(), school_finder_db::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Kilometres(f64);

impl Kilometres {
    /// A distance of zero.
    pub(crate) const ZERO: Self = Self(0.0);

    /// Returns a distance of `km` kilometres.
    ///
    /// # Errors
    /// [`Error::InvalidRadius`] where `km` is negative, infinite or not a number.
    pub fn new(km: f64) -> Result<Self> {
        // Adding 0.0 turns -0.0 into 0.0.
        if km.is_finite() && km >= 0.0 { Ok(Self(km + 0.0)) } else { Err(Error::InvalidRadius { value: km }) }
    }

    /// Returns the number of kilometres.
    pub const fn get(self) -> f64 {
        self.0
    }
}

float!(Kilometres, "a distance in kilometres");
sql_value!(Kilometres: Double as f64, Self::new);

impl Sub for Kilometres {
    type Output = SignedKilometres;

    fn sub(self, other: Self) -> SignedKilometres {
        SignedKilometres(self.0 - other.0)
    }
}

/// A difference between two distances in kilometres: finite, and of either sign.
///
/// ```
/// use school_finder_db::Kilometres;
/// use school_finder_db::units::SignedKilometres;
///
/// let (home, last_offered) = (Kilometres::new(1.5)?, Kilometres::new(1.25)?);
/// let margin = last_offered - home;
/// assert_eq!(margin, SignedKilometres::new(-0.25)?);
/// assert_eq!(margin.to_string(), "-0.25");
/// # Ok::<(), school_finder_db::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct SignedKilometres(f64);

impl SignedKilometres {
    /// Returns a difference of `km` kilometres.
    ///
    /// # Errors
    /// [`Error::InvalidNumber`] where `km` is infinite or not a number.
    pub fn new(km: f64) -> Result<Self> {
        // Adding 0.0 turns -0.0 into 0.0.
        match km.is_finite() {
            true => Ok(Self(km + 0.0)),
            false => {
                Err(Error::InvalidNumber { given: km.to_string(), reason: "a difference in kilometres is finite" })
            }
        }
    }

    /// Returns the number of kilometres.
    pub const fn get(self) -> f64 {
        self.0
    }
}

float!(SignedKilometres, "a difference in kilometres");

/// Returns how many kilometres a unit of length has, by its name or its abbreviation.
///
/// ```
/// use school_finder_db::units::kilometres_of;
///
/// assert_eq!(kilometres_of("miles"), Some(1.609_344));
/// assert_eq!(kilometres_of("furlongs"), None);
/// ```
pub fn kilometres_of(unit: &str) -> Option<f64> {
    match unit.trim_end_matches('.').to_ascii_lowercase().as_str() {
        "km" | "kms" | "kilometre" | "kilometres" | "kilometer" | "kilometers" => Some(1.0),
        "m" | "metre" | "metres" | "meter" | "meters" => Some(0.001),
        "mi" | "mile" | "miles" => Some(1.609_344),
        "yd" | "yds" | "yard" | "yards" => Some(0.000_914_4),
        _ => None,
    }
}
