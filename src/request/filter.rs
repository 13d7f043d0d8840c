//! Which schools a search lets through.

use chrono::NaiveTime;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::models::{ClubKind, Gender, Phase, Status, Weekday};
use crate::text;
use crate::units::{AcademicYear, Money};

/// Conditions on schools; a school must meet them all. The default lets every open school through.
///
/// A condition on a fact lets only those schools through of which the fact is known, unless it says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct SchoolFilter {
    /// In one of these councils, spelled as [`councils`](crate::SchoolRepository::councils) spells them. Empty: in any.
    pub councils: Vec<String>,
    /// In one of these phases. Empty: in any, or in an unknown one.
    pub phases: Vec<Phase>,
    /// What happens to schools that the register gives no phase, when there are `phases`.
    pub no_phase: NoPhase,
    /// With one of these statuses. Empty: open now, which includes those that are proposed to close.
    pub statuses: Vec<Status>,
    /// By Ofsted rating.
    pub rating: Option<RatingFilter>,
    /// State or private.
    pub ownership: Option<Ownership>,
    /// Teaching children of this age, in years: from `age_range_from` to `age_range_to`, both included. So an
    /// 11-year-old finds primary schools that end at 11 too.
    pub age: Option<i16>,
    /// Open to a child: `Boys` lets boys' and mixed schools through, `Girls` girls' and mixed ones, `Mixed` mixed ones
    /// alone.
    pub gender: Option<Gender>,
    /// By religious character.
    pub faith: Option<Faith>,
    /// With a club for each of these; two of different kinds for both.
    pub clubs: Vec<ClubFilter>,
    /// With a fee in this range.
    pub fees: Option<FeeFilter>,
    /// Whose offers of past years reached the search's point.
    pub reach: Option<ReachFilter>,
    /// With this text anywhere in the name, both [folded](crate::text::fold).
    pub name: Option<String>,
}

/// What a condition on the phase does with schools that the register gives none: it says "not applicable" of more than
/// a fifth of all, most of them special and independent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoPhase {
    /// They are left out.
    #[default]
    Exclude,
    /// Their ages count: who teaches 3-year-olds passes as a nursery, 7-year-olds primary, 13-year-olds secondary,
    /// 17-year-olds 16 plus, and 7 and 13 all-through. For middle schools there is no such age.
    ByAges,
}

/// A condition on a club.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClubFilter {
    /// When it is held.
    pub kind: ClubKind,
    /// Held on this day, and known to be.
    pub on: Option<Weekday>,
    /// Until this time or later, and known to be.
    pub until: Option<NaiveTime>,
}

impl From<ClubKind> for ClubFilter {
    fn from(kind: ClubKind) -> Self {
        Self { kind, on: None, until: None }
    }
}

/// A condition on the fee a year for a child of some age: one and the same row must fit the age and the range.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FeeFilter {
    /// In this school year.
    pub academic_year: AcademicYear,
    /// The child's age, in years.
    pub age: i16,
    /// At least so much a year.
    pub at_least: Option<Money>,
    /// At most so much a year.
    pub at_most: Option<Money>,
}

/// A condition on the Ofsted rating, which says what happens to schools without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RatingFilter {
    /// The worst rating to let through, from 1 (outstanding) to 4 (inadequate).
    pub at_most: i16,
    /// What happens to schools that have no rating.
    pub unrated: Unrated,
}

/// What a condition on the rating does with schools that have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unrated {
    /// They stay in the answer.
    Include,
    /// They are left out.
    Exclude,
}

/// Who runs a school.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ownership {
    /// Paid for by the state.
    State,
    /// Independent: parents pay fees.
    Private,
}

/// A condition on the religious character.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Faith {
    /// Of some faith.
    Any,
    /// Of no faith, and known to be so: the register's word `None`.
    None,
    /// Of this faith, spelled as [`facets`](crate::SchoolRepository::facets) spells it.
    Is(String),
}

impl SchoolFilter {
    /// The phases that count by the ages of a school without one: nursery, primary, secondary, 16 plus, all-through.
    pub(crate) fn phases_by_ages(&self) -> [bool; 5] {
        [Phase::Nursery, Phase::Primary, Phase::Secondary, Phase::SixteenPlus, Phase::AllThrough]
            .map(|phase| self.phases.contains(&phase))
    }

    /// The folded text to look for in names, or nothing.
    ///
    /// # Errors
    /// [`Error::InvalidText`] where the text has nothing to look for, [`Error::TooLong`] past 200 characters.
    pub(crate) fn folded_name(&self) -> Result<Option<String>> {
        let Some(name) = &self.name else { return Ok(None) };
        let length = name.chars().count();
        if length > 200 {
            return Err(Error::TooLong { field: "name", length, max: 200 });
        }
        if name.contains('\0') {
            return Err(Error::InvalidText { field: "name", reason: "holds a NUL character" });
        }
        let folded = text::fold(name);
        if folded.is_empty() {
            return Err(Error::InvalidText { field: "name", reason: "has no letter, digit or sign to look for" });
        }
        Ok(Some(folded))
    }
}

/// A condition on how far a school's offers reached: in each of the newest so many years of which it is known, a child
/// living at the search's point would have been offered a place by distance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReachFilter {
    /// Only for this intake, such as `Year R`, as the source spells it. Nothing: for any one.
    pub intake: Option<String>,
    /// In how many of the newest years that are known of an intake, however long ago they are: 1 is its latest one. An
    /// intake with fewer known years does not pass.
    pub years: u8,
}

impl Default for ReachFilter {
    /// Any intake, in the latest year.
    fn default() -> Self {
        Self { intake: None, years: 1 }
    }
}
