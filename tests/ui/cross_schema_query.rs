//! A column of one backend's schema in a query on the other's.

use diesel::SqliteConnection;
use diesel::prelude::*;
use school_finder_db::postgres::schema::schools as server;
use school_finder_db::sqlite::schema::schools as lite;

fn urns(connection: &mut SqliteConnection) -> QueryResult<Vec<i32>> {
    lite::table.filter(server::urn.eq(110_533)).select(lite::urn).load(connection)
}

fn main() {
    let _ = urns;
}
