//! The drift between two schemas, as sentences.

/// An object in a schema: a table, a column, a constraint, an index, a trigger, ...
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The kind of the object, such as `"column"`.
    pub(crate) kind: String,
    /// The table it belongs to, if any.
    pub(crate) table: Option<String>,
    /// The name.
    pub(crate) name: String,
    /// The definition in the database's terms; empty for a regular table, whose columns are entries of their own.
    pub(crate) definition: String,
}

impl Entry {
    /// Returns the name of the object in a sentence.
    fn called(&self) -> String {
        let Self { kind, table, name, .. } = self;
        match table {
            Some(table) if kind == "column" => format!("column {table}.{name}"),
            Some(table) => format!("{kind} {name} of table {table}"),
            None => format!("{kind} {name}"),
        }
    }

    fn is(&self, other: &Self) -> bool {
        (&self.kind, &self.table, &self.name) == (&other.kind, &other.table, &other.name)
    }

    /// Returns whether the entry belongs to a table that is not in `entries`: the table's own sentence covers it.
    fn is_in_other_table_than(&self, entries: &[Self]) -> bool {
        let Some(table) = &self.table else { return false };
        !entries.iter().any(|entry| entry.kind == "table" && entry.name == *table)
    }
}

/// Returns the drift, one sentence each: first missing or different objects, then unexpected ones.
pub(crate) fn drift(expected: &[Entry], found: &[Entry]) -> Vec<String> {
    let mut sentences = Vec::new();
    for entry in expected {
        let definition = &entry.definition;
        let expected = if definition.is_empty() { String::new() } else { format!(": expected `{definition}`") };
        match found.iter().find(|other| other.is(entry)) {
            None if entry.is_in_other_table_than(found) => {}
            None => sentences.push(format!("{} is missing{expected}", entry.called())),
            Some(other) if other.definition == *definition => {}
            // An irregular table is reported by what it is, since there is no expected definition.
            Some(other) if definition.is_empty() => {
                sentences.push(format!("{} differs: it is `{}`", entry.called(), other.definition));
            }
            Some(other) => {
                sentences.push(format!("{} differs{expected}, found `{}`", entry.called(), other.definition));
            }
        }
    }
    for entry in found {
        if !expected.iter().any(|other| other.is(entry)) && !entry.is_in_other_table_than(expected) {
            sentences.push(format!("{} is not part of this build's schema", entry.called()));
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, table: Option<&str>, name: &str, definition: &str) -> Entry {
        let [kind, name, definition] = [kind, name, definition].map(str::to_owned);
        Entry { kind, table: table.map(str::to_owned), name, definition }
    }

    #[test]
    fn each_drift_is_a_sentence_and_a_missing_table_only_one() {
        let expected = [
            entry("table", None, "clubs", ""),
            entry("column", Some("clubs"), "cost", "BIGINT"),
            entry("table", None, "fees", ""),
            entry("table", None, "schools", ""),
            entry("column", Some("schools"), "name", "TEXT NOT NULL"),
            entry("constraint", Some("schools"), "ck_name", "CHECK (length(name) > 0)"),
        ];
        let found = [
            entry("table", None, "schools", ""),
            entry("column", Some("schools"), "name", "TEXT"),
            entry("column", Some("schools"), "motto", "TEXT"),
            entry("table", None, "visits", ""),
            entry("column", Some("visits"), "day", "DATE"),
            entry("table", None, "fees", "UNLOGGED"),
        ];
        assert_eq!(
            drift(&expected, &found),
            [
                "table clubs is missing",
                "table fees differs: it is `UNLOGGED`",
                "column schools.name differs: expected `TEXT NOT NULL`, found `TEXT`",
                "constraint ck_name of table schools is missing: expected `CHECK (length(name) > 0)`",
                "column schools.motto is not part of this build's schema",
                "table visits is not part of this build's schema",
            ]
        );
        assert_eq!(drift(&expected, &expected), Vec::<String>::new());
    }
}
