//! The schools that a request names by their ids.

use school_finder_db::ids::SchoolId;

use super::problem::Problem;

/// The most schools of one request; the descriptions of the parameters repeat it.
const MAX_SCHOOLS: usize = 200;

/// Refuses too many ids, and those that no school can have.
pub fn check(ids: &[SchoolId]) -> Result<(), Problem> {
    let refuse = |detail| Err(Problem::in_field("id", "InvalidParameter", detail));
    if ids.len() > MAX_SCHOOLS {
        return refuse(format!("at most {MAX_SCHOOLS} schools may be named at once"));
    }
    match ids.iter().find(|id| id.get() < 1) {
        Some(id) => refuse(format!("id {id} is below 1")),
        None => Ok(()),
    }
}
