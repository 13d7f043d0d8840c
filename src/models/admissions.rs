//! Admissions, year by year.

use diesel::Queryable;
use serde::{Deserialize, Serialize};

use super::checks::check_text;
use crate::error::{Error, Result};
use crate::ids::Urn;
use crate::units::{AcademicYear, Kilometres};

/// A school's admissions to one intake in one year. A value that the source lacks is `None`, never zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Admissions {
    /// The school year.
    pub academic_year: AcademicYear,
    /// The intake, such as `Year R`. At most 50 characters.
    pub intake: Option<String>,
    /// The number of places: the published admission number, or what the source counts as such.
    pub places_offered: Option<i32>,
    /// The number of applications.
    pub applications_received: Option<i32>,
    /// The distance of the last child who was offered a place by distance, measured as the council does.
    pub last_distance_offered_km: Option<Kilometres>,
    /// The number of offers from the waiting list.
    pub waiting_list_offers: Option<i32>,
    /// The number of appeals that were heard.
    pub appeals_heard: Option<i32>,
    /// The number of appeals that were upheld.
    pub appeals_upheld: Option<i32>,
    /// Whether places were left after every applicant was offered one.
    pub had_vacancies: Option<bool>,
    /// How places were allocated, in the source's words. At most 2,000 characters.
    pub notes: Option<String>,
    /// The source. At most 1,000 characters.
    pub source: Option<String>,
}

impl Admissions {
    /// Returns a year of which nothing else is known.
    pub fn new(academic_year: AcademicYear, intake: Option<String>) -> Self {
        build! {
            Self { academic_year, intake }
            None: places_offered, applications_received, last_distance_offered_km, waiting_list_offers, appeals_heard,
            appeals_upheld, had_vacancies, notes, source
        }
    }

    /// Returns the number of applications per place, or `None` where either is unknown or there was no place.
    #[must_use]
    pub fn applications_per_place(&self) -> Option<f64> {
        let places = self.places_offered.filter(|places| *places > 0)?;
        Some(f64::from(self.applications_received?) / f64::from(places))
    }

    /// Returns these values, or the stored ones where they are `None`. A new last distance without `had_vacancies`
    /// makes a stored `had_vacancies` of `true` unknown, because the two contradict each other.
    #[must_use]
    pub(crate) fn or_stored(self, stored: &Self) -> Self {
        let had_vacancies = match (self.had_vacancies, self.last_distance_offered_km) {
            (None, Some(_)) => stored.had_vacancies.filter(|had| !had),
            (new, _) => new.or(stored.had_vacancies),
        };
        let (appeals_upheld, appeals_heard) = super::either_range(
            (self.appeals_upheld, self.appeals_heard),
            (stored.appeals_upheld, stored.appeals_heard),
        );
        build! {
            Self { academic_year: self.academic_year, intake: self.intake, appeals_heard, appeals_upheld, had_vacancies }
            self or stored: places_offered, applications_received, last_distance_offered_km, waiting_list_offers,
            notes, source
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let fields! {
            Self { intake, last_distance_offered_km, notes, source }
            unchecked: academic_year, places_offered, applications_received, waiting_list_offers, appeals_heard,
            appeals_upheld, had_vacancies
        } = self;
        check_text("intake", intake.as_ref(), 50)?;
        check_text("notes", notes.as_ref(), 2_000)?;
        check_text("source", source.as_ref(), 1_000)?;
        check_distance(*last_distance_offered_km, "ck_admissions_last_distance")
    }
}

/// A year of admissions to write, by the school's URN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewAdmissions {
    /// The school.
    pub urn: Urn,
    /// The known values of the year.
    #[serde(flatten)]
    pub admissions: Admissions,
}

/// A school's offers by a criterion other than distance, to one intake in one year. No search uses their distance,
/// since it does not apply to children who do not meet the criterion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct AdmissionsCriterion {
    /// The school year.
    pub academic_year: AcademicYear,
    /// The intake, such as `Year R`. At most 50 characters.
    pub intake: Option<String>,
    /// The criterion, in the source's words, such as `Siblings`. At most 200 characters.
    pub criterion: String,
    /// The number of places that were offered by it.
    pub places_offered: Option<i32>,
    /// The number of applications that met it.
    pub applications_received: Option<i32>,
    /// The distance of the last child who was offered a place by it, in kilometres.
    pub last_distance_offered_km: Option<Kilometres>,
    /// The source. At most 1,000 characters.
    pub source: Option<String>,
}

impl AdmissionsCriterion {
    /// Returns these values, or the stored ones where they are `None`.
    #[must_use]
    pub(crate) fn or_stored(self, stored: &Self) -> Self {
        build! {
            Self { academic_year: self.academic_year, intake: self.intake, criterion: self.criterion }
            self or stored: places_offered, applications_received, last_distance_offered_km, source
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let fields! {
            Self { intake, criterion, last_distance_offered_km, source }
            unchecked: academic_year, places_offered, applications_received
        } = self;
        check_text("intake", intake.as_ref(), 50)?;
        check_text("criterion", Some(criterion), 200)?;
        check_text("source", source.as_ref(), 1_000)?;
        check_distance(*last_distance_offered_km, "ck_criteria_last_distance")
    }
}

/// A criterion's offers to write, by the school's URN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewAdmissionsCriterion {
    /// The school.
    pub urn: Urn,
    /// The known values.
    #[serde(flatten)]
    pub offers: AdmissionsCriterion,
}

/// Checks a last distance.
fn check_distance(km: Option<Kilometres>, constraint: &str) -> Result<()> {
    match km {
        Some(km) if km.get() > 20_037.6 => Err(Error::CheckViolated { constraint: constraint.to_owned() }),
        _ => Ok(()),
    }
}
