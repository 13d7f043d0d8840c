//! Connections that are ready for use: one set-up for all, whether pooled, single or made for one call.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::connection::{
    CacheSize, Instrumentation, InstrumentationEvent, SimpleConnection, get_default_instrumentation,
};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PooledConnection};
use diesel::sql_types::{Integer, Text};
use parking_lot::Mutex;

use super::threads::{Thread, Threads};
use super::{errors, functions};
use crate::config::{Backend, Config, PoolConfig, PoolMode, Target};
use crate::error::{Error, Result};
use crate::migrate::{Patience, require_current, up_on_conn};
use crate::repository::{Health, PoolStatus, blocking};

/// The oldest SQLite that is trusted. Older ones can lose committed transactions: the WAL-reset bug, mended in 3.51.3
/// (sqlite.org/wal.html).
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// How long opening a file may take at least.
const FIRST: Duration = Duration::from_secs(1);

/// As long a wait as r2d2 can add to what the clock says: a hundred years and more.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// How many statements a connection prepares before it forgets them. Each search with other conditions is another one, which Diesel
/// never forgets, and which takes SQLite some 30 kB.
const MOST_STATEMENTS: u32 = 256;

thread_local! {
    /// The connection that this thread works on has prepared as many statements as it may.
    static IS_FULL: Cell<bool> = const { Cell::new(false) };
}

/// The connections of a repository.
pub(super) struct Connections {
    held: Held,
    /// The file, to make further connections to; nothing for a database in memory.
    file: Option<PathBuf>,
    set_up: SetUp,
    /// How many calls wait for a connection.
    waiting: AtomicU32,
}

/// How connections are held between calls.
enum Held {
    Pooled { pool: Pool<ConnectionManager<SqliteConnection>>, threads: Threads, acquire_timeout: Duration },
    Single { kept: Box<Mutex<Kept>>, acquire_timeout: Duration },
    PerCall { url: String },
}

/// A connection that is kept for good.
struct Kept {
    connection: SqliteConnection,
    /// A call works on it, or panicked while it did.
    is_at_work: bool,
}

impl Held {
    fn single(connection: SqliteConnection, acquire_timeout: Duration) -> Self {
        Self::Single { kept: Box::new(Mutex::new(Kept { connection, is_at_work: false })), acquire_timeout }
    }
}

impl Connections {
    /// Opens an existing database and checks that it is one of ours, at this build's version. A database in memory is
    /// always new and gets its schema here. Nothing is written to a file before it has passed.
    pub(super) fn open(config: &Config) -> Result<Self> {
        let PoolConfig { mode, max_size, acquire_timeout, busy_timeout, .. } = config.pool;
        let set_up = SetUp { busy_timeout };
        let path = match &config.target {
            Target::SqliteFile(path) => path,
            Target::SqliteMemory => {
                let mut connection = set_up.connect(":memory:")?;
                up_on_conn(&mut connection, &Patience { longest: busy_timeout, on_wait: None })?;
                return Ok(Self::new(Held::single(connection, acquire_timeout), None, set_up));
            }
            #[cfg(feature = "postgres")]
            Target::Postgres(_) => return Err(not_sqlite()),
        };
        let mut first = connect_to_file(path, set_up)?;
        require_current(&mut first)
            .and_then(|_| use_write_ahead_log(&mut first))
            .map_err(|error| cannot_open(path, error))?;
        let url = existing_file(path)?;
        let held = match mode {
            PoolMode::Single => Held::single(first, acquire_timeout),
            PoolMode::PerCall => Held::PerCall { url },
            PoolMode::Pooled => {
                let max_size = max_size.max(1);
                let threads = Threads::new(max_size).map_err(|reason| Error::CannotOpen {
                    path: path.clone(),
                    reason: format!("its threads cannot be started: {reason}"),
                })?;
                let pool = Pool::builder()
                    .max_size(max_size)
                    .min_idle(Some(1))
                    // For the first one, which takes its time also where calls are not to wait.
                    .connection_timeout(acquire_timeout.clamp(FIRST, LONGEST))
                    // A connection to a file cannot go away by itself.
                    .test_on_check_out(false)
                    .connection_customizer(Box::new(set_up))
                    .build(ConnectionManager::new(url))
                    .map_err(|error| cannot_acquire(&error, acquire_timeout))?;
                Held::Pooled { pool, threads, acquire_timeout }
            }
        };
        Ok(Self::new(held, Some(path.clone()), set_up))
    }

