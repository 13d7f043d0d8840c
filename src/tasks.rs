//! Work on threads that may block, and the tasks that calls wait for.

use crate::error::Result;

/// Runs blocking work off the runtime's own threads, within the span of the caller. A panic in it is passed on.
pub(crate) async fn blocking<T, W>(work: W) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce() -> Result<T> + Send + 'static,
{
    let span = tracing::Span::current();
    finish(tokio::task::spawn_blocking(move || span.in_scope(work))).await
}

/// Waits for a task. A panic in it is passed on.
pub(crate) async fn finish<T>(task: tokio::task::JoinHandle<Result<T>>) -> Result<T> {
    match task.await {
        Ok(result) => result,
        // Nobody aborts these tasks, so one that did not end well panicked.
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
