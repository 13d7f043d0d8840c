//! Catchments, found by an R*Tree.

use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::query_dsl::methods::LoadQuery;
use diesel::sqlite::Sqlite;

use super::functions::{Unindexed, catchment_covers, catchment_has_outline, schools_catchment};
use super::nearest::unindexed;
use super::queries::catchments::Outline;
use super::queries::conditions::filter_conditions;
use super::schema::schools;
use crate::geo::to_wkb;
use crate::models::SchoolSummary;
use crate::search::{CatchmentRow, ValidatedSearch};

/// Builds the query for the schools whose outline covers the search's point, or whose circle may, that meet its
/// conditions, in no order.
///
/// The R*Tree yields candidates by their boxes. [`catchment_covers`] tests an outline before its school's row is read.
/// `Unindexed` keeps the join order: on a connection that has analysed the R*Tree itself, the reverse order ends in a
/// scan of the schools.
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
        // NULL for a circle, which is tested later with the others, and for an unreadable outline, which is an error
        // once its school is read.
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

/// Stores the outlines that differ from the stored ones, and their WKB in the R*Tree. The R*Tree has the WKT from a
/// trigger, now or from a write of another program.
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
