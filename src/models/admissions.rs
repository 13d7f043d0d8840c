//! Who was offered a place, year by year.

use diesel::Queryable;
use serde::{Deserialize, Serialize};

use super::checks::check_text;
use crate::error::{Error, Result};
use crate::ids::Urn;
use crate::units::AcademicYear;

/// How a school admitted children of one intake in one year. What the source does not say is `None`, and never zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable)]
pub struct Admissions {
    /// The school year.
    pub academic_year: AcademicYear,
    /// Which children, such as `Year R`. At most 50 characters.
    pub intake: Option<String>,
    /// How many places there were to give: the published admission number, or what the source counts as such.
    pub places_offered: Option<i32>,
    /// How many children were put down for it.
    pub applications_received: Option<i32>,
    /// How far away the last child lived who was offered a place by distance, in kilometres, measured as the
    /// council does.
    pub last_distance_offered_km: Option<f64>,
    /// How many were offered a place from the waiting list.
    pub waiting_list_offers: Option<i32>,
    /// How many appeals were heard.
    pub appeals_heard: Option<i32>,
    /// How many of them were upheld.
    pub appeals_upheld: Option<i32>,
    /// Whether places were left when all who had asked were offered one.
    pub had_vacancies: Option<bool>,
    /// How places were allocated, in the source's words. At most 2,000 characters.
    pub notes: Option<String>,
    /// Where this is from. At most 1,000 characters.
    pub source: Option<String>,
}

impl Admissions {
    /// A year of which nothing is known yet.
    pub fn new(academic_year: AcademicYear, intake: Option<String>) -> Self {
        Self {
            academic_year,
            intake,
            places_offered: None,
            applications_received: None,
            last_distance_offered_km: None,
            waiting_list_offers: None,
            appeals_heard: None,
            appeals_upheld: None,
            had_vacancies: None,
            notes: None,
            source: None,
        }
    }

    /// How many children asked for each place; nothing where either is not known, or there was no place.
    #[must_use]
    pub fn applications_per_place(&self) -> Option<f64> {
        let places = self.places_offered.filter(|places| *places > 0)?;
        Some(f64::from(self.applications_received?) / f64::from(places))
    }

    /// What is known now, laid over what is stored: nothing known becomes unknown.
    #[must_use]
    pub(crate) fn over(self, stored: &Self) -> Self {
        // Half of what is known now beside half of what was stored may not fit: then the new half stands alone.
        let (appeals_heard, appeals_upheld) = match (self.appeals_heard, self.appeals_upheld) {
            (None, None) => (stored.appeals_heard, stored.appeals_upheld),
            (Some(heard), None) => (Some(heard), stored.appeals_upheld.filter(|upheld| *upheld <= heard)),
            (None, Some(upheld)) => (stored.appeals_heard.filter(|heard| *heard >= upheld), Some(upheld)),
            both => both,
        };
        Self {
            academic_year: self.academic_year,
            places_offered: self.places_offered.or(stored.places_offered),
            applications_received: self.applications_received.or(stored.applications_received),
            last_distance_offered_km: self.last_distance_offered_km.or(stored.last_distance_offered_km),
            waiting_list_offers: self.waiting_list_offers.or(stored.waiting_list_offers),
            appeals_heard,
            appeals_upheld,
            had_vacancies: self.had_vacancies.or(stored.had_vacancies),
            intake: self.intake,
            notes: self.notes.or_else(|| stored.notes.clone()),
            source: self.source.or_else(|| stored.source.clone()),
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let Self {
            academic_year: _,
            intake,
            places_offered: _,
            applications_received: _,
            last_distance_offered_km,
            waiting_list_offers: _,
            appeals_heard: _,
            appeals_upheld: _,
            had_vacancies: _,
            notes,
            source,
        } = self;
        check_text("intake", intake.as_ref(), 50)?;
        check_text("notes", notes.as_ref(), 2_000)?;
        check_text("source", source.as_ref(), 1_000)?;
        // SQLite takes a NaN for NULL, which would be "unknown".
        match last_distance_offered_km {
            Some(km) if !(0.0..=20_037.6).contains(km) => {
                Err(Error::CheckViolated { constraint: "ck_admissions_last_distance".to_owned() })
            }
            _ => Ok(()),
        }
    }
}

/// A year of admissions to be written, by the school's URN.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAdmissions {
    /// The school.
    pub urn: Urn,
    /// What is known of the year.
    pub admissions: Admissions,
}
