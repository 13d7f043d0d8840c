//! A watch over one call: whether the server still says something, and whether what was written may have been committed.
//!
//! The server ends a statement that takes too long, and the kernel a connection whose packets nobody acknowledges. Neither
//! helps where the server's process is stopped, or something between here and there swallows answers.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use diesel::connection::InstrumentationEvent;
use futures_util::future::{Either, select};

use crate::error::{Error, Result};

tokio::task_local! {
    /// The call that this task makes just now.
    static CALL: Arc<Call>;
}

/// What is known of a call from its connection's events.
#[derive(Debug, Default)]
struct Call {
    /// Grows by one as a statement begins, and as one ends: odd while one runs.
    events: AtomicU64,
    stage: AtomicU8,
}

/// How far a call's write is.
mod stage {
    /// No statement was sent.
    pub const BEFORE: u8 = 0;
    /// In a transaction, which goes with its connection.
    pub const INSIDE: u8 = 1;
    /// `ROLLBACK` was sent.
    pub const UNDOING: u8 = 2;
    /// `COMMIT` was sent.
    pub const COMMITTING: u8 = 3;
    /// A statement was sent outside of a transaction, which commits it.
    pub const ALONE: u8 = 4;
}

impl Call {
    fn may_be_committed(&self) -> bool {
        matches!(self.stage.load(Ordering::Relaxed), stage::COMMITTING | stage::ALONE)
    }

    fn note(&self, event: &InstrumentationEvent<'_>) {
        let stage = match event {
            InstrumentationEvent::BeginTransaction { depth, .. } if depth.get() == 1 => stage::INSIDE,
            InstrumentationEvent::CommitTransaction { depth, .. } if depth.get() == 1 => stage::COMMITTING,
            InstrumentationEvent::RollbackTransaction { depth, .. } if depth.get() == 1 => stage::UNDOING,
            InstrumentationEvent::StartQuery { .. } => {
                self.events.fetch_add(1, Ordering::Relaxed);
                let alone = |stage| (stage == stage::BEFORE).then_some(stage::ALONE);
                let _ = self.stage.fetch_update(Ordering::Relaxed, Ordering::Relaxed, alone);
                return;
            }
            InstrumentationEvent::FinishQuery { .. } => {
                self.events.fetch_add(1, Ordering::Relaxed);
                return;
            }
            _ => return,
        };
        self.stage.store(stage, Ordering::Relaxed);
    }
}

/// What every connection's instrumentation does.
pub(super) fn note(event: InstrumentationEvent<'_>) {
    // Outside of a call nobody watches.
    let _ = CALL.try_with(|call| call.note(&event));
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// It reads, so that the server has something to say all the while.
    Ask,
    /// It writes, perhaps from a source that takes its time between two statements.
    Change,
}

/// Does a call's work, and gives it up where the server has said nothing for so long. A write whose connection went while
/// it may have been committed says so.
pub(super) async fn watch<T>(
    intent: Intent,
    silence: Option<Duration>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let call = Arc::new(Call::default());
    let (work, silent) = (pin!(CALL.scope(Arc::clone(&call), work)), pin!(silent(&call, intent, silence)));
    let answer = match select(work, silent).await {
        Either::Left((answer, _)) => answer,
        Either::Right((silence, _)) => {
            Err(Error::Unavailable { reason: format!("it said nothing for {} s", silence.as_secs()) })
        }
    };
    match answer {
        Err(Error::ConnectionLost | Error::Unavailable { .. })
            if intent == Intent::Change && call.may_be_committed() =>
        {
            Err(Error::CommitUnknown)
        }
        answer => answer,
    }
}

/// Ends when the server has said nothing for as long as `longest`, which it gives.
async fn silent(call: &Call, intent: Intent, longest: Option<Duration>) -> Duration {
    let Some(longest) = longest else { return std::future::pending().await };
    loop {
        let seen = call.events.load(Ordering::Relaxed);
        tokio::time::sleep(longest).await;
        let waits_for_server = intent == Intent::Ask || seen % 2 == 1;
        if waits_for_server && call.events.load(Ordering::Relaxed) == seen {
            return longest;
        }
    }
}
