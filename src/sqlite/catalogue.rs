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
    let sql = without_comments(&sql.unwrap_or_default());
    let whole = |kind: &str, table: Option<String>, definition: String| Entry {
        kind: kind.to_owned(),
        table,
        name: name.clone(),
        definition,
    };
    match type_.as_str() {
        "table" if sql.to_ascii_uppercase().starts_with("CREATE VIRTUAL") => vec![whole("virtual table", None, sql)],
        "table" => {
            let mut entries = vec![whole("table", None, String::new())];
            entries.extend(parts(&sql).into_iter().map(|(kind, part, definition)| Entry {
                kind: kind.to_owned(),
                table: Some(name.clone()),
                name: part,
                definition,
            }));
            entries
        }
        "view" => vec![whole("view", None, sql)],
        // Diesel's own table is not among the entries.
        kind if tbl_name == "__diesel_schema_migrations" => vec![whole(kind, None, sql)],
        kind => vec![whole(kind, Some(tbl_name), sql)],
    }
}

/// Returns the columns and constraints of a `CREATE TABLE` as kind, name and definition. A column constraint is
/// returned separately from its column, like a table constraint.
fn parts(sql: &str) -> Vec<(&'static str, String, String)> {
    let inside = sql.split_once('(').map_or("", |(_, rest)| rest);
    let (inside, after) = split_at_closing(inside);
    let mut parts = Vec::new();
    for item in split_outside(inside, |c| c == ',') {
        let mut words = phrases(item);
        if !is_constraint(words.first().map_or("", String::as_str)) && !words.is_empty() {
            let name = words.remove(0);
            let end = words.iter().position(|word| word.eq_ignore_ascii_case("CONSTRAINT")).unwrap_or(words.len());
            parts.push(("column", name, words.drain(..end).collect::<Vec<_>>().join(" ")));
        }
        parts.extend(constraints(&words));
    }
    if !after.trim().is_empty() {
        parts.push(("option", "of storage".to_owned(), after.trim().to_owned()));
    }
    parts
}

/// Returns the constraints in a list of words, each with its name. An unnamed constraint is named by its definition.
fn constraints(words: &[String]) -> Vec<(&'static str, String, String)> {
    let starts: Vec<usize> = (0..words.len())
        .filter(|at| words[*at].eq_ignore_ascii_case("CONSTRAINT") || (*at == 0 && is_constraint(&words[0])))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([words.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| match &words[*start..end] {
            [first, name, definition @ ..] if first.eq_ignore_ascii_case("CONSTRAINT") => {
                ("constraint", name.clone(), definition.join(" "))
            }
            unnamed => ("constraint", unnamed.join(" "), unnamed.join(" ")),
        })
        .collect()
}

fn is_constraint(word: &str) -> bool {
    ["CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "FOREIGN"].iter().any(|known| {
        word.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known))
            && !word[known.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

/// Splits an item into words. A bracketed part belongs to the word before it, and a quoted name loses its quotes.
fn phrases(item: &str) -> Vec<String> {
    let mut phrases: Vec<String> = Vec::new();
    for word in split_outside(item, char::is_whitespace) {
        match phrases.last_mut() {
            Some(last) if word.starts_with('(') => {
                last.push(' ');
                last.push_str(word);
            }
            _ => phrases.push(word.trim_matches('"').to_owned()),
        }
    }
    phrases
}

/// Splits a text at characters that match `is_end`, outside brackets and quotes. Empty parts are omitted.
fn split_outside(text: &str, is_end: impl Fn(char) -> bool) -> Vec<&str> {
    let (mut depth, mut quote, mut start, mut parts) = (0_usize, None, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, c) if depth == 0 && is_end(c) => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Splits a text at its closing bracket, and returns the text before and after it.
fn split_at_closing(text: &str) -> (&str, &str) {
    let (mut depth, mut quote) = (0_usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => return (&text[..at], &text[at + 1..]),
            (None, ')') => depth -= 1,
            _ => {}
        }
    }
    (text, "")
}

/// Returns a statement without comments, and with each run of whitespace collapsed to one space.
fn without_comments(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len());
    for line in sql.lines() {
        // An odd number of quotation marks before the dashes means that the dashes are quoted.
        let comment = line.match_indices("--").find(|(at, _)| line[..*at].matches('\'').count() % 2 == 0);
        text.push_str(comment.map_or(line, |(at, _)| &line[..at]));
        text.push('\n');
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_falls_into_its_columns_and_constraints() {
        let sql = "CREATE TABLE \"clubs\" (
            id INTEGER NOT NULL PRIMARY KEY, -- a comment, with (brackets
            school_id BIGINT NOT NULL
                CONSTRAINT fk_school REFERENCES schools (id) ON DELETE CASCADE,
            \"kind\" TEXT DEFAULT 'a, (b' CONSTRAINT ck_kind CHECK (kind IN ('x', 'y)')) CONSTRAINT uq_kind UNIQUE,
            CONSTRAINT ck_both CHECK (kind <> 'x' OR school_id > 0),
            UNIQUE (school_id, kind)
        ) WITHOUT ROWID";
        let parts = parts(&without_comments(sql));
        let told: Vec<String> =
            parts.iter().map(|(kind, name, definition)| format!("{kind} {name}: {definition}")).collect();
        assert_eq!(
            told,
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
