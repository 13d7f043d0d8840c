//! Would my child have got in? What past years' last distances say of a home.

use serde::{Deserialize, Serialize};

use super::SchoolHit;
use crate::units::AcademicYear;

/// One year of an intake whose offers reached the place that was asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReachYear {
    /// The school year.
    pub academic_year: AcademicYear,
    /// Which children.
    pub intake: Option<String>,
    /// How far away the last child lived who was offered a place by distance.
    pub last_distance_km: f64,
    /// By how much that is farther than the place: below zero, a child from there was not offered one.
    pub margin_km: f64,
    /// How much farther it was than in the known year before: the trend. Nothing for the first.
    pub change_km: Option<f64>,
    /// How many asked for each place, where it is known.
    pub applications_per_place: Option<f64>,
}

/// A school that would have offered a child from the search's point a place by distance. An estimate: next year's
/// distance will be another, and other criteria come before distance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReachHit {
    /// The school and its distance.
    #[serde(flatten)]
    pub hit: SchoolHit,
    /// Every known year of the intakes that pass, by intake, the newest first.
    pub years: Vec<ReachYear>,
    /// The known years of the intake that has the most.
    pub years_of_evidence: usize,
    /// Always true: past years are no promise.
    pub estimate: bool,
}
