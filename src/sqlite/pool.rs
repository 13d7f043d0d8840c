//! The connections of a repository: pooled, single, or one per call.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool, PooledConnection};
use parking_lot::{Condvar, Mutex};

use super::caller::{caller, run_for};
use super::errors::{self, classify};
use super::generations::Follower;
use super::migrations::SCRIPTS;
#[cfg(feature = "postgres")]
use super::set_up::not_sqlite;
use super::set_up::{
    SetUp, cannot_open, clearing_full_cache, connect_to_file, existing_file, is_set_up, restore, use_write_ahead_log,
    version,
};
use super::threads::{Thread, Threads};
use super::transactions::{begin_immediate, end, is_in_transaction};
use crate::config::{Backend, Config, FileAccess, PoolConfig, PoolMode, Target};
use crate::error::{Error, Result, wrong_pool};
use crate::migrations::Engine;
use crate::repository::unit_of_work::Slot;
use crate::repository::{Health, Point, PoolStatus, Position};
use crate::request::WriteMode;
use crate::tasks::{Output, blocking};

/// The minimum timeout for opening a file.
const MIN_OPEN_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest wait that r2d2 can add to the time without overflow: over a hundred years.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// The connections of a repository.
pub(super) struct Connections {
    pooling: Pooling,
    /// The file, for further connections; `None` for a database in memory.
    file: Option<(PathBuf, FileAccess)>,
    set_up: SetUp,
    /// The number of calls that wait for a connection.
    waiting: AtomicU32,
    /// The tasks that hold a unit of work.
    unit_holders: Mutex<Vec<Task>>,
    unit_of_work_timeout: Duration,
}

/// How connections are stored between calls.
enum Pooling {
    Pooled {
        pool: Pool<ConnectionManager<SqliteConnection>>,
        threads: Threads,
        acquire_timeout: Duration,
    },
    Single {
        single: Arc<Single>,
        acquire_timeout: Duration,
    },
    PerCall {
        url: String,
    },
    /// The connection of a unit of work.
    Unit(Arc<Slot<UnitConnection>>),
    /// Those to the newest generation, which serve every call. Calls wait a moment for generation `at_least`.
    Following {
        follower: Arc<Follower>,
        at_least: u64,
    },
}

/// A connection that stays open.
struct Single {
    /// `None` while a call uses it.
    connection: Mutex<Option<SqliteConnection>>,
    checked_in: Condvar,
}

impl Pooling {
    fn pooled(pool: Pool<ConnectionManager<SqliteConnection>>, path: &Path, acquire_timeout: Duration) -> Result<Self> {
        let threads = Threads::new(pool.max_size()).map_err(|reason| Error::CannotOpen {
            path: path.to_owned(),
            reason: format!("its threads cannot be started: {reason}"),
        })?;
        Ok(Self::Pooled { pool, threads, acquire_timeout })
    }

    fn single(connection: SqliteConnection, acquire_timeout: Duration) -> Self {
        let single = Single { connection: Mutex::new(Some(connection)), checked_in: Condvar::new() };
        Self::Single { single: Arc::new(single), acquire_timeout }
    }
}

/// A connection that is checked out. A pooled one whose call panicked, or left a transaction open, is broken: r2d2
/// replaces it.
enum CheckedOut {
    Pooled(PooledConnection<ConnectionManager<SqliteConnection>>),
    Single { connection: Option<SqliteConnection>, single: Arc<Single> },
    PerCall(SqliteConnection),
}

impl CheckedOut {
    fn connection(&mut self) -> Result<&mut SqliteConnection> {
        match self {
            Self::Pooled(connection) => Ok(connection),
            Self::PerCall(connection) => Ok(connection),
            Self::Single { connection, .. } => connection.as_mut().ok_or(Error::UnitOfWorkOpen),
        }
    }
}

impl Drop for CheckedOut {
    fn drop(&mut self) {
        if let Self::Single { connection, single } = self {
            if let Some(connection) = connection
                && (std::thread::panicking() || is_in_transaction(connection))
                && let Err(error) = restore(connection)
            {
                tracing::error!(%error, "a connection could not be restored");
            }
            *single.connection.lock() = connection.take();
            single.checked_in.notify_one();
        }
    }
}

/// The connection of a unit of work, in its transaction.
pub(super) struct UnitConnection {
    checked_out: CheckedOut,
    parent: Arc<Connections>,
    holder: Task,
}

impl UnitConnection {
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection> {
        self.checked_out.connection()
    }
}

