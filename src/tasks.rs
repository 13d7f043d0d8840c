//! Blocking work, and tasks that calls wait for.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;

/// The place where work leaves its value. What runs the work is then compiled once, and not for each kind of value.
pub(crate) struct Output<T>(Arc<Mutex<Option<T>>>);

impl<T> Output<T> {
    /// Returns a place, twice: for the work, and for its caller.
    pub(crate) fn new() -> (Self, Self) {
        let place = Arc::new(Mutex::new(None));
        (Self(Arc::clone(&place)), Self(place))
    }

    pub(crate) fn set(self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }

    /// Returns the value of work that succeeded.
    pub(crate) fn take(self) -> T {
        let value = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.unwrap_or_else(|| unreachable!("work that succeeds leaves its value"))
    }
}

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
