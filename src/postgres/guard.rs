//! The guard of a call: it detects a server that does not respond, and tracks whether a write may have been committed.
//!
//! The server cancels a statement that takes too long, and the kernel closes a connection whose packets are not
//! acknowledged. Neither helps where the server's process is stopped, or the network drops its responses.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use diesel::connection::{Instrumentation, InstrumentationEvent, get_default_instrumentation};
use futures_util::future::{Either, select};

use super::errors::classify;
use crate::error::{Error, Result};

/// How many statements a connection prepares before it is closed. Each combination of search conditions is a new
/// statement, which Diesel never evicts. The plan of each takes some 200 kB on the server.
const MAX_STATEMENTS: u32 = 256;

tokio::task_local! {
    /// The state of the current task's call.
    static CALL: Arc<CallState>;
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallKind {
    /// Reads.
    Read,
    /// Writes, in one transaction.
    Write,
    /// Runs the caller's own queries.
    Custom,
}

/// The server that a connection was made to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// The number of its host.
    pub(super) host: usize,
    /// Whether it was a standby. It may have been promoted since, but a primary that becomes one has been restarted.
    pub(super) is_standby: bool,
}

/// The state of a call, from its connection's events.
#[derive(Debug)]
pub(super) struct CallState {
    kind: CallKind,
    /// Incremented as a statement begins and as it ends, so odd while one runs. Incremented by two where the call
    /// starts or stops waiting for something other than the server.
    events: AtomicU64,
    /// Whether the call waits for something other than the server.
    is_outside_server: AtomicBool,
    /// Whether a transaction is open, which is rolled back with its connection.
    is_in_transaction: AtomicBool,
    /// Whether a `COMMIT`, or a statement outside of a transaction, was sent.
    may_be_committed: AtomicBool,
    /// Whether the connection must be closed: a transaction was begun in plain SQL, which Diesel does not track, or the
    /// connection has the maximum number of prepared statements.
    must_close: AtomicBool,
    /// The server of its connection, once a statement was sent.
    origin: OnceLock<Origin>,
}

impl CallState {
    pub(super) fn new(kind: CallKind) -> Arc<Self> {
        Arc::new(Self {
            kind,
            events: AtomicU64::new(0),
            is_outside_server: AtomicBool::new(false),
            is_in_transaction: AtomicBool::new(false),
            may_be_committed: AtomicBool::new(false),
            must_close: AtomicBool::new(false),
            origin: OnceLock::new(),
        })
    }

    /// Returns the state of a call in a transaction that was begun before.
    pub(super) fn in_transaction(kind: CallKind) -> Arc<Self> {
        let call = Self::new(kind);
        call.is_in_transaction.store(true, Relaxed);
        call
    }

    /// Returns whether the connection must be closed after this call.
    pub(super) fn must_close(&self) -> bool {
        self.must_close.load(Relaxed)
    }

    /// Returns the server of its connection, once a statement was sent.
    pub(super) fn origin(&self) -> Option<Origin> {
        self.origin.get().copied()
    }

    /// Runs work whose statements update this state.
    pub(super) async fn scope<T>(self: &Arc<Self>, work: impl Future<Output = T>) -> T {
        CALL.scope(Arc::clone(self), work).await
    }

    /// Returns whether the connection reports its events, as each does that [`SetUp`](super::set_up::SetUp) made.
    pub(super) fn has_events(&self) -> bool {
        self.events.load(Relaxed) > 0
    }

