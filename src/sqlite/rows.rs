//! Which columns make up each model.

use diesel::sqlite::Sqlite;

use super::schema::schools;
use crate::models::{School, SchoolSummary};

crate::twin::school_rows!(Sqlite, schools);
