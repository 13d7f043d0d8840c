//! Catchments, found by an R*Tree.

use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::query_dsl::methods::LoadQuery;
use diesel::sqlite::Sqlite;

use super::catchments::Outline;
use super::conditions::filter_conditions;
use super::nearest::unindexed;
use crate::geo::to_wkb;
use crate::models::SchoolSummary;
use crate::search::{CatchmentRow, ValidatedSearch};
use crate::sqlite::functions::{Unindexed, catchment_covers, catchment_has_outline, schools_catchment};
use crate::sqlite::schema::schools;

/// Builds the query for the schools whose outline holds the search's point, or whose circle may, that meet its
/// conditions, in no order. The
/// R*Tree gives candidates by their boxes; [`catchment_covers`] decides of an outline before its school's row is looked
/// for. `Unindexed` keeps the join from being turned round, which on a connection that has analysed the R*Tree itself
/// ends in a scan of the schools.
pub(super) fn catchments_query(
    validated: &ValidatedSearch,
) -> impl LoadQuery<'_, SqliteConnection, CatchmentRow> + QueryFragment<Sqlite> + QueryId {
    let boxed_and_school = schools::id.eq(Unindexed::new(schools_catchment::id));
    let has_outline = catchment_has_outline(schools_catchment::outline);
    let mut query = schools_catchment::table
        .inner_join(schools::table.on(boxed_and_school))
        .select((SchoolSummary::as_select(), schools::name_folded, has_outline, schools::catchment_radius_km))
        .into_boxed();
    if let Some(near) = validated.near {
        let (lat, lng) = (near.point.lat().degrees(), near.point.lng().degrees());
        // NULL for a circle, which is decided with the others, and for an outline that cannot be read: an error where
        // its school is asked for.
        let covered = catchment_covers(schools_catchment::outline, lat, lng).is_not(false);
        query = query
            .filter(schools_catchment::min_lat.le(lat))
            .filter(schools_catchment::max_lat.ge(lat))
            .filter(schools_catchment::min_lng.le(lng))
            .filter(schools_catchment::max_lng.ge(lng))
            .filter(covered);
    }
    for condition in filter_conditions(validated).all() {
        query = query.filter(unindexed(condition));
    }
    query
}

/// Stores the outlines that differ from what is stored, and their WKB in the R*Tree: a trigger has put the WKT there, now
/// or when another program wrote it.
pub(super) fn store_outlines_in_txn(connection: &mut SqliteConnection, outlines: &[Outline<'_>]) -> QueryResult<()> {
    for Outline { id, outline, is_changed } in outlines {
        if *is_changed {
            diesel::update(schools::table.find(id)).set(schools::catchment_geometry.eq(outline)).execute(connection)?;
        }
        if let Some(outline) = outline {
            let wkb = to_wkb(outline);
            let entry = schools_catchment::table.find(id).filter(schools_catchment::outline.is_not(wkb.clone()));
            diesel::update(entry).set(schools_catchment::outline.eq(wkb)).execute(connection)?;
        }
    }
    Ok(())
}
