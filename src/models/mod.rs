//! The rows of the database as plain values: no backend, no connection, no SQL.
//!
//! Both backends share them. An unknown value is `None`, never zero and never an empty text.

mod admissions;
mod catchment;
mod checks;
mod club;
mod counts;
mod details;
mod link;
mod patch;
mod performance;
mod private;
mod reach;
mod review;
mod school;
mod term;
mod words;

pub use admissions::{Admissions, NewAdmissions};
pub use catchment::{CatchmentHit, Evidence, NewCatchment, SchoolCatchment};
pub(crate) use checks::check_date;
pub use club::{SchoolClub, Weekday, Weekdays};
pub use counts::{CouncilCount, DeleteCounts, Facets, MergeCounts, UpsertCounts};
pub use details::{Collections, NewCollections, SchoolDetails};
pub use link::{NewLink, SchoolLink};
pub use patch::SchoolPatch;
pub use performance::Performance;
pub use private::{PrivateDetails, PrivateFee};
pub use reach::{ReachHit, ReachYear};
pub use review::Review;
pub use school::{NewSchool, PhaseGap, School, SchoolHit, SchoolSummary};
pub use term::{TermDates, common_holiday_weeks, in_session};
pub use words::{ClubKind, CostPer, Gender, LinkKind, Phase, Status, Term};
