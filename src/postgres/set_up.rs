//! How every connection is made and set up.

use std::sync::Arc;
use std::time::Duration;

use diesel_async::{AsyncConnection, AsyncPgConnection};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{errors, guard};
use crate::config::{Config, PoolConfig, Server, Target, Tls};
use crate::error::{Error, Result};

/// The reason returned for a server that accepts connections but does not respond.
pub(super) const NO_RESPONSE: &str = "it did not respond in time";

/// The shortest timeout that the server supports. Zero would mean no limit.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest timeout that the server and the kernel support: 2^31 - 1 milliseconds.
const LONGEST: Duration = Duration::from_millis(2_147_483_647);

/// The settings that every connection needs before its first query.
pub(super) struct SetUp {
    settings: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
    pub(super) connect_timeout: Duration,
    /// The response timeout of a call: the statement timeout and a margin.
    pub(super) response_timeout: Option<Duration>,
}

impl SetUp {
    pub(super) fn new(config: &Config) -> Result<Self> {
        #[cfg_attr(not(feature = "sqlite"), allow(irrefutable_let_patterns))]
        let Target::Postgres(Server { settings, tls }) = &config.target else {
            return Err(Error::BackendMismatch { backend: "postgres", url_is_for: config.backend().as_str() });
        };
        let PoolConfig { busy_timeout, connect_timeout, statement_timeout, .. } = config.pool;
        let response_timeout = statement_timeout.saturating_add(connect_timeout).min(LONGEST);
        let response_timeout = (!statement_timeout.is_zero()).then_some(response_timeout);
        let mut settings = tokio_postgres::Config::clone(settings);
        settings.connect_timeout(connect_timeout).keepalives_idle(Duration::from_secs(30));
        if let Some(response_timeout) = response_timeout {
            settings.tcp_user_timeout(response_timeout);
        }
        // Set as the connection is made, so that they apply to its first query. `force_generic_plan`: a query is
        // planned once, and the conditions of the partial indexes are literals. No parallel workers: starting them
        // costs more than these queries.
        let options = format!(
            "{} -c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout=600000 \
             -c plan_cache_mode=force_generic_plan -c max_parallel_workers_per_gather=0 -c jit=off",
            settings.get_options().unwrap_or_default(),
            // Zero means no limit.
            if statement_timeout.is_zero() { 0 } else { statement_timeout.clamp(SHORTEST, LONGEST).as_millis() },
            busy_timeout.clamp(SHORTEST, LONGEST).as_millis(),
        );
        settings.options(options);
        let tls = match tls {
            Tls::Off => None,
            Tls::VerifyFull { root_certificate } => Some(tls_connector(root_certificate.as_deref())?),
        };
        Ok(Self { settings, tls, connect_timeout, response_timeout })
    }

    /// Connects and sets the connection up, within the connect timeout. The setting of that name alone does not cover a
    /// server that accepts the connection and then does not respond.
    pub(super) async fn connect(&self) -> Result<AsyncPgConnection> {
        within(self.connect_limit(), self.connect_to_any()).await
    }

    /// Returns the timeout for connecting: the connect timeout for each of the configured servers.
    pub(super) fn connect_limit(&self) -> Duration {
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
        connection.set_instrumentation(guard::instrumentation());
        Ok(connection)
    }
}

/// Returns a TLS connector that verifies the server's certificate and name against the system's authorities or a given
/// one.
fn tls_connector(root_certificate: Option<&std::path::Path>) -> Result<MakeRustlsConnect> {
    let unusable = |reason| Error::InvalidSetting { setting: "sslrootcert", reason };
    let mut roots = rustls::RootCertStore::empty();
    match root_certificate {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path).map_err(|_| unusable("cannot be read"))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|_| unusable("is not a PEM file of certificates"))?;
                roots.add(certificate).map_err(|_| unusable("contains a certificate that cannot be trusted"))?;
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

/// Waits for a result of the server, up to a timeout. Its errors are typed here.
pub(super) async fn within<T>(timeout: Duration, result: impl Future<Output = Result<T>>) -> Result<T> {
    let timed_out = |_| Err(Error::Unavailable { reason: NO_RESPONSE.to_owned() });
    tokio::time::timeout(timeout, result).await.unwrap_or_else(timed_out).map_err(errors::classify)
}