    fn new(held: Held, file: Option<PathBuf>, set_up: SetUp) -> Self {
        Self { held, file, set_up, waiting: AtomicU32::new(0) }
    }

    /// Lends a connection to a question of the crate's own: at once, on a thread of the pool, where both are idle.
    ///
    /// Not for writes, which a runtime that is dropped waits for only where they are blocking tasks of tokio's, nor for closures of
    /// others, which might use rayon themselves and then run other calls in the middle of their own: see [`with`](Self::with).
    pub(super) async fn ask<T, W>(self: &Arc<Self>, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        let connections = Arc::clone(self);
        match self.idle() {
            Some((thread, mut connection)) => {
                thread.run(move || connections.told(forgetting(work)(&mut connection))).await
            }
            None => blocking(move || connections.with(work)).await,
        }
    }

    /// A thread and a connection of the pool that are idle, unless there are calls that wait for a connection.
    fn idle(&self) -> Option<(Thread<'_>, PooledConnection<ConnectionManager<SqliteConnection>>)> {
        match &self.held {
            Held::Pooled { pool, threads, .. } if self.waiting.load(Ordering::Relaxed) == 0 => {
                Some((threads.free()?, pool.try_get()?))
            }
            _ => None,
        }
    }

    /// Lends a connection to `work`, once there is one. It comes back without an open transaction, also where `work` panics.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Result<T>) -> Result<T> {
        self.told(self.lend(forgetting(work)))
    }

    /// SQLite opens files as it goes, and does not say which one it could not.
    fn told<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| match (error, &self.file) {
            (Error::CannotOpen { reason, .. }, Some(file)) => Error::CannotOpen { path: file.clone(), reason },
            (other, _) => other,
        })
    }

    fn lend<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Result<T>) -> Result<T> {
        match &self.held {
            Held::Pooled { pool, acquire_timeout, .. } => {
                // A connection whose call panicked, or left a transaction open, is broken: r2d2 replaces it.
                let connection = self.wait(|| pool.get_timeout((*acquire_timeout).min(LONGEST)));
                work(&mut *connection.map_err(|error| cannot_acquire(&error, *acquire_timeout))?)
            }
            Held::Single { kept, acquire_timeout } => {
                let kept = self.wait(|| kept.try_lock_for(*acquire_timeout));
                let mut kept = kept.ok_or_else(|| timed_out(*acquire_timeout))?;
                if std::mem::replace(&mut kept.is_at_work, true) {
                    restore(&mut kept.connection)?;
                }
                let result = work(&mut kept.connection);
                kept.is_at_work = false;
                result
            }
            Held::PerCall { url } => work(&mut self.set_up.connect(url)?),
        }
    }

    fn wait<T>(&self, get: impl FnOnce() -> T) -> T {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let connection = get();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        connection
    }

    /// Whether the database can be used: a file by a connection of its own, so that one that was moved away is missed.
    pub(super) fn health(&self) -> Result<Health> {
        let healthy = |connection: &mut SqliteConnection| {
            let version = format!("SQLite {}", version(connection)?);
            Ok(Health::new(Backend::Sqlite, version, require_current(connection)?))
        };
        match &self.file {
            Some(file) => healthy(&mut connect_to_file(file, self.set_up)?),
            None => self.with(healthy),
        }
    }

    /// How many connections there are.
    pub(super) fn status(&self) -> PoolStatus {
        let mut status = PoolStatus { waiting: self.waiting.load(Ordering::Relaxed), ..PoolStatus::default() };
        match &self.held {
            Held::Pooled { pool, .. } => {
                let state = pool.state();
                (status.max, status.open, status.idle) = (pool.max_size(), state.connections, state.idle_connections);
            }
            Held::Single { kept, .. } => {
                (status.max, status.open, status.idle) = (1, 1, u32::from(!kept.is_locked()));
            }
            Held::PerCall { .. } => {}
        }
        status
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.held {
            Held::Pooled { pool, .. } => write!(f, "Pooled({:?})", pool.state()),
            Held::Single { .. } => f.write_str("Single"),
            Held::PerCall { .. } => f.write_str("PerCall"),
        }
    }
}

