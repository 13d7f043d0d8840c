//! Catchments, found by a GiST index.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Nullable};
use diesel_async::AsyncPgConnection;
use diesel_async::methods::LoadQuery;
use postgis_diesel::operators::intersects_2d;
use postgis_diesel::sql_types::Geometry;

use super::functions::{outline_or_circle, postgis_point, st_covers};
use super::queries::catchments::Outline;
use super::queries::conditions::filter_conditions;
use super::run::RunQueryDsl;
use super::schema::schools;
use crate::geo::Catchment;
use crate::ids::SchoolId;
use crate::models::SchoolSummary;
use crate::search::{CatchmentRow, ValidatedSearch};

/// Builds the query for the schools whose outline covers the search's point, or whose circle may, that meet its
/// conditions, in no order. The GiST index yields candidates by their boxes (`&&`); `ST_Covers` tests their outlines.
pub(super) fn catchments_query(
    validated: &ValidatedSearch,
) -> impl LoadQuery<'_, AsyncPgConnection, CatchmentRow> + QueryFragment<Pg> + QueryId + Send {
    let has_outline = schools::catchment_geometry.is_not_null();
    let columns = (SchoolSummary::as_select(), schools::name_folded, has_outline, schools::catchment_radius_km);
    let mut query = schools::table.select(columns).into_boxed();
    if let Some(near) = validated.near {
        let point = postgis_point(near.point).into_sql::<Geometry>();
        let shape = outline_or_circle(schools::catchment_geometry, schools::catchment_circle);
        // The boxes are compared separately: a condition that the index must recheck would evaluate `ST_Covers` twice.
        let boxed = intersects_2d(shape, point.nullable());
        let covered =
            schools::catchment_geometry.is_null().nullable().or(st_covers(schools::catchment_geometry, point));
        query = query.filter(boxed).filter(covered);
    }
    for condition in filter_conditions(validated).all() {
        query = query.filter(condition);
    }
    query
}

/// Stores the outlines that differ from the stored ones, in one statement.
pub(super) async fn store_outlines_in_txn(
    connection: &mut AsyncPgConnection,
    outlines: &[Outline<'_>],
) -> QueryResult<()> {
    let changed = || outlines.iter().filter(|outline| outline.is_changed);
    let update = OutlinesById {
        ids: changed().map(|outline| outline.id).collect(),
        outlines: changed().map(|outline| outline.outline.cloned()).collect(),
    };
    if !update.ids.is_empty() {
        update.execute(connection).await?;
    }
    Ok(())
}

/// An UPDATE of outlines from an array of ids and an array of outlines: one statement, prepared once, for any number of
/// them.
#[derive(Debug, QueryId)]
struct OutlinesById {
    ids: Vec<SchoolId>,
    outlines: Vec<Option<Catchment>>,
}

impl QueryFragment<Pg> for OutlinesById {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("UPDATE schools SET catchment_geometry = changed.outline FROM unnest(");
        out.push_bind_param::<Array<BigInt>, _>(&self.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Geometry>>, _>(&self.outlines)?;
        out.push_sql(") AS changed (id, outline) WHERE schools.id = changed.id");
        Ok(())
    }
}
