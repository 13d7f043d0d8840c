//! What a query does in the database.

use serde::{Deserialize, Serialize};

/// A query's SQL and the plan that the database made for it. The query is planned, never run.
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
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        writeln!(f, "{}\n", self.sql)?;
        for line in &self.plan {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "\nindexes used: {}", list(&self.indexes))?;
        write!(f, "tables scanned whole: {}", list(&self.scans))
    }
}
