//! Schema changes that `ALTER TABLE` does not support: a column's type, nullability or position, or a constraint.
//!
//! SQLite makes them by creating the table anew and copying its rows (sqlite.org/lang_altertable.html, "Making Other
//! Kinds Of Table Schema Changes"). A missing step silently loses data. With foreign keys on, dropping the old table
//! deletes every row that refers to it. Dropping it also drops its indexes, its triggers and its AUTOINCREMENT counter.
//! [`TableRebuild`] writes the script that preserves them all.

use std::fmt::Write;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::catalogue::sqlite_master;
use super::errors::{self, classify};
use super::set_up::SetUp;
use crate::error::{Error, Result};

/// The first and last statements of a rebuild's script. A transaction cannot change the foreign keys setting, so
/// Diesel's own tool must not wrap the script in one: `run_in_transaction = false` in `metadata.toml`.
const BEGIN: &str = "PRAGMA foreign_keys = OFF;\nBEGIN IMMEDIATE;\n";
const END: &str = "COMMIT;\nPRAGMA foreign_keys = ON;\n";

/// A builder of the script that creates a table anew, for an `up.sql` or a `down.sql`.
///
/// The script is atomic and can be run twice. It preserves every row, id, index and trigger, and fails where a row
/// would refer to a missing one. R*Trees and other tables that triggers maintain are unchanged, since the rows are. Use
/// [`then`](Self::then) for what does change.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use diesel::connection::SimpleConnection;
/// use school_finder_db::Config;
/// use school_finder_db::sqlite::{SqliteRepository, TableRebuild};
///
/// let repository = SqliteRepository::connect(&Config::in_memory()).await?;
/// repository
///     .with_connection(|connection| {
///         connection.batch_execute("CREATE TABLE visits (id INTEGER PRIMARY KEY, day TEXT)")?;
///         let script = TableRebuild::new("CREATE TABLE visits (id INTEGER PRIMARY KEY, day TEXT NOT NULL)")
///             .column("day", "coalesce(day, '2026-01-01')")
///             .script(connection)?;
///         Ok(connection.batch_execute(&script)?)
///     })
///     .await?;
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("an answer");
/// ```
#[derive(Debug, Clone)]
pub struct TableRebuild {
    create: String,
    columns: Vec<(String, String)>,
    dropped: Vec<String>,
    then: String,
}

impl TableRebuild {
    /// Creates a rebuild of a table from its new `CREATE TABLE`.
    pub fn new(create: &str) -> Self {
        let create = create.trim().trim_end_matches(';').to_owned();
        Self { create, columns: Vec::new(), dropped: Vec::new(), then: String::new() }
    }

    /// Fills a column of the new table with an expression over the old table's row. Other columns keep their values.
    pub fn column(mut self, name: &str, expression: &str) -> Self {
        self.columns.push((name.to_owned(), expression.to_owned()));
        self
    }

    /// Drops a column that the new table does not have, with its values.
    pub fn drop_column(mut self, name: &str) -> Self {
        self.dropped.push(name.to_owned());
        self
    }

    /// Runs statements at the end, inside the transaction.
    pub fn then(mut self, statements: &str) -> Self {
        self.then.push_str(statements.trim());
        self.then.push('\n');
        self
    }

    /// Returns the script for the table as it is in this database.
    ///
    /// # Errors
    /// [`MigrationFailed`](crate::Error::MigrationFailed) where the text is not `CREATE TABLE name (...)`, the table
    /// does not exist, a column to fill is not in it, or a column would be dropped without
    /// [`drop_column`](Self::drop_column).
    pub fn script(&self, connection: &mut SqliteConnection) -> Result<String> {
        self.write(connection).map_err(classify)
    }

