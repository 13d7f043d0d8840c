//! What `print-schema` cannot give: SQL functions, of this crate and of PostGIS, with their units, and the condition that takes a
//! list.

use diesel::expression::{ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Nullable, Text};
use postgis_diesel::sql_types::{Geography, Geometry};
use postgis_diesel::types::Point;

use super::schema::schools;
use crate::geo::{BoundingBox, LatLng};
use crate::request::Plane;

diesel::postfix_operator!(ByBytes, " COLLATE \"C\"", Text, backend: Pg);

diesel::define_sql_function! {
    /// The great-circle distance in kilometres between two places in degrees: latitude, longitude, latitude,
    /// longitude. NULL where an argument is NULL or not finite.
    ///
    /// It is [`geo::haversine`](crate::geo::haversine), created by a migration, operation for operation.
    fn haversine(
        lat1: Nullable<Double>, lng1: Nullable<Double>, lat2: Nullable<Double>, lng2: Nullable<Double>,
    ) -> Nullable<Double>;
}

diesel::define_sql_function! {
    /// Whether two places are within so many **metres** of each other, on the sphere that has the mean radius of the earth
    /// (6371.0087714 km) unless `use_spheroid`. A GiST index on `place` serves it.
    ///
    /// On `geometry` in degrees the same name would measure degrees, where 5000 is the whole earth: that one is not declared.
    #[sql_name = "ST_DWithin"]
    fn st_dwithin_metres(
        place: Nullable<Geography>, other: Geography, metres: Double, use_spheroid: Bool,
    ) -> Nullable<Bool>;
}

diesel::define_sql_function! {
    /// The shortest way between two places in **metres**, on the sphere that has the mean radius of the earth
    /// (6371.0087714 km) unless `use_spheroid`. Not the distance that this crate shows: that is [`haversine()`]'s.
    #[sql_name = "ST_Distance"]
    fn st_distance_metres(place: Nullable<Geography>, other: Geography, use_spheroid: Bool) -> Nullable<Double>;
}

diesel::define_sql_function! {
    /// A point of **longitude first**, in no reference system yet: see [`st_set_srid()`].
    #[sql_name = "ST_MakePoint"]
    fn st_make_point(lng: Nullable<Double>, lat: Nullable<Double>) -> Nullable<Geometry>;
}

diesel::define_sql_function! {
    /// The same coordinates, said to be in this reference system: 4326 for degrees of WGS84. Nothing is converted.
    #[sql_name = "ST_SetSRID"]
    fn st_set_srid(shape: Nullable<Geometry>, srid: Integer) -> Nullable<Geometry>;
}

diesel::define_sql_function! {
    /// The cast `::geography`: degrees on a plane become places on the earth, and distances metres.
    fn geography(shape: Nullable<Geometry>) -> Nullable<Geography>;
}

diesel::define_sql_function! {
    /// The cast `::geometry`: places on the earth become degrees on a plane.
    fn geometry(place: Nullable<Geography>) -> Nullable<Geometry>;
}

diesel::define_sql_function! {
    /// Whether an outline holds a place, its boundary included (`ST_Contains` leaves that out). Edges are straight lines in
    /// degrees. A GiST index serves it, better with `&&` beside it.
    #[sql_name = "ST_Covers"]
    fn st_covers(outline: Nullable<Geometry>, place: Geometry) -> Nullable<Bool>;
}

diesel::define_sql_function! {
    /// A school's outline, or else the box of its circle: what `ix_schools_catchment` is of.
    #[sql_name = "COALESCE"]
    fn outline_or_circle(outline: Nullable<Geometry>, circle: Nullable<Geometry>) -> Nullable<Geometry>;
}

/// The condition that a school stands in the strips and between the meridians of a box, which `ix_schools_strip` answers.
#[derive(Debug, Clone, QueryId, ValidGrouping)]
pub(crate) struct InBox {
    strips: Vec<i32>,
    west: f64,
    east: f64,
}

impl InBox {
    pub(crate) fn new(bounds: &BoundingBox) -> Self {
        Self { strips: bounds.strips().collect(), west: bounds.west, east: bounds.east }
    }
}

impl Expression for InBox {
    type SqlType = Bool;
}

impl AppearsOnTable<schools::table> for InBox {}

impl QueryFragment<Pg> for InBox {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("floor((schools.lat + 90) * 100)::INTEGER = ANY(");
        out.push_bind_param::<Array<Integer>, _>(&self.strips)?;
        out.push_sql(") AND schools.lng BETWEEN ");
        out.push_bind_param::<Double, _>(&self.west)?;
        out.push_sql(" AND ");
        out.push_bind_param::<Double, _>(&self.east)?;
        Ok(())
    }
}

/// As [`InBox`], of the box of the look that is run. Only in the query of an [`IdAmong`] with looks is there a `look`.
#[derive(Debug, Clone, Copy, QueryId, ValidGrouping)]
pub(crate) struct InLook;

impl Expression for InLook {
    type SqlType = Bool;
}

impl AppearsOnTable<schools::table> for InLook {}

impl QueryFragment<Pg> for InLook {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "floor((schools.lat + 90) * 100)::INTEGER = ANY(look.strips) AND schools.lng BETWEEN look.west AND look.east",
        );
        Ok(())
    }
}

/// How far away a school of the look that is run may be: as [`InLook`], only there. It is never NULL, but is compared with what may be.
#[derive(Debug, Clone, Copy, QueryId, ValidGrouping)]
pub(crate) struct Farthest;

impl Expression for Farthest {
    type SqlType = Nullable<Double>;
}

impl AppearsOnTable<schools::table> for Farthest {}

