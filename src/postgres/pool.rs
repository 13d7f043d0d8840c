//! Connections that are ready for use: one set-up for all.

use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Hook, HookError, Metrics, PoolError, TimeoutType};
use diesel::ConnectionError;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolError as ConnectError, PoolableConnection, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Mutex;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::health::{health_on_conn, warn_of_language};
use super::watch::{Call, Intent};
use super::{errors, watch};
use crate::config::{Config, PoolConfig, Server, Target, Tls};
use crate::error::{Error, Result};
use crate::repository::{Health, PoolStatus};

/// How long after a call its connection is used again without asking.
const TRUSTED: Duration = Duration::from_millis(500);

/// Why a server counts as not there that takes connections.
const NO_ANSWER: &str = "it did not answer in time";

/// How long a connection may be idle beyond those that are kept.
const IDLE: Duration = Duration::from_secs(60);

/// How long a server may take at least to say that it still answers, also where calls are not to wait for a connection.
const ANSWER: Duration = Duration::from_secs(1);

/// The shortest timeout that the server can count. None at all would be no limit.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest timeout that the server and the kernel can count: 2^31 - 1 milliseconds.
const LONGEST: Duration = Duration::from_millis(2_147_483_647);

/// The connections of a repository.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool<AsyncPgConnection>,
    acquire_timeout: Duration,
    pub(super) slow_query: Duration,
    set_up: Arc<SetUp>,
    asking: Arc<Mutex<()>>,
}

impl Connections {
    /// Connects, and checks that the database is one of ours, at this build's version. Nothing is written.
    pub(super) async fn open(config: &Config) -> Result<Self> {
        let set_up = Arc::new(SetUp::new(config)?);
        let mut first = set_up.connect().await?;
        let checked = async {
            health_on_conn(&mut first).await?;
            warn_of_language(&mut first).await
        };
        in_time(set_up.connect_timeout, checked).await?;
        drop(first);

        let PoolConfig { max_size, keep, acquire_timeout, slow_query, .. } = config.pool;
        let mut manager = ManagerConfig::default();
        manager.recycling_method = RecyclingMethod::Fast;
        let each = Arc::clone(&set_up);
        manager.custom_setup = Box::new(move |_| {
            let set_up = Arc::clone(&each);
            async move { set_up.connect().await.map_err(|error| ConnectionError::BadConnection(error.to_string())) }
                .boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(String::new(), manager);
        let pool = Pool::builder(manager)
            .max_size(usize::try_from(max_size.max(1)).unwrap_or(usize::MAX))
            .pre_recycle(Hook::async_fn(move |connection, metrics| {
                still_answers(connection, metrics, acquire_timeout.max(ANSWER)).boxed()
            }))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(acquire_timeout))
            // Connecting has bounds of its own.
            .create_timeout(None)
            .recycle_timeout(Some(acquire_timeout))
            .build()
            .map_err(|error| Error::Unavailable { reason: error.to_string() })?;
        // Each call has a timer of its own that nearly never ends. A timer wakes the runtime's driver where it would be the next to
        // end, which takes as long as a tenth of a query, and with this one nearer it never is. Not so near that it keeps the runtime
        // busy, however short the settings are.
        let often = set_up.silence.map_or(IDLE, |silence| (silence / 8).clamp(Duration::from_secs(1), IDLE));
        tokio::spawn(close_idle(pool.weak(), usize::try_from(keep).unwrap_or(usize::MAX), often));
        Ok(Self { pool, acquire_timeout, slow_query, set_up, asking: Arc::default() })
    }

    /// A connection that was checked, for one call.
    pub(super) async fn get(&self, intent: Intent) -> Result<Lent> {
        // Each idle connection that turns out to be lost takes its time, so that there is one for all of it.
        let connection =
            tokio::time::timeout(self.acquire_timeout.saturating_add(self.set_up.patience()), self.pool.get()).await;
        let connection = match connection {
            Ok(connection) => connection.map_err(|error| self.cannot_acquire(error))?,
            Err(_) => {
                self.pool.retain(|_, _| false);
                return Err(Error::Unavailable { reason: NO_ANSWER.to_owned() });
            }
        };
        Ok(Lent { connection: Some(connection), call: Call::new(intent) })
    }

    fn cannot_acquire(&self, error: PoolError<ConnectError>) -> Error {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => {
                Error::PoolTimeout { waited_ms: u64::try_from(self.acquire_timeout.as_millis()).unwrap_or(u64::MAX) }
            }
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                Error::Unavailable { reason: NO_ANSWER.to_owned() }
            }
            PoolError::Backend(ConnectError::ConnectionError(ConnectionError::BadConnection(reason))) => {
                Error::Unavailable { reason }
            }
            PoolError::Backend(ConnectError::QueryError(error)) => error.into(),
            other => Error::Unavailable { reason: other.to_string() },
        }
    }

    /// How long the server may say nothing before a call gives it up.
    pub(super) fn silence(&self) -> Option<Duration> {
        self.set_up.silence
    }

    /// Gives a connection back, unless what was asked on it shows that it is of no more use. Then the idle ones are most likely
    /// not either: the server was started again, or the schema changed under all of them.
    pub(super) fn give_back<T>(&self, answer: &Result<T>, mut lent: Lent) {
        if answer.as_ref().is_err_and(Error::ends_connection) {
            drop(lent.connection.take().map(Object::take));
            self.pool.retain(|_, _| false);
        }
    }

    /// Whether the database can be used, by a connection of its own.
    pub(super) async fn health(&self) -> Result<Health> {
        // One at a time, however many ask: they may be anybody, and the server has only so many connections. Waiting for the
        // others is part of the time that each has.
        let asked = async {
            let _asking = self.asking.lock().await;
            health(&self.set_up).await
        };
        in_time(self.set_up.patience().saturating_add(self.set_up.connect_timeout), asked).await
    }

    /// How many connections there are.
    pub(super) fn status(&self) -> PoolStatus {
        let deadpool::Status { max_size, size, available, waiting } = self.pool.status();
        let count = |connections| u32::try_from(connections).unwrap_or(u32::MAX);
        PoolStatus { max: count(max_size), open: count(size), idle: count(available), waiting: count(waiting) }
    }
}

