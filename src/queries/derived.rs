//! Stored copies of other columns: finds the rows that disagree with those columns, and repairs them.
//!
//! Triggers keep the copies up to date, and refuse a name without its fold. Rows disagree only if a program disabled
//! the triggers, wrote to a copy directly, or folded names by the rules of another build.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::error::Result;
use crate::ids::Urn;
use crate::text;

use super::super::schema::{folded_names, schools};
use super::{COPIES, LOCK_COPIES, MigrationConnection};

/// A copy that the database can derive by itself.
pub(super) struct StoredCopy {
    /// A query for the rows that disagree, one sentence each.
    pub(super) stale: &'static str,
    /// The statements that write them again.
    pub(super) repair: &'static str,
}

/// The copies of both backends.
const SHARED: &[StoredCopy] = &[
    StoredCopy {
        stale: "SELECT 'link of ' || urn || ' to ' || linked_urn || ' (' || kind || '): it belongs to other schools'
            FROM school_links AS link
            WHERE school_id IS DISTINCT FROM (SELECT id FROM schools WHERE schools.urn = link.urn)
                OR linked_school_id IS DISTINCT FROM (SELECT id FROM schools WHERE schools.urn = link.linked_urn)
            ORDER BY urn, linked_urn, kind",
        repair: "UPDATE school_links
            SET school_id = (SELECT id FROM schools WHERE schools.urn = school_links.urn),
                linked_school_id = (SELECT id FROM schools WHERE schools.urn = school_links.linked_urn)
            WHERE school_id IS DISTINCT FROM (SELECT id FROM schools WHERE schools.urn = school_links.urn)
                OR linked_school_id
                    IS DISTINCT FROM (SELECT id FROM schools WHERE schools.urn = school_links.linked_urn)",
    },
    StoredCopy {
        // A merger moves reviews on, so that a review may belong to a school of another URN.
        stale: "SELECT 'review ' || id || ': it belongs to no school, and there is one with URN ' || urn
            FROM school_reviews WHERE school_id IS NULL AND urn IN (SELECT urn FROM schools) ORDER BY id",
        repair: "UPDATE school_reviews
            SET school_id = (SELECT id FROM schools WHERE schools.urn = school_reviews.urn) WHERE school_id IS NULL",
    },
    StoredCopy {
        stale: "WITH stored AS (SELECT school_id, intake, academic_year, recency, least_km FROM admissions_reach),
                fresh AS (SELECT school_id, intake, academic_year, recency, least_km FROM admissions_by_recency)
            SELECT 'school with id ' || school_id || ': its rows of admissions_reach are not those of its admissions'
            FROM (
                SELECT school_id FROM (SELECT * FROM stored EXCEPT SELECT * FROM fresh) AS wrong
                UNION SELECT school_id FROM (SELECT * FROM fresh EXCEPT SELECT * FROM stored) AS missing
                UNION SELECT school_id FROM stored GROUP BY school_id, intake, academic_year HAVING count(*) > 1
            ) AS stale
            ORDER BY school_id",
        repair: "DELETE FROM admissions_reach;
            INSERT INTO admissions_reach (school_id, intake, academic_year, recency, least_km)
                SELECT school_id, intake, academic_year, recency, least_km FROM admissions_by_recency",
    },
];

/// Returns the rows that disagree, one sentence each.
pub(super) fn stale_on_conn(connection: &mut MigrationConnection) -> Result<Vec<String>> {
    let mut sentences = Vec::new();
    for Named { urn, name, name_folded, stored } in stale_names(connection)? {
        let fold = text::fold(&name);
        sentences.push(if name_folded == fold {
            format!("school {urn}: folded_names has {stored:?} for its name, whose fold is {fold:?}")
        } else {
            format!("school {urn}: name_folded is {name_folded:?}, and the fold of its name is {fold:?}")
        });
    }
    for copy in SHARED.iter().chain(COPIES) {
        sentences.extend(diesel::dsl::sql::<Text>(copy.stale).load::<String>(connection)?);
    }
    Ok(sentences)
}

/// Writes again the rows that disagree, and returns them as they were. Needs an open transaction.
pub(super) fn repair_in_txn(connection: &mut MigrationConnection) -> Result<Vec<String>> {
    connection.batch_execute(LOCK_COPIES)?;
    let stale = stale_on_conn(connection)?;
    for Named { urn, name, .. } in stale_names(connection)? {
        let fold = text::fold(&name);
        let row = (folded_names::name.eq(&name), folded_names::name_folded.eq(&fold));
        let stored = diesel::insert_into(folded_names::table).values(row).on_conflict(folded_names::name);
        stored.do_update().set(folded_names::name_folded.eq(&fold)).execute(connection)?;
        let school = diesel::update(schools::table.filter(schools::urn.eq(urn)));
        school.set(schools::name_folded.eq(&fold)).execute(connection)?;
    }
    for copy in SHARED.iter().chain(COPIES) {
        connection.batch_execute(copy.repair)?;
    }
    Ok(stale)
}

/// A school's name with its folds: the school's own, and that of `folded_names`.
#[derive(Queryable)]
struct Named {
    urn: Urn,
    name: String,
    name_folded: String,
    stored: Option<String>,
}

/// Returns the names whose folds are not those of [`text::fold`], which no database can compute.
fn stale_names(connection: &mut MigrationConnection) -> Result<Vec<Named>> {
    let folds = folded_names::table.on(folded_names::name.eq(schools::name));
    let folded = (schools::urn, schools::name, schools::name_folded, folded_names::name_folded.nullable());
    let names = schools::table.left_join(folds).select(folded).order_by(schools::urn);
    let mut stale = Vec::new();
    for named in names.load_iter::<Named, _>(connection)? {
        let named = named?;
        let fold = text::fold(&named.name);
        if named.name_folded != fold || named.stored.as_ref() != Some(&fold) {
            stale.push(named);
        }
    }
    Ok(stale)
}
