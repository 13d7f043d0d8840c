//! The queries. Functions that end in `_query` build one, so that its text and plan can be tested; those that end in
//! `_on_conn` run it.

mod admissions;
mod backfill;
mod catchments;
mod children;
mod explain;
mod find;
mod lineage;
mod lists;
mod writes;

use diesel::prelude::*;
use diesel::result::Error as DieselError;

pub(super) use admissions::{find_reach_on_conn, upsert_admissions_on_conn};
pub(super) use backfill::{count_phase_gaps_on_conn, fill_phases_on_conn, phase_gaps_on_conn};
pub(super) use catchments::{catchments_on_conn, find_catchments_on_conn, upsert_catchments_on_conn};
pub(super) use children::{details_on_conn, insert_reviews_on_conn, replace_collections_on_conn};
pub(super) use explain::{
    analyze_catchments_on_conn, analyze_find_on_conn, explain_catchments_on_conn, explain_find_on_conn,
};
pub(super) use find::find_schools_on_conn;
pub(super) use lineage::{
    delete_school_on_conn, merge_schools_on_conn, schools_of_today_on_conn, upsert_links_on_conn,
};
pub(super) use lists::{councils_on_conn, facets_on_conn, schools_by_urn_on_conn, schools_on_conn};
pub(super) use writes::{insert_schools_on_conn, update_school_on_conn, upsert_schools_on_conn};

/// Does some writes whole or not at all. Where they fail, with the error that they failed with: where a disk fails SQLite ends the
/// transaction itself, and Diesel would tell that there is none to roll back.
fn whole<T, E: From<DieselError>>(
    connection: &mut SqliteConnection,
    writes: impl FnOnce(&mut SqliteConnection) -> Result<T, E>,
) -> Result<T, E> {
    let mut failed = None;
    let ended = connection.immediate_transaction(|connection| {
        writes(connection).map_err(|error| {
            failed = Some(error);
            DieselError::RollbackTransaction
        })
    });
    ended.map_err(|error| failed.unwrap_or_else(|| error.into()))
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;

    use super::*;
    use crate::error::Error;

    #[test]
    fn writes_fail_with_their_own_error() {
        let mut connection = SqliteConnection::establish(":memory:").expect("a database");
        let failed = whole(&mut connection, |connection| {
            // As SQLite does when a write of the log fails.
            connection.batch_execute("ROLLBACK")?;
            Err::<(), _>(Error::StorageFull)
        });
        assert!(matches!(failed, Err(Error::StorageFull)), "{failed:?}");
        let mut connection = SqliteConnection::establish(":memory:").expect("a database");
        let failed = whole(&mut connection, |_| Err::<(), _>(Error::UnknownSchool));
        assert!(matches!(failed, Err(Error::UnknownSchool)), "{failed:?}");
        let missing = whole(&mut connection, |connection| Ok::<_, Error>(connection.batch_execute("SELECT x")?));
        assert!(matches!(missing, Err(Error::Database(_))), "{missing:?}");
        whole(&mut connection, |_| Ok::<_, Error>(())).expect("the connection is as before");
    }
}