/// Work after which a connection that is full of statements forgets them.
fn forgetting<T>(
    work: impl FnOnce(&mut SqliteConnection) -> Result<T>,
) -> impl FnOnce(&mut SqliteConnection) -> Result<T> {
    |connection| {
        let result = work(connection);
        if IS_FULL.take() {
            // Diesel makes a new cache where the size is another one.
            connection.set_prepared_statement_cache_size(CacheSize::Disabled);
            connection.set_prepared_statement_cache_size(CacheSize::Unbounded);
        }
        result
    }
}

/// What every connection needs before its first query.
#[derive(Debug, Clone, Copy)]
pub(super) struct SetUp {
    pub(super) busy_timeout: Duration,
}

impl SetUp {
    /// Opens a connection and sets it up.
    pub(super) fn connect(&self, url: &str) -> Result<SqliteConnection> {
        let mut connection = SqliteConnection::establish(url).map_err(|error| {
            let reason = error.to_string();
            errors::from_message(&reason).unwrap_or(Error::CannotOpen { path: url.into(), reason })
        })?;
        self.apply(&mut connection).map_err(Error::from)?;
        require_trusted_version(&mut connection)?;
        Ok(connection)
    }

    fn apply(&self, connection: &mut SqliteConnection) -> QueryResult<()> {
        // The timeout comes first, so that it holds for all that follows. It is a number, and a PRAGMA takes no binds.
        // More than SQLite can count would be no timeout at all.
        let milliseconds = i32::try_from(self.busy_timeout.as_millis()).unwrap_or(i32::MAX);
        let busy_timeout = format!("PRAGMA busy_timeout = {milliseconds}");
        connection.batch_execute(&busy_timeout)?;
        // SQLite's own 2 MB hold less than one index of a whole register, and every search would read pages again. The memory
        // is taken as pages are read. Not `mmap_size`: a file that is cut off, or a disk that fails, would end the process.
        connection.batch_execute(
            "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; \
             PRAGMA cache_size = -32768;",
        )?;
        functions::register(connection)?;
        connection.set_instrumentation(noting());
        let pragma = diesel::dsl::sql::<Integer>("SELECT foreign_keys FROM pragma_foreign_keys");
        match pragma.get_result::<i32>(connection)? {
            1 => Ok(()),
            // A library built with SQLITE_OMIT_FOREIGN_KEY, or a transaction begun too early.
            _ => Err(diesel::result::Error::QueryBuilderError("SQLite refuses to enforce foreign keys".into())),
        }
    }
}

/// What a connection's instrumentation does.
fn noting() -> impl FnMut(InstrumentationEvent<'_>) {
    let mut prepared = 0_u32;
    let mut application = get_default_instrumentation();
    move |event| {
        if matches!(event, InstrumentationEvent::CacheQuery { .. }) {
            prepared += 1;
            if prepared == MOST_STATEMENTS {
                prepared = 0;
                IS_FULL.set(true);
            }
        }
        // Whoever set one for all connections of Diesel is told too.
        if let Some(application) = &mut application {
            application.on_connection_event(event);
        }
    }
}

/// Brings a connection back to what every call counts on. Diesel does not know of a transaction that was begun in plain SQL,
/// and in one the pragma does nothing: it is rolled back first, where there is one.
pub(super) fn restore(connection: &mut SqliteConnection) -> QueryResult<()> {
    // Until it fails, since there is none: Diesel takes notice of that alone.
    while connection.batch_execute("ROLLBACK").is_ok() {}
    connection.batch_execute("PRAGMA foreign_keys = ON; PRAGMA legacy_alter_table = OFF")
}

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for SetUp {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        self.apply(connection).map_err(diesel::r2d2::Error::QueryError)
    }
}

