//! The configuration of a database and its connections.

#[cfg(feature = "postgres")]
mod conninfo;
#[cfg(feature = "sqlite")]
mod file;
#[cfg(feature = "postgres")]
mod parameters;
#[cfg(feature = "postgres")]
mod password_file;
#[cfg(feature = "postgres")]
pub(crate) mod server;
#[cfg(feature = "postgres")]
mod tls;

#[cfg(feature = "sqlite")]
use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "sqlite")]
pub use file::FileAccess;
#[cfg(feature = "postgres")]
pub use server::Server;
#[cfg(feature = "postgres")]
pub use tls::{Tls, TlsMode};

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
#[non_exhaustive]
pub struct Config {
    /// The location of the database.
    pub target: Target,
    /// The settings of its connections.
    pub pool: PoolConfig,
    /// The replicas of the database that reads go to, if they do not go to `target`: see
    /// [`with_reader`](Self::with_reader).
    #[cfg(feature = "postgres")]
    pub reader: Option<Server>,
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
    SqliteFile {
        /// The file.
        path: PathBuf,
        /// The access to it.
        access: FileAccess,
    },
    /// The newest of the generations that [`ship`](crate::sqlite::ship) writes to a folder. It is only read.
    #[cfg(feature = "sqlite")]
    SqliteGenerations {
        /// The folder.
        folder: PathBuf,
        /// Whether generations are read without locks. A shipped file never changes, so this is safe for those.
        immutable: bool,
    },
    /// A Postgres server.
    #[cfg(feature = "postgres")]
    Postgres(Server),
}

/// The settings of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Postgres only: how old a connection may become, give or take a fifth; 30 minutes by default, and zero means no
    /// limit. An older one is replaced at its next use, so that connections spread to a server that came back.
    pub max_lifetime: Duration,
    /// Postgres only: how far a standby may be behind its primary; no limit by default. A connection to one that is
    /// further behind, or follows no primary, is closed, and none is made. The role needs `GRANT pg_read_all_stats`.
    /// A standby that waits to hear from a quiet primary is not behind: silence counts from half of its
    /// `wal_receiver_timeout` on.
    pub max_lag: Option<Duration>,
    /// How long Postgres may run one statement before [`Error::Timeout`]: 30 s by default; zero means no limit. A
    /// server that has not responded after this plus `connect_timeout` (the response timeout) is
    /// [`Error::Unavailable`].
    pub statement_timeout: Duration,
    /// How long a [`UnitOfWork`](crate::UnitOfWork) may last before it is rolled back: 30 s by default.
    pub unit_of_work_timeout: Duration,
    /// Postgres only: the schema of this crate's tables, instead of the first of the role's `search_path`. It must
    /// exist. [`Config::from_env`] reads it from `DATABASE_SCHEMA`.
    pub schema: Option<String>,
    /// Postgres with a reader ([`Config::with_reader`]) only: how many reads at once the writer serves in its place, 5
    /// by default, while no replica can be reached, one is late, or the reader's pool has no free connection in time.
    /// Further ones wait, up to `acquire_timeout`, so that an outage of the replicas leaves the writer connections for
    /// writes. Zero: none, and such a read fails.
    pub reads_on_writer: u32,
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
            max_lifetime: Duration::from_secs(30 * 60),
            max_lag: None,
            statement_timeout: Duration::from_secs(30),
            unit_of_work_timeout: Duration::from_secs(30),
            schema: None,
            reads_on_writer: 5,
            slow_query: Duration::from_secs(1),
        }
    }
}

/// The backends of this build, for error messages.
const COMPILED: &str = match (cfg!(feature = "sqlite"), cfg!(feature = "postgres")) {
    (true, true) => "sqlite and postgres",
    (true, false) => "sqlite",
    (false, true) => "postgres",
    (false, false) => "none",
};