    fn write(&self, connection: &mut SqliteConnection) -> Result<String> {
        let refused = |reason: &str| Error::MigrationFailed { version: "?".to_owned(), reason: reason.to_owned() };
        let (head, definition) = self.create.split_once('(').ok_or_else(|| refused("this is no CREATE TABLE"))?;
        let table = head.split_whitespace().last().unwrap_or_default().trim_matches('"').to_owned();
        if !table.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(refused("the name of a table that is rebuilt must be a plain word"));
        }
        let named =
            diesel::dsl::sql::<Text>("SELECT name FROM sqlite_master WHERE type = 'table' AND lower(name) = lower(")
                .bind::<Text, _>(&table)
                .sql(")");
        // The name in its original case: the catalogue is searched by it.
        let table: String = named.get_result(connection).optional()?.unwrap_or(table);
        let old = columns(connection, &table)?;
        if old.is_empty() {
            return Err(refused(&format!("there is no table {table} to rebuild")));
        }
        let rebuilt = format!("{table}_rebuilt");
        let create = format!("CREATE TABLE {rebuilt} ({definition}");
        // Only SQLite can parse the new table's columns.
        let mut scratch = SetUp { busy_timeout: Duration::ZERO }.connect(":memory:")?;
        scratch.batch_execute(&create)?;
        let new = columns(&mut scratch, &rebuilt)?;
        if let Some((unknown, _)) = self.columns.iter().find(|(name, _)| !has(&new, name)) {
            return Err(refused(&format!("the new table has no column {unknown} to fill")));
        }
        if let Some(lost) = old.iter().find(|name| !has(&new, name) && !has(&self.dropped, name)) {
            return Err(refused(&format!(
                "the new table has no column {lost}: say `drop_column` if its values may go"
            )));
        }
        let mut script = String::from(BEGIN);
        // References in other tables' triggers and views are not checked while the table is missing.
        script.push_str("PRAGMA legacy_alter_table = ON;\n\n");
        let _ = writeln!(script, "{create};\n");
        let (names, values): (Vec<_>, Vec<_>) = new
            .into_iter()
            .filter_map(|name| match self.columns.iter().find(|(column, _)| column.eq_ignore_ascii_case(&name)) {
                Some((_, expression)) => Some((quoted(&name), expression.clone())),
                None if has(&old, &name) => Some((quoted(&name), quoted(&name))),
                // A new column, which gets its default.
                None => None,
            })
            .unzip();
        let _ = writeln!(
            script,
            "INSERT INTO {rebuilt} (\n    {}\n)\nSELECT\n    {}\nFROM {table};\n",
            names.join(",\n    "),
            values.join(",\n    ")
        );
        if definition.to_ascii_uppercase().contains("AUTOINCREMENT") {
            let _ = writeln!(
                script,
                "-- An id is never handed out twice, also where the newest rows were deleted.\n\
                 DELETE FROM sqlite_sequence WHERE name = '{rebuilt}';\n\
                 INSERT INTO sqlite_sequence (name, seq) SELECT '{rebuilt}', seq FROM sqlite_sequence WHERE name = '{table}';\n"
            );
        }
        let _ = writeln!(script, "DROP TABLE {table};\nALTER TABLE {rebuilt} RENAME TO {table};\n");
        for sql in dependents(connection, &table)? {
            let _ = writeln!(script, "{sql};\n");
        }
        if !self.then.is_empty() {
            let _ = writeln!(script, "{}", self.then);
        }
        script.push_str(
            "-- Every row still points to a row.\n\
             CREATE TEMP TABLE rebuild_check (broken INTEGER CONSTRAINT ck_rebuild_keeps_references CHECK (broken = 0));\n\
             INSERT INTO rebuild_check SELECT count(*) FROM pragma_foreign_key_check;\n\
             DROP TABLE rebuild_check;\n\n\
             PRAGMA legacy_alter_table = OFF;\n",
        );
        script.push_str(END);
        Ok(script)
    }
}

/// Returns the SQL of a migration without the transaction of a rebuild, for a caller that has foreign keys off and its
/// own transaction.
pub(super) fn without_transaction(sql: &str) -> String {
    let sql = sql.replace("\r\n", "\n");
    let body = sql.split_once(BEGIN).and_then(|(_, rest)| rest.strip_suffix(END));
    body.unwrap_or(&sql).to_owned()
}

/// Returns whether a script drops a table or a view, and with it the indexes and triggers of other programs.
pub(super) fn drops_tables(sql: &str) -> bool {
    sql.contains("DROP TABLE") || sql.contains("DROP VIEW")
}

/// What other programs have on this crate's tables. A migration that creates a table anew drops its indexes and
/// triggers, of which its script restores this crate's.
pub(super) struct Guests {
    dependents: Vec<Dependent>,
    /// What was broken before the migration.
    broken: Vec<String>,
}

/// An index or a trigger.
#[derive(Queryable)]
struct Dependent {
    name: String,
    table: String,
    sql: Option<String>,
}

