//! How a schema goes from one version to another, whatever the database: what a migration is, in which order they run,
//! and what differs between two schemas.
//!
//! [`SchemaConnection`] is what a backend implements. [`migrate`](crate::migrate) opens databases, and is built upon the
//! backends.

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
    /// Its name, such as `2026-11-28-060100_create_schools`.
    pub name: String,
    /// Whether it was run.
    pub applied: bool,
    /// Whether this build knows it. One that it does not know comes from another build.
    pub known: bool,
}

/// Which way a migration is run.
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
