//! How a database is.

use serde::{Deserialize, Serialize};

use crate::config::Backend;

/// A database that can be used: it was reached, and has this build's schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// The backend, as in `DB_BACKEND`.
    pub backend: String,
    /// The versions of its software, such as `"SQLite 3.51.3"` or `"PostgreSQL 16.4, PostGIS 3.4.2"`.
    pub version: String,
    /// The newest migration, which is this build's.
    pub migration: String,
}

impl Health {
    pub(crate) fn new(backend: Backend, version: String, migration: String) -> Self {
        Self { backend: backend.to_string(), version, migration }
    }
}

/// How many connections a repository has, for gauges. All zero where each call makes its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The most that it opens.
    pub max: u32,
    /// Those that are open.
    pub open: u32,
    /// Those of them that no call is using.
    pub idle: u32,
    /// The calls that wait for one.
    pub waiting: u32,
}
