//! The integration tests: one binary.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on should stop and say so")]

mod contract;
#[cfg(feature = "sqlite")]
mod files;
#[cfg(feature = "sqlite")]
mod migrations;
#[cfg(feature = "sqlite")]
mod plans;
#[cfg(feature = "sqlite")]
mod pool;
#[cfg(feature = "cli")]
mod program;
mod properties;
#[cfg(feature = "register")]
mod register;
#[cfg(feature = "sqlite")]
mod schema;
mod support;
