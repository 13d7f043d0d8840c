//! The queries. Functions that end in `_query` build one, so that its text and plan can be tested; those that end in
//! `_on_conn` run it.

mod catchments;
mod explain;
mod find;
mod lists;
mod writes;

pub(super) use catchments::{catchments_on_conn, find_catchments_on_conn, upsert_catchments_on_conn};
pub(super) use explain::{explain_catchments_on_conn, explain_find_on_conn};
pub(super) use find::find_schools_on_conn;
pub(super) use lists::{councils_on_conn, facets_on_conn, schools_by_urn_on_conn, schools_on_conn};
pub(super) use writes::{insert_schools_on_conn, upsert_schools_on_conn};
