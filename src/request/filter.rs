//! Which schools a search lets through.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::models::{Gender, Phase, Status};
use crate::text;

/// Conditions on schools; a school must meet them all. The default lets every open school through.
///
/// A condition on a fact lets only those schools through of which the fact is known, unless it says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchoolFilter {
    /// In one of these councils, spelled as [`councils`](crate::SchoolRepository::councils) spells them. None: in any.
    pub councils: Vec<String>,
    /// In one of these phases. None: in any, or in an unknown one.
    pub phases: Vec<Phase>,
    /// With one of these statuses. None: open now, which includes those that are proposed to close.
    pub statuses: Vec<Status>,
    /// By Ofsted rating.
    pub rating: Option<RatingFilter>,
    /// State or private.
    pub ownership: Option<Ownership>,
    /// Teaching children of this age, in years: from the youngest age to the oldest, both included.
    pub age: Option<i16>,
    /// Open to a child: `Boys` lets boys' and mixed schools through, `Girls` girls' and mixed ones, `Mixed` mixed ones
    /// alone.
    pub gender: Option<Gender>,
    /// By religious character.
    pub faith: Option<Faith>,
    /// With this text anywhere in the name, both [folded](crate::text::fold).
    pub name: Option<String>,
}

/// A condition on the Ofsted rating, which says what happens to schools without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatingFilter {
    /// The worst rating to let through, from 1 (outstanding) to 4 (inadequate).
    pub at_most: i16,
    /// What happens to schools that have no rating.
    pub unrated: Unrated,
}

/// What a condition on the rating does with schools that have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unrated {
    /// They stay in the answer.
    Include,
    /// They are left out.
    Exclude,
}

/// Who runs a school.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ownership {
    /// Paid for by the state.
    State,
    /// Independent: parents pay fees.
    Private,
}

/// A condition on the religious character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Faith {
    /// Of some faith.
    Any,
    /// Of no faith, and known to be so.
    None,
    /// Of this faith, spelled as [`facets`](crate::SchoolRepository::facets) spells it.
    Is(String),
}

impl SchoolFilter {
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
