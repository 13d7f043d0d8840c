//! A column that only one backend's schema has, asked of the other.

use diesel::SqliteConnection;
use diesel::prelude::*;
use school_finder_db::sqlite::schema::schools;

fn anywhere(connection: &mut SqliteConnection) -> QueryResult<i64> {
    schools::table.filter(schools::location.is_not_null()).count().get_result(connection)
}

fn main() {
    let _ = anywhere;
}