/// A connection of the pool, lent to one call. Where that is dropped in a transaction, or began one in plain SQL, the connection is
/// closed: in the pool it would hold its locks until somebody needs it. So is one that holds as many prepared statements as it may.
pub(super) struct Lent {
    /// There until the connection is given back.
    connection: Option<Object<AsyncPgConnection>>,
    pub(super) call: Arc<Call>,
}

impl Lent {
    /// What queries are run on.
    pub(super) fn get(&mut self) -> Result<&mut AsyncPgConnection> {
        Ok(self.connection.as_mut().ok_or(Error::ConnectionLost)?)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && (self.call.is_the_last() || PoolableConnection::is_broken(&mut *connection))
        {
            drop(Object::take(connection));
        }
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pooled({:?})", self.pool.status())
    }
}

/// Connects, and asks whether this build can use the database. Each may take as long as connecting may.
async fn health(set_up: &SetUp) -> Result<Health> {
    let mut connection = set_up.connect().await?;
    in_time(set_up.connect_timeout, health_on_conn(&mut connection)).await
}

/// What the server says, unless it takes too long over it.
async fn in_time<T>(longest: Duration, answer: impl Future<Output = Result<T>>) -> Result<T> {
    let silent = |_| Err(Error::Unavailable { reason: NO_ANSWER.to_owned() });
    tokio::time::timeout(longest, answer).await.unwrap_or_else(silent)
}

/// Asks a connection that has been idle for a while whether the server still answers. One that a call has just used does not
/// pay for a trip more, and where the server has hung up that is known without asking. The pool's own timeouts do not reach a
/// hook, and a server that is frozen never answers.
async fn still_answers(
    connection: &mut AsyncPgConnection,
    metrics: &Metrics,
    longest: Duration,
) -> std::result::Result<(), HookError<ConnectError>> {
    if metrics.last_used() >= TRUSTED {
        tokio::time::timeout(longest, connection.batch_execute("SELECT 1"))
            .await
            .map_err(|_| HookError::message(NO_ANSWER))?
            .map_err(|error| HookError::Backend(ConnectError::QueryError(error)))?;
    }
    Ok(())
}

