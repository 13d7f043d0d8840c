//! The state of a database and of its connections.

use serde::{Deserialize, Serialize};

use crate::config::Backend;

/// The state of a usable database: it was reached, and has this build's schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// The backend, as in `DB_BACKEND`.
    pub backend: String,
    /// The versions of the database's software, such as `"SQLite 3.51.3"` or `"PostgreSQL 16.4, PostGIS 3.4.2"`.
    pub version: String,
    /// The newest applied migration, which is this build's newest.
    pub migration: String,
}

impl Health {
    pub(crate) fn new(backend: Backend, version: String, migration: String) -> Self {
        Self { backend: backend.to_string(), version, migration }
    }
}

/// The number of connections of a repository, for gauges. All are zero where each call opens its own connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
