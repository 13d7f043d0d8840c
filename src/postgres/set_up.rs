//! How every connection is made and set up.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use tokio::sync::Mutex as AsyncMutex;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::guard::Origin;
use super::pooler::MARK;
use super::role::{Misfit, Role};
use super::{errors, guard, tls};
use crate::config::server::{SessionTarget, host_and_port};
use crate::config::{Config, PoolConfig, Server, Target, TlsMode};
use crate::error::{ConnectError, Error, Result};

/// The reason returned for a server that accepts connections but does not respond.
pub(super) const NO_RESPONSE: &str = "it did not respond in time";

/// The shortest timeout that the server supports. Zero would mean no limit.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest timeout that the server and the kernel support: 2^31 - 1 milliseconds.
const LONGEST: Duration = Duration::from_millis(2_147_483_647);

/// How long a host that did not respond is tried after all others.
const REMEMBERED: Duration = Duration::from_secs(30);

/// The pause before a standby that seems far behind is asked again: what it just received may only wait to be applied.
const LAG_PAUSE: Duration = Duration::from_millis(100);

/// The settings that every connection needs before its first query.
pub(super) struct SetUp {
    server: Server,
    /// When each host last did not respond, if it did not serve since.
    failures: Mutex<Vec<Option<Instant>>>,
    /// The last probe of each host: when it ended, and whether the host responded. Locked during a probe.
    probes: Vec<AsyncMutex<Option<(Instant, bool)>>>,
    /// When a connection was last lost.
    last_loss: Mutex<Option<Instant>>,
    max_lag: Option<Duration>,
    max_lifetime: Duration,
    /// The only source of randomness in the standard library.
    random: RandomState,
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
        Self::of(config, false)
    }

    /// Returns the settings of a connection that changes the schema, at the primary.
    pub(super) fn for_changes(config: &Config) -> Result<Self> {
        Self::of(config, true)
    }

    fn of(config: &Config, changes_schema: bool) -> Result<Self> {
        #[cfg_attr(not(feature = "sqlite"), allow(irrefutable_let_patterns))]
        let Target::Postgres(server) = &config.target else {
            return Err(Error::BackendMismatch { backend: "postgres", url_is_for: config.backend().as_str() });
        };
        let mut server = if changes_schema { server.clone().at_primary() } else { server.clone() };
        let PoolConfig { connect_timeout, statement_timeout, max_lag, max_lifetime, ref schema, .. } = config.pool;
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
        Ok(Self {
            failures: Mutex::new(vec![None; server.hosts.len()]),
            probes: server.hosts.iter().map(|_| AsyncMutex::default()).collect(),
            last_loss: Mutex::new(None),
            max_lag,
            max_lifetime,
            random: RandomState::new(),
            server,
            tls,
            settings,
            schema,
            search_path,
            connect_timeout,
            response_timeout,
        })
    }

    /// Returns whether the URL has options of its own.
    pub(super) fn has_own_options(&self) -> bool {
        self.server.hosts.iter().any(|host| host.get_options().is_some())
    }

    /// Connects to the first of the hosts that lets it and is of the right role, and sets the connection up. Each host
    /// has the connect timeout: the setting of that name alone does not cover a server that accepts the connection and
    /// then does not respond.
    pub(super) fn connect(&self) -> BoxFuture<'_, Result<AsyncPgConnection>> {
        // Boxed: it is large, and a part of many others.
        self.connect_to_first().boxed()
    }

    async fn connect_to_first(&self) -> Result<AsyncPgConnection> {
        let (mut failures, mut second_choice) = (Vec::new(), None);
        for host in self.hosts() {
            // A host that did not respond is not waited for where another one serves.
            if second_choice.is_some() && self.has_failed(host) {
                continue;
            }
            let mut attempt = Attempt { set_up: self, host, begun: Instant::now(), has_ended: false };
            let connected = within(self.connect_timeout, self.connect_to(host)).await;
            attempt.has_ended = true;
            let error = match connected {
                Ok((connection, role)) => {
                    self.record(host, None);
                    if self.server.session() != SessionTarget::PreferStandby || role.is_standby {
                        return Ok(connection);
                    }
                    second_choice.get_or_insert(connection);
                    continue;
                }
                Err(error) => error,
            };
            // A server that answered knows best, unless it is not ready or of another role.
            match error {
                Error::NotPrimary | Error::Connect(ConnectError::NoStandby { .. }) => {}
                Error::Unavailable { .. }
                | Error::Connect(
                    ConnectError::ServerNotReady { .. } | ConnectError::Tls { .. } | ConnectError::NotPostgres { .. },
                ) => {
                    attempt.record_failure();
                }
                error => return Err(error),
            }
            failures.push((&self.server.hosts[host], error));
        }
        second_choice.ok_or_else(|| combined(failures))
    }

    /// Returns the hosts' numbers in the order in which to try them: those that did not respond a moment ago come last.
    fn hosts(&self) -> Vec<usize> {
        let mut hosts: Vec<_> = (0..self.server.hosts.len()).collect();
        if self.server.shuffles_hosts {
            let random = RandomState::new();
            hosts.sort_by_cached_key(|host| random.hash_one(host));
        }
        hosts.sort_by_key(|host| self.has_failed(*host));
        hosts
    }

    /// Returns whether a host did not respond a moment ago.
    pub(super) fn has_failed(&self, host: usize) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(host).copied().flatten().is_some_and(|at| at.elapsed() < REMEMBERED)
    }

    /// Records when a host did not respond, or that it serves.
    pub(super) fn record(&self, host: usize, failure: Option<Instant>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = failures.get_mut(host) {
            *last = failure;
        }
    }

    /// Returns whether none of the hosts responded a moment ago.
    pub(super) fn all_have_failed(&self) -> bool {
        (0..self.server.hosts.len()).all(|host| self.has_failed(host))
    }

    /// Returns whether a host responds to a login within the connect timeout. Concurrent calls share one probe, which
    /// ends, and records what it found, also where they are dropped before.
    pub(super) fn responds(self: &Arc<Self>, host: usize) -> BoxFuture<'static, bool> {
        let (set_up, begun) = (Arc::clone(self), Instant::now());
        let probe = tokio::spawn(async move {
            let mut last = set_up.probes[host].lock().await;
            if let Some((_, responded)) = last.filter(|(ended, _)| *ended >= begun) {
                return responded;
            }
            // A refusal is a response. An error that comes at once, such as too many open files, says nothing of it.
            let responded = tokio::time::timeout(set_up.connect_timeout, set_up.log_in(host)).await.is_ok();
            if !responded {
                set_up.record(host, Some(Instant::now()));
            }
            *last = Some((Instant::now(), responded));
            responded
        });
        async { probe.await.unwrap_or(true) }.boxed()
    }

    /// Logs in, and sends no query: a pooler would wait for one of its server's connections.
    async fn log_in(&self, number: usize) {
        let mut settings = self.server.hosts[number].clone();
        if let Some(source) = &self.server.password {
            let Ok(password) = source.password().await else { return };
            settings.password(password);
        }
        let mode = match self.server.tls.mode {
            _ if settings.get_ssl_mode() == SslMode::Disable => SslMode::Disable,
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Allow | TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        };
        settings.ssl_mode(mode);
        // Whether it succeeds does not matter.
        match self.tls.as_ref().filter(|_| mode != SslMode::Disable) {
            None => drop(settings.connect(tokio_postgres::NoTls).await),
            Some(tls) => drop(settings.connect(tls.clone()).await),
        }
    }

    /// Records the loss of a connection made at `created`. It makes every connection made before it unusable; the loss
    /// of one of these is the same loss, and changes nothing.
    pub(super) fn record_loss(&self, created: Instant) {
        let mut last_loss = self.last_loss.lock().unwrap_or_else(PoisonError::into_inner);
        if last_loss.is_none_or(|last_loss| last_loss < created) {
            *last_loss = Some(Instant::now());
        }
    }

    /// Returns the reason not to reuse a connection made at `created`; `None` if it may be reused.
    pub(super) fn expired(&self, created: Instant) -> Option<&'static str> {
        if self.lifetime(created).is_some_and(|lifetime| created.elapsed() >= lifetime) {
            return Some("it reached its maximum lifetime");
        }
        let last_loss = *self.last_loss.lock().unwrap_or_else(PoisonError::into_inner);
        last_loss.is_some_and(|last_loss| last_loss >= created).then_some("another one was lost")
    }

    /// Returns the maximum age of a connection that was made at this time. Connections that were made together do not
    /// end together.
    fn lifetime(&self, created: Instant) -> Option<Duration> {
        let fifth = self.max_lifetime / 5;
        let chance = u32::try_from(self.random.hash_one(created) % 1_000).unwrap_or_default();
        (!self.max_lifetime.is_zero()).then(|| fifth * 4 + fifth * 2 / 1_000 * chance)
    }

    /// Returns whether only some servers are right for a connection.
    pub(super) fn checks_role(&self) -> bool {
        self.max_lag.is_some() || !matches!(self.server.session(), SessionTarget::Any | SessionTarget::PreferStandby)
    }

    /// Checks that the server of a connection still is what was asked for.
    pub(super) async fn check_role(&self, connection: &mut AsyncPgConnection) -> Result<()> {
        let role = Role::of(connection).await?;
        self.require_fit(connection, role).await.map(drop)
    }

    /// Returns a role, or its error where it is not what was asked for.
    async fn require_fit(&self, connection: &mut AsyncPgConnection, mut role: Role) -> Result<Role> {
        let mut misfit = role.misfit(self.server.session(), self.max_lag);
        if matches!(misfit, Some(Misfit::Behind(_))) {
            tokio::time::sleep(LAG_PAUSE).await;
            role = Role::of(connection).await?;
            misfit = role.misfit(self.server.session(), self.max_lag);
        }
        misfit.map_or(Ok(role), |misfit| Err(misfit.into()))
    }

    /// Returns the timeout for connecting: the connect timeout for each of the configured hosts.
    pub(super) fn connect_limit(&self) -> Duration {
        self.connect_timeout.saturating_mul(u32::try_from(self.server.hosts.len()).unwrap_or(u32::MAX).max(1))
    }

    async fn connect_to(&self, number: usize) -> Result<(AsyncPgConnection, Role)> {
        let host = &self.server.hosts[number];
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
        let result = match self.connect_by_mode(settings).await {
            // A pooler, which is asked again without them.
            Err(Error::Connect(ConnectError::StartupParameter { .. })) if own.is_empty() => {
                self.connect_by_mode(plain).await
            }
            result => result,
        };
        let (mut connection, role) = result?;
        connection.set_instrumentation(guard::instrumentation(Origin { host: number, is_standby: role.is_standby }));
        let role = self.require_fit(&mut connection, role).await?;
        Ok((connection, role))
    }

    async fn connect_by_mode(&self, mut settings: tokio_postgres::Config) -> Result<(AsyncPgConnection, Role)> {
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

    async fn connect_once(
        &self,
        settings: &mut tokio_postgres::Config,
        mode: SslMode,
    ) -> Result<(AsyncPgConnection, Role)> {
        settings.ssl_mode(mode);
        match self.tls.as_ref().filter(|_| mode != SslMode::Disable) {
            None => self.connect_with(settings, tokio_postgres::NoTls).await,
            Some(tls) => self.connect_with(settings, tls.clone()).await,
        }
    }

    async fn connect_with<T>(&self, settings: &tokio_postgres::Config, tls: T) -> Result<(AsyncPgConnection, Role)>
    where
        T: MakeTlsConnect<tokio_postgres::Socket, Stream: Send + 'static, TlsConnect: Send>,
        <T::TlsConnect as TlsConnect<tokio_postgres::Socket>>::Future: Send,
    {
        let connected = settings.connect(tls).await;
        let (client, mut connection) = connected.map_err(|error| errors::cannot_connect(settings, &error))?;
        // In one trip, which the connection has to be driven for: Diesel has no query of several statements.
        let set_up = format!("{}; {}", super::role::QUERY, self.search_path);
        let rows = match select(Box::pin(client.simple_query(&set_up)), &mut connection).await {
            Either::Left((rows, _)) => rows.map_err(|error| errors::of_driver(&error))?,
            Either::Right(_) => return Err(Error::ConnectionLost),
        };
        let role = Role::first_of(&rows).ok_or(Error::ConnectionLost)?;
        // Diesel's first statements run as it takes the connection over: a pooler may lose them too.
        let connection = AsyncPgConnection::try_from_client_and_connection(client, connection).await;
        let connection = connection.map_err(|error| {
            let reason = error.to_string();
            errors::from_message(&reason).unwrap_or(Error::Unavailable { reason })
        })?;
        Ok((connection, role))
    }
}

