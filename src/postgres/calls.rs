//! Macros that run queries on the connections of a repository. Function bounds cannot express that the future of a
//! closure which borrows its arguments is `Send`.

use std::time::Duration;

use futures_util::FutureExt;
use tracing::Instrument;

use crate::error::Result;
use crate::tasks::{Output, finish};

/// The mean pauses before the retries of a write that collided, or of a read that a standby cancelled.
const PAUSES: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(250)];

/// Returns the pause before each retry: half to one and a half times its mean, so that two writes that
/// collided do not collide again.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    PAUSES.into_iter().map(|pause| {
        // The only source of randomness in the standard library.
        let chance = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), ());
        pause / 2 + pause * u32::try_from(chance % 1_000).unwrap_or_default() / 1_000
    })
}

/// Runs a call in its own task, in the caller's span.
pub(super) async fn spawned<T: Send + 'static>(call: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let (to, output) = Output::new();
    let call = async {
        to.set(call.await?);
        Ok(())
    };
    finish(tokio::spawn(call.boxed().in_current_span())).await?;
    Ok(output.take())
}

/// Runs a query on a connection of the pool.
macro_rules! run {
    ($connections:expr, $kind:ident, |$connection:ident| $query:expr) => {{
        let checked_out = $connections.check_out($crate::postgres::guard::CallKind::$kind).await?;
        $crate::postgres::calls::run_on!($connections, checked_out, |$connection| $query)
    }};
}

/// Runs a query on a connection that is checked out.
macro_rules! run_on {
    ($connections:expr, $checked_out:ident, |$connection:ident| $query:expr) => {{
        let mut checked_out = $checked_out;
        let call = std::sync::Arc::clone(&checked_out.call);
        let $connection = checked_out.get()?;
        let result = $connections.guarded(&call, $query).await;
        $connections.check_in(&result, checked_out);
        result
    }};
}

/// Runs a query that reads, on the servers of its route. It is retried on another connection once if its connection is
/// lost, and with pauses if a standby cancelled it.
macro_rules! read {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let call = async {
            let mut route = $crate::postgres::reader::Route::new($repository);
            loop {
                let (connections, checked_out) = route.check_out().await?;
                let result = $crate::postgres::calls::run_on!(connections, checked_out, |connection| {
                    queries::$query(connection $(, $argument)*)
                });
                if !route.goes_on(result.as_ref().err()) {
                    return result;
                }
            }
        };
        observe(BACKEND, stringify!($query), $repository.connections.slow_query, call).await
    }};
}

/// Runs a query that writes, and retries it after a collision with another. It runs in its own task, which continues
/// when the future is dropped: a write that has begun ends, as on SQLite.
macro_rules! write {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let connections = $repository.connections.clone();
        let slow_query = connections.slow_query;
        let call = async move {
            let mut pauses = connections.retries();
            loop {
                let result = $crate::postgres::calls::run!(connections, Write, |connection| {
                    queries::$query(connection $(, $argument)*)
                });
                match (result, pauses.next()) {
                    (Err($crate::Error::Conflict), Some(pause)) => tokio::time::sleep(pause).await,
                    (result, _) => return result,
                }
            }
        };
        observe(BACKEND, stringify!($query), slow_query, $crate::postgres::calls::spawned(call)).await
    }};
}

/// Runs a query that writes what a stream yields, like `write!`. It is not retried, since the stream is consumed, and
/// is as slow as the stream's source.
macro_rules! write_stream {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let connections = $repository.connections.clone();
        let call = async move { $crate::postgres::calls::run!(connections, Write, |connection| queries::$query(connection $(, $argument)*)) };
        observe(BACKEND, stringify!($query), std::time::Duration::MAX, $crate::postgres::calls::spawned(call)).await
    }};
}

pub(super) use {read, run, run_on, write, write_stream};
