//! The rows of the database as plain values: no backend, no connection, no SQL.
//!
//! Both backends share them. An unknown value is `None`, never zero and never an empty text.

/// Builds a model. The listed fields are `None`, or have the values of the same fields of another model, or those of a
/// new one or else of a stored one. The other fields are given. It has no `..`: a missing field does not compile.
macro_rules! build {
    ($model:ident { $($given:tt)+ } None: $($field:ident),+) => {
        $model { $($given)+, $($field: None,)+ }
    };
    ($model:ident { $($given:tt)+ } $from:ident: $($field:ident),+) => {
        $model { $($given)+, $($field: $from.$field,)+ }
    };
    ($model:ident { $($given:tt)+ } $new:ident or $stored:ident: $($field:ident),+) => {
        $model { $($given)+, $($field: super::either($new.$field, &$stored.$field),)+ }
    };
}

/// A pattern of a model that binds the fields to check. It has no `..`: a field of neither list does not compile.
macro_rules! fields {
    ($model:ident { $($checked:ident),+ } unchecked: $($unchecked:ident),+) => {
        $model { $($checked,)+ $($unchecked: _),+ }
    };
}

mod admissions;
mod catchment;
mod checks;
mod club;
mod counts;
mod details;
mod identifiers;
mod link;
mod patch;
mod performance;
mod postcode;
mod private;
mod rating;
mod reach;
mod review;
mod school;
mod term;
mod words;

pub use admissions::{Admissions, AdmissionsCriterion, NewAdmissions, NewAdmissionsCriterion};
pub use catchment::{CatchmentHit, Evidence, NewCatchment, SchoolCatchment};
pub(crate) use checks::check_date;
pub use club::{SchoolClub, Weekday, Weekdays};
pub use counts::{CouncilCount, DeleteCounts, Facets, MergeCounts, PostcodeCounts, RegisterCounts, UpsertCounts};
pub use details::{Collections, NewCollections, SchoolDetails};
pub use identifiers::SchoolIdentifiers;
pub use link::{NewLink, SchoolLink};
pub use patch::SchoolPatch;
pub use performance::Performance;
pub(crate) use postcode::PostcodeRow;
pub use postcode::{Home, HomeSource, PostcodePlace};
pub use private::{PrivateDetails, PrivateFee};
pub use rating::Rating;
pub use reach::{ReachHit, ReachYear};
pub use review::Review;
pub use school::{NewSchool, PhaseGap, School, SchoolHit, SchoolSummary, Suggestion};
pub use term::{TermDates, common_holiday_weeks, in_session};
pub(crate) use words::words;
pub use words::{ClubKind, CostPer, Gender, LinkKind, Phase, Status, Term};

/// Returns the new value, or the stored one where it is `None`.
fn either<T: Clone>(new: Option<T>, stored: &Option<T>) -> Option<T> {
    new.or_else(|| stored.clone())
}

/// Merges a lower and an upper bound as [`either`] does. A stored bound that contradicts the new one is dropped.
fn either_range<T: PartialOrd + Copy>(
    new: (Option<T>, Option<T>),
    stored: (Option<T>, Option<T>),
) -> (Option<T>, Option<T>) {
    match new {
        (None, None) => stored,
        (Some(low), None) => (new.0, stored.1.filter(|high| *high >= low)),
        (None, Some(high)) => (stored.0.filter(|low| *low <= high), new.1),
        both => both,
    }
}
