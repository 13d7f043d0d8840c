//! How every connection is opened and set up.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use diesel::connection::{
    CacheSize, Instrumentation, InstrumentationEvent, SimpleConnection, get_default_instrumentation,
};
use diesel::prelude::*;
use diesel::r2d2::CustomizeConnection;
use diesel::sql_types::{Bool, Integer, Text};

use super::{errors, functions};
use crate::config::FileAccess;
use crate::error::{Error, Result};
use crate::repository::refuse_older;

/// The oldest SQLite that is supported. Older ones can lose committed transactions: the WAL-reset bug, fixed in 3.51.3
/// (sqlite.org/wal.html).
const OLDEST_SQLITE: &str = "3.51.3";

/// How many statements a connection prepares before it clears its cache. Each combination of search conditions is a new
/// statement, which Diesel never evicts. Each takes some 30 kB in SQLite.
const MAX_STATEMENTS: u32 = 256;

thread_local! {
    /// Whether the connection in use on this thread has reached [`MAX_STATEMENTS`].
    static CACHE_IS_FULL: Cell<bool> = const { Cell::new(false) };
}

/// The settings that every connection needs before its first query.
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
        self.apply(&mut connection).map_err(|error| errors::classify(error.into()))?;
        refuse_older("SQLite", &version(&mut connection)?, OLDEST_SQLITE)?;
        Ok(connection)
    }

    fn apply(&self, connection: &mut SqliteConnection) -> QueryResult<()> {
        // The timeout comes first, so that it applies to all that follows. A PRAGMA takes no binds, and this is a
        // number. A value above `i32::MAX` would disable the timeout.
        let milliseconds = i32::try_from(self.busy_timeout.as_millis()).unwrap_or(i32::MAX);
        let busy_timeout = format!("PRAGMA busy_timeout = {milliseconds}");
        connection.batch_execute(&busy_timeout)?;
        // SQLite's default cache of 2 MB is smaller than one index of a full register, so every search would read pages
        // again. The memory is allocated as pages are read. `mmap_size` is not used: a truncated file or a failing disk
        // would end the process.
        connection.batch_execute(
            "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; \
             PRAGMA cache_size = -32768;",
        )?;
        functions::register(connection)?;
        connection.set_instrumentation(instrumentation());
        let pragma = diesel::dsl::sql::<Integer>("SELECT foreign_keys FROM pragma_foreign_keys");
        match pragma.get_result::<i32>(connection)? {
            1 => Ok(()),
            // The library was built with SQLITE_OMIT_FOREIGN_KEY, or a transaction is open.
            _ => Err(diesel::result::Error::QueryBuilderError("SQLite refuses to enforce foreign keys".into())),
        }
    }
}

/// Returns whether a connection of another pool was set up: it enforces foreign keys and has the SQL functions.
pub(super) fn is_set_up(connection: &mut SqliteConnection) -> QueryResult<bool> {
    let is_set_up = "SELECT foreign_keys AND EXISTS (SELECT 1 FROM pragma_function_list WHERE name = 'haversine')
        FROM pragma_foreign_keys";
    diesel::dsl::sql::<Bool>(is_set_up).get_result(connection)
}

/// Returns the instrumentation of a connection, which counts its prepared statements.
fn instrumentation() -> impl FnMut(InstrumentationEvent<'_>) {
    let mut prepared = 0_u32;
    let mut application = get_default_instrumentation();
    move |event| {
        if matches!(event, InstrumentationEvent::CacheQuery { .. }) {
            prepared += 1;
            if prepared == MAX_STATEMENTS {
                prepared = 0;
                CACHE_IS_FULL.set(true);
            }
        }
        // Events are passed on to an instrumentation that the application set for all connections of Diesel.
        if let Some(application) = &mut application {
            application.on_connection_event(event);
        }
    }
}

/// Restores a connection to the state that every call expects. Diesel does not track a transaction begun in plain SQL,
/// and the pragma has no effect inside one, so any open transaction is rolled back first.
pub(super) fn restore(connection: &mut SqliteConnection) -> QueryResult<()> {
    // Repeats until it fails because no transaction is open: only then does Diesel update its state.
    while connection.batch_execute("ROLLBACK").is_ok() {}
    connection.batch_execute("PRAGMA foreign_keys = ON; PRAGMA legacy_alter_table = OFF")
}

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for SetUp {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        self.apply(connection).map_err(diesel::r2d2::Error::QueryError)
    }
}

