//! Where a page ended, so that the next one starts there.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Marks the end of a page. Opaque: hand it back with the search it came from.
///
/// It holds the last school's place in the order and not a row number, so that schools which come and go in between are
/// neither lost nor shown twice. It is plain ASCII and safe in a URL. Another build of the crate may refuse it, as it
/// refuses one of another search: then begin at the first page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    pub(crate) const fn of(text: String) -> Self {
        Self(text)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    /// Takes any short text: whether it fits is seen when it is used.
    fn from_str(text: &str) -> Result<Self> {
        // The longest honest one is a folded name of 200 characters in hexadecimal.
        if text.len() > 8_192 {
            return Err(Error::InvalidCursor { reason: "it is too long" });
        }
        Ok(Self(text.to_owned()))
    }
}
