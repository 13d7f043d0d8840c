//! Which columns make up each model.

use diesel::pg::Pg;

use super::schema::schools;
use crate::models::{School, SchoolSummary};

crate::twin::school_rows!(Pg, schools);
