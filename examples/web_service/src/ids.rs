//! The schools that a request names by their ids.

use school_finder_db::ids::SchoolId;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};

use super::problem::Problem;

/// The most schools of one request.
const MAX_SCHOOLS: usize = 200;

/// Returns the schema of the parameter.
pub fn schema() -> Array {
    let id = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(i64::MAX));
    ArrayBuilder::new().items(id).min_items(Some(1)).max_items(Some(MAX_SCHOOLS)).build()
}

/// Refuses no ids, too many, and those that no school can have.
pub fn check(ids: &[SchoolId]) -> Result<(), Problem> {
    let refuse = |detail| Err(Problem::in_field("id", "InvalidParameter", detail));
    if ids.is_empty() {
        return Err(Problem::in_field("id", "MissingParameter", "id is missing: name a school".to_owned()));
    }
    if ids.len() > MAX_SCHOOLS {
        return refuse(format!("at most {MAX_SCHOOLS} schools may be named at once"));
    }
    match ids.iter().find(|id| id.get() < 1) {
        Some(id) => refuse(format!("id {id} is below 1")),
        None => Ok(()),
    }
}
