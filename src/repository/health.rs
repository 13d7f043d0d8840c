//! The state of a database and of its connections.

use serde::{Deserialize, Serialize};

use crate::config::Backend;
use crate::error::{Error, Result};
use crate::repository::{Point, Position};

/// The state of a usable database: it was reached, and its schema serves this build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Health {
    /// The backend, as in `DB_BACKEND`.
    pub backend: String,
    /// The versions of the database's software, such as `"SQLite 3.51.3"` or `"PostgreSQL 16.4, PostGIS 3.4.2"`.
    pub version: String,
    /// The newest applied migration: this build's newest, or the version of a newer build's.
    pub migration: String,
    /// `"primary"` or `"standby"` for Postgres, and `"embedded"` for SQLite.
    pub role: String,
    /// How far a standby is behind its primary, in milliseconds, as
    /// [`PoolConfig::max_lag`](crate::config::PoolConfig::max_lag) measures it. `None` for other roles, where the
    /// standby follows no primary, and without the right to see it.
    pub lag_ms: Option<u64>,
    /// The point in the history of the database that this server has reached: on a standby, what it has replayed.
    /// `None` for a server that does not report it, such as one that is only compatible with Postgres.
    pub position: Option<Position>,
    /// The state of both servers, where reads have one of their own
    /// ([`Config::with_reader`](crate::Config::with_reader)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<Servers>,
    /// The number of the generation in use, of a database that `ship` wrote and this repository follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// The state of the writer and the reader: `"usable"`, or the name of the error, such as `"Unavailable"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Servers {
    /// The server of writes.
    pub writer: String,
    /// The server of reads.
    pub reader: String,
}

impl Health {
    pub(crate) fn new(backend: Backend, version: String, migration: String) -> Self {
        Self {
            backend: backend.to_string(),
            version,
            migration,
            role: "embedded".to_owned(),
            lag_ms: None,
            position: Some(Position(Point::Embedded)),
            servers: None,
            generation: None,
        }
    }
}

/// The number of connections of a repository, for gauges. All are zero where each call opens its own connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PoolStatus {
    /// The most connections that the pool opens.
    pub max: u32,
    /// The open connections.
    pub open: u32,
    /// The open connections that no call is using.
    pub idle: u32,
    /// The calls that wait for a connection.
    pub waiting: u32,
}

/// Returns an error for software that is older than needed. Its version is compared number by number.
pub(crate) fn refuse_older(software: &'static str, found: &str, needed: &'static str) -> Result<()> {
    let numbers = |version: &str| -> Vec<u32> {
        let first_word = version.split_whitespace().next().unwrap_or_default();
        // `18beta2` has the numbers of 18.
        let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
        first_word.split('.').map(|part| digits(part).parse().unwrap_or(0)).collect()
    };
    if numbers(found) < numbers(needed) {
        return Err(Error::UnsupportedVersion { software, found: found.to_owned(), needed });
    }
    Ok(())
}
