//! What `print-schema` cannot give: the SQL function that this crate adds to SQLite, and the R*Trees.

use diesel::SqliteConnection;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::expression::ValidGrouping;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Binary, Bool, Double, Nullable, Text};
use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};

use super::schema::schools;
use crate::geo::{self, Catchment, LatLng, Latitude, Longitude};
use crate::ids::SchoolId;

diesel::define_sql_function! {
    /// The great-circle distance in kilometres between two places in degrees: latitude, longitude, latitude,
    /// longitude. NULL where an argument is NULL or infinite; an error where one is not a number.
    ///
    /// It is [`geo::haversine`], registered on every connection of this crate.
    fn haversine(
        lat1: Nullable<Double>, lng1: Nullable<Double>, lat2: Nullable<Double>, lng2: Nullable<Double>,
    ) -> Nullable<Double>;
}

diesel::define_sql_function! {
    /// Whether the outline of a catchment holds a place in degrees, its boundary included: the twin of PostGIS's
    /// `ST_Covers`. The outline is WKB or WKT; an error where it is neither, false where there is none.
    ///
    /// It is [`Catchment::covers`](geo::Catchment::covers), registered on every connection of this crate.
    fn catchment_covers(outline: Nullable<Binary>, lat: Double, lng: Double) -> Bool;
}

/// Registers the functions of this crate on a connection, as deterministic.
pub(crate) fn register(connection: &mut SqliteConnection) -> diesel::QueryResult<()> {
    catchment_covers_utils::register_impl(connection, |outline: Outline, lat: Latitude, lng: Longitude| {
        let place = LatLng::new(lat, lng);
        match outline {
            Outline::Unknown => Covers(Ok(false)),
            Outline::Wkb(wkb) => Covers(geo::wkb_covers(&wkb, place).ok_or_else(|| "it is no WKB".to_owned())),
            Outline::Wkt(outline) => Covers(outline.map(|outline| outline.covers(place))),
        }
    })?;
    haversine_utils::register_impl(connection, |lat1: Argument, lng1: Argument, lat2: Argument, lng2: Argument| {
        let km = geo::haversine(lat1.0?, lng1.0?, lat2.0?, lng2.0?);
        km.is_finite().then_some(km)
    })
}

/// An argument of [`haversine`]. Diesel alone would read any text as 0, a place in the Atlantic.
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

/// What an error of [`catchment_covers`] begins with.
pub(super) const UNREADABLE_OUTLINE: &str = "the stored outline of a catchment cannot be read";

/// The first argument of [`catchment_covers`].
#[derive(Debug, AsExpression, FromSqlRow)]
#[diesel(sql_type = Nullable<Binary>)]
enum Outline {
    Unknown,
    Wkb(Vec<u8>),
    /// Or why it cannot be read: an error of the answer is shown whole, and one of an argument is not.
    Wkt(Result<Catchment, String>),
}

impl FromSql<Nullable<Binary>, Sqlite> for Outline {
    fn from_sql(mut value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        match value.value_type() {
            None => Ok(Self::Unknown),
            Some(SqliteType::Binary) => Ok(Self::Wkb(value.read_blob().to_owned())),
            Some(SqliteType::Text) => {
                Ok(Self::Wkt(FromSql::<Text, Sqlite>::from_sql(value).map_err(|error| error.to_string())))
            }
            _ => Err("catchment_covers takes an outline in WKB or WKT".into()),
        }
    }

    fn from_nullable_sql(value: Option<SqliteValue<'_, '_, '_>>) -> deserialize::Result<Self> {
        value.map_or(Ok(Self::Unknown), Self::from_sql)
    }
}

/// The answer of [`catchment_covers`], or what is wrong with the outline.
#[derive(Debug, AsExpression)]
#[diesel(sql_type = Bool)]
struct Covers(Result<bool, String>);

impl ToSql<Bool, Sqlite> for Covers {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        match &self.0 {
            Ok(covers) => {
                out.set_value(i32::from(*covers));
                Ok(IsNull::No)
            }
            Err(reason) => Err(format!("{UNREADABLE_OUTLINE}: {reason}").into()),
        }
    }
}

/// The condition that a school's id is one of a list, as one bound value: a query with a list in it is prepared anew each time.
#[derive(Debug, Clone, QueryId, ValidGrouping)]
pub(crate) struct IdIn(String);

impl IdIn {
    pub(crate) fn new(ids: impl Iterator<Item = SchoolId>) -> Self {
        Self(format!("[{}]", ids.map(|id| id.to_string()).collect::<Vec<_>>().join(",")))
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
    /// The R*Tree over where schools stand, kept by triggers. Each box is a point, rounded outward to 32 bits.
    schools_location (id) {
        /// The school.
        id -> BigInt,
        /// At most its latitude.
        min_lat -> Double,
        /// At least its latitude.
        max_lat -> Double,
        /// At most its longitude.
        min_lng -> Double,
        /// At least its longitude.
        max_lng -> Double,
    }
}

diesel::table! {
    /// The R*Tree over the boxes round catchments: outlines, and circles of schools without one. Kept by triggers.
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
        /// The outline: WKB, or WKT where another program wrote it; nothing for a circle.
        outline -> Nullable<Binary>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(schools_location, schools_catchment);
diesel::allow_tables_to_appear_in_same_query!(schools_location, schools);
diesel::allow_tables_to_appear_in_same_query!(schools_catchment, schools);
