//! The guard over one call: it detects a server that does not respond, and tracks whether a write may have been
//! committed.
//!
//! The server cancels a statement that takes too long, and the kernel closes a connection whose packets are not
//! acknowledged. Neither helps where the server's process is stopped, or the network drops its responses.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use diesel::connection::{Instrumentation, InstrumentationEvent, get_default_instrumentation};
use futures_util::future::{Either, select};

use super::errors::classify;
use crate::error::{Error, Result};

/// How many statements a connection prepares before it is closed. Each combination of search conditions is a new
/// statement, which Diesel never evicts. The plan of each takes some 200 kB on the server.
const MOST_STATEMENTS: u32 = 256;

tokio::task_local! {
    /// The state of the current task's call.
    static CALL: Arc<Call>;
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// Reads.
    Ask,
    /// Writes, in one transaction.
    Change,
    /// Runs the caller's own queries.
    Lend,
}

/// The state of a call, from its connection's events.
#[derive(Debug)]
pub(super) struct Call {
    intent: Intent,
    /// Incremented as a statement begins and as it ends, so odd while one runs. Incremented by two where the call
    /// starts or stops waiting for something other than the server.
    events: AtomicU64,
    /// Whether the call waits for something other than the server.
    is_elsewhere: AtomicBool,
    stage: AtomicU8,
    /// Whether a `COMMIT`, or a statement outside of a transaction, was sent.
    may_be_committed: AtomicBool,
    /// Whether the connection must be closed: a transaction was begun in plain SQL, which Diesel does not track, or the
    /// connection has the maximum number of prepared statements.
    is_the_last: AtomicBool,
}

/// The transaction state of a call's next statement.
mod stage {
    /// Outside of a transaction.
    pub const ALONE: u8 = 0;
    /// In a transaction, which is rolled back with its connection.
    pub const INSIDE: u8 = 1;
    /// The `COMMIT` or the `ROLLBACK` of a transaction.
    pub const ENDING: u8 = 2;
}

impl Call {
    pub(super) fn new(intent: Intent) -> Arc<Self> {
        Arc::new(Self {
            intent,
            events: AtomicU64::new(0),
            is_elsewhere: AtomicBool::new(false),
            stage: AtomicU8::new(stage::ALONE),
            may_be_committed: AtomicBool::new(false),
            is_the_last: AtomicBool::new(false),
        })
    }

    /// Returns whether the connection must be closed after this call.
    pub(super) fn is_the_last(&self) -> bool {
        self.is_the_last.load(Ordering::Relaxed)
    }

    fn note(&self, event: &InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::BeginTransaction { depth, .. } if depth.get() == 1 => {
                self.stage.store(stage::INSIDE, Ordering::Relaxed);
            }
            InstrumentationEvent::CommitTransaction { depth, .. } if depth.get() == 1 => {
                self.stage.store(stage::ENDING, Ordering::Relaxed);
                self.may_be_committed.store(true, Ordering::Relaxed);
            }
            InstrumentationEvent::RollbackTransaction { depth, .. } if depth.get() == 1 => {
                self.stage.store(stage::ENDING, Ordering::Relaxed);
            }
            InstrumentationEvent::StartQuery { query, .. } => {
                self.events.fetch_add(1, Ordering::Relaxed);
                if self.intent == Intent::Lend && self.stage.load(Ordering::Relaxed) == stage::ALONE {
                    self.note_alone(&query.to_string());
                }
            }
            InstrumentationEvent::FinishQuery { .. } => {
                self.events.fetch_add(1, Ordering::Relaxed);
                let ended = |stage| (stage == stage::ENDING).then_some(stage::ALONE);
                let _ = self.stage.fetch_update(Ordering::Relaxed, Ordering::Relaxed, ended);
            }
            _ => {}
        }
    }

    /// Records a statement outside of Diesel's transactions, which commits by itself unless it only reads.
    fn note_alone(&self, statement: &str) {
        let statement = statement.trim_start().to_ascii_uppercase();
        if !statement.starts_with("SELECT") || statement.contains(';') {
            self.may_be_committed.store(true, Ordering::Relaxed);
        }
        if statement.contains("BEGIN") || statement.contains("START TRANSACTION") {
            self.is_the_last.store(true, Ordering::Relaxed);
        }
    }
}

/// Returns the instrumentation of a connection, which updates the state of its call.
pub(super) fn noting() -> impl FnMut(InstrumentationEvent<'_>) {
    let mut prepared = 0_u32;
    let mut application = get_default_instrumentation();
    move |event| {
        prepared += u32::from(matches!(event, InstrumentationEvent::CacheQuery { .. }));
        // Outside of a call there is no state.
        let _ = CALL.try_with(|call| {
            call.note(&event);
            if prepared >= MOST_STATEMENTS {
                call.is_the_last.store(true, Ordering::Relaxed);
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
pub(super) async fn watch<T>(
    call: &Arc<Call>,
    response_timeout: Option<Duration>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let (work, silent) = (pin!(CALL.scope(Arc::clone(call), work)), pin!(silent(call, response_timeout)));
    let answer = match select(work, silent).await {
        Either::Left((answer, _)) => answer.map_err(classify),
        Either::Right((response_timeout, _)) => {
            Err(Error::Unavailable { reason: format!("it said nothing for {} s", response_timeout.as_secs()) })
        }
    };
    match answer {
        Err(Error::ConnectionLost | Error::Unavailable { .. })
            if call.intent != Intent::Ask && call.may_be_committed.load(Ordering::Relaxed) =>
        {
            Err(Error::CommitUnknown)
        }
        answer => answer,
    }
}

/// Waits for something other than the server, such as a file that is read.
pub(super) async fn elsewhere<T>(work: impl Future<Output = T>) -> T {
    let note = |is_elsewhere| {
        let _ = CALL.try_with(|call| {
            call.is_elsewhere.store(is_elsewhere, Ordering::Relaxed);
            call.events.fetch_add(2, Ordering::Relaxed);
        });
    };
    note(true);
    let value = work.await;
    note(false);
    value
}

/// Completes when the server has not responded for `longest`, and returns it.
async fn silent(call: &Call, longest: Option<Duration>) -> Duration {
    let Some(longest) = longest else { return std::future::pending().await };
    loop {
        let seen = call.events.load(Ordering::Relaxed);
        tokio::time::sleep(longest).await;
        let waits_for_server = match call.intent {
            Intent::Ask | Intent::Change => !call.is_elsewhere.load(Ordering::Relaxed),
            // Between two statements, the caller's code may take any time.
            Intent::Lend => seen % 2 == 1,
        };
        if waits_for_server && call.events.load(Ordering::Relaxed) == seen {
            return longest;
        }
    }
}
