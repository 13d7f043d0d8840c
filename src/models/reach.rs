//! The admissions reach: would my child have got in, by the last distances offered in past years?

use serde::{Deserialize, Serialize};

use super::SchoolHit;
use crate::units::AcademicYear;

/// One known year of an intake, and how far its offers reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReachYear {
    /// The school year.
    pub academic_year: AcademicYear,
    /// The intake. `None` where the source does not state it: such a year counts for each intake.
    pub intake: Option<String>,
    /// The distance of the last child who was offered a place by distance, in kilometres. `None` where every applicant
    /// was offered one.
    pub last_distance_km: Option<f64>,
    /// The last distance minus the point's, in kilometres. Below zero, a child there was not offered a place. `None`
    /// where every applicant was offered one.
    pub margin_km: Option<f64>,
    /// Whether every applicant was offered a place, at any distance. At a selective school this is no promise: only
    /// children who qualify are applicants for its places.
    pub all_offered: bool,
    /// The change of the last distance since the known year before, in kilometres. `None` where either year has none.
    pub change_km: Option<f64>,
    /// The number of applications per place, where it is known.
    pub applications_per_place: Option<f64>,
}

impl ReachYear {
    /// Returns a year with `all_offered` true and every other value `None`.
    pub const fn new(academic_year: AcademicYear) -> Self {
        build! {
            Self { academic_year, all_offered: true }
            None: intake, last_distance_km, margin_km, change_km, applications_per_place
        }
    }
}

/// A school that would have offered a child at the search's point a place. An estimate: distances differ
/// from year to year, and other criteria come before distance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReachHit {
    /// The school and its distance.
    #[serde(flatten)]
    pub hit: SchoolHit,
    /// Every known year of the matching intakes, by intake, newest first.
    pub years: Vec<ReachYear>,
    /// The number of known years of the intake that has the most.
    pub years_of_evidence: usize,
    /// [`School::is_selective`](super::School::is_selective), `None` where the register does not state it: if so, a
    /// year in which every applicant was offered a place promises nothing to a child who does not qualify.
    pub is_selective: Option<bool>,
    /// Always true: past years promise nothing.
    pub estimate: bool,
}

impl ReachHit {
    /// Returns a school and the years of its intakes.
    pub const fn new(hit: SchoolHit, years: Vec<ReachYear>, years_of_evidence: usize) -> Self {
        Self { hit, years, years_of_evidence, is_selective: None, estimate: true }
    }
}
