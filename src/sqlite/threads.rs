//! The threads that run a pool's queries.
//!
//! A query takes little longer than waking a thread. Rayon's threads spin for a moment before they sleep; tokio's
//! blocking threads sleep immediately.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The maximum number of threads of a pool, however many connections it may have.
const MAX_THREADS: usize = 64;

/// A pool of threads for blocking work.
pub(super) struct Threads {
    pool: ThreadPool,
    idle: Arc<Semaphore>,
    waiting: AtomicU32,
}

impl Threads {
    /// Starts one thread for each connection, up to [`MAX_THREADS`]. They end once this is dropped and all work is
    /// done.
    pub(super) fn new(connections: u32) -> Result<Self, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(usize::try_from(connections).map_or(MAX_THREADS, |connections| connections.min(MAX_THREADS)))
            .thread_name(|number| format!("sqlite-{number}"))
            // Dropping a result that no caller waits for may panic. Without a handler, that would abort the process.
            .panic_handler(|_| {})
            .build()?;
        let idle = Arc::new(Semaphore::new(pool.current_num_threads()));
        Ok(Self { pool, idle, waiting: AtomicU32::new(0) })
    }

    /// Reserves an idle thread, if there is one.
    pub(super) fn idle(&self) -> Option<Thread<'_>> {
        let permit = Arc::clone(&self.idle).try_acquire_owned().ok()?;
        Some(Thread { pool: &self.pool, permit })
    }

    /// Waits for a thread, in the order of the calls, and reserves it. Returns `None` after the timeout.
    pub(super) async fn wait(&self, timeout: Duration) -> Option<Thread<'_>> {
        let _waiting = Waiting::new(&self.waiting);
        let permit = tokio::time::timeout(timeout, Arc::clone(&self.idle).acquire_owned()).await.ok()?.ok()?;
        Some(Thread { pool: &self.pool, permit })
    }

    /// Returns the number of calls that wait for a thread.
    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Counts a call as waiting until it is dropped, also where its caller is.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A reserved thread.
pub(super) struct Thread<'a> {
    pool: &'a ThreadPool,
    permit: OwnedSemaphorePermit,
}

impl Thread<'_> {
    /// Runs work in the caller's runtime and span. It runs to its end even if the caller is dropped. A panic in it is
    /// passed on.
    pub(super) async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (runtime, span) = (Handle::current(), tracing::Span::current());
        let (sender, result) = oneshot::channel();
        let Self { pool, permit } = self;
        pool.spawn_fifo(move || {
            // The span closes before the result is sent, so that it does not outlive its call and get logged late.
            let value = catch_unwind(AssertUnwindSafe(move || {
                let _entered = runtime.enter();
                span.in_scope(work)
            }));
            // Released before the result is sent: the caller may then start its next query.
            drop(permit);
            // The caller may have been dropped.
            let _ = sender.send(value);
        });
        match result.await {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => unreachable!("all work sends its result, and no thread ends before"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::task::{Context, Wake, Waker};

    use futures_util::FutureExt;
    use tracing::Instrument;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Reserves an idle thread; panics where there is none.
    fn free(threads: &Threads) -> Thread<'_> {
        threads.idle().expect("a thread that is free")
    }

    #[tokio::test]
    async fn work_runs_in_the_runtime_and_span_of_its_caller() {
        let threads = Threads::new(1).expect("a thread");
        let dispatch = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
        let _default = tracing::dispatcher::set_default(&dispatch);
        let span = tracing::info_span!("a call");
        let work = move || {
            // The subscriber is thread-local, so each thread reports its own.
            let within = tracing::dispatcher::with_default(&dispatch, || tracing::Span::current().id());
            (Handle::current().id(), within, std::thread::current().id())
        };
        let (runtime, within, thread) = free(&threads).run(work).instrument(span.clone()).await;
        assert_eq!(runtime, Handle::current().id());
        assert!(span.id().is_some());
        assert_eq!(within, span.id());
        assert_ne!(thread, std::thread::current().id());
    }

    #[tokio::test]
    async fn a_span_is_closed_before_its_result_is_sent() {
        /// Counts closed spans.
        #[derive(Clone, Default)]
        struct Closed(Arc<AtomicU32>);
        impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Closed {
            fn on_close(&self, _: tracing::span::Id, _: tracing_subscriber::layer::Context<'_, S>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        /// Sends the number of closed spans from the thread that sends the result, as it does so.
        struct OnResult(Closed, Sender<u32>);
        impl Wake for OnResult {
            fn wake(self: Arc<Self>) {
                self.1.send(self.0.0.load(Ordering::SeqCst)).expect("somebody listens");
            }
        }

        let threads = Threads::new(1).expect("a thread");
        let closed = Closed::default();
        let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(closed.clone()));
        let _default = tracing::dispatcher::set_default(&dispatch);
        let ((go, wait), (sender, receiver)) = (channel::<()>(), channel());
        let waker = Waker::from(Arc::new(OnResult(closed, sender)));
        let mut call = Box::pin(free(&threads).run(move || wait.recv()));
        let poll = || call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending();
        assert!(tracing::info_span!("a call").in_scope(poll));
        go.send(()).expect("it waits");
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(call.await, Ok(()));
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller_and_not_the_thread() {
        let threads = Threads::new(1).expect("a thread");
        let panicked = AssertUnwindSafe(free(&threads).run(|| panic!("on purpose"))).catch_unwind().await;
        assert_eq!(panicked.expect_err("it panicked").downcast_ref(), Some(&"on purpose"));
        assert_eq!(free(&threads).run(|| 1).await, 1);
    }

    #[tokio::test]
    async fn dropped_work_runs_to_its_end_and_frees_its_thread() {
        let threads = Threads::new(1).expect("a thread");
        let (go, wait) = channel::<()>();
        let (done, ended) = channel();
        let mut dropped = Box::pin(free(&threads).run(move || {
            wait.recv().expect("a signal to continue");
            done.send(()).expect("somebody listens");
        }));
        assert!((&mut dropped).now_or_never().is_none());
        drop(dropped);
        assert!(threads.idle().is_none());
        go.send(()).expect("it waits");
        ended.recv().expect("it ended");
        assert!(threads.idle.acquire().await.is_ok());
    }

    #[tokio::test]
    async fn a_panic_of_dropped_work_ends_no_process_or_thread() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("on purpose");
            }
        }
        let threads = Threads::new(1).expect("a thread");
        let (go, wait) = channel::<()>();
        let mut dropped = Box::pin(free(&threads).run(move || {
            wait.recv().expect("a signal to continue");
            Bomb
        }));
        assert!((&mut dropped).now_or_never().is_none());
        drop(dropped);
        go.send(()).expect("it waits");
        drop(threads.idle.acquire().await);
        assert_eq!(free(&threads).run(|| 1).await, 1);
    }

    #[test]
    fn the_number_of_threads_is_limited() {
        let threads = Threads::new(u32::MAX).expect("threads");
        assert_eq!(threads.idle.available_permits(), 64);
    }
}