impl Drop for UnitConnection {
    fn drop(&mut self) {
        self.parent.unit_holders.lock().retain(|holder| *holder != self.holder);
    }
}

/// A task of tokio, or the thread of one that has no id, such as that of `block_on`.
type Task = (Option<tokio::task::Id>, Option<std::thread::ThreadId>);

fn this_task() -> Task {
    let id = tokio::task::try_id();
    (id, id.is_none().then(|| std::thread::current().id()))
}

impl Connections {
    /// Opens an existing database and checks that it has this build's schema. A database in memory is always new and
    /// gets its schema here. Nothing is written to a file before the check has passed.
    pub(super) fn open(config: &Config) -> Result<Self> {
        let PoolConfig { acquire_timeout, busy_timeout, unit_of_work_timeout, .. } = config.pool;
        let set_up = SetUp { busy_timeout };
        let pooling = match &config.target {
            Target::SqliteFile { path, access } => return Self::open_file(path, *access, &config.pool, false),
            Target::SqliteGenerations { folder, immutable } => {
                Pooling::Following { follower: Follower::open(folder, *immutable, &config.pool)?, at_least: 0 }
            }
            Target::SqliteMemory => {
                let mut connection = set_up.connect(":memory:")?;
                Engine::new(SCRIPTS).up(&mut connection).map_err(classify)?;
                Pooling::single(connection, acquire_timeout)
            }
            #[cfg(feature = "postgres")]
            Target::Postgres(_) => return Err(not_sqlite()),
        };
        Ok(Self::new(pooling, None, set_up, unit_of_work_timeout))
    }

    /// Opens a file. That of a generation may be removed while it is in use, so all its connections are opened here,
    /// and stay open.
    pub(super) fn open_file(path: &Path, access: FileAccess, config: &PoolConfig, is_generation: bool) -> Result<Self> {
        let PoolConfig { mode, max_size, acquire_timeout, busy_timeout, unit_of_work_timeout, .. } = *config;
        let mode = if is_generation && mode == PoolMode::PerCall { PoolMode::Single } else { mode };
        let set_up = SetUp { busy_timeout };
        let mut first = connect_to_file(path, access, set_up)?;
        prepare(&mut first, path, access)?;
        let url = existing_file(path, access)?;
        let pooling = match mode {
            PoolMode::Single => Pooling::single(first, acquire_timeout),
            PoolMode::PerCall => Pooling::PerCall { url },
            PoolMode::Pooled => {
                let builder = match is_generation {
                    false => Pool::builder().min_idle(Some(1)),
                    true => Pool::builder().idle_timeout(None).max_lifetime(None),
                };
                let pool = builder
                    .max_size(max_size.max(1))
                    // The first connection takes time even where calls must not wait.
                    .connection_timeout(acquire_timeout.clamp(MIN_OPEN_TIMEOUT, LONGEST))
                    // A connection to a file cannot break by itself.
                    .test_on_check_out(false)
                    .connection_customizer(Box::new(set_up))
                    .build(ConnectionManager::new(url))
                    .map_err(|error| cannot_acquire(&error, acquire_timeout))?;
                Pooling::pooled(pool, path, acquire_timeout)?
            }
        };
        Ok(Self::new(pooling, Some((path.to_owned(), access)), set_up, unit_of_work_timeout))
    }

    /// Takes the connections of a pool that exists, and checks one of them as [`open`](Self::open) does.
    pub(super) fn of_pool(pool: Pool<ConnectionManager<SqliteConnection>>, config: &Config) -> Result<Self> {
        let (path, access) = match &config.target {
            Target::SqliteFile { path, access } => (path, *access),
            Target::SqliteMemory => return Err(wrong_pool("needs a file: a database in memory is in one connection")),
            Target::SqliteGenerations { .. } => {
                return Err(wrong_pool("needs one file: connections to generations are replaced with them"));
            }
            #[cfg(feature = "postgres")]
            Target::Postgres(_) => return Err(not_sqlite()),
        };
        let acquire_timeout = pool.connection_timeout();
        let mut first = pool.get().map_err(|error| cannot_acquire(&error, acquire_timeout))?;
        if !is_set_up(&mut first).map_err(|error| classify(error.into()))? {
            return Err(wrong_pool("was built without `sqlite::customizer` as its connection_customizer"));
        }
        prepare(&mut first, path, access)?;
        drop(first);
        let PoolConfig { busy_timeout, unit_of_work_timeout, .. } = config.pool;
        let pooling = Pooling::pooled(pool, path, acquire_timeout)?;
        Ok(Self::new(pooling, Some((path.clone(), access)), SetUp { busy_timeout }, unit_of_work_timeout))
    }

