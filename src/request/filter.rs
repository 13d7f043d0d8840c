//! The filter of a search.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use chrono::NaiveTime;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::models::{ClubKind, Gender, Phase, Rating, Status, Weekday, words};
use crate::text;
use crate::units::{AcademicYear, Money};

/// The conditions of a search; a school must meet them all. The default matches every open school.
///
/// A condition excludes schools whose value is unknown, unless its documentation states otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct SchoolFilter {
    /// In one of these councils, spelled as [`councils`](crate::repository::CountSchools::councils) returns them.
    /// Empty: in any.
    pub councils: Vec<String>,
    /// In one of these phases. Empty: in any or an unknown one.
    pub phases: Vec<Phase>,
    /// How `phases` treats schools without a phase in the register.
    pub no_phase: NoPhase,
    /// With one of these statuses. Empty: open now, which includes those that are proposed to close.
    pub statuses: Vec<Status>,
    /// By Ofsted rating.
    pub rating: Option<RatingFilter>,
    /// State or private.
    pub ownership: Option<Ownership>,
    /// Teaching children of this age, in years: from `age_range_from` to `age_range_to`, both included. So 11 matches
    /// primary schools that end at 11 too.
    pub age: Option<i16>,
    /// Open to a child: `Boys` matches boys' and mixed schools, `Girls` girls' and mixed ones, `Mixed` only mixed ones.
    pub gender: Option<Gender>,
    /// By religious character.
    pub faith: Option<Faith>,
    /// Each of these is a condition that one of the school's clubs must meet.
    pub clubs: Vec<ClubFilter>,
    /// With a fee in this range.
    pub fees: Option<FeeFilter>,
    /// Whose offers in past years reached the search's point.
    pub reach: Option<ReachFilter>,
    /// With each word of this text, in any order, in the name, the town, the council or the postcode, all
    /// [folded](crate::text::fold). The last word, and any of four letters or more, may be the beginning of a longer
    /// one. Usual spellings match each other, such as `CofE`, `C.E.` and `Church of England`. A number of six digits is
    /// a URN, and one like `826/4000` or `8264000` a LAESTAB. Where no school matches, typing errors are corrected: one
    /// in a word of four letters or more, two from eight letters on, and words that are written as one.
    pub name: Option<String>,
}

words! {
    /// How a condition on the phase treats schools without one. The register has "not applicable" for more than a fifth
    /// of all schools, most of them special and independent.
    #[derive(Default)]
    NoPhase, "no_phase" {
        /// Excludes them.
        #[default]
        Exclude = "exclude",
        /// Uses their ages: a school counts as the phase that [`Phase::of_ages`] returns. A middle school counts as
        /// primary (`MiddlePrimary`) or secondary (`MiddleSecondary`) too, and an all-through school as both. A school
        /// that teaches 3-year-olds also counts as a nursery, and one that teaches 17-year-olds as 16 plus.
        ByAges = "by_ages",
    }
}

/// A condition on a club.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClubFilter {
    /// When it is held.
    pub kind: ClubKind,
    /// Known to be held on this day.
    pub on: Option<Weekday>,
    /// Known to last until this time or later.
    pub until: Option<NaiveTime>,
}

impl From<ClubKind> for ClubFilter {
    fn from(kind: ClubKind) -> Self {
        Self { kind, on: None, until: None }
    }
}

/// A condition on the yearly fee for a child of some age. One row must match both the age and the range.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FeeFilter {
    /// In this school year.
    pub academic_year: AcademicYear,
    /// The child's age, in years.
    pub age: i16,
    /// The lowest fee a year.
    pub at_least: Option<Money>,
    /// The highest fee a year.
    pub at_most: Option<Money>,
}

/// A condition on the Ofsted rating.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RatingFilter {
    /// The worst rating that matches. In JSON its name is `at_most`, because 1 is the best rating.
    #[serde(rename = "at_most")]
    pub at_least: Rating,
    /// How schools without a rating are treated.
    pub unrated: Unrated,
}

words! {
    /// How a condition on the rating treats schools without one.
    Unrated, "unrated" {
        /// Includes them.
        Include = "include",
        /// Excludes them.
        Exclude = "exclude",
    }
}

words! {
    /// Whether a school is run by the state or privately.
    Ownership, "ownership" {
        /// Funded by the state.
        State = "state",
        /// Independent: parents pay fees.
        Private = "private",
    }
}

/// A condition on the religious character.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Faith {
    /// Of some faith.
    Any,
    /// Known to be of no faith: the register's word `None`.
    None,
    /// Of this faith, spelled as [`facets`](crate::repository::CountSchools::facets) returns it.
    Is(String),
}

impl fmt::Display for Faith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::None => "none",
            Self::Is(faith) => faith,
        })
    }
}

/// Parses `any`, `none`, or a faith.
impl FromStr for Faith {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "any" => Self::Any,
            "none" => Self::None,
            faith => Self::Is(faith.to_owned()),
        })
    }
}

impl SchoolFilter {
    /// Returns the text whose words to search for, or `None` without one.
    ///
    /// # Errors
    /// [`Error::InvalidText`] where the text has a NUL or folds to nothing, [`Error::TooLong`] past 200 characters.
    pub(crate) fn checked_name(&self) -> Result<Option<&str>> {
        let Some(name) = &self.name else { return Ok(None) };
        let length = name.chars().count();
        if length > 200 {
            return Err(Error::TooLong { field: "name", length, max: 200 });
        }
        if name.contains('\0') {
            return Err(Error::InvalidText { field: "name", reason: "holds a NUL character" });
        }
        if text::fold(name).is_empty() {
            return Err(Error::InvalidText { field: "name", reason: "has no letter, digit or sign to search for" });
        }
        Ok(Some(name))
    }
}

/// A condition on the admissions reach: a child at the search's point would have been offered a place in each of the
/// newest `years` known years, either by distance or because every applicant was.
///
/// A year is known if the source states its last distance, or states that every applicant was offered a place
/// (`had_vacancies`). A year in which every applicant was offered a place matches anywhere within the search's radius;
/// without a radius, within the greatest last distance of any school. A year without an intake counts for each intake
/// of the school that has no row of that year.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReachFilter {
    /// Only this intake (the year group that admits), such as `Year R`, as the source spells it. Where the school has
    /// no row of this intake, its rows without an intake count. `None`: any intake.
    pub intake: Option<String>,
    /// The number of the newest known years of an intake that must match, however old they are. An intake with fewer
    /// known years does not match.
    pub years: u8,
}

impl Default for ReachFilter {
    /// Returns the condition for any intake in its latest year.
    fn default() -> Self {
        Self { intake: None, years: 1 }
    }
}
