//! The data layer of School Finder: which schools serve a home, and how far away they are.
//!
//! One API to an embedded SQLite file and to PostgreSQL with PostGIS. The Rust compiler checks every query through
//! [Diesel](diesel).
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
//! use school_finder_db::{Config, Kilometres, LatLng, SchoolSearch, connect, sample};
//!
//! let finder = connect(&Config::from_url("sqlite::memory:")?).await?;
//! sample::fill(finder.as_ref()).await?; // an invented town
//!
//! let search = SchoolSearch::near(LatLng::from_lat_lng(52.0406, -0.7594)?)
//!     .within(Kilometres::new(5.0)?)
//!     .limit(20);
//! let page = finder.find_schools(&search).await?;
//! for hit in &page.items {
//!     if let Some(km) = hit.distance_km {
//!         println!("{km:.2} km  {}", hit.school.name);
//!     }
//! }
//! # assert_eq!(page.items.len(), 20);
//! # Ok::<(), school_finder_db::Error>(())
//! # }).expect("an answer");
//! ```
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `sqlite` (default) | the embedded backend; SQLite itself is compiled in |
//! | `postgres` | the server backend: PostgreSQL 15 or newer with PostGIS 3.3 or newer |
//! | `register` | importers for the official register, its links, admissions and catchments |
//! | `cli` | the program `school-finder` |
//! | `polars` | backfills, files of batches, and any search as a data frame or Parquet |
//! | `testing` | databases for the tests of a service |
//! | `utoipa` | OpenAPI schemas of the models, units and words |
//!
//! In reading order: settings ([`config`]), requests ([`request`]), results ([`models`]), the interface
//! ([`repository`]), and the backends that implement it (`sqlite`, `postgres`). Beside them: errors ([`error`]),
//! migrations ([`migrate`]), imports (`import`), a sample town ([`sample`]), and databases for tests (`testing`).
//! Guides by subject: [`guide`].
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![allow(clippy::duplicate_mod, reason = "the queries that both backends share are compiled against each one's schema")]

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
compile_error!(
    "school-finder-db needs a database: choose the feature `sqlite` (embedded, on by default; nothing to install) or \
     `postgres` (PostgreSQL with PostGIS), or both"
);

#[cfg(feature = "polars")]
pub mod backfill;
pub mod batch;
mod columns;
pub mod config;
pub mod error;
pub mod explain;
mod factory;
mod fnv;
#[cfg(feature = "polars")]
pub mod frame;
pub mod geo;
// The guide is documentation only. Its examples use the embedded backend.
#[cfg(all(any(doc, doctest), feature = "sqlite"))]
pub mod guide;
pub mod ids;
#[cfg(feature = "register")]
pub mod import;
pub mod migrate;
mod migrations;
pub mod models;
mod newtype;
mod observe;
#[cfg(feature = "utoipa")]
mod openapi;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod prelude;
pub mod repository;
pub mod request;
pub mod sample;
mod search;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod tasks;

#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
mod transaction;
pub mod units;

pub use config::Config;
pub use error::{Error, Result};
pub use factory::{connect, create};
pub use geo::LatLng;
pub use repository::{Savepoint, SchoolRepository, UnitOfWork};
pub use request::{Page, SchoolSearch, Sort};
pub use units::Kilometres;

/// Allows a service's own table and tables of this crate in one query, as
/// [`allow_tables_to_appear_in_same_query!`](diesel::allow_tables_to_appear_in_same_query) does for tables of one
/// crate. That macro does not compile across two crates once Diesel has its Postgres backend.
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// use school_finder_db::sqlite::schema::{private_school_details, schools};
///
/// diesel::table! {
///     favourites (parent, school_id) {
///         parent -> Text,
///         school_id -> BigInt,
///     }
/// }
/// diesel::joinable!(favourites -> schools (school_id));
/// school_finder_db::allow_own_table_in_queries!(favourites with schools, private_school_details);
/// # }
/// ```
#[macro_export]
macro_rules! allow_own_table_in_queries {
    ($own:ident with $($table:ident),+ $(,)?) => {
        $(
            impl ::diesel::query_source::TableNotEqual<$table::table> for $own::table {}
            impl ::diesel::query_source::TableNotEqual<$own::table> for $table::table {}
        )+
    };
}

/// Runs the README's code as documentation tests.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
