//! The traits of a repository. Import them to call methods on a `SqliteRepository`
//! or `PostgresRepository` by its own type. A `dyn SchoolRepository` needs none.
//!
//! ```
//! use school_finder_db::prelude::*;
//! ```

pub use crate::repository::{
    CountSchools, ExportSchools, FillPhases, FindCatchments, FindReach, FindSchools, LocateHomes, ReadSchools,
    SchoolRepository, SuggestSchools, WritePostcodes, WriteSchools,
};
