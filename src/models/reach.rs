//! The admissions reach: would my child have got in, by the last distances offered in past years?

use serde::{Deserialize, Serialize};

use super::SchoolHit;
use crate::units::{AcademicYear, Kilometres, SignedKilometres};

/// One known year of an intake: its last distance offered, and the margin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ReachYear {
    /// The school year.
    pub academic_year: AcademicYear,
    /// The intake. `None` where the source does not state it: such a year counts for each intake of the school that has
    /// no row of that year.
    pub intake: Option<String>,
    /// The distance of the last child who was offered a place by distance. `None` where every applicant
    /// was offered one.
    pub last_distance_km: Option<Kilometres>,
    /// The last distance minus the school's distance from the search's point. Below zero: a child at the
    /// point would not have been offered a place. `None` where every applicant was offered one.
    pub margin_km: Option<SignedKilometres>,
    /// Whether every applicant was offered a place, at any distance. At a selective school only children who qualify
    /// were: see [`ReachHit::is_selective`].
    pub all_offered: bool,
    /// The last distance minus that of the previous known year. `None` where either year has none.
    pub change_km: Option<SignedKilometres>,
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
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ReachHit {
    /// The school and its distance.
    #[serde(flatten)]
    pub hit: SchoolHit,
    /// Every known year of the matching intakes, by intake, newest first.
    pub years: Vec<ReachYear>,
    /// The highest number of known years that one of the matching intakes has.
    pub years_of_evidence: usize,
    /// [`School::is_selective`](super::School::is_selective), `None` where the register does not state it. A selective
    /// school refuses a child who does not qualify, also in a year in which every applicant was offered a place.
    pub is_selective: Option<bool>,
    /// Always true, so that JSON states it: past years are no promise for the next.
    pub estimate: bool,
}

impl ReachHit {
    /// Returns a school and the years of its intakes.
    pub const fn new(hit: SchoolHit, years: Vec<ReachYear>, years_of_evidence: usize) -> Self {
        Self { hit, years, years_of_evidence, is_selective: None, estimate: true }
    }
}
