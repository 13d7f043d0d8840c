//! The connections of a repository: pooled, single, or one per call.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool, PooledConnection};
use parking_lot::Mutex;

use super::caller::{caller, run_for};
use super::errors::{self, classify};
use super::migrations::SCRIPTS;
#[cfg(feature = "postgres")]
use super::set_up::not_sqlite;
use super::set_up::{
    SetUp, cannot_open, clearing_full_cache, connect_to_file, existing_file, restore, use_write_ahead_log, version,
};
use super::threads::{Thread, Threads};
use crate::config::{Backend, Config, PoolConfig, PoolMode, Target};
use crate::error::{Error, Result};
use crate::migrations::Engine;
use crate::repository::{Health, PoolStatus};
use crate::tasks::blocking;

/// The minimum timeout for opening a file.
const MIN_OPEN_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest wait that r2d2 can add to the time without overflow: over a hundred years.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// The connections of a repository.
pub(super) struct Connections {
    pooling: Pooling,
    /// The file, for further connections; `None` for a database in memory.
    file: Option<PathBuf>,
    set_up: SetUp,
    /// The number of calls that wait for a connection.
    waiting: AtomicU32,
}

/// How connections are stored between calls.
enum Pooling {
    Pooled { pool: Pool<ConnectionManager<SqliteConnection>>, threads: Threads, acquire_timeout: Duration },
    Single { connection: Box<Mutex<SingleConnection>>, acquire_timeout: Duration },
    PerCall { url: String },
}

/// A connection that stays open.
struct SingleConnection {
    connection: SqliteConnection,
    /// Whether a call is using it, or panicked while using it.
    is_in_use: bool,
}

impl Pooling {
    fn single(connection: SqliteConnection, acquire_timeout: Duration) -> Self {
        let connection = Box::new(Mutex::new(SingleConnection { connection, is_in_use: false }));
        Self::Single { connection, acquire_timeout }
    }
}

impl Connections {
    /// Opens an existing database and checks that it has this build's schema. A database in memory is always new and
    /// gets its schema here. Nothing is written to a file before the check has passed.
    pub(super) fn open(config: &Config) -> Result<Self> {
        let PoolConfig { mode, max_size, acquire_timeout, busy_timeout, .. } = config.pool;
        let set_up = SetUp { busy_timeout };
        let path = match &config.target {
            Target::SqliteFile(path) => path,
            Target::SqliteMemory => {
                let mut connection = set_up.connect(":memory:")?;
                Engine::new(SCRIPTS).up(&mut connection).map_err(classify)?;
                return Ok(Self::new(Pooling::single(connection, acquire_timeout), None, set_up));
            }
            #[cfg(feature = "postgres")]
            Target::Postgres(_) => return Err(not_sqlite()),
        };
        let mut first = connect_to_file(path, set_up)?;
        Engine::new(SCRIPTS)
            .require_current(&mut first)
            .map_err(classify)
            .and_then(|_| use_write_ahead_log(&mut first))
            .map_err(|error| cannot_open(path, error))?;
        let url = existing_file(path)?;
        let pooling = match mode {
            PoolMode::Single => Pooling::single(first, acquire_timeout),
            PoolMode::PerCall => Pooling::PerCall { url },
            PoolMode::Pooled => {
                let max_size = max_size.max(1);
                let threads = Threads::new(max_size).map_err(|reason| Error::CannotOpen {
                    path: path.clone(),
                    reason: format!("its threads cannot be started: {reason}"),
                })?;
                let pool = Pool::builder()
                    .max_size(max_size)
                    .min_idle(Some(1))
                    // The first connection takes time even where calls must not wait.
                    .connection_timeout(acquire_timeout.clamp(MIN_OPEN_TIMEOUT, LONGEST))
                    // A connection to a file cannot break by itself.
                    .test_on_check_out(false)
                    .connection_customizer(Box::new(set_up))
                    .build(ConnectionManager::new(url))
                    .map_err(|error| cannot_acquire(&error, acquire_timeout))?;
                Pooling::Pooled { pool, threads, acquire_timeout }
            }
        };
        Ok(Self::new(pooling, Some(path.clone()), set_up))
    }