    fn new(
        pooling: Pooling,
        file: Option<(PathBuf, FileAccess)>,
        set_up: SetUp,
        unit_of_work_timeout: Duration,
    ) -> Self {
        Self { pooling, file, set_up, waiting: AtomicU32::new(0), unit_holders: Mutex::default(), unit_of_work_timeout }
    }

    /// Returns the connections that serve a call.
    async fn current(self: &Arc<Self>) -> Arc<Self> {
        match &self.pooling {
            Pooling::Following { follower, at_least } => follower.connections_at_least(*at_least).await,
            _ => Arc::clone(self),
        }
    }

    /// Returns the number of the generation in use, if this follows generations.
    pub(super) fn generation(&self) -> Option<u64> {
        match &self.pooling {
            Pooling::Following { follower, .. } => Some(follower.generation().0),
            _ => None,
        }
    }

    /// Returns connections that wait a moment for a generation.
    pub(super) fn at_least(self: &Arc<Self>, generation: u64) -> Arc<Self> {
        let Pooling::Following { follower, .. } = &self.pooling else { return Arc::clone(self) };
        let pooling = Pooling::Following { follower: Arc::clone(follower), at_least: generation };
        Arc::new(Self::new(pooling, None, self.set_up, self.unit_of_work_timeout))
    }

    /// Begins a transaction, and returns the connections of a unit of work.
    pub(super) async fn begin_unit(self: Arc<Self>) -> Result<(Self, Duration)> {
        self.refuse_holder(true)?;
        if matches!(self.pooling, Pooling::Following { .. }) {
            return Err(Error::ReadOnly);
        }
        if matches!(self.pooling, Pooling::Unit(_)) {
            return Err(Error::UnitOfWorkOpen);
        }
        let holder = this_task();
        let parent = Arc::clone(&self);
        let connection = blocking(move || {
            let mut checked_out = parent.typed(parent.check_out())?;
            parent.typed(begin_immediate(checked_out.connection()?).map_err(Error::from))?;
            parent.unit_holders.lock().push(holder);
            Ok(UnitConnection { checked_out, parent, holder })
        })
        .await?;
        let unit = Pooling::Unit(Slot::new(connection));
        Ok((Self::new(unit, self.file.clone(), self.set_up, Duration::ZERO), self.unit_of_work_timeout))
    }

    /// Commits or rolls back a unit of work.
    pub(super) async fn finish_unit(&self, mode: WriteMode) -> Result<()> {
        let Pooling::Unit(slot) = &self.pooling else { return Ok(()) };
        let (mut unit, _in_turn) = slot.check_out().await?;
        let finished = blocking(move || end(unit.connection()?, mode, |_| Ok(())).map_err(classify)).await;
        slot.end(match (&finished, mode) {
            (Ok(()), WriteMode::Commit) => "it was committed",
            _ => "it was rolled back",
        });
        finished
    }

    /// Returns whether these are the connections of a unit of work.
    pub(super) fn is_unit(&self) -> bool {
        matches!(self.pooling, Pooling::Unit(_))
    }

    /// Rolls back a unit of work that has not ended.
    pub(super) fn end_unit(&self, reason: &'static str) {
        if let Pooling::Unit(slot) = &self.pooling {
            slot.end(reason);
        }
    }

    /// Returns an error for a call that would wait for a unit of work of its own task: a write, or any call where there
    /// is one connection.
    pub(super) fn refuse_holder(&self, writes: bool) -> Result<()> {
        let waits = writes || matches!(self.pooling, Pooling::Single { .. });
        match waits && self.unit_holders.lock().contains(&this_task()) {
            true => Err(Error::UnitOfWorkOpen),
            false => Ok(()),
        }
    }

