//! The backfill of one column of any table.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_trait::async_trait;
use polars::prelude::*;

use super::{Compute, Steps};
use crate::error::Result;
use crate::request::WriteMode;

/// The counts of a backfill of a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColumnCounts {
    /// The number of rows that were filled.
    pub filled: u64,
    /// How many were left: without a result, or changed in the meantime.
    pub left: u64,
}

/// A row that lacks a value: its key, and the columns that the value is computed from.
type Row<C> = (<C as FillColumn>::Key, <C as FillColumn>::Sources);

/// A row and its value.
pub type Filled<C> = (<C as FillColumn>::Key, <C as FillColumn>::Sources, <C as FillColumn>::Value);

/// A column to fill, in the rows where it is null. [`fill_column!`](crate::fill_column) implements it.
#[async_trait]
pub trait FillColumn: Send + Sync {
    /// The type of the key, which orders the rows.
    type Key: Cell + Clone + Eq + Hash + Send + Sync + 'static;
    /// The types of the columns that the value is computed from.
    type Sources: Send + 'static;
    /// The type of the column.
    type Value: Cell + Send + 'static;
    /// The name of the key's column.
    const KEY: &'static str;
    /// The name of the column.
    const COLUMN: &'static str;

    /// Returns how many rows lack a value.
    async fn count(&self) -> Result<u64>;

    /// Returns the rows that lack a value, after a key and in the order of keys.
    async fn read(&self, after: Option<Self::Key>, limit: u32) -> Result<Vec<(Self::Key, Self::Sources)>>;

    /// Returns a frame of rows.
    ///
    /// # Errors
    /// Those of Polars.
    fn frame(rows: &[(Self::Key, Self::Sources)]) -> PolarsResult<DataFrame>;

    /// Writes values to the rows that still lack one and whose sources are those that were read, in one transaction,
    /// and returns how many.
    async fn write(&self, values: Vec<Filled<Self>>) -> Result<u64>
    where
        Self: Sized;
}

/// A value of a frame.
pub trait Cell: Sized {
    /// The type of its column.
    const TYPE: DataType;

    /// Returns it as a value of a column.
    fn to_cell(&self) -> AnyValue<'_>;

    /// Reads it from a column of its type. Null is `None`, except for an `Option`.
    fn from_cell(cell: &AnyValue<'_>) -> Option<Self>;

    /// Returns a column of values.
    ///
    /// # Errors
    /// Those of Polars.
    fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> PolarsResult<Column>
    where
        Self: 'a,
    {
        let cells: Vec<_> = values.map(Self::to_cell).collect();
        Ok(Series::from_any_values_and_dtype(name.into(), &cells, &Self::TYPE, true)?.into())
    }
}

macro_rules! cells {
    ($($type:ty: $variant:ident,)+) => {$(
        impl Cell for $type {
            const TYPE: DataType = DataType::$variant;

            fn to_cell(&self) -> AnyValue<'_> {
                AnyValue::$variant(*self)
            }

            fn from_cell(cell: &AnyValue<'_>) -> Option<Self> {
                match cell {
                    AnyValue::$variant(value) => Some(*value),
                    _ => None,
                }
            }
        }
    )+};
}

cells! { i16: Int16, i32: Int32, i64: Int64, f64: Float64, bool: Boolean, }

impl Cell for String {
    const TYPE: DataType = DataType::String;

    fn to_cell(&self) -> AnyValue<'_> {
        AnyValue::String(self)
    }

    fn from_cell(cell: &AnyValue<'_>) -> Option<Self> {
        cell.get_str().map(str::to_owned)
    }
}

impl<T: Cell> Cell for Option<T> {
    const TYPE: DataType = T::TYPE;

    fn to_cell(&self) -> AnyValue<'_> {
        self.as_ref().map_or(AnyValue::Null, T::to_cell)
    }

    fn from_cell(cell: &AnyValue<'_>) -> Option<Self> {
        Some(T::from_cell(cell))
    }
}

/// The backfill of a column.
pub(super) struct Columns<C: FillColumn, F> {
    pub(super) column: C,
    pub(super) compute: Arc<F>,
    pub(super) after: Option<C::Key>,
    pub(super) filled: u64,
}

#[async_trait]
impl<C, F> Steps for Columns<C, F>
where
    C: FillColumn,
    F: Fn(DataFrame) -> PolarsResult<DataFrame> + Send + Sync + 'static,
{
    type Row = Row<C>;
    type Value = Filled<C>;

    async fn count(&self) -> Result<u64> {
        self.column.count().await
    }

    async fn read(&mut self, limit: u32) -> Result<Vec<Row<C>>> {
        let rows = self.column.read(self.after.clone(), limit).await?;
        self.after = rows.last().map(|(key, _)| key.clone()).or(self.after.take());
        Ok(rows)
    }

    fn compute(&self) -> Compute<Row<C>, Filled<C>> {
        let compute = Arc::clone(&self.compute);
        Box::new(move |rows| {
            let frame = compute(C::frame(&rows)?)?;
            Ok(joined::<C>(rows, &frame)?)
        })
    }

    async fn write(&mut self, mode: WriteMode, values: Vec<Filled<C>>) -> Result<()> {
        self.filled += match mode {
            WriteMode::DryRun => values.len() as u64,
            WriteMode::Commit => self.column.write(values).await?,
        };
        Ok(())
    }
}