impl Config {
    /// Reads `DATABASE_URL`, `DB_BACKEND` (`sqlite` or `postgres`), `DATABASE_SCHEMA`, and `DATABASE_READ_URL` for
    /// [`with_reader`](Self::with_reader) from the environment.
    ///
    /// Without `DB_BACKEND` the URL's scheme decides. There is no default database.
    ///
    /// # Errors
    /// As [`from_settings`](Self::from_settings) and [`with_reader`](Self::with_reader).
    pub fn from_env() -> Result<Self> {
        let read = |setting: &'static str| match std::env::var(setting) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Error::InvalidSetting { setting, reason: "is not UTF-8 text" })
            }
        };
        let mut config = Self::from_settings(read("DB_BACKEND")?.as_deref(), read("DATABASE_URL")?.as_deref())?;
        config.pool.schema = read("DATABASE_SCHEMA")?.filter(|schema| !schema.is_empty());
        if config.pool.schema.as_deref().is_some_and(|schema| schema.contains('\0')) {
            return Err(Error::InvalidSetting { setting: "DATABASE_SCHEMA", reason: "contains a NUL character" });
        }
        match read("DATABASE_READ_URL")?.filter(|url| !url.is_empty()) {
            None => Ok(config),
            Some(url) => config.with_reader(&url),
        }
    }

    /// Sends reads to the replicas of a connection string, and writes to the database of this configuration, as before.
    /// Of several hosts the string's readers are the standbys, unless its `target_session_attrs` says otherwise. The
    /// replicas have the same schema, settings of connections and source of passwords. [`Config::from_env`] reads
    /// `DATABASE_READ_URL`; the page `docs/scale.md` says what is promised.
    ///
    /// ```
    /// # use school_finder_db::Config;
    /// # #[cfg(feature = "postgres")] {
    /// let config = Config::from_url("postgres://finder@db.example/schools")?
    ///     .with_reader("postgres://finder@replica1.example,replica2.example/schools?load_balance_hosts=random")?;
    /// # assert!(config.reader.is_some());
    /// # }
    /// # Ok::<(), school_finder_db::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] where this configuration is of SQLite, which has no replicas, or the URL is none of
    /// Postgres; those of [`from_url`](Self::from_url).
    #[cfg_attr(not(feature = "postgres"), allow(unused_mut, reason = "SQLite has no replicas"))]
    pub fn with_reader(mut self, url: &str) -> Result<Self> {
        let invalid = |reason| Error::InvalidSetting { setting: "DATABASE_READ_URL", reason };
        #[cfg(feature = "postgres")]
        #[cfg_attr(not(feature = "sqlite"), allow(irrefutable_let_patterns))]
        if let Target::Postgres(writer) = &self.target {
            if conninfo::parse(url).is_none() {
                return Err(invalid("is not a URL like postgres://user@host:5432/database"));
            }
            let reader = Server::from_url(url).map_err(|error| match error {
                Error::InvalidSetting { setting: "DATABASE_URL", reason } => invalid(reason),
                error => error,
            })?;
            let mut reader = reader.at_standbys();
            reader.password.clone_from(&writer.password);
            self.reader = Some(reader);
            return Ok(self);
        }
        let _ = url;
        Err(invalid("is for replicas of a Postgres server, and DATABASE_URL names an SQLite database: unset it"))
    }

    /// Returns the configuration of the reader's connections.
    #[cfg(feature = "postgres")]
    pub(crate) fn of_reader(&self) -> Option<Self> {
        let reader = self.reader.clone()?;
        let connect_timeout = reader.connect_timeout.unwrap_or(self.pool.connect_timeout);
        let pool = PoolConfig { connect_timeout, ..self.pool.clone() };
        Some(Self { target: Target::Postgres(reader), pool, reader: None })
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

    /// Returns the configuration of a URL: `sqlite:PATH`, `file:PATH`, a bare path, `sqlite::memory:`,
    /// `sqlite:FOLDER?follow=true`, or a connection string of libpq (`Server::from_url`). The page
    /// `docs/connections.md` lists every form.
    ///
    /// # Errors
    /// [`Error::UnknownBackend`] for a scheme that is not in this build, [`Error::ForeignUrl`] for one of another
    /// program, [`Error::UnknownParameter`], and [`Error::InvalidSetting`] for an invalid URL.
    pub fn from_url(url: &str) -> Result<Self> {
        let pool = PoolConfig::default();
        if let Some(error) = foreign(url) {
            return Err(error);
        }
        #[cfg(feature = "postgres")]
        if conninfo::parse(url).is_some() {
            let server = Server::from_url(url)?;
            let connect_timeout = server.connect_timeout.unwrap_or(pool.connect_timeout);
            return Ok(Self {
                target: Target::Postgres(server),
                pool: PoolConfig { max_size: 15, connect_timeout, ..pool },
                reader: None,
            });
        }
        // A mistyped Postgres URL is not treated as a path, since messages would show it with its password.
        let lower = url.trim_start().to_ascii_lowercase();
        let is_misspelt = lower.starts_with("postgres") && lower.contains(':') && !lower.contains("://");
        // Without a scheme: user:password@host, whose : is not that of a drive.
        let login = url.rsplit_once('@').filter(|_| !lower.starts_with("sqlite:") && !lower.starts_with("file:"));
        let has_login = !lower.contains("://") && login.is_some_and(|(login, _)| login.rfind(':') > Some(1));
        let dense: String = lower.split_whitespace().collect();
        let has_password = ["password=", "pwd="].iter().any(|key| dense.contains(key));
        if is_misspelt || has_login || has_password || url.starts_with(char::is_whitespace) {
            return Err(Error::InvalidSetting {
                setting: "DATABASE_URL",
                reason: "is neither a path nor a URL: write sqlite:PATH or postgres://user@host:5432/database",
            });
        }
        match url.split_once("://").filter(|_| !url.starts_with("sqlite:") && !url.starts_with("file:")) {
            Some((scheme, _)) => Err(unknown_backend(scheme)),
            #[cfg(feature = "sqlite")]
            None => Ok(Self::embedded(file::target(url)?, pool)),
            #[cfg(not(feature = "sqlite"))]
            None => Err(unknown_backend("sqlite")),
        }
    }

    /// Returns the configuration of a new SQLite database in memory.
    #[cfg(feature = "sqlite")]
    pub fn in_memory() -> Self {
        Self::embedded(Target::SqliteMemory, PoolConfig { mode: PoolMode::Single, ..PoolConfig::default() })
    }

    /// Returns the configuration of an SQLite file. The path is used as it is.
    #[cfg(feature = "sqlite")]
    pub fn sqlite_file(path: impl Into<PathBuf>) -> Self {
        let target = Target::SqliteFile { path: path.into(), access: FileAccess::default() };
        Self::embedded(target, PoolConfig::default())
    }

    #[cfg(feature = "sqlite")]
    const fn embedded(target: Target, pool: PoolConfig) -> Self {
        Self {
            target,
            pool,
            #[cfg(feature = "postgres")]
            reader: None,
        }
    }

    /// Returns the configuration of a folder of generations, which [`ship`](crate::sqlite::ship) writes. Its newest is
    /// opened to be read, and each newer one within seconds of its arrival, while queries that have begun end on the
    /// one before. One that is damaged, or whose schema does not serve this build, is refused with a warning. It is the
    /// URL `sqlite:FOLDER?follow=true`.
    ///
    /// ```
    /// use school_finder_db::Config;
    ///
    /// let config = Config::following("/srv/schools");
    /// assert_eq!(config, Config::from_url("sqlite:/srv/schools?follow=true")?);
    /// # Ok::<(), school_finder_db::Error>(())
    /// ```
    #[cfg(feature = "sqlite")]
    pub fn following(folder: impl Into<PathBuf>) -> Self {
        let target = Target::SqliteGenerations { folder: folder.into(), immutable: false };
        Self::embedded(target, PoolConfig::default())
    }

    /// Sets a function that returns a new password for each connection to Postgres, such as a token that expires. The
    /// time that it takes counts towards `connect_timeout`. If it fails, the text of its error is reported. Connections
    /// to the reader have the same one.
    ///
    /// ```
    /// # use school_finder_db::Config;
    /// let config = Config::from_url("postgres://finder@db.example/schools")?
    ///     .with_password(|| async { Ok(std::fs::read_to_string("/run/secrets/token")?) });
    /// # Ok::<(), school_finder_db::Error>(())
    /// ```
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn with_password<F>(mut self, password: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = std::result::Result<String, Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        #[cfg_attr(not(feature = "sqlite"), allow(irrefutable_let_patterns))]
        if let Target::Postgres(server) = &mut self.target {
            server.password = Some(server::PasswordSource::new(password));
            if let Some(reader) = &mut self.reader {
                reader.password.clone_from(&server.password);
            }
        }
        self
    }

    /// Returns the risks that the configuration leaves, one sentence for each. [`connect`](crate::connect) logs them.
    pub fn warnings(&self) -> Vec<&str> {
        #[cfg(feature = "postgres")]
        {
            let target = match &self.target {
                #[cfg(feature = "sqlite")]
                Target::SqliteMemory | Target::SqliteFile { .. } | Target::SqliteGenerations { .. } => None,
                Target::Postgres(server) => Some(server),
            };
            let servers = target.into_iter().chain(&self.reader);
            servers.flat_map(|server| &server.warnings).map(String::as_str).collect()
        }
        #[cfg(not(feature = "postgres"))]
        Vec::new()
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
            Target::SqliteMemory | Target::SqliteFile { .. } | Target::SqliteGenerations { .. } => Backend::Sqlite,
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
            Target::SqliteFile { path, access } => file::write_url(f, path, *access),
            #[cfg(feature = "sqlite")]
            Target::SqliteGenerations { folder, immutable } => file::write_folder_url(f, folder, *immutable),
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

/// Decodes the escapes of a URL: `%` and two hexadecimal digits.
fn decode(text: &str) -> Result<String> {
    let invalid = |reason| Error::InvalidSetting { setting: "DATABASE_URL", reason };
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or(invalid("has a % that begins no escape: write %25 for it"))?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    if bytes.contains(&0) {
        return Err(invalid("contains a NUL character"));
    }
    String::from_utf8(bytes).map_err(|_| invalid("has escapes that are not UTF-8 text"))
}

/// Returns the error for a URL as another program writes it, with how to write it here.
fn foreign(url: &str) -> Option<Error> {
    let (scheme, rest) = url.strip_prefix("jdbc:").unwrap_or(url).split_once(':')?;
    let (database, _) = scheme.split_once('+').unwrap_or((scheme, ""));
    let is_foreign = url.starts_with("jdbc:") || scheme.contains('+');
    let write = match database {
        "postgres" | "postgresql" if is_foreign => "postgresql:// in its place".to_owned(),
        "pgsql" | "postgis" | "psql" => "postgresql:// in its place".to_owned(),
        "sqlite" if !is_foreign => return None,
        "sqlite" | "sqlite3" | "spatialite" => {
            // SQLAlchemy's three slashes precede a relative path, and four an absolute one.
            let path = rest.strip_prefix("///").or(rest.strip_prefix("//")).unwrap_or(rest);
            format!("sqlite:{}", path.split('?').next().unwrap_or_default())
        }
        _ => return None,
    };
    let given = &url[..url.len() - rest.len()];
    Some(Error::ForeignUrl { given: given.to_owned(), write })
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_another_program_is_named_with_the_right_one() {
        for (url, begins, write) in [
            ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite:", "sqlite:x.db"),
            ("sqlite+pysqlite:////data/x.db?a=b", "sqlite+pysqlite:", "sqlite:/data/x.db"),
            ("sqlite3:x.db", "sqlite3:", "sqlite:x.db"),
            ("jdbc:sqlite:data/x.db", "jdbc:sqlite:", "sqlite:data/x.db"),
            ("jdbc:postgresql://u:s3cr3t@h/d", "jdbc:postgresql:", "postgresql://"),
            ("postgresql+asyncpg://u:s3cr3t@h/d", "postgresql+asyncpg:", "postgresql://"),
            ("postgis://u:s3cr3t@h/d", "postgis:", "postgresql://"),
        ] {
            let error = Config::from_url(url).expect_err(url);
            assert!(matches!(&error, Error::ForeignUrl { given, .. } if given == begins), "{error}");
            let error = error.to_string();
            assert!(error.contains(write) && !error.contains("s3cr3t"), "{error}");
        }
        assert!(matches!(Config::from_url("mysql://root@localhost/x"), Err(Error::UnknownBackend { .. })));
        assert!(matches!(Config::from_url("mysql+pymysql://root@h/x"), Err(Error::UnknownBackend { .. })));
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
            "Host=db.example;Username=finder;Password=s3cr3t",
            "uzer=finder password = s3cr3t",
            "finder:s3cr3t@db.example:5432/schools",
            "mysql:finder:s3cr3t@db.example",
            "gssencmode=disable host=db.example password = s3cr3t",
            "host=db.example password=my s3cr3t=x",
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