    fn new(pooling: Pooling, file: Option<PathBuf>, set_up: SetUp) -> Self {
        Self { pooling, file, set_up, waiting: AtomicU32::new(0) }
    }

    /// Runs a read of this crate on an idle connection and an idle thread of the pool, without waiting, where both
    /// exist.
    ///
    /// Where this future is dropped, a read that waits does not begin, and one that has begun ends at its next check
    /// ([`require_caller`](super::caller::require_caller)).
    ///
    /// Not for writes: a runtime that is dropped waits only for its own blocking tasks. Not for the caller's closures
    /// either: one that uses rayon could run other calls in the middle of its own. For both, see [`with`](Self::with).
    pub(super) async fn read<T, W>(self: &Arc<Self>, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        let connections = Arc::clone(self);
        // Dropped with this future.
        let caller = caller();
        let waiting = Arc::downgrade(&caller);
        let work = move |connection: &mut SqliteConnection| run_for(&waiting, || work(connection));
        match self.idle() {
            Some((thread, mut connection)) => {
                thread.run(move || connections.typed(clearing_full_cache(work)(&mut connection))).await
            }
            None => blocking(move || connections.with(work)).await,
        }
    }

    /// Returns an idle thread and an idle connection of the pool, or `None` where calls are waiting for a connection.
    fn idle(&self) -> Option<(Thread<'_>, PooledConnection<ConnectionManager<SqliteConnection>>)> {
        match &self.pooling {
            Pooling::Pooled { pool, threads, .. } if self.waiting.load(Ordering::Relaxed) == 0 => {
                Some((threads.idle()?, pool.try_get()?))
            }
            _ => None,
        }
    }

    /// Checks a connection out for `work`, waiting until one is available. It is checked in without an open
    /// transaction, even where `work` panics.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Result<T>) -> Result<T> {
        self.typed(self.check_out(clearing_full_cache(work)))
    }

    /// Returns the result of a call with its error typed. SQLite opens files as needed, and does not report which one
    /// failed.
    fn typed<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| match (classify(error), &self.file) {
            (Error::CannotOpen { reason, .. }, Some(file)) => Error::CannotOpen { path: file.clone(), reason },
            (other, _) => other,
        })
    }

    fn check_out<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Result<T>) -> Result<T> {
        match &self.pooling {
            Pooling::Pooled { pool, acquire_timeout, .. } => {
                // A connection whose call panicked, or left a transaction open, is broken: r2d2 replaces it.
                let connection = self.wait(|| pool.get_timeout((*acquire_timeout).min(LONGEST)));
                work(&mut *connection.map_err(|error| cannot_acquire(&error, *acquire_timeout))?)
            }
            Pooling::Single { connection, acquire_timeout } => {
                let single = self.wait(|| connection.try_lock_for(*acquire_timeout));
                let mut single = single.ok_or_else(|| timed_out(*acquire_timeout))?;
                if std::mem::replace(&mut single.is_in_use, true) {
                    restore(&mut single.connection)?;
                }
                let result = work(&mut single.connection);
                single.is_in_use = false;
                result
            }
            Pooling::PerCall { url } => work(&mut self.set_up.connect(url)?),
        }
    }

    fn wait<T>(&self, get: impl FnOnce() -> T) -> T {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let connection = get();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        connection
    }

    /// Returns whether the database can be used. A file is checked on a new connection, so that a moved file is
    /// noticed.
    pub(super) fn health(&self) -> Result<Health> {
        let healthy = |connection: &mut SqliteConnection| {
            let version = format!("SQLite {}", version(connection)?);
            Ok(Health::new(Backend::Sqlite, version, Engine::new(SCRIPTS).require_current(connection)?))
        };
        match &self.file {
            Some(file) => healthy(&mut connect_to_file(file, self.set_up)?).map_err(classify),
            None => self.with(healthy),
        }
    }

    /// Returns the number of connections.
    pub(super) fn status(&self) -> PoolStatus {
        let mut status = PoolStatus { waiting: self.waiting.load(Ordering::Relaxed), ..PoolStatus::default() };
        match &self.pooling {
            Pooling::Pooled { pool, .. } => {
                let state = pool.state();
                (status.max, status.open, status.idle) = (pool.max_size(), state.connections, state.idle_connections);
            }
            Pooling::Single { connection, .. } => {
                (status.max, status.open, status.idle) = (1, 1, u32::from(!connection.is_locked()));
            }
            Pooling::PerCall { .. } => {}
        }
        status
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.pooling {
            Pooling::Pooled { pool, .. } => write!(f, "Pooled({:?})", pool.state()),
            Pooling::Single { .. } => f.write_str("Single"),
            Pooling::PerCall { .. } => f.write_str("PerCall"),
        }
    }
}

