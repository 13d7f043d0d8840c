//! A school with its collections.

use serde::{Deserialize, Serialize};

use super::{
    Admissions, AdmissionsCriterion, Performance, PrivateDetails, PrivateFee, Review, School, SchoolClub,
    SchoolIdentifiers, SchoolLink, TermDates,
};
use crate::error::Result;

/// The collections to read: the rows of other tables that belong to schools. Each takes one query for up to 10,000
/// schools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set")]
pub struct Collections {
    /// Clubs.
    pub clubs: bool,
    /// Term dates.
    pub term_dates: bool,
    /// Published results.
    pub performance: bool,
    /// Details of private schools.
    pub private_details: bool,
    /// Fees of private schools.
    pub fees: bool,
    /// Other identifiers.
    pub identifiers: bool,
    /// Admissions of past years.
    pub admissions: bool,
    /// Offers by criteria other than distance.
    pub admissions_criteria: bool,
    /// Reviews.
    pub reviews: bool,
    /// Links to other schools.
    pub links: bool,
}

impl Collections {
    /// Every collection.
    pub const ALL: Self = Self {
        clubs: true,
        term_dates: true,
        performance: true,
        private_details: true,
        fees: true,
        identifiers: true,
        admissions: true,
        admissions_criteria: true,
        reviews: true,
        links: true,
    };
}

/// A school with the requested collections. A collection that was not requested is `None`; a requested one without rows
/// is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SchoolDetails {
    /// The school's own row.
    #[serde(flatten)]
    pub school: School,
    /// Its clubs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clubs: Option<Vec<SchoolClub>>,
    /// Its terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term_dates: Option<Vec<TermDates>>,
    /// Its published results, by metric, newest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance: Option<Vec<Performance>>,
    /// Its details as a private school: one or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_details: Option<Vec<PrivateDetails>>,
    /// Its fees, newest year first, then by age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fees: Option<Vec<PrivateFee>>,
    /// Its other identifiers: one row or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifiers: Option<Vec<SchoolIdentifiers>>,
    /// Its admissions, newest year first, then by intake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admissions: Option<Vec<Admissions>>,
    /// Its offers by criteria other than distance, newest year first, then by intake and criterion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admissions_criteria: Option<Vec<AdmissionsCriterion>>,
    /// Its reviews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviews: Option<Vec<Review>>,
    /// Its links to other schools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Vec<SchoolLink>>,
}

impl SchoolDetails {
    /// Returns a school without collections.
    pub fn new(school: School) -> Self {
        build! {
            Self { school }
            None: clubs, term_dates, performance, private_details, fees, identifiers, admissions,
            admissions_criteria, reviews, links
        }
    }
}

/// The collections to write to a school. `Some` replaces the stored collection, and an empty one deletes it; `None`
/// leaves it unchanged. Reviews and links are written by
/// [`insert_reviews`](crate::repository::WriteSchools::insert_reviews) and
/// [`upsert_links`](crate::repository::WriteSchools::upsert_links).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewCollections {
    /// Its clubs.
    pub clubs: Option<Vec<SchoolClub>>,
    /// Its terms.
    pub term_dates: Option<Vec<TermDates>>,
    /// Its published results.
    pub performance: Option<Vec<Performance>>,
    /// Its details as a private school: one at most.
    pub private_details: Option<Vec<PrivateDetails>>,
    /// Its fees.
    pub fees: Option<Vec<PrivateFee>>,
    /// Its other identifiers: one row at most.
    pub identifiers: Option<Vec<SchoolIdentifiers>>,
    /// Its admissions.
    pub admissions: Option<Vec<Admissions>>,
    /// Its offers by criteria other than distance.
    pub admissions_criteria: Option<Vec<AdmissionsCriterion>>,
}

impl NewCollections {
    pub(crate) fn validate(&self) -> Result<()> {
        let Self {
            clubs,
            term_dates,
            performance,
            private_details,
            fees: _,
            identifiers,
            admissions,
            admissions_criteria,
        } = self;
        clubs.iter().flatten().try_for_each(SchoolClub::validate)?;
        term_dates.iter().flatten().try_for_each(TermDates::validate)?;
        performance.iter().flatten().try_for_each(Performance::validate)?;
        private_details.iter().flatten().try_for_each(PrivateDetails::validate)?;
        identifiers.iter().flatten().try_for_each(SchoolIdentifiers::validate)?;
        admissions.iter().flatten().try_for_each(Admissions::validate)?;
        admissions_criteria.iter().flatten().try_for_each(AdmissionsCriterion::validate)
    }
}