/// Returns the error for a configuration that names another backend.
#[cfg(feature = "postgres")]
pub(super) fn not_sqlite() -> Error {
    Error::BackendMismatch { backend: "sqlite", url_is_for: "postgres" }
}

/// Returns the URL that opens an existing file, and never creates one.
pub(super) fn existing_file(path: &Path, access: FileAccess) -> Result<String> {
    let refuse = |reason: &str| Err(Error::CannotOpen { path: path.to_owned(), reason: reason.to_owned() });
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return refuse("it is a folder; name the file in it"),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && access == FileAccess::Create => {
            return refuse("there is no such file; `school-finder migrate up`, or `migrate::up`, creates it");
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return refuse("there is no such file, and the mode in its URL does not create it");
        }
        Err(error) => return refuse(&error.to_string()),
    }
    match access {
        FileAccess::Create | FileAccess::Write => file_url(path, "rw"),
        FileAccess::Read => file_url(path, "ro"),
        FileAccess::Immutable => {
            let mut log = path.as_os_str().to_owned();
            log.push("-wal");
            // Its rows are not in the file yet, and would be missing.
            if Path::new(&log).exists() {
                return refuse(
                    "a -wal file stands beside it, so it is not immutable: close the programs that use it, or leave \
                     immutable=1 out",
                );
            }
            file_url(path, "ro&immutable=1")
        }
    }
}

/// Returns the URL that opens a file in a mode, such as `rwc`, which creates a missing one. Characters with a meaning
/// in URLs are escaped, so that any path is valid.
pub(super) fn file_url(path: &Path, mode: &str) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Error::CannotOpen {
        path: path.to_owned(),
        reason: "its name is not UTF-8 text, which SQLite needs".to_owned(),
    })?;
    let path = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Ok(format!("file:{path}?mode={mode}"))
}

/// Returns an error of opening with the path as the caller wrote it.
pub(super) fn cannot_open(path: &Path, error: Error) -> Error {
    match error {
        Error::CannotOpen { reason, .. } => {
            // SQLite says only that it cannot open the file.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
            let reason = match folder {
                Some(folder) => format!("there is no folder {folder:?}; create it first"),
                None => explained(path).map_or(reason, str::to_owned),
            };
            Error::CannotOpen { path: path.to_owned(), reason }
        }
        // Reading alone is refused with this.
        Error::ReadOnly => explained(path)
            .map_or(Error::ReadOnly, |reason| Error::CannotOpen { path: path.to_owned(), reason: reason.to_owned() }),
        Error::Database(reason) => Error::CannotOpen { path: path.to_owned(), reason: reason.to_string() },
        other => other,
    }
}

/// Returns why SQLite cannot open a file that is there and can be read: WAL mode needs files beside it.
fn explained(path: &Path) -> Option<&'static str> {
    use std::io::Read;
    let mut header = [0; 20];
    std::fs::File::open(path).ok()?.read_exact(&mut header).ok()?;
    // Byte 19 is the version that reads the file: 2 is WAL.
    (header[19] == 2).then_some(
        "it is in WAL mode, and SQLite cannot make its -shm file in this folder: give this program the right to write \
         there, or, where nothing writes the database, add ?immutable=1 to its URL",
    )
}

/// Wraps `work` so that a connection at its statement limit clears its cache afterwards.
pub(super) fn clearing_full_cache<T>(
    work: impl FnOnce(&mut SqliteConnection) -> Result<T>,
) -> impl FnOnce(&mut SqliteConnection) -> Result<T> {
    |connection| {
        let result = work(connection);
        if CACHE_IS_FULL.take() {
            // Diesel creates a new cache when the size changes.
            connection.set_prepared_statement_cache_size(CacheSize::Disabled);
            connection.set_prepared_statement_cache_size(CacheSize::Unbounded);
        }
        result
    }
}

