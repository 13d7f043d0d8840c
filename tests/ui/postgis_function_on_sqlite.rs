//! A PostGIS function on the SQLite schema.

use diesel::SqliteConnection;
use diesel::prelude::*;
use school_finder_db::postgres::functions::{geography_point, st_dwithin_metres};
use school_finder_db::sqlite::schema::schools;
use school_finder_db::sample;

fn urns(connection: &mut SqliteConnection) -> QueryResult<Vec<i32>> {
    let near = st_dwithin_metres(schools::catchment_geometry, geography_point(sample::home()), 5.0, false);
    schools::table.filter(near).select(schools::urn).load(connection)
}

fn main() {
    let _ = urns;
}
