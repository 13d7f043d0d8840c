//! The queries that both backends share. Functions that end in `_query` build one, so that its text and plan can be
//! tested; those that end in `_on_conn` run it.
//!
//! Each backend includes this module, which is compiled against its `schema` and `dialect`.

mod admissions;
mod backfill;
pub(super) mod catchments;
mod children;
pub(super) mod conditions;
mod explain;
mod find;
mod lineage;
mod lists;
pub mod own;
mod phase_by_ages;
mod postcodes;
mod rows;
mod words;
mod writes;

// What each backend has of its own.
use super::{catchment_index, insert, nearest, plan};

pub(super) use admissions::{find_reach_on_conn, upsert_admissions_on_conn};
pub(super) use backfill::{count_phase_gaps_on_conn, fill_phases_on_conn, phase_gaps_on_conn};
pub(super) use catchments::{
    all_catchments_on_conn, catchments_on_conn, find_catchments_on_conn, upsert_catchments_on_conn,
};
pub(super) use children::{details_on_conn, insert_reviews_on_conn, replace_collections_on_conn};
pub(super) use explain::explain_on_conn;
pub(super) use find::{all_schools_on_conn, execute_on_conn, find_schools_on_conn};
pub(super) use lineage::{
    delete_school_on_conn, merge_schools_on_conn, schools_of_today_on_conn, upsert_links_on_conn,
};
pub(super) use lists::{
    councils_on_conn, facets_on_conn, schools_by_laestab_on_conn, schools_by_ukprn_on_conn, schools_by_urn_on_conn,
    schools_on_conn,
};
pub(super) use postcodes::{locate_all_on_conn, replace_postcodes_on_conn};
pub(super) use words::suggest_on_conn;
pub(super) use writes::{
    insert_schools_on_conn, update_school_on_conn, upsert_register_on_conn, upsert_schools_on_conn,
};
