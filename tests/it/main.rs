//! The integration tests: one binary.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on should stop and say so")]

mod architecture;
#[cfg(all(feature = "cli", feature = "postgres", feature = "sqlite"))]
mod backups;
mod catchments;
#[cfg(all(unix, feature = "cli", feature = "postgres", feature = "sqlite"))]
mod connections;
#[cfg(feature = "cli")]
mod contention;
mod contract;
#[cfg(feature = "sqlite")]
mod files;
#[cfg(all(unix, feature = "sqlite"))]
mod generations;
mod guests;
mod health;
mod logs;
#[cfg(all(feature = "cli", feature = "postgres", feature = "sqlite"))]
mod manifest;
#[cfg(all(feature = "cli", feature = "postgres", feature = "sqlite"))]
mod manual;
#[cfg(feature = "sqlite")]
mod migrations;
#[cfg(feature = "postgres")]
mod outages;
mod own_pools;
mod own_queries;
mod plans;
mod pool;
#[cfg(all(unix, feature = "postgres"))]
mod poolers;
#[cfg(all(feature = "cli", feature = "postgres", feature = "sqlite"))]
mod postcodes;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "cli")]
mod program;
mod properties;
#[cfg(feature = "postgres")]
mod readers;
// What the documents show needs the program and both backends.
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod parity;
#[cfg(all(feature = "cli", feature = "postgres", feature = "sqlite"))]
mod readme;
#[cfg(feature = "sqlite")]
mod rebuild;
#[cfg(feature = "register")]
mod register;
mod reliability;
#[cfg(feature = "sqlite")]
mod schema;
#[cfg(feature = "postgres")]
mod schemas;
mod support;
#[cfg(feature = "postgres")]
mod tls;
