//! The migration engine, for every backend: what a migration is, which of them a database has, the order in which they
//! run, and schema drift.
//!
//! Backends implement [`SchemaConnection`]. [`migrate`](crate::migrate) opens databases, and is built on the backends.

mod drift;
mod engine;
mod history;
mod script;

use serde::{Deserialize, Serialize};

pub(crate) use self::drift::{Drift, Entry};
pub(crate) use self::engine::{Access, Engine, HistoryTable, LockTimeout, SchemaConnection};
#[cfg(feature = "postgres")]
pub(crate) use self::history::History;
pub(crate) use self::history::{Applied, Records};
pub(crate) use self::script::Direction;
pub use self::script::Script;
#[cfg(feature = "testing")]
pub(crate) use self::script::read_folder;

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