    /// Runs a read of this crate on a thread of the pool, once one is idle. Where writes or closures of the caller have
    /// taken connections, so that the thread would have none, the read waits for one in a blocking task.
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
        let (work, output) = boxed(work);
        self.read_boxed(work).await?;
        Ok(output.take())
    }

    async fn read_boxed(self: &Arc<Self>, work: Work) -> Result<()> {
        self.refuse_holder(false)?;
        let current = self.current().await;
        let connections = Arc::clone(&current);
        // Dropped with this future.
        let caller = caller();
        let waiting = Arc::downgrade(&caller);
        let work = move |connection: &mut SqliteConnection| run_for(&waiting, || work(connection));
        match current.idle().await? {
            Some((thread, mut connection)) => {
                thread.run(move || connections.typed(clearing_full_cache(work)(&mut connection))).await
            }
            None => connections.run_boxed(Box::new(work)).await,
        }
    }

    /// Runs work on a connection in a blocking task.
    pub(super) async fn run<T, W>(self: Arc<Self>, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        let (work, output) = boxed(work);
        self.run_boxed(work).await?;
        Ok(output.take())
    }

    async fn run_boxed(self: Arc<Self>, work: Work) -> Result<()> {
        let Pooling::Unit(slot) = &self.pooling else {
            let connections = self.current().await;
            return blocking(move || connections.with(work)).await;
        };
        let (mut unit, in_turn) = slot.check_out().await?;
        blocking(move || {
            let result = clearing_full_cache(work)(unit.connection()?);
            // SQLite itself rolls back where the disk fails.
            if result.is_ok() || is_in_transaction(unit.connection()?) {
                in_turn.check_in(unit);
            }
            self.typed(result)
        })
        .await
    }

    /// Waits for an idle thread of the pool, and returns it with an idle connection. Returns `None` where there is none,
    /// or calls are waiting for one.
    async fn idle(&self) -> Result<Option<(Thread<'_>, PooledConnection<ConnectionManager<SqliteConnection>>)>> {
        let Pooling::Pooled { pool, threads, acquire_timeout } = &self.pooling else { return Ok(None) };
        if self.waiting.load(Ordering::Relaxed) > 0 {
            return Ok(None);
        }
        let thread = match threads.idle() {
            Some(thread) => thread,
            None => threads.wait(*acquire_timeout).await.ok_or_else(|| timed_out(*acquire_timeout))?,
        };
        Ok(pool.try_get().map(|connection| (thread, connection)))
    }

    /// Checks a connection out for `work`, waiting until one is available. It is checked in without an open
    /// transaction, even where `work` panics.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Result<T>) -> Result<T> {
        self.typed(self.check_out().and_then(|mut checked_out| clearing_full_cache(work)(checked_out.connection()?)))
    }

    /// Returns the result of a call with its error typed. SQLite opens files as needed, and does not report which one
    /// failed.
    fn typed<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| match (classify(error), &self.file) {
            (error @ Error::CannotOpen { .. }, Some((path, _))) => cannot_open(path, error),
            (other, _) => other,
        })
    }

    fn check_out(&self) -> Result<CheckedOut> {
        match &self.pooling {
            Pooling::Pooled { pool, acquire_timeout, .. } => {
                let connection = self.wait(|| pool.get_timeout((*acquire_timeout).min(LONGEST)));
                connection.map(CheckedOut::Pooled).map_err(|error| cannot_acquire(&error, *acquire_timeout))
            }
            Pooling::Single { single, acquire_timeout } => {
                let connection = self.wait(|| {
                    let mut connection = single.connection.lock();
                    single.checked_in.wait_while_for(&mut connection, |idle| idle.is_none(), *acquire_timeout);
                    connection.take()
                });
                let connection = Some(connection.ok_or_else(|| timed_out(*acquire_timeout))?);
                Ok(CheckedOut::Single { connection, single: Arc::clone(single) })
            }
            Pooling::PerCall { url } => Ok(CheckedOut::PerCall(self.set_up.connect(url)?)),
            // The connections of the newest generation are checked out, not these.
            Pooling::Following { follower, .. } => follower.connections().check_out(),
            Pooling::Unit(_) => Err(Error::UnitOfWorkOpen),
        }
    }

    fn wait<T>(&self, get: impl FnOnce() -> T) -> T {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let connection = get();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        connection
    }

    /// Returns whether the database can be used. A file is checked on a new connection, so that a moved file is
    /// noticed; a generation on one of its own.
    pub(super) fn health(&self) -> Result<Health> {
        let healthy = |connection: &mut SqliteConnection| {
            let version = format!("SQLite {}", version(connection)?);
            Ok(Health::new(Backend::Sqlite, version, Engine::new(SCRIPTS).require_usable(connection)?))
        };
        if let Pooling::Following { follower, .. } = &self.pooling {
            // Its file may be removed while it is in use.
            let (generation, connections) = follower.generation();
            let position = Some(Position(Point::Generation(generation)));
            return Ok(Health { generation: Some(generation), position, ..connections.with(healthy)? });
        }
        match &self.file {
            Some((path, access)) => healthy(&mut connect_to_file(path, *access, self.set_up)?).map_err(classify),
            None => self.with(healthy),
        }
    }

    /// Returns the number of connections.
    pub(super) fn status(&self) -> PoolStatus {
        if let Pooling::Following { follower, .. } = &self.pooling {
            return follower.connections().status();
        }
        let mut status = PoolStatus { waiting: self.waiting.load(Ordering::Relaxed), ..PoolStatus::default() };
        match &self.pooling {
            Pooling::Pooled { pool, threads, .. } => {
                let state = pool.state();
                status.waiting = status.waiting.saturating_add(threads.waiting());
                (status.max, status.open, status.idle) = (pool.max_size(), state.connections, state.idle_connections);
            }
            Pooling::Single { single, .. } => {
                (status.max, status.open, status.idle) = (1, 1, u32::from(single.connection.lock().is_some()));
            }
            Pooling::PerCall { .. } | Pooling::Unit(_) | Pooling::Following { .. } => {}
        }
        status
    }
}

