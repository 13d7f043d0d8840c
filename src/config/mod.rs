//! The configuration of a database and its connections.

#[cfg(feature = "postgres")]
mod server;

#[cfg(feature = "sqlite")]
use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "postgres")]
pub use server::{Server, Tls};

use crate::error::{Error, Result};

/// The database to use, and the settings of its connections.
///
/// ```
/// use school_finder_db::Config;
///
/// # #[cfg(feature = "sqlite")] {
/// let config = Config::from_url("sqlite:schools.db")?;
/// assert_eq!(config.to_string(), "sqlite:schools.db");
/// # }
/// # Ok::<(), school_finder_db::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The location of the database.
    pub target: Target,
    /// The settings of its connections.
    pub pool: PoolConfig,
}

/// The location of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A new SQLite database in memory, dropped with its repository.
    #[cfg(feature = "sqlite")]
    SqliteMemory,
    /// An SQLite file.
    #[cfg(feature = "sqlite")]
    SqliteFile(PathBuf),
    /// A Postgres server.
    #[cfg(feature = "postgres")]
    Postgres(Server),
}

/// The settings of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// The pool mode. It applies to SQLite only: connections to Postgres are always pooled.
    pub mode: PoolMode,
    /// The most connections of the pool. [`Config`]'s constructors set 8 for SQLite and 15 for Postgres; `default()`
    /// sets 8. On SQLite each connection may use 32 MB for its page cache.
    pub max_size: u32,
    /// Postgres only: how many connections stay open while idle, 5 by default; the others close after a minute. On
    /// SQLite one stays open, and the others close after ten minutes.
    pub keep: u32,
    /// How long a call waits for a free connection before [`Error::PoolTimeout`]: 5 s by default. Zero: not at all. On
    /// SQLite a call that needs a new connection then fails, but the connection still opens, for a later call.
    pub acquire_timeout: Duration,
    /// The lock timeout: how long a statement waits for a lock that another connection holds, of this program or
    /// another, before [`Error::Busy`]; 5 s by default.
    pub busy_timeout: Duration,
    /// How long Postgres may take to accept a connection before [`Error::Unavailable`]: 5 s by default.
    pub connect_timeout: Duration,
    /// How long Postgres may run one statement before [`Error::Timeout`]: 30 s by default; zero means no limit. A
    /// server that has not responded after this plus `connect_timeout` (the response timeout) is
    /// [`Error::Unavailable`].
    pub statement_timeout: Duration,
    /// The duration from which calls are logged as warnings: 1 s by default.
    pub slow_query: Duration,
}

/// How connections are pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// A pool: for services.
    Pooled,
    /// One permanent connection. A database in memory always uses this mode, since it exists only in its connection.
    Single,
    /// A new connection per call: for command-line programs, which make one call.
    PerCall,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            mode: PoolMode::Pooled,
            max_size: 8,
            keep: 5,
            acquire_timeout: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            slow_query: Duration::from_secs(1),
        }
    }
}

/// The backends of this build, for error messages.
const COMPILED: &str = match (cfg!(feature = "sqlite"), cfg!(feature = "postgres")) {
    (true, true) => "sqlite, postgres",
    (true, false) => "sqlite",
    (false, true) => "postgres",
    (false, false) => "none",
};