/// Joins rows with the frame of their values, by the key.
fn joined<C: FillColumn>(rows: Vec<Row<C>>, frame: &DataFrame) -> PolarsResult<Vec<Filled<C>>> {
    let keys = frame.column(C::KEY)?.strict_cast(&C::Key::TYPE)?;
    let values = frame.column(C::COLUMN)?.strict_cast(&C::Value::TYPE)?;
    let mut rows: HashMap<_, _> = rows.into_iter().collect();
    let mut joined = Vec::with_capacity(frame.height());
    for at in 0..frame.height() {
        let row = C::Key::from_cell(&keys.get(at)?).and_then(|key| rows.remove_entry(&key));
        let Some((key, sources)) = row else {
            polars_bail!(ComputeError: "the frame has a {} twice, or one that was not in the rows", C::KEY)
        };
        joined.extend(C::Value::from_cell(&values.get(at)?).map(|value| (key, sources, value)));
    }
    Ok(joined)
}

/// What [`fill_column!`](crate::fill_column) calls.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "postgres")]
    use std::fmt::Write;

    pub use async_trait::async_trait;
    #[cfg(feature = "postgres")]
    use diesel::pg::{Pg, PgQueryBuilder};
    #[cfg(feature = "postgres")]
    use diesel::query_builder::{QueryBuilder, QueryFragment};
    use polars::prelude::*;

    /// Returns a frame of columns.
    ///
    /// # Errors
    /// Those of Polars.
    pub fn frame(columns: Vec<Column>) -> PolarsResult<DataFrame> {
        DataFrame::new_infer_height(columns)
    }

    /// Returns the statement that fills a column from arrays: of the key, of each source and of the value.
    ///
    /// # Errors
    /// Those of Diesel's query builder.
    #[cfg(feature = "postgres")]
    pub fn update_from_arrays(
        table: &impl QueryFragment<Pg>,
        key: &str,
        sources: &[&str],
        column: &str,
    ) -> diesel::QueryResult<String> {
        let mut name = PgQueryBuilder::new();
        table.to_sql(&mut name, &Pg)?;
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let (mut arrays, mut names, mut unchanged) = ("$1".to_owned(), "key".to_owned(), String::new());
        for (at, source) in sources.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(arrays, ", ${}", at + 2);
            let _ = write!(names, ", source_{at}");
            let _ = write!(unchanged, " AND stored.{} IS NOT DISTINCT FROM filled.source_{at}", quoted(source));
        }
        let (table, key, column, last) = (name.finish(), quoted(key), quoted(column), sources.len() + 2);
        Ok(format!(
            "UPDATE {table} AS stored SET {column} = filled.value FROM unnest({arrays}, ${last}) AS filled ({names}, value)
             WHERE stored.{key} = filled.key AND stored.{column} IS NULL{unchanged}"
        ))
    }
}

