//! How every connection is made and set up.

use std::time::Duration;

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::pooler::MARK;
use super::{errors, guard, tls};
use crate::config::server::host_and_port;
use crate::config::{Config, PoolConfig, Server, Target, TlsMode};
use crate::error::{ConnectError, Error, Result};

/// The reason returned for a server that accepts connections but does not respond.
pub(super) const NO_RESPONSE: &str = "it did not respond in time";

/// The shortest timeout that the server supports. Zero would mean no limit.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest timeout that the server and the kernel support: 2^31 - 1 milliseconds.
const LONGEST: Duration = Duration::from_millis(2_147_483_647);

/// The settings that every connection needs before its first query.
pub(super) struct SetUp {
    server: Server,
    tls: Option<MakeRustlsConnect>,
    /// The settings of the server's session.
    pub(super) settings: Vec<(&'static str, String)>,
    /// The schema of the tables, where one is named.
    pub(super) schema: Option<String>,
    /// Puts the schema of the tables and that of PostGIS on the search_path.
    search_path: String,
    pub(super) connect_timeout: Duration,
    /// The response timeout of a call: the statement timeout and a margin.
    pub(super) response_timeout: Option<Duration>,
}

/// Returns the settings of the server's session. `force_generic_plan`: a query is planned once, and the conditions of
/// the partial indexes are literals. No parallel workers: starting them costs more than these queries.
pub(crate) fn settings(pool: &PoolConfig) -> Vec<(&'static str, String)> {
    let milliseconds = |timeout: Duration| timeout.clamp(SHORTEST, LONGEST).as_millis().to_string();
    // Zero means no limit.
    let has_limit = !pool.statement_timeout.is_zero();
    vec![
        ("statement_timeout", if has_limit { milliseconds(pool.statement_timeout) } else { "0".to_owned() }),
        ("lock_timeout", milliseconds(pool.busy_timeout)),
        ("idle_in_transaction_session_timeout", "600000".to_owned()),
        ("plan_cache_mode", "force_generic_plan".to_owned()),
        ("max_parallel_workers_per_gather", "0".to_owned()),
        ("jit", "off".to_owned()),
    ]
}

impl SetUp {
    pub(super) fn new(config: &Config) -> Result<Self> {
        #[cfg_attr(not(feature = "sqlite"), allow(irrefutable_let_patterns))]
        let Target::Postgres(server) = &config.target else {
            return Err(Error::BackendMismatch { backend: "postgres", url_is_for: config.backend().as_str() });
        };
        let mut server = server.clone();
        let PoolConfig { connect_timeout, statement_timeout, ref schema, .. } = config.pool;
        let response_timeout = statement_timeout.saturating_add(connect_timeout).min(LONGEST);
        let response_timeout = (!statement_timeout.is_zero()).then_some(response_timeout);
        for host in &mut server.hosts {
            host.connect_timeout(connect_timeout);
            if let (None, Some(timeout)) = (host.get_tcp_user_timeout(), response_timeout) {
                host.tcp_user_timeout(timeout);
            }
        }
        let (tls, search_path) = (tls::connector(&server.tls)?, search_path(schema.as_deref()));
        let (settings, schema) = (settings(&config.pool), schema.clone());
        Ok(Self { server, tls, settings, schema, search_path, connect_timeout, response_timeout })
    }

    /// Returns whether the URL has options of its own.
    pub(super) fn has_own_options(&self) -> bool {
        self.server.hosts.iter().any(|host| host.get_options().is_some())
    }