fn cannot_acquire(error: &diesel::r2d2::PoolError, waited: Duration) -> Error {
    // r2d2 appends the error of the last attempt to connect, where there was one.
    match error.to_string().split_once(": ") {
        Some((_, reason)) => errors::from_message(reason)
            .unwrap_or_else(|| Error::CannotOpen { path: "".into(), reason: reason.to_owned() }),
        None => timed_out(waited),
    }
}

fn timed_out(waited: Duration) -> Error {
    Error::PoolTimeout { waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX) }
}

#[cfg(test)]
mod tests {
    use super::super::caller::require_caller;
    use super::*;

    #[tokio::test]
    async fn reads_run_on_threads_of_the_pool_unless_they_wait() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::sqlite_file(folder.path().join("schools.db"));
        config.pool.max_size = 1;
        crate::migrate::up(&config).await.expect("a schema");
        let connections = Arc::new(Connections::open(&config).expect("a database"));
        let is_of_pool = |_: &mut SqliteConnection| {
            Ok(std::thread::current().name().is_some_and(|name| name.starts_with("sqlite-")))
        };
        assert!(connections.read(is_of_pool).await.expect("an answer"));

        // A call that finds no connection idle waits for one in r2d2,
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let works = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.read(move |_| Ok(wait.recv().is_ok())).await }
        });
        let waits = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.read(is_of_pool).await }
        });
        let waiting = async {
            while connections.status().waiting == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it waits");
        go.send(()).expect("it waits");
        assert!(works.await.expect("no panic").expect("an answer"));
        assert!(!waits.await.expect("no panic").expect("an answer"));

        // and a later call does not overtake it.
        connections.waiting.fetch_add(1, Ordering::Relaxed);
        assert!(!connections.read(is_of_pool).await.expect("an answer"));
    }

    #[tokio::test]
    async fn a_dropped_read_does_not_begin_or_ends_at_its_next_check() {
        use std::sync::mpsc::channel;

        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::sqlite_file(folder.path().join("schools.db"));
        config.pool.max_size = 1;
        crate::migrate::up(&config).await.expect("a schema");
        let connections = Arc::new(Connections::open(&config).expect("a database"));
        let spawn_read = |read: Box<dyn FnOnce() -> Result<()> + Send>| {
            let connections = Arc::clone(&connections);
            tokio::spawn(async move { connections.read(move |_| read()).await })
        };
        let (go, wait) = channel::<()>();
        let (report, checked) = channel();
        let begun = spawn_read(Box::new(move || {
            let _ = wait.recv();
            let check = require_caller();
            let _ = report.send(check.is_err());
            check
        }));
        let (waiting_began, began) = channel::<()>();
        while connections.status().idle != 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let waiting = spawn_read(Box::new(move || {
            let _ = waiting_began.send(());
            Ok(())
        }));
        while connections.status().waiting == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for read in [begun, waiting] {
            read.abort();
            assert!(read.await.expect_err("aborted").is_cancelled());
        }
        go.send(()).expect("it waits");
        assert!(tokio::task::spawn_blocking(move || checked.recv()).await.expect("no panic").expect("it checks"));
        // The next read waits for the connection behind the dropped one.
        connections.read(|_| Ok(())).await.expect("a connection");
        assert!(began.try_recv().is_err(), "it did not begin");
    }
}
