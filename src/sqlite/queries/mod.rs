//! The queries. Functions that end in `_query` build one, so that its text and plan can be tested; those that end in
//! `_on_conn` run it.
//!
//! Queries shared by the backends are in `src/queries`, compiled here against this backend's `schema` and `dialect`.

mod catchment_index;
mod insert;
mod nearest;
mod plan;

#[path = "../../queries/admissions.rs"]
mod admissions;
#[path = "../../queries/backfill.rs"]
mod backfill;
#[path = "../../queries/catchments.rs"]
mod catchments;
#[path = "../../queries/children.rs"]
mod children;
#[path = "../../queries/conditions.rs"]
mod conditions;
#[path = "../../queries/explain.rs"]
mod explain;
#[path = "../../queries/find.rs"]
mod find;
#[path = "../../queries/lineage.rs"]
mod lineage;
#[path = "../../queries/lists.rs"]
mod lists;
#[path = "../../queries/phase_by_ages.rs"]
mod phase_by_ages;
#[path = "../../queries/rows.rs"]
mod rows;
#[path = "../../queries/writes.rs"]
mod writes;

pub(super) use admissions::{find_reach_on_conn, upsert_admissions_on_conn};
pub(super) use backfill::{count_phase_gaps_on_conn, fill_phases_on_conn, phase_gaps_on_conn};
pub(super) use catchments::{
    all_catchments_on_conn, catchments_on_conn, find_catchments_on_conn, upsert_catchments_on_conn,
};
pub(super) use children::{details_on_conn, insert_reviews_on_conn, replace_collections_on_conn};
pub(super) use explain::explain_on_conn;
pub(super) use find::{all_schools_on_conn, find_schools_on_conn};
pub(super) use lineage::{
    delete_school_on_conn, merge_schools_on_conn, schools_of_today_on_conn, upsert_links_on_conn,
};
pub(super) use lists::{councils_on_conn, facets_on_conn, schools_by_urn_on_conn, schools_on_conn};
pub(super) use writes::{insert_schools_on_conn, update_school_on_conn, upsert_schools_on_conn};