/// What runs on a connection.
type Work = Box<dyn FnOnce(&mut SqliteConnection) -> Result<()> + Send>;

fn boxed<T: Send + 'static>(
    work: impl FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
) -> (Work, Output<T>) {
    let (to, output) = Output::new();
    let work = move |connection: &mut SqliteConnection| {
        to.set(work(connection)?);
        Ok(())
    };
    (Box::new(work), output)
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.pooling {
            Pooling::Pooled { pool, .. } => write!(f, "Pooled({:?})", pool.state()),
            Pooling::Single { .. } => f.write_str("Single"),
            Pooling::PerCall { .. } => f.write_str("PerCall"),
            Pooling::Unit(_) => f.write_str("Unit"),
            Pooling::Following { follower, .. } => write!(f, "Following({:?})", follower.connections()),
        }
    }
}

/// Checks that a file has this build's schema, and then sets its journal mode.
fn prepare(connection: &mut SqliteConnection, path: &Path, access: FileAccess) -> Result<()> {
    Engine::new(SCRIPTS)
        .require_usable(connection)
        .map_err(classify)
        .and_then(|_| if access.is_written() { use_write_ahead_log(connection) } else { Ok(()) })
        .map_err(|error| cannot_open(path, error))
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
    async fn a_read_waits_for_a_thread_or_behind_a_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::sqlite_file(folder.path().join("schools.db"));
        config.pool.max_size = 1;
        crate::migrate::up(&config).await.expect("a schema");
        let connections = Arc::new(Connections::open(&config).expect("a database"));
        let is_of_pool = |_: &mut SqliteConnection| {
            Ok(std::thread::current().name().is_some_and(|name| name.starts_with("sqlite-")))
        };
        assert!(connections.read(is_of_pool).await.expect("an answer"));

        for first_is_read in [true, false] {
            let ((go, wait), (begins, has_begun)) = (std::sync::mpsc::channel::<()>(), std::sync::mpsc::channel());
            let work = move |_: &mut SqliteConnection| {
                let _ = begins.send(());
                Ok(wait.recv().is_ok())
            };
            let parent = Arc::clone(&connections);
            let first =
                tokio::spawn(
                    async move { if first_is_read { parent.read(work).await } else { parent.run(work).await } },
                );
            tokio::task::spawn_blocking(move || has_begun.recv()).await.expect("no panic").expect("it begins");
            let parent = Arc::clone(&connections);
            let second = tokio::spawn(async move { parent.read(is_of_pool).await });
            let waiting = async {
                while connections.status().waiting == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it waits");
            go.send(()).expect("it waits");
            assert!(first.await.expect("no panic").expect("an answer"));
            assert_eq!(second.await.expect("no panic").expect("an answer"), first_is_read);
            assert_eq!(connections.status().waiting, 0);
        }

        // A call does not overtake those that wait for a connection.
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
        let (begins, has_begun) = channel::<()>();
        let begun = spawn_read(Box::new(move || {
            let _ = begins.send(());
            let _ = wait.recv();
            let check = require_caller();
            let _ = report.send(check.is_err());
            check
        }));
        let (waiting_began, began) = channel::<()>();
        // It has its connection a moment before that.
        tokio::task::spawn_blocking(move || has_begun.recv()).await.expect("no panic").expect("it begins");
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