/// An attempt to connect to a host. It has failed also where its caller is dropped before it ends.
struct Attempt<'a> {
    set_up: &'a SetUp,
    host: usize,
    begun: Instant,
    has_ended: bool,
}

impl Attempt<'_> {
    fn record_failure(&self) {
        // A host that fails at once, as a stopped server does, holds up nobody.
        if self.begun.elapsed() > self.set_up.connect_timeout / 10 {
            self.set_up.record(self.host, Some(Instant::now()));
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.record_failure();
        }
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

/// Returns one error for all hosts: the first of a server that answered otherwise, else that none has the right role, or
/// else that none could be reached.
fn combined(mut failures: Vec<(&tokio_postgres::Config, Error)>) -> Error {
    let of_role = |error: &Error| matches!(error, Error::NotPrimary | Error::Connect(ConnectError::NoStandby { .. }));
    let other = |error: &Error| !of_role(error) && !matches!(error, Error::Unavailable { .. });
    if let Some(at) = failures.iter().position(|(_, error)| other(error)) {
        return failures.swap_remove(at).1;
    }
    if failures.iter().any(|(_, error)| matches!(error, Error::NotPrimary)) {
        return Error::NotPrimary;
    }
    let is_of_role = failures.iter().any(|(_, error)| of_role(error));
    let reason = |(host, error): (&tokio_postgres::Config, Error)| {
        let reason = match error {
            Error::Unavailable { reason } | Error::Connect(ConnectError::NoStandby { reason }) => reason,
            other => other.to_string(),
        };
        format!("{}: {reason}", host_and_port(host))
    };
    let reason = failures.into_iter().map(reason).collect::<Vec<_>>().join("; ");
    if is_of_role { ConnectError::NoStandby { reason }.into() } else { Error::Unavailable { reason } }
}

/// Waits for a result of the server, up to a timeout. Its errors are typed here.
pub(super) async fn within<T>(timeout: Duration, result: impl Future<Output = Result<T>>) -> Result<T> {
    let timed_out = |_| Err(Error::Unavailable { reason: NO_RESPONSE.to_owned() });
    tokio::time::timeout(timeout, result).await.unwrap_or_else(timed_out).map_err(errors::classify)
}
