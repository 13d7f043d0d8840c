//! What `print-schema` cannot give: the SQL function that this crate adds to SQLite, and the R*Trees.

use diesel::SqliteConnection;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::sql_types::{Double, Nullable};
use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};

use super::schema::schools;
use crate::geo;

diesel::define_sql_function! {
    /// The great-circle distance in kilometres between two places in degrees: latitude, longitude, latitude,
    /// longitude. NULL where an argument is NULL or infinite; an error where one is not a number.
    ///
    /// It is [`geo::haversine`], registered on every connection of this crate.
    fn haversine(
        lat1: Nullable<Double>, lng1: Nullable<Double>, lat2: Nullable<Double>, lng2: Nullable<Double>,
    ) -> Nullable<Double>;
}

/// Registers [`haversine`] on a connection, as deterministic.
pub(crate) fn register(connection: &mut SqliteConnection) -> diesel::QueryResult<()> {
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
    /// The R*Tree over the boxes round the outlines of catchments, kept by triggers.
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
    }
}

diesel::allow_tables_to_appear_in_same_query!(schools_location, schools_catchment);
diesel::allow_tables_to_appear_in_same_query!(schools_location, schools);
diesel::allow_tables_to_appear_in_same_query!(schools_catchment, schools);