impl Config {
    /// Reads `DATABASE_URL` and `DB_BACKEND` (`sqlite` or `postgres`) from the environment.
    ///
    /// Without `DB_BACKEND` the URL's scheme decides. There is no default database.
    ///
    /// # Errors
    /// As [`from_settings`](Self::from_settings).
    pub fn from_env() -> Result<Self> {
        let read = |setting: &'static str| match std::env::var(setting) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Error::InvalidSetting { setting, reason: "is not UTF-8 text" })
            }
        };
        Self::from_settings(read("DB_BACKEND")?.as_deref(), read("DATABASE_URL")?.as_deref())
    }

    /// Returns the configuration of these two settings.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] without a URL, [`Error::UnknownBackend`] for a backend that does not exist or is not
    /// compiled in, [`Error::BackendMismatch`] where the two disagree.
    pub fn from_settings(backend: Option<&str>, url: Option<&str>) -> Result<Self> {
        let backend = backend.map(|word| word.parse::<Backend>().map_err(|_| unknown_backend(word))).transpose()?;
        let url = url.filter(|url| !url.is_empty()).ok_or(Error::InvalidSetting {
            setting: "DATABASE_URL",
            reason: "is not set: say where the database is, such as sqlite:schools.db",
        })?;
        let config = Self::from_url(url)?;
        match backend {
            Some(backend) if backend != config.backend() => {
                Err(Error::BackendMismatch { backend: backend.as_str(), url_is_for: config.backend().as_str() })
            }
            _ => Ok(config),
        }
    }

    /// Returns the configuration of a URL: `sqlite:PATH`, a bare path, `sqlite::memory:`, or `postgres://...`
    /// (`Server`).
    ///
    /// # Errors
    /// [`Error::UnknownBackend`] for a scheme that is not in this build, [`Error::InvalidSetting`] for an invalid URL.
    pub fn from_url(url: &str) -> Result<Self> {
        let pool = PoolConfig::default();
        // A mistyped Postgres URL is not treated as a path, since messages would show it with its password.
        let lower = url.trim_start().to_ascii_lowercase();
        let is_misspelt = lower.starts_with("postgres") && lower.contains(':') && !lower.contains("://");
        if is_misspelt || url.contains("password=") || url.starts_with(char::is_whitespace) {
            return Err(Error::InvalidSetting {
                setting: "DATABASE_URL",
                reason: "is neither a path nor a URL: write sqlite:PATH or postgres://user@host:5432/database",
            });
        }
        match url.split_once("://").filter(|_| !url.starts_with("sqlite:")) {
            #[cfg(feature = "postgres")]
            Some(("postgres" | "postgresql", _)) => {
                Ok(Self { target: Target::Postgres(Server::from_url(url)?), pool: PoolConfig { max_size: 15, ..pool } })
            }
            Some((scheme, _)) => Err(unknown_backend(scheme)),
            #[cfg(feature = "sqlite")]
            _ => {
                let path = url.strip_prefix("sqlite://").or(url.strip_prefix("sqlite:")).unwrap_or(url);
                Ok(Self { target: sqlite_target(path)?, pool })
            }
            #[cfg(not(feature = "sqlite"))]
            _ => Err(unknown_backend("sqlite")),
        }
    }

    /// Returns the configuration of a new SQLite database in memory.
    #[cfg(feature = "sqlite")]
    pub fn in_memory() -> Self {
        Self { target: Target::SqliteMemory, pool: PoolConfig { mode: PoolMode::Single, ..PoolConfig::default() } }
    }

    /// Returns the configuration of an SQLite file. The path is used as it is.
    #[cfg(feature = "sqlite")]
    pub fn sqlite_file(path: impl Into<PathBuf>) -> Self {
        Self { target: Target::SqliteFile(path.into()), pool: PoolConfig::default() }
    }

    /// Sets the pool mode.
    #[must_use]
    pub fn with_mode(mut self, mode: PoolMode) -> Self {
        self.pool.mode = mode;
        self
    }

    /// Returns the backend of the database.
    pub fn backend(&self) -> Backend {
        match self.target {
            #[cfg(feature = "sqlite")]
            Target::SqliteMemory | Target::SqliteFile(_) => Backend::Sqlite,
            #[cfg(feature = "postgres")]
            Target::Postgres(_) => Backend::Postgres,
        }
    }
}

impl std::fmt::Display for Config {
    /// Writes the database's URL, without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.target {
            #[cfg(feature = "sqlite")]
            Target::SqliteMemory => f.write_str("sqlite::memory:"),
            #[cfg(feature = "sqlite")]
            Target::SqliteFile(path) => write!(f, "sqlite:{}", path.display()),
            #[cfg(feature = "postgres")]
            Target::Postgres(server) => server.fmt(f),
        }
    }
}