/// Enables WAL mode, in which readers and one writer do not block each other. The setting is stored in the file.
pub(super) fn use_write_ahead_log(connection: &mut SqliteConnection) -> Result<()> {
    match connection.batch_execute("PRAGMA journal_mode = WAL").map_err(|error| errors::classify(error.into())) {
        // A read-only file, or one in a read-only folder, can still be read.
        Err(Error::ReadOnly | Error::CannotOpen { .. }) => Ok(()),
        other => other,
    }
}

pub(super) fn connect_to_file(path: &Path, access: FileAccess, set_up: SetUp) -> Result<SqliteConnection> {
    set_up.connect(&existing_file(path, access)?).map_err(|error| cannot_open(path, error))
}

pub(super) fn version(connection: &mut SqliteConnection) -> Result<String> {
    let query = diesel::dsl::sql::<Text>("SELECT sqlite_version()");
    query.get_result(connection).map_err(|error| errors::classify(error.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::config::Config;
    use crate::sqlite::pool::Connections;

    /// Each combination of search conditions is a new statement, which SQLite keeps.
    #[test]
    fn a_full_statement_cache_is_cleared() {
        use crate::sqlite::catalogue::sqlite_master;
        use crate::sqlite::schema::schools;

        // Every connection counts its statements,
        let mut connection = SetUp { busy_timeout: Duration::ZERO }.connect(":memory:").expect("a connection");
        for conditions in 1..=MAX_STATEMENTS {
            assert!(!CACHE_IS_FULL.get(), "{conditions}");
            let mut query = sqlite_master::table.count().into_boxed();
            for _ in 0..conditions {
                query = query.filter(sqlite_master::name.ne("schools"));
            }
            assert_eq!(query.get_result::<i64>(&mut connection).expect("a count"), 0);
        }
        assert!(CACHE_IS_FULL.take());

        // and the call that reaches the limit clears them.
        let connections = Connections::open(&Config::in_memory()).expect("a database");
        let prepared = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&prepared);
        let instrument = |connection: &mut SqliteConnection| {
            let mut counting = instrumentation();
            connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                if matches!(event, InstrumentationEvent::CacheQuery { .. }) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                counting(event);
            });
            Ok(())
        };
        connections.with(instrument).expect("instrumented");
        let prepared_by = |conditions: u32| {
            let query = |connection: &mut SqliteConnection| {
                let mut query = schools::table.count().into_boxed();
                for age in 0..conditions {
                    query = query.filter(schools::age_range_from.ne(i16::try_from(age).unwrap_or(0)));
                }
                Ok(query.get_result::<i64>(connection)?)
            };
            assert_eq!(connections.with(query).expect("a count"), 0);
            prepared.load(Ordering::Relaxed)
        };
        assert_eq!((prepared_by(0), prepared_by(0)), (1, 1), "prepared once");
        for conditions in 1..MAX_STATEMENTS {
            prepared_by(conditions);
        }
        assert_eq!(prepared_by(0), MAX_STATEMENTS + 1, "cleared, and prepared again");
        assert_eq!(prepared_by(0), MAX_STATEMENTS + 1, "and then cached");
    }

    #[test]
    fn foreign_keys_are_turned_on() {
        let mut connection = SqliteConnection::establish(":memory:").expect("a database");
        let on = |connection: &mut SqliteConnection| {
            let pragma = diesel::dsl::sql::<Integer>("SELECT foreign_keys FROM pragma_foreign_keys");
            pragma.get_result::<i32>(connection).expect("a pragma")
        };
        // The bundled library enables foreign keys by default, which would prove nothing.
        connection.batch_execute("PRAGMA foreign_keys = OFF").expect("off");
        assert_eq!(on(&mut connection), 0);
        let set_up = SetUp { busy_timeout: Duration::from_secs(1) };
        set_up.on_acquire(&mut connection).expect("a connection that is ready");
        assert_eq!(on(&mut connection), 1);
    }

    #[test]
    fn foreign_keys_that_cannot_be_turned_on_are_an_error() {
        let mut connection = SqliteConnection::establish(":memory:").expect("a database");
        // Within a transaction the pragma has no effect, and no error.
        connection.batch_execute("PRAGMA foreign_keys = OFF; BEGIN").expect("a transaction");
        let set_up = SetUp { busy_timeout: Duration::from_secs(1) };
        assert!(set_up.on_acquire(&mut connection).is_err());
    }
}
