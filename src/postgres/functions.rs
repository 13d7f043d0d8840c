//! What `print-schema` cannot give: SQL functions, of this crate and of PostGIS, with their units.

use diesel::sql_types::{Bool, Double, Nullable};
use postgis_diesel::sql_types::Geography;
use postgis_diesel::types::Point;

use crate::geo::LatLng;

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

/// A place as PostGIS has it: longitude first, WGS84.
pub fn geography_point(place: LatLng) -> Point {
    Point { x: place.lng().degrees(), y: place.lat().degrees(), srid: Some(4326) }
}