/// The configuration names another backend.
#[cfg(feature = "postgres")]
pub(super) fn not_sqlite() -> Error {
    Error::BackendMismatch { backend: "sqlite", url_is_for: "postgres" }
}

/// The URL that opens an existing file, and never creates one.
pub(super) fn existing_file(path: &Path) -> Result<String> {
    let reason = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => "it is a folder; name the file in it",
        Ok(_) => return file_url(path, "rw"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "there is no such file; `school-finder migrate up`, or `migrate::up`, creates it"
        }
        Err(error) => return Err(Error::CannotOpen { path: path.to_owned(), reason: error.to_string() }),
    };
    Err(Error::CannotOpen { path: path.to_owned(), reason: reason.to_owned() })
}

/// The URL that opens a file and creates it where there is none.
pub(super) fn creatable_file(path: &Path) -> Result<String> {
    file_url(path, "rwc")
}

/// A `file:` URL. The signs that have a meaning in one are escaped, so that any path is only a path.
fn file_url(path: &Path, mode: &str) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Error::CannotOpen {
        path: path.to_owned(),
        reason: "its name is not UTF-8 text, which SQLite needs".to_owned(),
    })?;
    let path = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Ok(format!("file:{path}?mode={mode}"))
}

/// An error from opening names the file as the caller wrote it.
pub(super) fn cannot_open(path: &Path, error: Error) -> Error {
    match error {
        Error::CannotOpen { reason, .. } => Error::CannotOpen { path: path.to_owned(), reason },
        Error::Database(reason) => Error::CannotOpen { path: path.to_owned(), reason: reason.to_string() },
        other => other,
    }
}

fn cannot_acquire(error: &diesel::r2d2::PoolError, waited: Duration) -> Error {
    // r2d2 adds what the last attempt to connect said, where there was one.
    match error.to_string().split_once(": ") {
        Some((_, reason)) => errors::from_message(reason)
            .unwrap_or_else(|| Error::CannotOpen { path: "".into(), reason: reason.to_owned() }),
        None => timed_out(waited),
    }
}

fn timed_out(waited: Duration) -> Error {
    Error::PoolTimeout { waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX) }
}

/// Readers and one writer at a time do not wait for each other. The setting stays with the file.
fn use_write_ahead_log(connection: &mut SqliteConnection) -> Result<()> {
    match connection.batch_execute("PRAGMA journal_mode = WAL").map_err(Error::from) {
        // A file that cannot be written to can still be read.
        Err(Error::ReadOnly) => Ok(()),
        other => other,
    }
}

fn connect_to_file(path: &Path, set_up: SetUp) -> Result<SqliteConnection> {
    set_up.connect(&existing_file(path)?).map_err(|error| cannot_open(path, error))
}

fn version(connection: &mut SqliteConnection) -> Result<String> {
    Ok(diesel::dsl::sql::<Text>("SELECT sqlite_version()").get_result(connection)?)
}

