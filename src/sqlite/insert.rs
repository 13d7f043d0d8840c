//! INSERTs of schools and postcodes on SQLite.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::schema::{folded_names, postcodes, schools};
use crate::columns::school_values;
use crate::geo::LatLng;
use crate::ids::{SchoolId, Urn};
use crate::models::{NewSchool, PostcodeRow};
pub(super) use crate::request::Batches;

/// How many schools one INSERT has: 26 values each, well below SQLite's limit of 32,766 bound values.
pub(super) const ROWS_AN_INSERT: usize = 250;

/// Inserts at most [`ROWS_AN_INSERT`] schools and returns their ids in the given order.
pub(super) fn insert_in_txn(connection: &mut SqliteConnection, new: &[NewSchool]) -> QueryResult<Vec<SchoolId>> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<_> = new.iter().map(|school| school_values!(schools, school)).collect();
    let insert = diesel::insert_into(schools::table).values(values).returning((schools::urn, schools::id));
    // SQL does not guarantee the order of returned rows.
    let ids: HashMap<Urn, SchoolId> = insert.load(connection)?.into_iter().collect();
    Ok(new.iter().filter_map(|school| ids.get(&school.urn).copied()).collect())
}

/// Stores names with their folds. A fold of an older build, whose rules differ, is replaced.
pub(super) fn upsert_folds_in_txn(connection: &mut SqliteConnection, folds: Vec<(&str, String)>) -> QueryResult<()> {
    for (name, fold) in folds {
        let row = (folded_names::name.eq(name), folded_names::name_folded.eq(fold));
        let insert = diesel::insert_into(folded_names::table).values(row).on_conflict(folded_names::name).do_update();
        insert.set(folded_names::name_folded.eq(excluded(folded_names::name_folded))).execute(connection)?;
    }
    Ok(())
}

/// Returns an iterator that may read a file: a query of SQLite blocks its thread in any case.
pub(super) const fn ahead<I: Iterator>(iterator: I) -> I {
    iterator
}

/// Stores postcodes, over those that are stored.
pub(super) fn upsert_postcodes_in_txn(connection: &mut SqliteConnection, rows: &[PostcodeRow]) -> QueryResult<()> {
    for PostcodeRow { postcode, lat, lng, uncertainty_m, terminated_on, is_withdrawn } in rows {
        let values = (
            postcodes::lat.eq(lat),
            postcodes::lng.eq(lng),
            postcodes::uncertainty_m.eq(uncertainty_m),
            postcodes::terminated_on.eq(terminated_on),
            postcodes::is_withdrawn.eq(is_withdrawn),
        );
        // One row a statement, which is prepared once. Diesel prepares an upsert anew for each row.
        let row = (postcodes::postcode.eq(postcode), values);
        if diesel::insert_or_ignore_into(postcodes::table).values(row).execute(connection)? == 1 {
            continue;
        }
        // It is stored already, or a constraint refuses it, as this statement will say.
        diesel::insert_into(postcodes::table)
            .values(row)
            .on_conflict(postcodes::postcode)
            .do_update()
            .set(values)
            .execute(connection)?;
    }
    Ok(())
}
