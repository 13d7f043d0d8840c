//! How queries run on the connections of a repository. These are macros: that the future of a closure which borrows its
//! arguments is `Send` cannot be said in a function's bounds.

use std::time::Duration;

use tracing::Instrument;

use crate::error::Result;
use crate::tasks::finish;

/// How long a write that collided waits, about, before it is retried.
const PAUSES: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(250)];

/// Returns how long a write waits before each retry: half to one and a half of a pause, so that two writes that collided
/// do not meet again.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    PAUSES.into_iter().map(|pause| {
        // The standard library's only source of chance.
        let chance = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), ());
        pause / 2 + pause * u32::try_from(chance % 1_000).unwrap_or_default() / 1_000
    })
}

/// Runs a call in a task of its own, in the caller's span.
pub(super) async fn spawned<T: Send + 'static>(call: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    finish(tokio::spawn(call.in_current_span())).await
}

/// Runs a query on a connection of the pool.
macro_rules! run {
    ($connections:ident, $intent:ident, $query:ident $(, $argument:expr)*) => {{
        let mut connection = $connections.check_out($crate::postgres::watch::Intent::$intent).await?;
        let call = std::sync::Arc::clone(&connection.call);
        let query = queries::$query(connection.get()? $(, $argument)*);
        let result = $crate::postgres::watch::watch(&call, $connections.response_timeout(), query).await;
        $connections.check_in(&result, connection);
        result
    }};
}

/// Runs one of the queries that read. Where its connection is lost, it is retried on another.
macro_rules! read {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let connections = &$repository.connections;
        let call = async {
            match $crate::postgres::calls::run!(connections, Ask, $query $(, $argument)*) {
                Err($crate::Error::ConnectionLost | $crate::Error::SchemaChanged) => {
                    $crate::postgres::calls::run!(connections, Ask, $query $(, $argument)*)
                }
                result => result,
            }
        };
        observe(BACKEND, stringify!($query), connections.slow_query, call).await
    }};
}

/// Runs one of the queries that write, and retries it where it collided with another. It is a task of its own, which a
/// dropped future does not stop: as on SQLite, a write that has begun ends.
macro_rules! write {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let connections = $repository.connections.clone();
        let slow_query = connections.slow_query;
        let call = async move {
            for pause in $crate::postgres::calls::pauses() {
                match $crate::postgres::calls::run!(connections, Change, $query $(, $argument)*) {
                    Err($crate::Error::Conflict) => tokio::time::sleep(pause).await,
                    result => return result,
                }
            }
            $crate::postgres::calls::run!(connections, Change, $query $(, $argument)*)
        };
        observe(BACKEND, stringify!($query), slow_query, $crate::postgres::calls::spawned(call)).await
    }};
}

/// As `write!`, for what a stream gives: it is not retried, since the stream is spent, and is as slow as its source.
macro_rules! write_stream {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let connections = $repository.connections.clone();
        let call = async move { $crate::postgres::calls::run!(connections, Change, $query $(, $argument)*) };
        observe(BACKEND, stringify!($query), std::time::Duration::MAX, $crate::postgres::calls::spawned(call)).await
    }};
}

pub(super) use {read, run, write, write_stream};
