//! The identifiers of a school besides its URN.

use diesel::Queryable;
use serde::{Deserialize, Serialize};

use super::checks::check_text;
use crate::error::{Error, Result};
use crate::ids::{Laestab, Ukprn};

/// The other identifiers of a school, as the register has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Queryable)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SchoolIdentifiers {
    /// The code of its local authority, such as 826: at most three digits.
    pub la_code: Option<i16>,
    /// Its number within the local authority: at most four digits.
    pub establishment_number: Option<i16>,
    /// Its UK Provider Reference Number.
    pub ukprn: Option<Ukprn>,
    /// The register that lists it. At most 100 characters.
    pub source: Option<String>,
}

impl SchoolIdentifiers {
    /// Returns its LAESTAB, where both parts are known.
    pub fn laestab(&self) -> Option<Laestab> {
        Laestab::new(self.la_code?, self.establishment_number?).ok()
    }

    /// Returns these values, or the stored ones where they are `None`.
    #[must_use]
    pub(crate) fn or_stored(self, stored: &Self) -> Self {
        Self {
            la_code: super::either(self.la_code, &stored.la_code),
            establishment_number: super::either(self.establishment_number, &stored.establishment_number),
            ukprn: super::either(self.ukprn, &stored.ukprn),
            source: super::either(self.source, &stored.source),
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let Self { la_code, establishment_number, ukprn: _, source } = self;
        if let Err(error) = Laestab::new(la_code.unwrap_or(1), establishment_number.unwrap_or(0)) {
            return Err(Error::InvalidIdentifier(error));
        }
        check_text("source", source.as_ref(), 100)
    }
}
