//! What `print-schema` cannot generate: the SQL functions that this crate adds to SQLite, conditions that take a list,
//! and the R*Tree.

use diesel::SqliteConnection;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::expression::ValidGrouping;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Binary, Bool, Double, Nullable, Text};
use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};

use super::schema::{admissions_reach, private_school_fees, school_clubs, schools};
use crate::geo::{self, BoundingBox, Catchment, LatLng, Latitude, Longitude};
use crate::ids::SchoolId;

diesel::define_sql_function! {
    /// The great-circle distance in kilometres between two points in degrees: latitude, longitude, latitude, longitude.
    /// NULL where an argument is NULL or infinite; an error where one is not a number.
    ///
    /// This is [`geo::haversine`], registered on every connection of this crate.
    fn haversine(
        lat1: Nullable<Double>, lng1: Nullable<Double>, lat2: Nullable<Double>, lng2: Nullable<Double>,
    ) -> Nullable<Double>;
}

diesel::define_sql_function! {
    /// Whether the outline of a catchment, as WKB or WKT, covers a point in degrees, its boundary included: the
    /// counterpart of PostGIS's `ST_Covers`. NULL where there is no outline, or none that can be read.
    ///
    /// This is [`Catchment::covers`](geo::Catchment::covers), registered on every connection of this crate.
    fn catchment_covers(outline: Nullable<Binary>, lat: Double, lng: Double) -> Nullable<Bool>;
}

diesel::define_sql_function! {
    /// Whether a catchment has an outline; an error where the outline is neither WKB nor WKT. Where `catchment_covers`
    /// is NULL, this separates a missing outline from an unreadable one.
    fn catchment_has_outline(outline: Nullable<Binary>) -> Bool;
}

/// Registers the functions of this crate on a connection, as deterministic.
pub(crate) fn register(connection: &mut SqliteConnection) -> diesel::QueryResult<()> {
    catchment_covers_utils::register_impl(connection, |outline: Outline, lat: Latitude, lng: Longitude| {
        outline.covers(LatLng::new(lat, lng))
    })?;
    catchment_has_outline_utils::register_impl(connection, |outline: Outline| HasOutline(outline.is_there()))?;
    haversine_utils::register_impl(connection, |lat1: Argument, lng1: Argument, lat2: Argument, lng2: Argument| {
        let km = geo::haversine(lat1.0?, lng1.0?, lat2.0?, lng2.0?);
        km.is_finite().then_some(km)
    })
}

/// An argument of [`haversine`]. Diesel alone would read any text as 0, a point in the Atlantic.
#[derive(Debug, AsExpression, FromSqlRow)]
#[diesel(sql_type = Nullable<Double>)]
struct Argument(Option<f64>);

impl FromSql<Nullable<Double>, Sqlite> for Argument {
    fn from_sql(mut value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        match value.value_type() {
            None => Ok(Self(None)),
            Some(
                SqliteType::Double | SqliteType::Float | SqliteType::Long | SqliteType::Integer | SqliteType::SmallInt,
            ) => Ok(Self(Some(value.read_double()))),
            _ => Err("haversine takes numbers of degrees".into()),
        }
    }

    fn from_nullable_sql(value: Option<SqliteValue<'_, '_, '_>>) -> deserialize::Result<Self> {
        value.map_or(Ok(Self(None)), Self::from_sql)
    }
}

/// The prefix of an error of [`catchment_has_outline`].
pub(super) const UNREADABLE_OUTLINE: &str = "the stored outline of a catchment cannot be read";

/// An outline as stored in the R*Tree: the first argument of [`catchment_covers`].
#[derive(Debug, AsExpression, FromSqlRow)]
#[diesel(sql_type = Nullable<Binary>)]
enum Outline {
    Unknown,
    Wkb(Vec<u8>),
    /// The outline, or why it cannot be read. An error from a result is shown in full; one from an argument is not.
    Wkt(Result<Catchment, String>),
}

impl Outline {
    /// Returns whether the outline covers a point, its boundary included; `None` where no outline can be read.
    fn covers(&self, point: LatLng) -> Option<bool> {
        match self {
            Self::Unknown | Self::Wkt(Err(_)) => None,
            Self::Wkb(wkb) => geo::wkb_covers(wkb, point),
            Self::Wkt(Ok(outline)) => Some(outline.covers(point)),
        }
    }

    /// Returns whether there is an outline, or why it cannot be read.
    fn is_there(&self) -> Result<bool, String> {
        match self {
            Self::Unknown => Ok(false),
            Self::Wkb(wkb) if !geo::is_wkb(wkb) => Err("it is no WKB"),
            Self::Wkt(Err(reason)) => Err(reason.as_str()),
            Self::Wkb(_) | Self::Wkt(Ok(_)) => Ok(true),
        }
        .map_err(|reason| format!("{UNREADABLE_OUTLINE}: {reason}"))
    }
}

