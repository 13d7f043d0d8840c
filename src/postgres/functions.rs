//! What `print-schema` cannot generate: SQL functions and operators, of this crate and of PostGIS, with their units.

use diesel::pg::Pg;
use diesel::sql_types::{Bool, Double, Integer, Nullable, Text};
use postgis_diesel::sql_types::{Geography, Geometry};
use postgis_diesel::types::Point;

use crate::geo::LatLng;

diesel::postfix_operator!(ByBytes, " COLLATE \"C\"", Text, backend: Pg);

diesel::define_sql_function! {
    /// The great-circle distance in kilometres between two points in degrees: latitude, longitude, latitude,
    /// longitude. NULL where an argument is NULL or infinite.
    ///
    /// This is [`geo::haversine`](crate::geo::haversine), created by a migration, operation for operation.
    fn haversine(
        lat1: Nullable<Double>, lng1: Nullable<Double>, lat2: Nullable<Double>, lng2: Nullable<Double>,
    ) -> Nullable<Double>;
}

diesel::define_sql_function! {
    /// Whether two locations are within so many **metres** of each other, on the sphere that has the mean radius of the
    /// earth (6371.0087714 km) unless `use_spheroid`. A GiST index on `location` serves it.
    ///
    /// On `geometry` in degrees the same name would measure degrees, where 5000 is the whole earth: that one is not
    /// declared.
    #[sql_name = "ST_DWithin"]
    fn st_dwithin_metres(
        location: Nullable<Geography>, other: Geography, metres: Double, use_spheroid: Bool,
    ) -> Nullable<Bool>;
}

// How far apart two geographies are, in metres on the sphere of `ST_DWithin`. A GiST index serves an `ORDER BY` of it,
// nearest first.
diesel::infix_operator!(DistanceOrder, " <-> ", Nullable<Double>, backend: Pg);

diesel::define_sql_function! {
    /// The shortest distance between two locations in **metres**, on the sphere that has the mean radius of the earth
    /// (6371.0087714 km) unless `use_spheroid`. Not the distance that this crate shows: that is [`haversine()`]'s.
    #[sql_name = "ST_Distance"]
    fn st_distance_metres(location: Nullable<Geography>, other: Geography, use_spheroid: Bool) -> Nullable<Double>;
}

diesel::define_sql_function! {
    /// A point of **longitude first**, in no reference system yet: see [`st_set_srid()`].
    #[sql_name = "ST_MakePoint"]
    fn st_make_point(lng: Nullable<Double>, lat: Nullable<Double>) -> Nullable<Geometry>;
}

diesel::define_sql_function! {
    /// The same point with this reference system as its SRID: 4326 for degrees of WGS84. No coordinate is converted.
    #[sql_name = "ST_SetSRID"]
    fn st_set_srid(shape: Nullable<Geometry>, srid: Integer) -> Nullable<Geometry>;
}

diesel::define_sql_function! {
    /// The cast `::geography`: distances become metres on the earth.
    fn geography(shape: Nullable<Geometry>) -> Nullable<Geography>;
}

diesel::define_sql_function! {
    /// The cast `::geometry`: distances become planar, in degrees.
    fn geometry(location: Nullable<Geography>) -> Nullable<Geometry>;
}

diesel::define_sql_function! {
    /// Whether an outline covers a point, its boundary included (`ST_Contains` excludes it). Edges are straight
    /// lines in degrees. A GiST index serves it, better with `&&` beside it.
    #[sql_name = "ST_Covers"]
    fn st_covers(outline: Nullable<Geometry>, point: Geometry) -> Nullable<Bool>;
}

diesel::define_sql_function! {
    /// A school's outline, or else the box of its circle. The index `ix_schools_catchment` is over this expression.
    #[sql_name = "COALESCE"]
    fn outline_or_circle(outline: Nullable<Geometry>, circle: Nullable<Geometry>) -> Nullable<Geometry>;
}

/// The reference system of every coordinate: degrees of WGS84.
pub const WGS84: Option<u32> = crate::geo::WGS84;

/// Returns a point for PostGIS, as geography or geometry: longitude first, WGS84.
pub fn postgis_point(point: LatLng) -> Point {
    Point { x: point.lng().degrees(), y: point.lat().degrees(), srid: WGS84 }
}

/// Returns a point beside another, at most 0.22 m from it, for candidates by `<->`.
///
/// PostGIS treats points that are less than 1e-12 radians apart as equal, and its index does not. Where a school is so
/// close to the point, the server refuses the order ("index returned tuples in wrong order"). Homes and schools often
/// share coordinates, so the point is shifted in each direction, towards the equator and the prime meridian, by a
/// number of degrees that no coordinate of 9 decimals or fewer has.
pub(crate) fn beside(point: LatLng) -> Point {
    let shifted = |degrees: f64| degrees - 1.370_5e-6_f64.copysign(degrees);
    Point { x: shifted(point.lng().degrees()), y: shifted(point.lat().degrees()), srid: WGS84 }
}
