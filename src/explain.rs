//! What a query does in the database.

use serde::{Deserialize, Serialize};

/// Whether a query is planned alone, or run as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Explain,
    Analyze,
}

/// A query's SQL and the plan that the database made for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The SQL text, with placeholders, and the values bound to them.
    pub sql: String,
    /// The plan, a step a line, indented by depth.
    pub plan: Vec<String>,
    /// The indexes that the plan uses, by name.
    pub indexes: Vec<String>,
    /// The tables that the plan reads from the first row to the last.
    pub scans: Vec<String>,
    /// What running it took; nothing where it was planned alone.
    pub execution: Option<Execution>,
}

/// What running a query took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// How many rows it gave.
    pub rows: u64,
    /// How long it took, in microseconds: on Postgres in the server, on SQLite with the reading of the rows.
    pub microseconds: u64,
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        writeln!(f, "{}\n", self.sql)?;
        for line in &self.plan {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "\nindexes used: {}", list(&self.indexes))?;
        write!(f, "tables scanned whole: {}", list(&self.scans))?;
        match self.execution {
            None => Ok(()),
            Some(Execution { rows, microseconds }) => write!(f, "\nrun: {rows} row(s) in {microseconds} µs"),
        }
    }
}
