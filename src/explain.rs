//! Query plans, which [`explain`](crate::SchoolRepository::explain) returns.

use serde::{Deserialize, Serialize};

/// A query that can be explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExplainedQuery {
    /// [`find_schools`](crate::repository::FindSchools::find_schools).
    Find,
    /// [`find_catchments`](crate::repository::FindCatchments::find_catchments).
    Catchments,
    /// [`find_reach`](crate::repository::FindReach::find_reach).
    Reach,
    /// [`facets`](crate::repository::CountSchools::facets).
    Facets,
}

/// Whether an explained query is only planned, or also run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainMode {
    /// The query is planned.
    Plan,
    /// The query is planned and run.
    Analyze,
}

/// A query's SQL and the database's plan for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The SQL text with placeholders, and the bound values.
    pub sql: String,
    /// The plan, one step per line, indented by depth.
    pub plan: Vec<String>,
    /// The indexes that the plan uses, by name.
    pub indexes: Vec<String>,
    /// The tables that the plan scans from the first row to the last.
    pub scans: Vec<String>,
    /// Those of `indexes` that the plan walks from one end, or from the nearest entry, rather than searching them for a
    /// value. A limit may end a walk early.
    pub index_walks: Vec<String>,
    /// The measurements of a run, or `None` where the query was only planned.
    pub execution: Option<Execution>,
}

/// The measurements of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// The number of rows.
    pub rows: u64,
    /// The duration in microseconds: on Postgres in the server, on SQLite with reading the rows.
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
        writeln!(f, "indexes walked: {}", list(&self.index_walks))?;
        write!(f, "tables scanned: {}", list(&self.scans))?;
        match self.execution {
            None => Ok(()),
            Some(Execution { rows, microseconds }) => write!(f, "\nrun: {rows} row(s) in {microseconds} µs"),
        }
    }
}
