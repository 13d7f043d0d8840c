//! INSERTs of schools and postcodes on Postgres.

use std::collections::{BTreeSet, HashMap};

use diesel::dsl::SqlTypeOf;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text};
use diesel::upsert::excluded;
use diesel_async::AsyncPgConnection;
use tokio::task::JoinHandle;

use super::guard::outside_server;
use super::run::RunQueryDsl;
use super::schema::{postcodes, schools};
use crate::columns::school_columns;
use crate::error::Result;
use crate::geo::LatLng;
use crate::ids::{SchoolId, Urn};
use crate::models::{NewSchool, PostcodeRow};
use crate::request::{self, RegisterSchool, RegisterStream};
use crate::search::{Texts, reversed};

/// How many schools are compared and inserted at a time.
pub(super) const ROWS_AN_INSERT: usize = 2_000;

diesel::define_sql_function! {
    /// The values of an array, one row each. Several in one SELECT advance in parallel.
    fn unnest<T: diesel::sql_types::SqlType + diesel::sql_types::SingleValue>(values: Array<T>) -> T;
}

/// An INSERT of schools from one array for each column: one statement, prepared once, for any number of schools. It
/// returns the URN and the id of each.
#[derive(Debug, QueryId)]
struct InsertSchools<A> {
    columns: &'static [&'static str],
    arrays: A,
}

impl<A> Query for InsertSchools<A> {
    type SqlType = (Integer, BigInt);
}

impl<A: QueryFragment<Pg>> QueryFragment<Pg> for InsertSchools<A> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO schools (");
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push_sql(", ");
            }
            out.push_identifier(column)?;
        }
        // In FROM, the server would store every array as rows before the first INSERT, which takes a tenth of the total
        // time.
        out.push_sql(") SELECT ");
        self.arrays.walk_ast(out.reborrow())?;
        out.push_sql(" RETURNING urn, id");
        Ok(())
    }
}

/// Builds an INSERT of new schools. Each array has the type of its column.
macro_rules! insert_schools {
    ($schools:expr) => {
        school_columns!(insert_schools, $schools)
    };
    ($schools:expr; $($field:ident => $($column:ident: $value:expr),+;)+) => {
        InsertSchools {
            columns: &[$($(<schools::$column as Column>::NAME),+),+],
            arrays: ($($(
                unnest::<SqlTypeOf<schools::$column>, _>(
                    $schools.iter().map(|NewSchool { $field, .. }| $value).collect::<Vec<_>>(),
                ),
            )+)+),
        }
    };
}

/// A stream of schools in batches, each school validated.
pub(super) struct Batches(Ahead<request::Batches>);

impl Batches {
    pub(super) fn new(stream: RegisterStream, size: usize) -> Self {
        Self(ahead(request::Batches::new(stream, size)))
    }

    /// Returns the next batch. A panic of the stream is passed on.
    pub(super) async fn next(&mut self) -> Option<Result<Vec<RegisterSchool>>> {
        self.0.next().await
    }
}

/// An iterator that may read a file, so it runs on a thread that may block, one item ahead.
pub(super) struct Ahead<I: Iterator>(JoinHandle<(Option<I::Item>, I)>);

/// Runs an iterator one item ahead.
pub(super) fn ahead<I>(mut iterator: I) -> Ahead<I>
where
    I: Iterator<Item: Send> + Send + 'static,
{
    Ahead(tokio::task::spawn_blocking(move || (iterator.next(), iterator)))
}

impl<I: Iterator<Item: Send> + Send + 'static> Ahead<I> {
    /// Returns the next item. A panic of the iterator is passed on.
    pub(super) async fn next(&mut self) -> Option<I::Item> {
        let read = outside_server(&mut self.0).await;
        let (item, rest) = read.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
        *self = ahead(rest);
        item
    }
}

/// Inserts at most [`ROWS_AN_INSERT`] schools and returns their ids in the given order.
pub(super) async fn insert_in_txn(connection: &mut AsyncPgConnection, new: &[NewSchool]) -> QueryResult<Vec<SchoolId>> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    // SQL does not guarantee the order of returned rows.
    let ids: HashMap<Urn, SchoolId> = insert_schools!(new).load(connection).await?.into_iter().collect();
    Ok(new.iter().filter_map(|school| ids.get(&school.urn).copied()).collect())
}

