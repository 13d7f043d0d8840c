//! Blocking work, and tasks that calls wait for.

use crate::error::Result;

/// Runs blocking work off the runtime's worker threads, within the caller's span. A panic in it is passed on.
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
        // These tasks are never aborted, so a task that failed has panicked.
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