fn require_trusted_version(connection: &mut SqliteConnection) -> Result<()> {
    let found = version(connection)?;
    let mut parts = found.split('.').map(|part| part.parse().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    let version = (part(), part(), part());
    if version < OLDEST_SQLITE {
        Err(Error::UnsupportedVersion { software: "SQLite", found, needed: "3.51.3" })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each search with other conditions is another statement, which SQLite keeps.
    #[test]
    fn a_connection_prepares_so_many_statements_and_forgets_them() {
        use crate::sqlite::catalogue::sqlite_master;
        use crate::sqlite::schema::schools;

        // Every connection notes it,
        let mut connection = SetUp { busy_timeout: Duration::ZERO }.connect(":memory:").expect("a connection");
        for conditions in 1..=MOST_STATEMENTS {
            assert!(!IS_FULL.get(), "{conditions}");
            let mut query = sqlite_master::table.count().into_boxed();
            for _ in 0..conditions {
                query = query.filter(sqlite_master::name.ne("schools"));
            }
            assert_eq!(query.get_result::<i64>(&mut connection).expect("a count"), 0);
        }
        assert!(IS_FULL.take());

        // and the call that makes it full ends with none.
        let connections = Connections::open(&Config::in_memory()).expect("a database");
        let prepared = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&prepared);
        let note = |connection: &mut SqliteConnection| {
            let mut noting = noting();
            connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                if matches!(event, InstrumentationEvent::CacheQuery { .. }) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                noting(event);
            });
            Ok(())
        };
        connections.with(note).expect("noted");
        let ask = |conditions: u32| {
            let ask = |connection: &mut SqliteConnection| {
                let mut query = schools::table.count().into_boxed();
                for age in 0..conditions {
                    query = query.filter(schools::age_range_from.ne(i16::try_from(age).unwrap_or(0)));
                }
                Ok(query.get_result::<i64>(connection)?)
            };
            assert_eq!(connections.with(ask).expect("a count"), 0);
            prepared.load(Ordering::Relaxed)
        };
        assert_eq!((ask(0), ask(0)), (1, 1), "prepared once");
        for conditions in 1..MOST_STATEMENTS {
            ask(conditions);
        }
        assert_eq!(ask(0), MOST_STATEMENTS + 1, "forgotten, and prepared anew");
        assert_eq!(ask(0), MOST_STATEMENTS + 1, "and then kept");
    }

    #[tokio::test]
    async fn questions_are_on_threads_of_the_pool_unless_they_wait() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::sqlite_file(folder.path().join("schools.db"));
        config.pool.max_size = 1;
        crate::migrate::up(&config).await.expect("a schema");
        let connections = Arc::new(Connections::open(&config).expect("a database"));
        let is_of_pool = |_: &mut SqliteConnection| {
            Ok(std::thread::current().name().is_some_and(|name| name.starts_with("sqlite-")))
        };
        assert!(connections.ask(is_of_pool).await.expect("an answer"));

        // Whoever finds none idle waits for it in r2d2,
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let works = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.ask(move |_| Ok(wait.recv().is_ok())).await }
        });
        let waits = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.ask(is_of_pool).await }
        });
        while connections.status().waiting == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        go.send(()).expect("it waits");
        assert!(works.await.expect("no panic").expect("an answer"));
        assert!(!waits.await.expect("no panic").expect("an answer"));

        // and whoever comes while another waits does not overtake it.
        connections.waiting.fetch_add(1, Ordering::Relaxed);
        assert!(!connections.ask(is_of_pool).await.expect("an answer"));
    }

    #[test]
    fn foreign_keys_that_were_off_are_on() {
        let mut connection = SqliteConnection::establish(":memory:").expect("a database");
        let on = |connection: &mut SqliteConnection| {
            let pragma = diesel::dsl::sql::<Integer>("SELECT foreign_keys FROM pragma_foreign_keys");
            pragma.get_result::<i32>(connection).expect("a pragma")
        };
        // The bundled library has them on by default, which would prove nothing.
        connection.batch_execute("PRAGMA foreign_keys = OFF").expect("off");
        assert_eq!(on(&mut connection), 0);
        let set_up = SetUp { busy_timeout: Duration::from_secs(1) };
        set_up.on_acquire(&mut connection).expect("a connection that is ready");
        assert_eq!(on(&mut connection), 1);
    }

    #[test]
    fn foreign_keys_that_cannot_be_turned_on_are_told() {
        let mut connection = SqliteConnection::establish(":memory:").expect("a database");
        // Within a transaction the pragma does nothing, silently.
        connection.batch_execute("PRAGMA foreign_keys = OFF; BEGIN").expect("a transaction");
        let set_up = SetUp { busy_timeout: Duration::from_secs(1) };
        assert!(set_up.on_acquire(&mut connection).is_err());
    }
}
