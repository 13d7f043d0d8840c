//! A watch over one call: whether the server still says something, and whether what was written may have been
//! committed.
//!
//! The server ends a statement that takes too long, and the kernel a connection whose packets nobody acknowledges.
//! Neither helps where the server's process is stopped, or something between here and there swallows answers.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use diesel::connection::{Instrumentation, InstrumentationEvent, get_default_instrumentation};
use futures_util::future::{Either, select};

use super::errors::classify;
use crate::error::{Error, Result};

/// How many statements a connection prepares before it is closed. Each search with other conditions is another one,
/// which Diesel never forgets, and whose plan takes the server some 200 kB.
const MOST_STATEMENTS: u32 = 256;

tokio::task_local! {
    /// The call that this task makes just now.
    static CALL: Arc<Call>;
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// It reads.
    Ask,
    /// It writes, in one transaction.
    Change,
    /// Whatever somebody else's code does.
    Lend,
}

/// What is known of a call from its connection's events.
#[derive(Debug)]
pub(super) struct Call {
    intent: Intent,
    /// Grows by one as a statement begins, and as one ends: odd while one runs. By two where the call goes or comes
    /// back elsewhere.
    events: AtomicU64,
    /// It waits for something that is not the server.
    is_elsewhere: AtomicBool,
    stage: AtomicU8,
    /// `COMMIT` was sent at some time, or a statement that stood alone.
    may_be_committed: AtomicBool,
    /// A transaction was begun in plain SQL, which Diesel does not know of, or the connection holds as many prepared
    /// statements as it may.
    is_the_last: AtomicBool,
}

/// Where the next statement of a call stands.
mod stage {
    /// Outside of a transaction.
    pub const ALONE: u8 = 0;
    /// In one, which goes with its connection.
    pub const INSIDE: u8 = 1;
    /// It is the `COMMIT` or the `ROLLBACK` of one.
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

    /// Whether its connection is to serve no other call.
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

    /// A statement outside of Diesel's transactions is committed by itself, but for one that only reads.
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

/// What a connection's instrumentation does.
pub(super) fn noting() -> impl FnMut(InstrumentationEvent<'_>) {
    let mut prepared = 0_u32;
    let mut application = get_default_instrumentation();
    move |event| {
        prepared += u32::from(matches!(event, InstrumentationEvent::CacheQuery { .. }));
        // Outside of a call nobody watches.
        let _ = CALL.try_with(|call| {
            call.note(&event);
            if prepared >= MOST_STATEMENTS {
                call.is_the_last.store(true, Ordering::Relaxed);
            }
        });
        // Whoever set one for all connections of Diesel is told too.
        if let Some(application) = &mut application {
            application.on_connection_event(event);
        }
    }
}

/// Does a call's work, and gives it up where the server has said nothing for so long. Its errors are typed here. A
/// write whose connection went while it may have been committed says so.
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

/// Waits for something that is not the server, such as a file that is read.
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

/// Ends when the server has said nothing for as long as `longest`, which it gives.
async fn silent(call: &Call, longest: Option<Duration>) -> Duration {
    let Some(longest) = longest else { return std::future::pending().await };
    loop {
        let seen = call.events.load(Ordering::Relaxed);
        tokio::time::sleep(longest).await;
        let waits_for_server = match call.intent {
            Intent::Ask | Intent::Change => !call.is_elsewhere.load(Ordering::Relaxed),
            // Between two statements it does what it likes.
            Intent::Lend => seen % 2 == 1,
        };
        if waits_for_server && call.events.load(Ordering::Relaxed) == seen {
            return longest;
        }
    }
}
