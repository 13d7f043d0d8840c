//! The migration engine, for every backend: what a migration is, the order in which migrations run, and the drift
//! between two schemas.
//!
//! Backends implement [`SchemaConnection`]. [`migrate`](crate::migrate) opens databases, and is built on the backends.

mod differences;
pub(crate) mod evolve;
mod script;

use serde::{Deserialize, Serialize};

pub(crate) use self::differences::{Entry, differences};
#[cfg(feature = "postgres")]
pub(crate) use self::evolve::refuse_other;
pub(crate) use self::evolve::{Known, LockTimeout, SchemaConnection, Source, VersionTables, require};
#[cfg(feature = "sqlite")]
pub(crate) use self::evolve::{require_current, up as up_on_conn};
#[cfg(feature = "testing")]
pub(crate) use self::script::Folder;
pub use self::script::Script;

/// A migration and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationStatus {
    /// The name, such as `2026-11-28-060100_create_schools`.
    pub name: String,
    /// Whether the migration is applied.
    pub applied: bool,
    /// Whether this build has the migration. Otherwise, it comes from another build.
    pub known: bool,
}

/// The direction in which a migration is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// What to do where reverting a migration loses data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnLoss {
    Refuse,
    Accept,
}