impl FromSql<Nullable<Binary>, Sqlite> for Outline {
    fn from_sql(mut value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        match value.value_type() {
            None => Ok(Self::Unknown),
            Some(SqliteType::Binary) => Ok(Self::Wkb(value.read_blob().to_owned())),
            Some(SqliteType::Text) => {
                Ok(Self::Wkt(FromSql::<Text, Sqlite>::from_sql(value).map_err(|error| error.to_string())))
            }
            _ => Ok(Self::Wkt(Err("it is neither WKB nor WKT".to_owned()))),
        }
    }

    fn from_nullable_sql(value: Option<SqliteValue<'_, '_, '_>>) -> deserialize::Result<Self> {
        value.map_or(Ok(Self::Unknown), Self::from_sql)
    }
}

/// The result of [`catchment_has_outline`], or what is wrong with the outline.
#[derive(Debug, AsExpression)]
#[diesel(sql_type = Bool)]
struct HasOutline(Result<bool, String>);

impl ToSql<Bool, Sqlite> for HasOutline {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        match &self.0 {
            Ok(is_there) => {
                out.set_value(i32::from(*is_there));
                Ok(IsNull::No)
            }
            Err(reason) => Err(reason.as_str().into()),
        }
    }
}

/// The condition that a school is in the latitude bands and between the meridians of a box. The index
/// `ix_schools_latitude_band` serves it.
///
/// The bands are one bound value, as in [`IdIn`]. `likelihood` hints to the planner that the meridians leave few
/// schools.
#[derive(Debug, Clone, QueryId, ValidGrouping)]
pub(crate) struct InBox {
    bands: String,
    west: f64,
    east: f64,
}

impl InBox {
    pub(crate) fn new(bounds: &BoundingBox) -> Self {
        Self { bands: json_list(bounds.latitude_bands()), west: bounds.west, east: bounds.east }
    }
}

impl Expression for InBox {
    type SqlType = Bool;
}

impl AppearsOnTable<schools::table> for InBox {}

impl QueryFragment<Sqlite> for InBox {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("CAST((schools.lat + 90) * 100 AS INTEGER) IN (SELECT value FROM json_each(");
        out.push_bind_param::<Text, _>(&self.bands)?;
        out.push_sql(")) AND likelihood(schools.lng >= ");
        out.push_bind_param::<Double, _>(&self.west)?;
        out.push_sql(", 0.001) AND likelihood(schools.lng <= ");
        out.push_bind_param::<Double, _>(&self.east)?;
        out.push_sql(", 0.001)");
        Ok(())
    }
}

/// A column or a condition for which SQLite uses no index: sqlite.org/optoverview.html, "disqualifying WHERE clause
/// terms using unary +".
#[derive(Debug, Clone, Copy, QueryId, ValidGrouping)]
pub(crate) struct Unindexed<C>(C);

impl<C> Unindexed<C> {
    pub(crate) const fn new(column: C) -> Self {
        Self(column)
    }
}

impl<C: Expression> Expression for Unindexed<C> {
    type SqlType = C::SqlType;
}

impl<C: AppearsOnTable<Tables>, Tables> AppearsOnTable<Tables> for Unindexed<C> {}

impl<C: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Unindexed<C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("+(");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(")");
        Ok(())
    }
}

fn json_list(numbers: impl Iterator<Item = impl std::fmt::Display>) -> String {
    format!("[{}]", numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(","))
}

/// The condition that a school's id is one of a list, as one bound value. SQLite prepares a query with a list in it
/// anew each time, which took a third of a radius search.
#[derive(Debug, Clone, QueryId, ValidGrouping)]
pub(crate) struct IdIn(String);

impl IdIn {
    pub(crate) fn new(ids: impl Iterator<Item = SchoolId>) -> Self {
        Self(json_list(ids))
    }
}

impl Expression for IdIn {
    type SqlType = Bool;
}

impl AppearsOnTable<schools::table> for IdIn {}

impl QueryFragment<Sqlite> for IdIn {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("schools.id IN (SELECT value FROM json_each(");
        out.push_bind_param::<Text, _>(&self.0)?;
        out.push_sql("))");
        Ok(())
    }
}

diesel::table! {
    /// The R*Tree over the bounding boxes of catchments: outlines, and circles of schools without one. Triggers
    /// maintain it.
    schools_catchment (id) {
        /// The school.
        id -> BigInt,
        /// The lowest latitude.
        min_lat -> Double,
        /// The highest latitude.
        max_lat -> Double,
        /// The lowest longitude.
        min_lng -> Double,
        /// The highest longitude.
        max_lng -> Double,
        /// The outline: WKB, or WKT where another program wrote it; NULL for a circle.
        outline -> Nullable<Binary>,
    }
}

// A catchment search, with every filter.
diesel::allow_tables_to_appear_in_same_query!(schools_catchment, schools);
diesel::allow_tables_to_appear_in_same_query!(schools_catchment, admissions_reach);
diesel::allow_tables_to_appear_in_same_query!(schools_catchment, private_school_fees);
diesel::allow_tables_to_appear_in_same_query!(schools_catchment, school_clubs);
