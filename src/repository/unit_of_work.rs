//! Several calls in one transaction.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::SchoolRepository;
use crate::error::{Error, Result};
use crate::request::WriteMode;

/// Several calls in one transaction, which commits all of them or none. Returned by [`SchoolRepository::begin`].
///
/// It dereferences to a [`SchoolRepository`] whose calls all run in the transaction, so a function that takes a
/// `&dyn WriteSchools` takes a unit of work too. [`downcast_ref`](Self::downcast_ref) returns the backend's own
/// repository, whose `with_connection` runs a service's own queries in the same transaction.
///
/// - **Dropping it rolls back**, as a panic does. A call that is running when it is dropped runs to its end first.
/// - **A call that fails** has written nothing, and the unit continues. If the connection is lost, the unit ends.
/// - **Nothing is retried**: after [`Conflict`](Error::Conflict) or [`ConnectionLost`](Error::ConnectionLost), begin
///   again.
/// - **Its time is limited** by [`PoolConfig::unit_of_work_timeout`](crate::config::PoolConfig::unit_of_work_timeout).
///   After it, calls fail with [`UnitOfWorkEnded`](Error::UnitOfWorkEnded).
/// - **On SQLite it holds the only write lock**: every other write waits for it, up to the lock timeout. A write of the
///   same task outside of the unit would wait for the unit, and fails with [`UnitOfWorkOpen`](Error::UnitOfWorkOpen). A
///   database in memory has one connection, so there a read fails too.
/// - **On Postgres** its isolation level is the server's default, `READ COMMITTED`: each statement has a snapshot.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(async {
/// use school_finder_db::ids::Urn;
/// use school_finder_db::models::NewSchool;
/// use school_finder_db::prelude::*;
/// use school_finder_db::{Config, connect};
///
/// let finder = connect(&Config::in_memory()).await?;
/// let urn = Urn::new(110_533)?;
/// let unit = finder.begin().await?;
/// unit.insert_schools(vec![NewSchool::new(urn, "Hilltop Primary School")]).await?;
/// assert!(unit.school_by_urn(urn).await?.is_some());
/// unit.commit().await?;
/// assert!(finder.school_by_urn(urn).await?.is_some());
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("a unit of work");
/// ```
pub struct UnitOfWork {
    transaction: Arc<dyn Transaction>,
    savepoints: AtomicU64,
    time_limit: tokio::task::AbortHandle,
}

/// A point in a unit of work to roll back to. Returned by [`UnitOfWork::savepoint`].
#[derive(Debug)]
pub struct Savepoint(u64);

impl UnitOfWork {
    /// Returns a unit of work over a repository whose connection is in a transaction.
    pub(crate) fn new(transaction: Arc<dyn Transaction>, limit: Duration) -> Self {
        let expiring = Arc::clone(&transaction);
        let time_limit = tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            expiring.end("it took longer than unit_of_work_timeout");
        });
        Self { transaction, savepoints: AtomicU64::new(0), time_limit: time_limit.abort_handle() }
    }

    /// Begins a unit of work, runs `work` in it, and commits it where `work` returns `Ok`.
    ///
    /// # Errors
    /// Those of `work`, of [`SchoolRepository::begin`] and of [`commit`](Self::commit).
    pub async fn run<T>(repository: &dyn SchoolRepository, work: impl AsyncFnOnce(&Self) -> Result<T>) -> Result<T> {
        let unit = repository.begin().await?;
        let value = work(&unit).await?;
        unit.commit().await?;
        Ok(value)
    }

    /// Sets a savepoint.
    ///
    /// # Errors
    /// [`UnitOfWorkEnded`](Error::UnitOfWorkEnded); those of the database.
    pub async fn savepoint(&self) -> Result<Savepoint> {
        let savepoint = Savepoint(self.savepoints.fetch_add(1, Ordering::Relaxed));
        self.execute("SAVEPOINT", &savepoint).await?;
        Ok(savepoint)
    }

    /// Rolls back what was written since a savepoint of this unit. The savepoint can be used again. Later savepoints
    /// are removed: rolling back to one of them is an error, and ends the unit.
    ///
    /// # Errors
    /// As [`savepoint`](Self::savepoint).
    pub async fn rollback_to(&self, savepoint: &Savepoint) -> Result<()> {
        self.execute("ROLLBACK TO", savepoint).await
    }

    async fn execute(&self, command: &str, Savepoint(number): &Savepoint) -> Result<()> {
        let executed = self.transaction.execute(format!("{command} unit_of_work_{number}")).await;
        if executed.is_err() {
            self.transaction.end("a savepoint failed");
        }
        executed
    }

    /// Commits what was written.
    ///
    /// # Errors
    /// [`UnitOfWorkEnded`](Error::UnitOfWorkEnded), [`CommitUnknown`](Error::CommitUnknown); those of the database.
    /// Except after `CommitUnknown`, nothing was written.
    pub async fn commit(self) -> Result<()> {
        self.transaction.finish(WriteMode::Commit).await
    }

    /// Rolls back what was written, and waits for the rollback.
    ///
    /// # Errors
    /// As [`savepoint`](Self::savepoint). The unit is rolled back in any case.
    pub async fn rollback(self) -> Result<()> {
        self.transaction.finish(WriteMode::DryRun).await
    }

    /// Returns the backend's own repository, such as `SqliteRepository`, whose calls run in this unit; `None` where it
    /// is of another type. A clone of it cannot be used after the unit.
    pub fn downcast_ref<R: SchoolRepository + 'static>(&self) -> Option<&R> {
        self.transaction.as_any().downcast_ref()
    }
}

