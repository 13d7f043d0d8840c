//! The schema of a live database, read from SQLite's catalogue.

use diesel::prelude::*;
use diesel::sqlite::Sqlite;

use crate::error::Result;
use crate::migrations::Entry;

diesel::table! {
    /// SQLite's own catalogue.
    sqlite_master (rowid) {
        rowid -> BigInt,
        #[sql_name = "type"]
        type_ -> Text,
        name -> Text,
        tbl_name -> Text,
        sql -> Nullable<Text>,
    }
}

diesel::table! {
    /// The kind of each table.
    pragma_table_list (name) {
        name -> Text,
        #[sql_name = "type"]
        type_ -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(pragma_table_list, sqlite_master);

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = sqlite_master, check_for_backend(Sqlite))]
struct Object {
    type_: String,
    name: String,
    tbl_name: String,
    sql: Option<String>,
}

/// Returns all schema entries except those internal to SQLite and Diesel.
pub(super) fn catalogue(connection: &mut SqliteConnection) -> Result<Vec<Entry>> {
    // The shadow tables of virtual tables.
    let shadows = pragma_table_list::table.filter(pragma_table_list::type_.eq("shadow"));
    let objects: Vec<Object> = sqlite_master::table
        .filter(sqlite_master::name.ne_all(shadows.select(pragma_table_list::name)))
        .filter(sqlite_master::name.not_like("sqlite!_%").escape('!'))
        .filter(sqlite_master::name.ne("__diesel_schema_migrations"))
        .select(Object::as_select())
        .order_by((sqlite_master::type_, sqlite_master::name))
        .load(connection)?;
    Ok(objects.into_iter().flat_map(entries).collect())
}

/// Returns the entries of an object: one for each table, column and constraint, and one for anything else.
fn entries(object: Object) -> Vec<Entry> {
    let Object { type_, name, tbl_name, sql } = object;
    let sql = normalised(&sql.unwrap_or_default());
    let entry = |kind: &str, table: Option<String>, definition: String| {
        vec![Entry { kind: kind.to_owned(), table, name: name.clone(), definition }]
    };
    match type_.as_str() {
        "table" if sql.starts_with("CREATE VIRTUAL") => entry("virtual table", None, sql),
        "table" => {
            let mut entries = entry("table", None, String::new());
            entries.extend(parts(&sql).into_iter().map(|(kind, part, definition)| Entry {
                kind: kind.to_owned(),
                table: Some(name.clone()),
                name: part.to_owned(),
                definition: definition.to_owned(),
            }));
            entries
        }
        "view" => entry("view", None, sql),
        kind => entry(kind, Some(tbl_name), sql),
    }
}

/// Returns the columns and constraints of a normalised `CREATE TABLE` as kind, name and definition. A column's
/// constraint is returned separately from its column, like a table's. An unnamed constraint is named by its definition.
fn parts(sql: &str) -> Vec<(&'static str, &str, &str)> {
    let (items, storage) = sql.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).unwrap_or_default();
    let mut parts = Vec::new();
    for item in split_at_commas(items) {
        let (first, constraints) = match item.strip_prefix("CONSTRAINT ") {
            Some(constraint) => ("", constraint),
            None => item.split_once(" CONSTRAINT ").unwrap_or((item, "")),
        };
        if ["CHECK", "FOREIGN KEY", "PRIMARY KEY", "UNIQUE"].iter().any(|kind| first.starts_with(kind)) {
            parts.push(("constraint", first, first));
        } else if !first.is_empty() {
            let (name, definition) = first.split_once(' ').unwrap_or((first, ""));
            parts.push(("column", name, definition));
        }
        for constraint in constraints.split(" CONSTRAINT ").filter(|constraint| !constraint.is_empty()) {
            let (name, definition) = constraint.split_once(' ').unwrap_or((constraint, ""));
            parts.push(("constraint", name, definition));
        }
    }
    if !storage.is_empty() {
        parts.push(("option", "of storage", storage.trim()));
    }
    parts
}

/// Splits a text at the commas outside brackets and quotes.
fn split_at_commas(text: &str) -> Vec<&str> {
    let (mut depth, mut is_quoted, mut start, mut items) = (0, false, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '\'' => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth -= 1,
            ',' if !is_quoted && depth == 0 => {
                items.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(text[start..].trim());
    items
}

/// Returns a statement without comments and the quotes of names, and with each run of whitespace collapsed to one
/// space.
fn normalised(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len());
    for line in sql.lines() {
        // An odd number of quotation marks before the dashes means that the dashes are quoted.
        let comment = line.match_indices("--").find(|(at, _)| line[..*at].matches('\'').count() % 2 == 0);
        text.push_str(comment.map_or(line, |(at, _)| &line[..at]));
        text.push('\n');
    }
    text.replace('"', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_split_into_columns_and_constraints() {
        let sql = "CREATE TABLE \"clubs\" (
            id INTEGER NOT NULL PRIMARY KEY, -- a comment, with (brackets
            school_id BIGINT NOT NULL
                CONSTRAINT fk_school REFERENCES schools (id) ON DELETE CASCADE,
            \"kind\" TEXT DEFAULT 'a, (b' CONSTRAINT ck_kind CHECK (kind IN ('x', 'y)')) CONSTRAINT uq_kind UNIQUE,
            CONSTRAINT ck_both CHECK (kind <> 'x' OR school_id > 0),
            UNIQUE (school_id, kind)
        ) WITHOUT ROWID";
        let sql = normalised(sql);
        let found: Vec<String> =
            parts(&sql).iter().map(|(kind, name, definition)| format!("{kind} {name}: {definition}")).collect();
        assert_eq!(
            found,
            [
                "column id: INTEGER NOT NULL PRIMARY KEY",
                "column school_id: BIGINT NOT NULL",
                "constraint fk_school: REFERENCES schools (id) ON DELETE CASCADE",
                "column kind: TEXT DEFAULT 'a, (b'",
                "constraint ck_kind: CHECK (kind IN ('x', 'y)'))",
                "constraint uq_kind: UNIQUE",
                "constraint ck_both: CHECK (kind <> 'x' OR school_id > 0)",
                "constraint UNIQUE (school_id, kind): UNIQUE (school_id, kind)",
                "option of storage: WITHOUT ROWID",
            ]
        );
    }
}