    fn record(&self, event: &InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::BeginTransaction { depth, .. } if depth.get() == 1 => {
                self.is_in_transaction.store(true, Relaxed);
            }
            InstrumentationEvent::CommitTransaction { depth, .. } if depth.get() == 1 => {
                self.is_in_transaction.store(false, Relaxed);
                self.may_be_committed.store(true, Relaxed);
            }
            InstrumentationEvent::RollbackTransaction { depth, .. } if depth.get() == 1 => {
                self.is_in_transaction.store(false, Relaxed);
            }
            InstrumentationEvent::StartQuery { query, .. } => {
                self.events.fetch_add(1, Relaxed);
                if self.kind == CallKind::Custom && !self.is_in_transaction.load(Relaxed) {
                    self.record_outside_transaction(&query.to_string());
                }
            }
            InstrumentationEvent::FinishQuery { .. } => {
                self.events.fetch_add(1, Relaxed);
            }
            _ => {}
        }
    }

    /// Records a statement outside of Diesel's transactions, which commits by itself unless it only reads.
    fn record_outside_transaction(&self, statement: &str) {
        let statement = statement.trim_start().to_ascii_uppercase();
        let commits_nothing = statement.starts_with("SELECT") || statement.starts_with("ROLLBACK");
        if !commits_nothing || statement.contains(';') {
            self.may_be_committed.store(true, Relaxed);
        }
        if statement.contains("BEGIN") || statement.contains("START TRANSACTION") {
            self.must_close.store(true, Relaxed);
        }
    }
}

/// Returns the instrumentation of a connection to a server, which updates the state of its call.
pub(super) fn instrumentation(origin: Origin) -> impl FnMut(InstrumentationEvent<'_>) {
    let mut prepared = 0_u32;
    let mut application = get_default_instrumentation();
    move |event| {
        prepared += u32::from(matches!(event, InstrumentationEvent::CacheQuery { .. }));
        // Outside of a call there is no state.
        let _ = CALL.try_with(|call| {
            call.record(&event);
            call.origin.get_or_init(|| origin);
            if prepared >= MAX_STATEMENTS {
                call.must_close.store(true, Relaxed);
            }
        });
        // Events are passed on to an instrumentation that the application set for all connections of Diesel.
        if let Some(application) = &mut application {
            application.on_connection_event(event);
        }
    }
}

/// Runs the work of a call, and stops it at the response timeout. Its errors are typed here. A write whose connection
/// was lost when it may have been committed returns [`Error::CommitUnknown`].
pub(super) async fn guarded<T>(
    call: &Arc<CallState>,
    response_timeout: Option<Duration>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let (work, timeout) = (pin!(call.scope(work)), pin!(no_response(call, response_timeout)));
    let result = match select(work, timeout).await {
        Either::Left((result, _)) => result.map_err(classify),
        Either::Right((response_timeout, _)) => {
            Err(Error::Unavailable { reason: format!("no response within {} s", response_timeout.as_secs()) })
        }
    };
    let is_standby = call.origin().is_some_and(|origin| origin.is_standby);
    match result {
        Err(Error::ReadOnly) if is_standby => Err(Error::NotPrimary),
        // Between two statements of a transaction, a standby cancels by closing the connection.
        Err(Error::ConnectionLost) if is_standby && call.kind == CallKind::Read => Err(Error::RecoveryConflict),
        Err(Error::ConnectionLost | Error::Unavailable { .. })
            if call.kind != CallKind::Read && call.may_be_committed.load(Relaxed) =>
        {
            Err(Error::CommitUnknown)
        }
        result => result,
    }
}

/// Waits for something other than the server, such as a file that is read.
pub(super) async fn outside_server<T>(work: impl Future<Output = T>) -> T {
    let record = |is_outside_server| {
        let _ = CALL.try_with(|call| {
            call.is_outside_server.store(is_outside_server, Relaxed);
            call.events.fetch_add(2, Relaxed);
        });
    };
    record(true);
    let value = work.await;
    record(false);
    value
}

/// Completes when the server has not responded for one to two times `response_timeout`, and returns that timeout.
pub(super) async fn no_response(call: &CallState, response_timeout: Option<Duration>) -> Duration {
    let Some(response_timeout) = response_timeout else { return std::future::pending().await };
    loop {
        let events = call.events.load(Relaxed);
        tokio::time::sleep(response_timeout).await;
        let waits_for_server = match call.kind {
            CallKind::Read | CallKind::Write => !call.is_outside_server.load(Relaxed),
            // Between two statements, the caller's code may take any time.
            CallKind::Custom => events % 2 == 1,
        };
        if waits_for_server && call.events.load(Relaxed) == events {
            return response_timeout;
        }
    }
}
