//! The cursor between two pages of a search.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The end of a page, from which the next page of the same search starts. Opaque.
///
/// It holds the position of the page's last school in the order, not a row number. Schools inserted or deleted between
/// two pages are neither skipped nor repeated. It is plain ASCII and safe in a URL. The cursor of another search is
/// refused, and that of another build may be; start again from the first page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor(String);

impl Cursor {
    pub(crate) const fn of(text: String) -> Self {
        Self(text)
    }

    /// Returns its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.0
    }
}

impl TryFrom<String> for Cursor {
    type Error = Error;

    /// Converts a text of at most 8,192 bytes. Whether it belongs to a search is checked when it is used.
    fn try_from(text: String) -> Result<Self> {
        // The longest cursor of this crate holds a folded name of 200 characters in hexadecimal.
        if text.len() > 8_192 {
            return Err(Error::InvalidCursor { reason: "it is too long" });
        }
        Ok(Self(text))
    }
}

impl FromStr for Cursor {
    type Err = Error;

    /// As `TryFrom<String>`.
    fn from_str(text: &str) -> Result<Self> {
        text.to_owned().try_into()
    }
}