/// Stores names with their folds. A fold of an older build, whose rules differ, is replaced; an equal one is not
/// written, which would leave a dead row.
pub(super) async fn upsert_folds_in_txn(
    connection: &mut AsyncPgConnection,
    folds: Vec<(&str, String)>,
) -> QueryResult<()> {
    let (names, folds): (Vec<_>, Vec<_>) = folds.into_iter().unzip();
    // One statement, prepared once, for any number of names.
    let upsert = diesel::sql_query(
        "INSERT INTO folded_names (name, name_folded) SELECT unnest($1), unnest($2)
         ON CONFLICT (name) DO UPDATE SET name_folded = excluded.name_folded
         WHERE folded_names.name_folded <> excluded.name_folded",
    );
    upsert.bind::<Array<Text>, _>(names).bind::<Array<Text>, _>(folds).execute(connection).await?;
    Ok(())
}

/// How many postcodes one INSERT has.
const POSTCODES_AN_INSERT: usize = 10_000;

/// Stores postcodes, over those that are stored.
pub(super) async fn upsert_postcodes_in_txn(
    connection: &mut AsyncPgConnection,
    rows: &[PostcodeRow],
) -> QueryResult<()> {
    for rows in rows.chunks(POSTCODES_AN_INSERT) {
        macro_rules! arrays {
            ($($column:ident),+) => {
                ($(unnest::<SqlTypeOf<postcodes::$column>, _>(
                    rows.iter().map(|row| &row.$column).collect::<Vec<_>>(),
                ),)+)
            };
        }
        let values = diesel::select(arrays!(postcode, lat, lng, uncertainty_m, terminated_on, is_withdrawn));
        diesel::insert_into(postcodes::table)
            .values(values)
            .on_conflict(postcodes::postcode)
            .do_update()
            .set((
                postcodes::lat.eq(excluded(postcodes::lat)),
                postcodes::lng.eq(excluded(postcodes::lng)),
                postcodes::uncertainty_m.eq(excluded(postcodes::uncertainty_m)),
                postcodes::terminated_on.eq(excluded(postcodes::terminated_on)),
                postcodes::is_withdrawn.eq(excluded(postcodes::is_withdrawn)),
            ))
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Inserts words of schools, each with whether it is in the name.
pub(super) async fn insert_words_in_txn(
    connection: &mut AsyncPgConnection,
    words: Vec<(String, SchoolId, bool)>,
) -> QueryResult<()> {
    let ids: Vec<SchoolId> = words.iter().map(|(_, id, _)| *id).collect();
    let (words, in_name): (Vec<String>, Vec<bool>) =
        words.into_iter().map(|(word, _, in_name)| (word, in_name)).unzip();
    let insert = diesel::sql_query(
        "INSERT INTO school_words (word, school_id, in_name) SELECT unnest($1), unnest($2), unnest($3)",
    );
    let insert = insert.bind::<Array<Text>, _>(words).bind::<Array<BigInt>, _>(ids).bind::<Array<Bool>, _>(in_name);
    insert.execute(connection).await?;
    Ok(())
}

/// Adds words to the vocabulary.
pub(super) async fn insert_vocabulary_in_txn(
    connection: &mut AsyncPgConnection,
    words: BTreeSet<String>,
) -> QueryResult<()> {
    let backwards: Vec<String> = words.iter().map(|word| reversed(word)).collect();
    let words: Vec<String> = words.into_iter().collect();
    let insert = diesel::sql_query(
        "INSERT INTO school_vocabulary (word, reversed) SELECT unnest($1), unnest($2) ON CONFLICT (word) DO NOTHING",
    );
    insert.bind::<Array<Text>, _>(words).bind::<Array<Text>, _>(backwards).execute(connection).await?;
    Ok(())
}

/// Stores the texts that schools' words are computed from.
pub(super) async fn upsert_towns_in_txn(
    connection: &mut AsyncPgConnection,
    texts: Vec<(SchoolId, Texts)>,
) -> QueryResult<()> {
    let ids: Vec<SchoolId> = texts.iter().map(|(id, _)| *id).collect();
    let (mut towns, mut names, mut councils, mut postcodes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (_, Texts { town, name, council, postcode }) in texts {
        towns.push(town);
        names.push(name);
        councils.push(council);
        postcodes.push(postcode);
    }
    let upsert = diesel::sql_query(
        "INSERT INTO school_towns (school_id, town, name, council, postcode)
         SELECT unnest($1), unnest($2), unnest($3), unnest($4), unnest($5)
         ON CONFLICT (school_id) DO UPDATE SET town = excluded.town, name = excluded.name, council = excluded.council,
             postcode = excluded.postcode",
    );
    let upsert = upsert.bind::<Array<BigInt>, _>(ids).bind::<Array<Nullable<Text>>, _>(towns);
    let upsert = upsert.bind::<Array<Text>, _>(names).bind::<Array<Nullable<Text>>, _>(councils);
    upsert.bind::<Array<Nullable<Text>>, _>(postcodes).execute(connection).await?;
    Ok(())
}
