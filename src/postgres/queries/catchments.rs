//! Catchments: the schools that serve a place, and their outlines.

use std::collections::HashSet;

use diesel::dsl::{AsSelect, IntoBoxed, IsNotNull, Select};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Nullable};
use diesel_async::methods::LoadQuery;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use postgis_diesel::operators::intersects_2d;
use postgis_diesel::sql_types::Geometry;

use super::find::distance;
use crate::clauses::{self, IfNeeded};
use crate::error::{Error, Result};
use crate::geo::{Catchment, StoredOutline};
use crate::ids::{SchoolId, Urn};
use crate::models::{CatchmentHit, NewCatchment, SchoolCatchment, SchoolSummary, UpsertCounts};
use crate::postgres::functions::{MadePoint, outline_or_circle, st_covers};
use crate::postgres::run::RunQueryDsl;
use crate::postgres::schema::{admissions_reach, private_school_fees, school_clubs, schools};
use crate::request::{CatchmentRow, Page, TxOutcome, ValidatedSearch, WriteMode, refuse_twice};

/// How many outlines one UPDATE names: they may be large.
const OUTLINES_AN_UPDATE: usize = 200;

type Selection = (
    AsSelect<SchoolSummary, Pg>,
    IfNeeded<schools::name_folded>,
    IsNotNull<schools::catchment_geometry>,
    schools::catchment_radius_km,
);

/// One page of the schools whose catchment holds a search's point.
pub(in crate::postgres) async fn find_catchments_on_conn(
    connection: &mut AsyncPgConnection,
    validated: &ValidatedSearch,
) -> Result<Page<CatchmentHit>> {
    let rows: Vec<CatchmentRow> = catchments_query(validated).load(connection).await?;
    Ok(validated.page_of_catchments(rows))
}

/// The schools whose outline holds the search's point, or whose circle may, that meet its conditions, in no order. The
/// GiST index gives candidates by their boxes (`&&`); `ST_Covers` decides of an outline.
pub(super) fn catchments_query<'a>(
    validated: &'a ValidatedSearch,
) -> impl LoadQuery<'a, AsyncPgConnection, CatchmentRow> + QueryFragment<Pg> + QueryId + Send + 'a {
    let name = IfNeeded::new(validated.is_by_name(), schools::name_folded);
    let has_outline = schools::catchment_geometry.is_not_null();
    let selection: Selection = (SchoolSummary::as_select(), name, has_outline, schools::catchment_radius_km);
    let mut query: IntoBoxed<'a, Select<schools::table, Selection>, Pg> = schools::table.select(selection).into_boxed();
    if let Some(near) = validated.near {
        let point = MadePoint::at(near.point);
        let shape = outline_or_circle(schools::catchment_geometry, schools::catchment_circle);
        // The boxes by themselves: an index whose entries must be looked at again would have `ST_Covers` worked out
        // twice.
        let boxed = intersects_2d(shape, point.nullable());
        let covered =
            schools::catchment_geometry.is_null().nullable().or(st_covers(schools::catchment_geometry, point));
        query = query.filter(boxed).filter(covered);
    }
    clauses::filter_schools!(query, schools, validated);
    query
}

/// The outlines of these schools' catchments, in the order of the ids.
pub(in crate::postgres) async fn catchments_on_conn(
    connection: &mut AsyncPgConnection,
    ids: &[SchoolId],
) -> Result<Vec<SchoolCatchment>> {
    let query = schools::table
        .filter(schools::id.eq_any(ids))
        .filter(schools::catchment_geometry.is_not_null())
        .order_by(schools::id)
        .select((schools::id, schools::urn, schools::catchment_geometry.assume_not_null()));
    Ok(query.load(connection).await?)
}

/// Stores outlines in place of those that are stored.
pub(in crate::postgres) async fn upsert_catchments_on_conn(
    connection: &mut AsyncPgConnection,
    catchments: &[NewCatchment],
    mode: WriteMode,
) -> Result<UpsertCounts> {
    let mut seen = HashSet::with_capacity(catchments.len());
    for catchment in catchments {
        catchment.validate()?;
        refuse_twice(&mut seen, catchment.urn)?;
    }
    let ended = connection
        .transaction::<_, TxOutcome, _>(async |connection| {
            // The lock comes before the rows', as an import takes it, so that the two do not wait for each other.
            connection.batch_execute("LOCK TABLE schools IN ROW EXCLUSIVE MODE").await?;
            let mut counts = UpsertCounts::default();
            let mut catchments: Vec<&NewCatchment> = catchments.iter().collect();
            catchments.sort_by_key(|catchment| catchment.urn);
            for batch in catchments.chunks(OUTLINES_AN_UPDATE) {
                upsert_catchments_in_txn(connection, batch, &mut counts).await?;
            }
            TxOutcome::commit(counts, mode)
        })
        .await;
    TxOutcome::counts(ended)
}

/// Stores those outlines of a batch that differ from what is stored, by one statement.
async fn upsert_catchments_in_txn(
    connection: &mut AsyncPgConnection,
    catchments: &[&NewCatchment],
    counts: &mut UpsertCounts,
) -> Result<(), TxOutcome> {
    let urns: Vec<Urn> = catchments.iter().map(|catchment| catchment.urn).collect();
    // Locked, so that nobody changes them between the comparison and the update; in one order for all, so that two who
    // do this do not wait for each other.
    let stored: Vec<(Urn, SchoolId, Option<StoredOutline>)> = schools::table
        .filter(schools::urn.eq_any(urns))
        .order_by(schools::urn)
        .select((schools::urn, schools::id, schools::catchment_geometry))
        .for_no_key_update()
        .load(connection)
        .await?;
    let mut stored = stored.into_iter().peekable();
    let mut changed = OutlinesById::default();
    for NewCatchment { urn, outline } in catchments {
        let (_, id, stored) = stored.next_if(|(stored, ..)| stored == urn).ok_or(Error::UnknownUrn { urn: *urn })?;
        match stored {
            stored if StoredOutline::is(stored.as_ref(), outline.as_ref()) => {
                counts.unchanged += 1;
                continue;
            }
            None => counts.inserted += 1,
            Some(_) => counts.updated += 1,
        }
        changed.ids.push(id);
        changed.outlines.push(outline.clone());
    }
    if !changed.ids.is_empty() {
        changed.execute(connection).await?;
    }
    Ok(())
}

/// An UPDATE of outlines from one array of ids and one of outlines: however many there are, one statement, prepared
/// once.
#[derive(Debug, Default, QueryId)]
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
