//! Metrics of the crate's calls, from the spans in which it traces them.

use std::sync::LazyLock;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::observe::BUCKETS;

/// The labels of a call: its name, and that of its error or `none`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Labels {
    operation: String,
    error: String,
}

/// The durations of calls. Like the subscriber that fills them, they belong to the process.
pub static CALLS: LazyLock<Family<Labels, Histogram>> =
    LazyLock::new(|| Family::new_with_constructor(|| Histogram::new(BUCKETS)));

/// Returns a layer of the `tracing` subscriber that counts and times each call of a repository, for `/metrics`. It sees
/// all of them, whatever the log shows.
pub fn query_metrics<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    QueryMetrics.with_filter(Targets::new().with_target("school_finder_db", LevelFilter::INFO))
}

struct QueryMetrics;

/// What a span says of its call.
#[derive(Default)]
struct Call {
    operation: Option<String>,
    error: Option<String>,
    seconds: Option<f64>,
}

impl Visit for Call {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "db.operation.name" => self.operation = Some(value.to_owned()),
            "error.type" => self.error = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "duration_ms" {
            self.seconds = Some(value / 1_000.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S> Layer<S> for QueryMetrics
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut call = Call::default();
            attributes.record(&mut call);
            span.extensions_mut().insert(call);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(call) = span.extensions_mut().get_mut::<Call>()
        {
            values.record(call);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(span) = context.span(&id)
            && let Some(Call { operation: Some(operation), error, seconds: Some(seconds) }) =
                span.extensions_mut().remove::<Call>()
        {
            let labels = Labels { operation, error: error.unwrap_or_else(|| "none".to_owned()) };
            CALLS.get_or_create(&labels).observe(seconds);
        }
    }
}
