//! Distances.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

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
