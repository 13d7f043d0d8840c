//! A point in the history of a database, for a session that reads its own writes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A point in the history of a database. Returned by [`SchoolRepository::position`], and given to
/// [`SchoolRepository::at_least`]. Opaque.
///
/// Its text is plain ASCII, at most 32 characters, and safe in a URL, a header and a cookie. It is no secret, and it is
/// not trusted: one that somebody made up costs a read the wait of a late replica, and never a wrong result.
///
/// [`SchoolRepository::position`]: super::SchoolRepository::position
/// [`SchoolRepository::at_least`]: super::SchoolRepository::at_least
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Position(pub(crate) Point);

/// The point itself, by backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Point {
    /// An embedded database: each read sees all writes before it.
    Embedded,
    /// A generation of SQLite.
    Generation(u64),
    /// A byte of the write-ahead log of a server.
    Server {
        /// The timeline: each promotion of a replica begins a new one.
        timeline: u32,
        /// The log sequence number.
        lsn: u64,
    },
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Point::Embedded => f.write_str("embedded"),
            Point::Generation(number) => write!(f, "generation-{number:x}"),
            Point::Server { timeline, lsn } => write!(f, "{timeline:x}-{lsn:x}"),
        }
    }
}

impl FromStr for Position {
    type Err = Error;

    /// Parses the text of a position. Whether the database ever reaches it is found out by a read.
    fn from_str(text: &str) -> Result<Self> {
        if text == "embedded" {
            return Ok(Self(Point::Embedded));
        }
        // The parser would allow a sign.
        let number = |text: &str| match text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            true => u64::from_str_radix(text, 16).ok(),
            false => None,
        };
        let point = text.split_once('-').and_then(|(first, second)| match first {
            "generation" => Some(Point::Generation(number(second)?)),
            _ => Some(Point::Server { timeline: number(first)?.try_into().ok()?, lsn: number(second)? }),
        });
        point.map(Self).ok_or(Error::InvalidPosition)
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}

impl TryFrom<String> for Position {
    type Error = Error;

    /// As `FromStr`.
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_text() {
        for point in [
            Point::Embedded,
            Point::Generation(u64::MAX),
            Point::Server { timeline: 1, lsn: 0x16_b374_d848 },
            Point::Server { timeline: u32::MAX, lsn: u64::MAX },
        ] {
            let text = Position(point).to_string();
            assert!(text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{text}");
            assert_eq!(text.parse::<Position>().expect("its own text"), Position(point));
            let json = serde_json::to_string(&Position(point)).expect("JSON");
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Position>(&json).expect("its own JSON"), Position(point));
        }
    }

    #[test]
    fn a_malformed_position_is_refused() {
        for text in [
            "",
            "-",
            "1-",
            "-1",
            "1",
            "generation-",
            "generation",
            "generation-+1",
            "+1-2",
            "1--2",
            "1-2-3",
            "1-10000000000000000",
            "100000000-1",
            "1-ü",
            "e",
        ] {
            let refused = text.parse::<Position>().expect_err(text);
            assert!(matches!(refused, Error::InvalidPosition) && refused.is_invalid_input(), "{refused}");
            assert_eq!(refused.field(), Some("position"));
        }
    }
}
