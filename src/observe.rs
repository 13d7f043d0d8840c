//! The tracing of calls: a span for each, and a warning for a slow one.
//!
//! The fields are those of OpenTelemetry's conventions for database clients. They contain neither parameters nor
//! results: a search contains somebody's home.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::config::Backend;
use crate::error::{Error, Result};
use crate::explain::Explanation;
use crate::models::{DeleteCounts, Facets, MergeCounts, PostcodeCounts, RegisterCounts, School, UpsertCounts};
use crate::repository::unit_of_work::UnitOfWork;
use crate::repository::{Health, Position};
use crate::request::Page;

/// Runs a call of a repository in its own span, which records the number of rows, the duration and the error. A call
/// that takes `slow` or longer is also logged as a warning.
pub(crate) async fn observe<T: Rows>(
    backend: Backend,
    operation: &'static str,
    slow: Duration,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    // The functions that run queries are named for where they run.
    let operation = operation.strip_suffix("_on_conn").unwrap_or(operation);
    let span = tracing::info_span!(
        "query",
        otel.name = operation,
        otel.kind = "client",
        otel.status_code = Empty,
        db.system.name = backend.otel_name(),
        db.operation.name = operation,
        db.response.returned_rows = Empty,
        error.r#type = Empty,
        duration_ms = Empty,
    );
    let begun = Instant::now();
    let result = call.instrument(span.clone()).await;
    record(&span, operation, begun.elapsed(), slow, result.as_ref().map(Rows::rows));
    result
}

fn record(span: &Span, operation: &str, took: Duration, slow: Duration, rows: Result<Option<u64>, &Error>) {
    let duration_ms = took.as_secs_f64() * 1_000.0;
    span.record("duration_ms", duration_ms);
    let failed = rows.err().map(Error::name);
    let rows = rows.ok().flatten();
    if let Some(rows) = rows {
        span.record("db.response.returned_rows", rows);
    }
    if let Some(name) = failed {
        span.record("error.type", name);
        span.record("otel.status_code", "ERROR");
    }
    if took >= slow {
        let slow_ms = slow.as_secs_f64() * 1_000.0;
        tracing::warn!(parent: span, operation, duration_ms, slow_ms, rows, error = failed, "slow query");
    }
}

impl Backend {
    /// Returns OpenTelemetry's name for it.
    fn otel_name(self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "sqlite",
            #[cfg(feature = "postgres")]
            Self::Postgres => "postgresql",
        }
    }
}

/// The number of rows of a result, or of a write, where it is known.
pub(crate) trait Rows {
    fn rows(&self) -> Option<u64> {
        None
    }
}

impl Rows for () {}
impl Rows for i32 {}
impl Rows for u64 {}
impl Rows for DeleteCounts {}
impl Rows for Explanation {}
impl Rows for Facets {}
impl Rows for Health {}
impl Rows for UnitOfWork {}
impl Rows for MergeCounts {}
impl Rows for Position {}

impl<T> Rows for Page<T> {
    fn rows(&self) -> Option<u64> {
        self.items.rows()
    }
}

impl<T> Rows for Vec<T> {
    fn rows(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
}

impl<K, V> Rows for BTreeMap<K, V> {
    fn rows(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
}

impl Rows for School {
    fn rows(&self) -> Option<u64> {
        Some(1)
    }
}

impl Rows for RegisterCounts {
    fn rows(&self) -> Option<u64> {
        self.schools.rows().map(|rows| rows + self.closed)
    }
}

impl Rows for PostcodeCounts {
    fn rows(&self) -> Option<u64> {
        self.postcodes.rows().map(|rows| rows + self.withdrawn)
    }
}

impl Rows for UpsertCounts {
    fn rows(&self) -> Option<u64> {
        Some(self.inserted + self.updated)
    }
}