impl Guests {
    /// Finds what a database has beside the `expected` one.
    pub(super) fn new(connection: &mut SqliteConnection, expected: &mut SqliteConnection) -> Result<Self> {
        let expected: Vec<String> = sqlite_master::table.select(sqlite_master::name).load(expected)?;
        let dropped = sqlite_master::type_.eq_any(["index", "trigger"]).and(sqlite_master::sql.is_not_null());
        let dependents = sqlite_master::table
            .filter(dropped.and(sqlite_master::name.ne_all(expected)))
            .order_by((sqlite_master::type_, sqlite_master::rowid))
            .select((sqlite_master::name, sqlite_master::tbl_name, sqlite_master::sql));
        Ok(Self { dependents: dependents.load(connection)?, broken: broken(connection)? })
    }

    /// Creates again what the migration dropped with a table that is there again.
    ///
    /// # Errors
    /// [`MigrationFailed`](Error::MigrationFailed) where that is impossible: the migration has to be rolled back.
    pub(super) fn restore(self, connection: &mut SqliteConnection, version: &str) -> Result<()> {
        let refused = |reason| Error::MigrationFailed { version: version.to_owned(), reason };
        for Dependent { name, table, sql } in self.dependents {
            let is_dropped = !exists(connection, &name)? && exists(connection, &table)?;
            if let Some(sql) = sql.filter(|_| is_dropped) {
                connection.batch_execute(&sql).map_err(|error| {
                    let reason = error.to_string();
                    errors::from_message(&reason).unwrap_or_else(|| {
                        refused(format!("it would lose {name} of table {table}, another program's: {reason}"))
                    })
                })?;
            }
        }
        match broken(connection)?.into_iter().find(|broken| !self.broken.contains(broken)) {
            Some(broken) => Err(refused(format!("it would break what another program has: {broken}"))),
            None => Ok(()),
        }
    }
}

/// Returns whether the schema has an object with a name.
pub(super) fn exists(connection: &mut SqliteConnection, name: &str) -> Result<bool> {
    let named = sqlite_master::table.filter(sqlite_master::name.eq(name));
    Ok(diesel::select(diesel::dsl::exists(named)).get_result(connection)?)
}

/// Returns which tables refer to a missing one, and the first view or trigger that does not compile.
fn broken(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    let dangling = diesel::dsl::sql::<Text>(
        "SELECT 'table ' || m.name || ' refers to ' || f.\"table\" || ', which would be gone'
         FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f
         WHERE m.type = 'table'
             AND NOT EXISTS (
                 SELECT 1 FROM sqlite_master AS p WHERE p.type = 'table' AND p.name = f.\"table\" COLLATE NOCASE
             )",
    );
    let mut broken: Vec<String> = dangling.load(connection)?;
    // SQLite compiles every view and trigger before it renames a table.
    connection.batch_execute("SAVEPOINT compile_schema; CREATE TABLE compile_schema (x)")?;
    if let Err(error) = connection.batch_execute("ALTER TABLE compile_schema RENAME TO compile_schema_renamed") {
        broken.push(error.to_string());
    }
    connection.batch_execute("ROLLBACK TO compile_schema; RELEASE compile_schema")?;
    Ok(broken)
}

/// Returns whether a name is in the list, ignoring case as SQLite does.
fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// Quotes a name, which may be any text.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns the columns of a table, in order.
fn columns(connection: &mut SqliteConnection, table: &str) -> Result<Vec<String>> {
    let query = diesel::dsl::sql::<Text>("SELECT name FROM pragma_table_info(").bind::<Text, _>(table).sql(")");
    Ok(query.load(connection)?)
}

/// Returns the SQL of what is dropped with a table: its indexes, then its triggers.
fn dependents(connection: &mut SqliteConnection, table: &str) -> Result<Vec<String>> {
    let of_table = sqlite_master::table.filter(sqlite_master::tbl_name.eq(table));
    let dropped = of_table.filter(sqlite_master::type_.eq_any(["index", "trigger"]));
    let sql = dropped.order_by((sqlite_master::type_, sqlite_master::rowid)).select(sqlite_master::sql);
    // The index of a UNIQUE constraint has no text, and comes with the table.
    Ok(sql.load::<Option<String>>(connection)?.into_iter().flatten().collect())
}
