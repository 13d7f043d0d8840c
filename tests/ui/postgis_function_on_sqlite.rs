//! PostGIS functions on the SQLite schema.

use diesel::SqliteConnection;
use diesel::prelude::*;
use school_finder_db::postgres::functions::{postgis_point, st_covers};
use school_finder_db::sqlite::schema::schools;
use school_finder_db::sample;

fn urns(connection: &mut SqliteConnection) -> QueryResult<Vec<i32>> {
    let serving = st_covers(schools::catchment_geometry, postgis_point(sample::home()));
    schools::table.filter(serving).select(schools::urn).load(connection)
}

fn main() {
    let _ = urns;
}
