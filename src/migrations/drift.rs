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

    /// Returns whether the object can stand beside another program's table without being part of its definition. A
    /// column, a constraint or a policy cannot: it decides which rows the table takes or shows.
    fn is_additional(&self) -> bool {
        self.table.is_none() || ["index", "trigger"].contains(&self.kind.as_str())
    }

    /// Returns whether the entry belongs to a table that is not in `entries`: the table's own sentence covers it.
    fn is_in_other_table_than(&self, entries: &[Self]) -> bool {
        let Some(table) = &self.table else { return false };
        !entries.iter().any(|entry| entry.kind == "table" && entry.name == *table)
    }
}

/// The drift between two schemas, one sentence for each object.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Drift {
    /// Missing and different objects, and what was added to a table's own definition.
    pub(crate) differences: Vec<String>,
    /// Tables, indexes, triggers, views and functions that a database has besides.
    pub(crate) additions: Vec<String>,
}

impl Drift {
    pub(crate) fn between(expected: &[Entry], found: &[Entry]) -> Self {
        let Self { mut differences, mut additions } = Self::default();
        for entry in expected {
            let definition = &entry.definition;
            let expected = if definition.is_empty() { String::new() } else { format!(": expected `{definition}`") };
            match found.iter().find(|other| other.is(entry)) {
                None if entry.is_in_other_table_than(found) => {}
                None => differences.push(format!("{} is missing{expected}", entry.called())),
                Some(other) if other.definition == *definition => {}
                // An irregular table is reported by what it is, since there is no expected definition.
                Some(other) if definition.is_empty() => {
                    differences.push(format!("{} differs: it is `{}`", entry.called(), other.definition));
                }
                Some(other) => {
                    differences.push(format!("{} differs{expected}, found `{}`", entry.called(), other.definition));
                }
            }
        }
        for entry in found {
            if !expected.iter().any(|other| other.is(entry)) && !entry.is_in_other_table_than(expected) {
                let sentences = if entry.is_additional() { &mut additions } else { &mut differences };
                sentences.push(format!("{} is not part of this build's schema", entry.called()));
            }
        }
        Self { differences, additions }
    }
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
            entry("index", Some("schools"), "ix_motto", "CREATE INDEX ix_motto ON schools (motto)"),
            entry("table", None, "visits", ""),
            entry("column", Some("visits"), "day", "DATE"),
            entry("table", None, "fees", "UNLOGGED"),
        ];
        let Drift { differences, additions } = Drift::between(&expected, &found);
        assert_eq!(
            differences,
            [
                "table clubs is missing",
                "table fees differs: it is `UNLOGGED`",
                "column schools.name differs: expected `TEXT NOT NULL`, found `TEXT`",
                "constraint ck_name of table schools is missing: expected `CHECK (length(name) > 0)`",
                "column schools.motto is not part of this build's schema",
            ]
        );
        assert_eq!(
            additions,
            [
                "index ix_motto of table schools is not part of this build's schema",
                "table visits is not part of this build's schema",
            ]
        );
        assert_eq!(Drift::between(&expected, &expected), Drift::default());
    }
}
