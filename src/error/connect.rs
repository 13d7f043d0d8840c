//! Why a server that answered lets nobody in.

/// Why a connection could not be made to a server that answered.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server asks for a password, and there is none.
    #[error(
        "the database server asks for a password: put it in the URL (with % escapes), in PGPASSWORD, or in a password \
         file that only its owner can read (PGPASSFILE, else ~/.pgpass)"
    )]
    PasswordMissing,
    /// The function that returns a password failed ([`Config::with_password`](crate::Config::with_password)).
    #[error("no password for the database server: {reason}")]
    PasswordSource {
        /// What the function returned.
        reason: String,
    },
    /// The server refused the role: its password is wrong, or the server's rules (`pg_hba.conf`) exclude it.
    #[error("the database server refused the login ({reason}): {next_step}")]
    LoginRefused {
        /// The reason that the server reported.
        reason: String,
        /// What to do about it.
        next_step: &'static str,
    },
    /// The server has no such database.
    #[error("the database server has no such database ({reason}): correct its name, or create it with `createdb`")]
    UnknownDatabase {
        /// The reason that the server reported.
        reason: String,
    },
    /// The server has no connection left.
    #[error(
        "the database server has no connection left ({reason}): lower `max_size` of the pools, or raise \
         `max_connections` of the server"
    )]
    ServerFull {
        /// The reason that the server reported.
        reason: String,
    },
    /// The server is starting, stopping or recovering.
    #[error("the database server is not ready ({reason}): try again")]
    ServerNotReady {
        /// The reason that the server reported.
        reason: String,
    },
    /// None of the hosts is a standby as asked for: one that is not too far behind its primary.
    #[error(
        "no standby to connect to ({reason}): name the standbys in the address, or add \
         target_session_attrs=prefer-standby"
    )]
    NoStandby {
        /// What each of the hosts is.
        reason: String,
    },
    /// A pooler refuses a parameter that is sent as the connection is made.
    #[error(
        "the database server refused a startup parameter ({reason}): if it is pgbouncer, add \
         `ignore_startup_parameters = options` to its settings, or use the server's own address"
    )]
    StartupParameter {
        /// The reason that the server reported.
        reason: String,
    },
    /// A pooler in front of the server does not keep what a connection needs.
    #[error(
        "this address leads to a pooler, and {reason}: use the server's own address, or, for a service, store the \
         settings with its role by `school-finder migrate grant ROLE --settings`"
    )]
    Pooler {
        /// What is missing.
        reason: &'static str,
    },
    /// A pooler in transaction mode lost the prepared statements of a connection. Nothing was written.
    #[error(
        "a pooler does not keep prepared statements ({reason}): set `max_prepared_statements = 200` in pgbouncer 1.21 \
         or newer, or use its session mode, or the server's own address"
    )]
    PreparedStatements {
        /// The reason that the server reported.
        reason: String,
    },
    /// No connection as secure as `sslmode` asks for could be made.
    #[error("no secure connection to the database server: {reason}")]
    Tls {
        /// The reason, and what to do about it.
        reason: String,
    },
    /// What answered is not a Postgres server.
    #[error("{server} answered, but not as PostgreSQL does: check the host and the port")]
    NotPostgres {
        /// The host and the port.
        server: String,
    },
    /// The server refused the connection for another reason.
    #[error("the database server refused the connection: {reason}")]
    Rejected {
        /// The reason that the server reported.
        reason: String,
    },
}

impl ConnectError {
    /// Returns whether the cause may pass by itself.
    pub(super) fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::NoStandby { .. }
                | Self::ServerFull { .. }
                | Self::ServerNotReady { .. }
                | Self::PasswordSource { .. }
        )
    }
}
