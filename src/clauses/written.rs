//! Columns whose SQL is written once.

use std::sync::OnceLock;

use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping};
use diesel::query_builder::{AstPass, QueryBuilder, QueryFragment, QueryId};
use diesel::result::QueryResult;

/// Columns, which Diesel checks, and their SQL, which it writes once for all queries.
///
/// It quotes each name of a query anew whenever that is asked. For the sixteen columns of a hit these are 32 strings,
/// more than all else that the smallest query allocates.
#[derive(Debug, Clone, Copy, QueryId)]
pub struct Written<Columns> {
    columns: Columns,
    sql: &'static OnceLock<String>,
}

impl<Columns> Written<Columns> {
    /// Columns without bound values, and where their SQL is kept: a place for each list of columns and each backend.
    pub(crate) const fn new(columns: Columns, sql: &'static OnceLock<String>) -> Self {
        Self { columns, sql }
    }
}

impl<Columns: Expression> Expression for Written<Columns> {
    type SqlType = Columns::SqlType;
}

impl<Tables, Columns: SelectableExpression<Tables>> SelectableExpression<Tables> for Written<Columns> {}

impl<Tables, Columns: AppearsOnTable<Tables>> AppearsOnTable<Tables> for Written<Columns> {}

impl<Groups, Columns: ValidGrouping<Groups>> ValidGrouping<Groups> for Written<Columns> {
    type IsAggregate = Columns::IsAggregate;
}

impl<DB, Columns> QueryFragment<DB> for Written<Columns>
where
    DB: Backend + Default,
    DB::QueryBuilder: Default,
    Columns: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if let Some(sql) = self.sql.get() {
            out.push_sql(sql);
            return Ok(());
        }
        let mut sql = DB::QueryBuilder::default();
        self.columns.to_sql(&mut sql, &DB::default())?;
        out.push_sql(self.sql.get_or_init(|| sql.finish()));
        Ok(())
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use diesel::debug_query;
    use diesel::prelude::*;
    use diesel::sqlite::Sqlite;

    use super::*;
    use crate::sqlite::schema::{school_clubs, schools};

    #[test]
    fn what_is_written_once_is_what_diesel_writes_each_time() {
        static SQL: OnceLock<String> = OnceLock::new();
        static OTHER: OnceLock<String> = OnceLock::new();
        let columns = (schools::id, schools::name);
        let each_time = debug_query::<Sqlite, _>(&schools::table.select(columns)).to_string();
        let once = || debug_query::<Sqlite, _>(&schools::table.select(Written::new(columns, &SQL))).to_string();
        assert_eq!(once(), each_time);
        assert_eq!(SQL.get().map(String::as_str), Some("`schools`.`id`, `schools`.`name`"));
        assert_eq!(once(), each_time);

        OTHER.set("what stands there".to_owned()).expect("nothing yet");
        let kept = debug_query::<Sqlite, _>(&schools::table.select(Written::new(columns, &OTHER))).to_string();
        assert!(kept.starts_with("SELECT what stands there FROM `schools`"), "{kept}");
    }

    /// Whoever selects a model of this crate in a query of their own may have it from either side of a join.
    #[test]
    fn a_model_may_be_missing_in_a_join() {
        use crate::models::SchoolSummary;

        let query = school_clubs::table.left_join(schools::table).select(Option::<SchoolSummary>::as_select());
        let sql = debug_query::<Sqlite, _>(&query).to_string();
        assert!(sql.starts_with("SELECT `schools`.`id`, `schools`.`urn`, "), "{sql}");
        let mut connection = SqliteConnection::establish(":memory:").expect("a database");
        assert!(query.load::<Option<SchoolSummary>>(&mut connection).is_err(), "there is no such table yet");
    }
}