impl QueryFragment<Pg> for Farthest {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("look.farthest");
        Ok(())
    }
}

/// A place, of two bound numbers. A bound geometry would have the number of its type looked up and its bytes written for every use,
/// which takes as long as the rest of a small query's text and values.
#[derive(Debug, Clone, Copy, QueryId, ValidGrouping)]
pub(crate) struct MadePoint {
    lng: f64,
    lat: f64,
}

impl MadePoint {
    pub(crate) const fn at(place: LatLng) -> Self {
        Self { lng: place.lng().degrees(), lat: place.lat().degrees() }
    }
}

impl Expression for MadePoint {
    type SqlType = Geometry;
}

impl<Tables> AppearsOnTable<Tables> for MadePoint {}

impl QueryFragment<Pg> for MadePoint {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("ST_SetSRID(ST_MakePoint(");
        out.push_bind_param::<Double, _>(&self.lng)?;
        out.push_sql(", ");
        out.push_bind_param::<Double, _>(&self.lat)?;
        out.push_sql("), 4326)");
        Ok(())
    }
}

/// How far away a school is on the plane of the looks, in degrees of latitude squared: [`Plane`] says what that is good for. NULL
/// where it stands nowhere. Only in the query of an [`IdAmong`] with looks and a plane is there a `plane`.
#[derive(Debug, Clone, Copy, QueryId, ValidGrouping)]
pub(crate) struct Away;

impl Expression for Away {
    type SqlType = Nullable<Double>;
}

impl AppearsOnTable<schools::table> for Away {}

impl QueryFragment<Pg> for Away {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "((schools.lat - plane.lat) * (schools.lat - plane.lat) \
             + (schools.lng - plane.lng) * (schools.lng - plane.lng) * plane.shrink)",
        );
        Ok(())
    }
}

/// Where a look is at, and how far away a school of it may be, in whatever the query measures by.
#[derive(Debug, Clone)]
pub(crate) struct LookBox {
    bounds: InBox,
    farthest: f64,
}

impl LookBox {
    pub(crate) fn new(bounds: &BoundingBox, farthest: f64) -> Self {
        Self { bounds: InBox::new(bounds), farthest }
    }
}

/// The condition that a school's id is among those that a query gives for the first look that fills it, or else for the last one. It
/// is not run for those after that. Without looks it is run once.
///
/// That the first comes first is not said in SQL: an `ORDER BY` at the end would have all looks run, to sort them. It is how the server
/// reads `VALUES`. If it did otherwise, the page would be the same, later: what a wider look is filled with is no farther.
#[derive(Debug, Clone)]
pub(crate) struct IdAmong<Q> {
    query: Q,
    looks: Vec<LookBox>,
    full: i64,
    plane: Option<Plane>,
}

impl<Q> IdAmong<Q> {
    /// `full` is how many ids the query gives at most; `plane` is that of each [`Away`] in it.
    pub(crate) fn new(query: Q, looks: Vec<LookBox>, full: i64, plane: Option<Plane>) -> Self {
        Self { query, looks, full, plane }
    }
}

// How many looks there are is not known from the type.
impl<Q> QueryId for IdAmong<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> ValidGrouping<()> for IdAmong<Q> {
    type IsAggregate = is_aggregate::No;
}

impl<Q: Query<SqlType = BigInt>> Expression for IdAmong<Q> {
    type SqlType = Bool;
}

impl<Q: Query<SqlType = BigInt>> AppearsOnTable<schools::table> for IdAmong<Q> {}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for IdAmong<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Some(last) = self.looks.len().checked_sub(1) else {
            out.push_sql("schools.id = ANY(ARRAY(");
            self.query.walk_ast(out.reborrow())?;
            out.push_sql("))");
            return Ok(());
        };
        // The cast makes one array of what would be taken for a query that gives arrays.
        out.push_sql("schools.id = ANY((SELECT ids FROM ");
        // Bound once for all that measure on it. The planner puts the values in their places, as if each were bound there.
        if let Some(Plane { lat, lng, shrink, .. }) = &self.plane {
            for (before, value) in [("(SELECT ", lat), (" AS lat, ", lng), (" AS lng, ", shrink)] {
                out.push_sql(before);
                out.push_bind_param::<Double, _>(value)?;
            }
            out.push_sql(" AS shrink) AS plane, ");
        }
        for (at, LookBox { bounds: InBox { strips, west, east }, farthest }) in self.looks.iter().enumerate() {
            out.push_sql(if at == 0 { "(VALUES (" } else { ", (" });
            out.push_bind_param::<Array<Integer>, _>(strips)?;
            for value in [west, east, farthest] {
                out.push_sql(", ");
                out.push_bind_param::<Double, _>(value)?;
            }
            out.push_sql(if at == last { ", TRUE)" } else { ", FALSE)" });
        }
        // `OFFSET 0` keeps the array from being worked out twice.
        out.push_sql(") AS look (strips, west, east, farthest, is_last), LATERAL (SELECT ARRAY(");
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(") AS ids OFFSET 0) AS found WHERE is_last OR cardinality(ids) >= ");
        out.push_bind_param::<BigInt, _>(&self.full)?;
        out.push_sql(" LIMIT 1)::BIGINT[])");
        Ok(())
    }
}

/// The reference system of every coordinate: degrees of WGS84.
pub const WGS84: Option<u32> = Some(4326);

/// A place as PostGIS has it, as geography or geometry: longitude first, WGS84.
pub fn postgis_point(place: LatLng) -> Point {
    Point { x: place.lng().degrees(), y: place.lat().degrees(), srid: WGS84 }
}