/// Closes connections beyond those that are kept once they have been idle for a while, and looks for them so often. Ends with the
/// pool.
async fn close_idle(
    pool: deadpool::managed::WeakPool<AsyncDieselConnectionManager<AsyncPgConnection>>,
    keep: usize,
    often: Duration,
) {
    loop {
        tokio::time::sleep(often).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut spare = pool.status().size.saturating_sub(keep);
        pool.retain(|_, metrics| {
            let close = spare > 0 && metrics.last_used() >= IDLE;
            spare -= usize::from(close);
            !close
        });
    }
}

/// What every connection needs before its first query.
pub(super) struct SetUp {
    settings: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
    connect_timeout: Duration,
    /// How long the server may say nothing within a call: as long as a statement may take, and a while more.
    silence: Option<Duration>,
}

impl SetUp {
    pub(super) fn new(config: &Config) -> Result<Self> {
        #[cfg_attr(not(feature = "sqlite"), allow(irrefutable_let_patterns))]
        let Target::Postgres(Server { settings, tls }) = &config.target else {
            return Err(Error::BackendMismatch { backend: "postgres", url_is_for: config.backend().as_str() });
        };
        let PoolConfig { busy_timeout, connect_timeout, statement_timeout, .. } = config.pool;
        let silence = statement_timeout.saturating_add(connect_timeout).min(LONGEST);
        let silence = (!statement_timeout.is_zero()).then_some(silence);
        let mut settings = tokio_postgres::Config::clone(settings);
        settings.connect_timeout(connect_timeout).keepalives_idle(Duration::from_secs(30));
        if let Some(silence) = silence {
            settings.tcp_user_timeout(silence);
        }
        // Set with the connection, so that no query comes before them. `force_generic_plan`: a query is planned once, and
        // the partial indexes' conditions are literal. No parallel workers: starting them costs more than these queries.
        let options = format!(
            "{} -c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout=600000 \
             -c plan_cache_mode=force_generic_plan -c max_parallel_workers_per_gather=0 -c jit=off",
            settings.get_options().unwrap_or_default(),
            // Zero is as long as it likes.
            if statement_timeout.is_zero() { 0 } else { statement_timeout.clamp(SHORTEST, LONGEST).as_millis() },
            busy_timeout.clamp(SHORTEST, LONGEST).as_millis(),
        );
        settings.options(options);
        let tls = match tls {
            Tls::Off => None,
            Tls::VerifyFull { root_certificate } => Some(tls_connector(root_certificate.as_deref())?),
        };
        Ok(Self { settings, tls, connect_timeout, silence })
    }

    /// Connects and sets the connection up. A server that takes the connection and then says nothing is given up too, which the
    /// setting of the same name does not do.
    pub(super) async fn connect(&self) -> Result<AsyncPgConnection> {
        in_time(self.patience(), self.connect_to_any()).await
    }

    /// How long connecting may take: each of several servers has its time.
    fn patience(&self) -> Duration {
        self.connect_timeout.saturating_mul(u32::try_from(self.settings.get_hosts().len()).unwrap_or(u32::MAX).max(1))
    }

    async fn connect_to_any(&self) -> Result<AsyncPgConnection> {
        let refused = |error: tokio_postgres::Error| errors::cannot_connect(&error);
        let connection = match &self.tls {
            None => {
                let (client, connection) = self.settings.connect(tokio_postgres::NoTls).await.map_err(refused)?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
            Some(tls) => {
                let (client, connection) = self.settings.connect(tls.clone()).await.map_err(refused)?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
        };
        let mut connection = connection.map_err(|error| Error::Unavailable { reason: error.to_string() })?;
        connection.set_instrumentation(watch::noting());
        Ok(connection)
    }
}

/// TLS that verifies the server's certificate and name, by the system's authorities or by one that is named.
fn tls_connector(root_certificate: Option<&std::path::Path>) -> Result<MakeRustlsConnect> {
    let unusable = |reason| Error::InvalidSetting { setting: "sslrootcert", reason };
    let mut roots = rustls::RootCertStore::empty();
    match root_certificate {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path).map_err(|_| unusable("cannot be read"))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|_| unusable("is not a PEM file of certificates"))?;
                roots.add(certificate).map_err(|_| unusable("holds a certificate that cannot be trusted"))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(unusable("names no authority, and the system trusts none: TLS needs one"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| unusable("cannot be used: this build's cryptography has no safe protocol"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