/// A database system. Its text is the word in `DB_BACKEND`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[non_exhaustive]
pub enum Backend {
    /// Embedded SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite,
    /// PostgreSQL with PostGIS.
    #[cfg(feature = "postgres")]
    Postgres,
}

impl Backend {
    /// Returns its word, as in `DB_BACKEND`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

fn unknown_backend(given: &str) -> Error {
    // Only the first word: a URL given by mistake could contain a password.
    let word = given.chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).take(20);
    Error::UnknownBackend { given: word.collect(), compiled: COMPILED }
}

#[cfg(feature = "sqlite")]
fn sqlite_target(path: &str) -> Result<Target> {
    match path {
        "" => Err(Error::InvalidSetting {
            setting: "DATABASE_URL",
            reason: "names no file: write sqlite:PATH, or sqlite::memory: for a database in memory",
        }),
        ":memory:" => Ok(Target::SqliteMemory),
        path if path.contains('\0') => {
            Err(Error::InvalidSetting { setting: "DATABASE_URL", reason: "contains a NUL character" })
        }
        path => Ok(Target::SqliteFile(PathBuf::from(path))),
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    #[test]
    fn urls_name_databases() {
        let target = |url: &str| Config::from_url(url).expect("a database").target;
        assert_eq!(target("sqlite::memory:"), Target::SqliteMemory);
        assert_eq!(target("sqlite:data/schools.db"), Target::SqliteFile("data/schools.db".into()));
        assert_eq!(target("sqlite:///var/schools.db"), Target::SqliteFile("/var/schools.db".into()));
        assert_eq!(target("/var/schools.db"), Target::SqliteFile("/var/schools.db".into()));
        assert!(matches!(Config::from_url("sqlite:"), Err(Error::InvalidSetting { .. })));
        assert!(matches!(Config::from_url("mysql://root@localhost/x"), Err(Error::UnknownBackend { .. })));
    }

    #[test]
    fn defaults_are_never_implicit() {
        let given = |backend, url| Config::from_settings(backend, url).expect_err("refused");
        assert!(matches!(given(None, None), Error::InvalidSetting { setting: "DATABASE_URL", .. }));
        assert!(matches!(given(Some("sqlite"), Some("")), Error::InvalidSetting { .. }));
        assert!(matches!(given(Some(""), Some("a.db")), Error::UnknownBackend { .. }));
        assert!(matches!(given(Some("oracle"), Some("a.db")), Error::UnknownBackend { .. }));
        assert!(Config::from_settings(Some("sqlite"), Some("a.db")).is_ok());
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "postgres://finder:s3cr3t%21@db.example/schools",
            "postgres://finder:s3cr3t%21@db.example:port/schools",
            "postgres://finder:s3cr3t%21@db.example/schools?sslmode=perhaps",
            "postgres://finder:s3cr3t%21@db.example/schools?nonsense=1",
            "postgres://finder:s3cr3t%21",
            "postgresql+psycopg://finder:s3cr3t%21@db.example/schools",
            "postgres:finder:s3cr3t%21@db.example/schools",
            " postgres://finder:s3cr3t%21@db.example/schools",
            "host=db.example user=finder password=s3cr3t",
            "postgres://finder:@s3cr3t@db.example/schools",
            "postgres://finder:p@s3cr3t@db.example:5432/schools?sslmode=disable",
        ] {
            let shown = match Config::from_url(url) {
                Ok(config) => format!("{config} {config:?} {config:#?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("s3cr3t"), "{shown}");
        }
        let misplaced = Config::from_settings(Some("postgres://u:s3cr3t@h/d"), None).expect_err("not a backend");
        assert!(!format!("{misplaced} {misplaced:?}").contains("s3cr3t"));
    }
}