impl Deref for UnitOfWork {
    type Target = dyn SchoolRepository;

    fn deref(&self) -> &Self::Target {
        self.transaction.repository()
    }
}

impl Drop for UnitOfWork {
    fn drop(&mut self) {
        self.time_limit.abort();
        self.transaction.end("it was dropped");
    }
}

impl fmt::Debug for UnitOfWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnitOfWork").field(&self.transaction.repository().backend()).finish()
    }
}

/// A repository whose connection is in a transaction.
#[async_trait]
pub(crate) trait Transaction: Send + Sync {
    fn repository(&self) -> &(dyn SchoolRepository + 'static);

    fn as_any(&self) -> &dyn std::any::Any;

    /// Runs a statement in the transaction.
    async fn execute(&self, statement: String) -> Result<()>;

    /// Commits or rolls back.
    async fn finish(&self, mode: WriteMode) -> Result<()>;

    /// Rolls back, now or when the running call ends. Does nothing after the transaction's end.
    fn end(&self, reason: &'static str);
}

/// The connection of a transaction between its calls. Dropping a connection rolls it back.
#[derive(Debug)]
pub(crate) struct Slot<C> {
    /// One call at a time.
    turn: Arc<Semaphore>,
    state: Mutex<State<C>>,
}

#[derive(Debug)]
enum State<C> {
    Idle(C),
    InUse,
    Ended(&'static str),
}

/// A checkout of a slot's connection, for one call. Dropping it before the connection is checked in ends the
/// transaction.
pub(crate) struct InTurn<C> {
    slot: Arc<Slot<C>>,
    _turn: OwnedSemaphorePermit,
}

impl<C> Slot<C> {
    pub(crate) fn new(connection: C) -> Arc<Self> {
        Arc::new(Self { turn: Arc::new(Semaphore::new(1)), state: Mutex::new(State::Idle(connection)) })
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the running call, and checks the connection out.
    pub(crate) async fn check_out(self: &Arc<Self>) -> Result<(C, InTurn<C>)> {
        let ended = |reason| Err(Error::UnitOfWorkEnded { reason });
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else { return ended("it was closed") };
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::InUse) {
            State::Idle(connection) => Ok((connection, InTurn { slot: Arc::clone(self), _turn: turn })),
            State::InUse => unreachable!("a call holds the only turn"),
            State::Ended(reason) => {
                *state = State::Ended(reason);
                ended(reason)
            }
        }
    }

    /// Ends the transaction: drops its connection, now or as it is checked in. Does nothing after the transaction's
    /// end.
    pub(crate) fn end(&self, reason: &'static str) {
        let mut state = self.state();
        if !matches!(*state, State::Ended(_)) {
            let was = std::mem::replace(&mut *state, State::Ended(reason));
            drop(state);
            drop(was);
        }
    }
}

impl<C> InTurn<C> {
    /// Checks the connection in, or drops it if the transaction ended during the call.
    pub(crate) fn check_in(self, connection: C) {
        let mut state = self.slot.state();
        if matches!(*state, State::InUse) {
            *state = State::Idle(connection);
        }
    }
}

impl<C> Drop for InTurn<C> {
    fn drop(&mut self) {
        let mut state = self.slot.state();
        if matches!(*state, State::InUse) {
            *state = State::Ended("a call of it was dropped, or lost its connection");
        }
    }
}