    /// Connects to the first of the hosts that lets it, and sets the connection up. Each host has the connect timeout:
    /// the setting of that name alone does not cover a server that accepts the connection and then does not respond.
    pub(super) async fn connect(&self) -> Result<AsyncPgConnection> {
        let mut failures = Vec::new();
        for host in self.hosts() {
            let failure = match within(self.connect_timeout, self.connect_to(host)).await {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            // A server that answered knows best, unless it is not ready.
            let goes_on = matches!(
                failure,
                Error::Unavailable { .. }
                    | Error::Connect(
                        ConnectError::ServerNotReady { .. }
                            | ConnectError::Tls { .. }
                            | ConnectError::NotPostgres { .. }
                    )
            );
            if !goes_on {
                return Err(failure);
            }
            failures.push((host, failure));
        }
        Err(combined(failures))
    }

    /// Returns the hosts in the order in which to try them.
    fn hosts(&self) -> Vec<&tokio_postgres::Config> {
        let mut hosts: Vec<_> = self.server.hosts.iter().collect();
        if self.server.shuffles_hosts {
            // The only source of randomness in the standard library.
            let random = std::hash::RandomState::new();
            hosts.sort_by_cached_key(|host| std::hash::BuildHasher::hash_one(&random, host_and_port(host)));
        }
        hosts
    }

    /// Returns the timeout for connecting: the connect timeout for each of the configured hosts.
    pub(super) fn connect_limit(&self) -> Duration {
        self.connect_timeout.saturating_mul(u32::try_from(self.server.hosts.len()).unwrap_or(u32::MAX).max(1))
    }

    async fn connect_to(&self, host: &tokio_postgres::Config) -> Result<AsyncPgConnection> {
        let mut settings = host.clone();
        if let Some(source) = &self.server.password {
            let password = source.password().await;
            settings.password(password.map_err(|error| ConnectError::PasswordSource { reason: error.to_string() })?);
        }
        let plain = settings.clone();
        // Sent as the connection is made, so that they apply to its first query. The URL's own options come last, and
        // so win.
        let ours = self.settings.iter().map(|(name, value)| format!("-c {name}={value} "));
        let own = host.get_options().unwrap_or_default();
        settings.options(format!("{}-c {MARK}=1 {own}", ours.collect::<String>()).trim_end());
        match self.connect_by_mode(settings).await {
            // A pooler, which is asked again without them.
            Err(Error::Connect(ConnectError::StartupParameter { .. })) if own.is_empty() => {
                self.connect_by_mode(plain).await
            }
            result => result,
        }
    }

    async fn connect_by_mode(&self, mut settings: tokio_postgres::Config) -> Result<AsyncPgConnection> {
        let is_socket = settings.get_ssl_mode() == SslMode::Disable;
        let is_refused = |error: &Error| matches!(error, Error::Connect(ConnectError::LoginRefused { .. }));
        match self.server.tls.mode {
            _ if is_socket => self.connect_once(&mut settings, SslMode::Disable).await,
            TlsMode::Disable => self.connect_once(&mut settings, SslMode::Disable).await,
            TlsMode::Allow => match self.connect_once(&mut settings, SslMode::Disable).await {
                Err(error) if is_refused(&error) => self.connect_once(&mut settings, SslMode::Require).await,
                result => result,
            },
            // No password is sent again in the clear that was refused under encryption.
            TlsMode::Prefer => match self.connect_once(&mut settings, SslMode::Prefer).await {
                Err(Error::Connect(ConnectError::Tls { .. })) => {
                    self.connect_once(&mut settings, SslMode::Disable).await
                }
                result => result,
            },
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => {
                self.connect_once(&mut settings, SslMode::Require).await
            }
        }
    }

    async fn connect_once(&self, settings: &mut tokio_postgres::Config, mode: SslMode) -> Result<AsyncPgConnection> {
        settings.ssl_mode(mode);
        let refused = |error: tokio_postgres::Error| errors::cannot_connect(settings, &error);
        let connection = match self.tls.as_ref().filter(|_| mode != SslMode::Disable) {
            None => {
                let (client, connection) = settings.connect(tokio_postgres::NoTls).await.map_err(refused)?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
            Some(tls) => {
                let (client, connection) = settings.connect(tls.clone()).await.map_err(refused)?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
        };
        // Diesel's first statements run as it takes the connection over: a pooler may lose them too.
        let mut connection = connection.map_err(|error| {
            let reason = error.to_string();
            errors::from_message(&reason).unwrap_or(Error::Unavailable { reason })
        })?;
        connection.batch_execute(&self.search_path).await?;
        connection.set_instrumentation(guard::instrumentation());
        Ok(connection)
    }
}

/// Returns the statement that puts the schema of the tables on the search_path, and after it that of PostGIS. Its types
/// and operators are found by the path alone, and hosting providers put it into a schema of its own.
fn search_path(schema: Option<&str>) -> String {
    // It runs where no values can be bound.
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''").replace('\\', "\\\\"));
    let (path, visible) = match schema {
        None => ("current_setting('search_path')".to_owned(), "current_schemas(true)".to_owned()),
        // The cast refuses a schema that does not exist.
        Some(schema) => {
            let schema = quoted(schema);
            (format!("quote_ident(E{schema})::regnamespace::text"), format!("ARRAY['pg_catalog', E{schema}]::name[]"))
        }
    };
    // Without a schema for the tables, they would be created in that of PostGIS.
    let is_any = if schema.is_none() { "current_schema() IS NOT NULL" } else { "true" };
    // Through a pooler nothing is set: see `pooler`.
    format!(
        "SELECT set_config('search_path', concat_ws(', ', {path}, (
             SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
             WHERE extname = 'postgis' AND nspname <> ALL ({visible})
         )), false) WHERE {is_any} AND current_setting('{MARK}', true) IS NOT NULL"
    )
}

/// Returns one error for all hosts: the first of a server that answered, or else that none could be reached.
fn combined(mut failures: Vec<(&tokio_postgres::Config, Error)>) -> Error {
    if let Some(at) = failures.iter().position(|(_, error)| !matches!(error, Error::Unavailable { .. })) {
        return failures.swap_remove(at).1;
    }
    let reason = |(host, error): (&tokio_postgres::Config, Error)| {
        let reason = match error {
            Error::Unavailable { reason } => reason,
            other => other.to_string(),
        };
        format!("{}: {reason}", host_and_port(host))
    };
    Error::Unavailable { reason: failures.into_iter().map(reason).collect::<Vec<_>>().join("; ") }
}

/// Waits for a result of the server, up to a timeout. Its errors are typed here.
pub(super) async fn within<T>(timeout: Duration, result: impl Future<Output = Result<T>>) -> Result<T> {
    let timed_out = |_| Err(Error::Unavailable { reason: NO_RESPONSE.to_owned() });
    tokio::time::timeout(timeout, result).await.unwrap_or_else(timed_out).map_err(errors::classify)
}