/// Describes a nullable column of a table, for [`Backfill::column`](crate::backfill::Backfill::column): the backend and
/// its repository, the table, its key, the columns to compute from, and after `=>` the column to fill where it is null,
/// each with its Rust type. A row is filled only if those columns have not changed since they were read.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use school_finder_db::backfill::{Backfill, polars::prelude::*};
/// # use diesel::connection::SimpleConnection;
/// # let repository =
/// #     school_finder_db::sqlite::SqliteRepository::connect(&school_finder_db::Config::in_memory()).await?;
/// # repository.with_connection(|connection| Ok(connection.batch_execute(
/// #     "CREATE TABLE buses (id INTEGER PRIMARY KEY, seats INTEGER NOT NULL, taken INTEGER, free INTEGER);
/// #      INSERT INTO buses (seats, taken) VALUES (50, 41), (30, NULL), (20, 20)",
/// # )?)).await?;
///
/// diesel::table! { buses { id -> BigInt, seats -> Integer, taken -> Nullable<Integer>, free -> Nullable<Integer> } }
///
/// let free = school_finder_db::fill_column! {
///     sqlite(repository): buses { id: i64, seats: i32, taken: Option<i32> => free: i32 }
/// };
/// let counts = Backfill::new()
///     .column(free, |buses| buses.lazy().select([col("id"), (col("seats") - col("taken")).alias("free")]).collect())
///     .await?;
/// assert_eq!((counts.filled, counts.left), (2, 1));
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("a backfill");
/// ```
///
/// With `postgres(repository)` the same fills a table of Postgres, where a chunk of rows is one statement. The calling
/// crate depends on `diesel`, and for Postgres also on `diesel-async`.
#[macro_export]
macro_rules! fill_column {
    (
        $backend:ident($repository:expr):
        $table:ident { $key:ident: $Key:ty, $($source:ident: $Source:ty),+ => $column:ident: $Value:ty $(,)? }
    ) => {{
        #[derive(::diesel::Queryable)]
        struct Sources {
            $($source: $Source,)+
        }

        struct Column($crate::__repository!($backend));

        #[$crate::backfill::__private::async_trait]
        impl $crate::backfill::FillColumn for Column {
            type Key = $Key;
            type Sources = Sources;
            type Value = $Value;
            const KEY: &'static str = stringify!($key);
            const COLUMN: &'static str = stringify!($column);

            async fn count(&self) -> $crate::Result<u64> {
                use ::diesel::prelude::*;
                let lacking = $table::table.filter($table::$column.is_null()).count();
                let count: i64 = $crate::__run!($backend(self.0), get_result(lacking));
                Ok(count.unsigned_abs())
            }

            async fn read(&self, after: Option<$Key>, limit: u32) -> $crate::Result<Vec<($Key, Sources)>> {
                use ::diesel::prelude::*;
                let mut lacking = $table::table
                    .filter($table::$column.is_null())
                    .order_by($table::$key)
                    .limit(limit.into())
                    .select(($table::$key, ($($table::$source,)+)))
                    .into_boxed();
                if let Some(after) = after {
                    lacking = lacking.filter($table::$key.gt(after));
                }
                Ok($crate::__run!($backend(self.0), load(lacking)))
            }

            fn frame(
                rows: &[($Key, Sources)],
            ) -> $crate::backfill::polars::prelude::PolarsResult<$crate::backfill::polars::prelude::DataFrame> {
                $crate::backfill::__private::frame(vec![
                    $crate::backfill::Cell::column(stringify!($key), rows.iter().map(|(key, _)| key))?,
                    $($crate::backfill::Cell::column(
                        stringify!($source),
                        rows.iter().map(|(_, sources)| &sources.$source),
                    )?,)+
                ])
            }

            async fn write(&self, values: Vec<($Key, Sources, $Value)>) -> $crate::Result<u64> {
                $crate::__write_column!($backend(self.0), values: $table, $key, ($($source),+), $column)
            }
        }
        Column($repository.clone())
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __repository {
    (sqlite) => {
        $crate::sqlite::SqliteRepository
    };
    (postgres) => {
        $crate::postgres::PostgresRepository
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __run {
    (sqlite($repository:expr), $method:ident($query:expr)) => {
        $repository.with_connection(move |connection| Ok(::diesel::RunQueryDsl::$method($query, connection)?)).await?
    };
    (postgres($repository:expr), $method:ident($query:expr)) => {
        $repository
            .with_connection(
                async move |connection| Ok(::diesel_async::RunQueryDsl::$method($query, connection).await?),
            )
            .await?
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __write_column {
    (sqlite($repository:expr), $values:ident: $table:ident, $key:ident, ($($source:ident),+), $column:ident) => {{
        use ::diesel::prelude::*;
        $repository
            .with_connection(move |connection| {
                connection.transaction(|connection| {
                    let mut filled = 0;
                    for (key, sources, value) in $values {
                        let unchanged = $table::table
                            .filter($table::$key.eq(key))
                            .filter($table::$column.is_null())
                            $(.filter($table::$source.is(sources.$source)))+;
                        let update = ::diesel::update(unchanged).set($table::$column.eq(value));
                        filled += update.execute(connection)? as u64;
                    }
                    Ok(filled)
                })
            })
            .await
    }};
    (postgres($repository:expr), $values:ident: $table:ident, $key:ident, ($($source:ident),+), $column:ident) => {{
        use ::diesel::dsl::SqlTypeOf;
        use ::diesel::prelude::*;
        use ::diesel::sql_types::Array;
        let update = $crate::backfill::__private::update_from_arrays(
            &::diesel::QuerySource::from_clause(&$table::table),
            <$table::$key as ::diesel::Column>::NAME,
            &[$(<$table::$source as ::diesel::Column>::NAME),+],
            <$table::$column as ::diesel::Column>::NAME,
        )?;
        let update = ::diesel::sql_query(update)
            .bind::<Array<SqlTypeOf<$table::$key>>, Vec<_>>($values.iter().map(|(key, _, _)| key.clone()).collect())
            $(.bind::<Array<SqlTypeOf<$table::$source>>, Vec<_>>(
                $values.iter().map(|(_, sources, _)| sources.$source.clone()).collect(),
            ))+
            .bind::<Array<SqlTypeOf<$table::$column>>, Vec<_>>(
                $values.into_iter().map(|(_, _, value)| Some(value)).collect(),
            );
        let filled = $crate::__run!(postgres($repository), execute(update));
        Ok(filled as u64)
    }};
}
