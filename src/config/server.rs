//! The address of a Postgres server.

use std::borrow::Cow;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::{ChannelBinding, Host};

use super::conninfo::Parameters;
use super::parameters::{self, Environment, Merged};
use super::tls::Tls;
use super::{conninfo, password_file};
use crate::error::{Error, Result};

/// The folders of a local server's socket: Debian's and Red Hat's, an older name of it, and PostgreSQL's own.
#[cfg(unix)]
pub(crate) const SOCKET_FOLDERS: [&str; 3] = ["/run/postgresql", "/var/run/postgresql", "/tmp"];

/// The port where none is given.
const PORT: u16 = 5432;

/// A Postgres server and a database on it. The password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// The settings for each of its hosts, which are tried in this order.
    pub(crate) hosts: Vec<tokio_postgres::Config>,
    /// Whether the hosts are tried in another order each time.
    pub(crate) shuffles_hosts: bool,
    /// Which of the hosts to connect to, where `target_session_attrs` says it.
    pub(crate) session: Option<SessionTarget>,
    /// Whether several hosts are named.
    names_several: bool,
    pub(crate) tls: Tls,
    /// Where a password comes from at each connection.
    pub(crate) password: Option<PasswordSource>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) warnings: Vec<String>,
}

/// Which servers a connection is made to: the values of `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum SessionTarget {
    /// Any server.
    Any,
    /// One that accepts writes by default.
    ReadWrite,
    /// One that accepts none by default.
    ReadOnly,
    /// One that is not in recovery.
    Primary,
    /// One in recovery.
    Standby,
    /// One in recovery, or else any other.
    PreferStandby,
}

type Password = std::result::Result<String, Box<dyn std::error::Error + Send + Sync>>;

/// A function that returns a password.
#[derive(Clone)]
pub(crate) struct PasswordSource(Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Password> + Send>> + Send + Sync>);

impl PasswordSource {
    pub(super) fn new<F>(source: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Password> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(source())))
    }

    /// Returns a new password.
    pub(crate) async fn password(&self) -> Password {
        (self.0)().await
    }
}

impl PartialEq for PasswordSource {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for PasswordSource {}

impl Server {
    /// Returns the server of a connection string of libpq: a URL such as
    /// `postgres://user:password@host:port/database?sslmode=verify-full`, or pairs such as `host=... dbname=...`.
    ///
    /// Missing parameters come from a service file, the environment and a password file, as with `psql`. `sslmode` is
    /// `verify-full` by default for any host but the local machine. The page `docs/connections.md` lists every form.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] and [`Error::UnknownParameter`], which show no value.
    pub fn from_url(url: &str) -> Result<Self> {
        let own = conninfo::parse(url).ok_or(Error::InvalidSetting {
            setting: "DATABASE_URL",
            reason: "is not a URL like postgres://user@host:5432/database",
        })?;
        Self::new(own?, &parameters::of_this_program())
    }

    pub(super) fn new(own: Parameters, environment: &Environment<'_>) -> Result<Self> {
        let parameters = Merged::new(own, environment)?;
        let mut warnings = Vec::new();
        let addresses = addresses(&parameters)?;
        // An address of the environment or a service does not weaken the encryption to the host of its name.
        let has_own_hostaddr = parameters.is_own("hostaddr");
        let is_local = |address: &Address| {
            address.is_on_this_machine() && (has_own_hostaddr || address.host.is_none() || address.has_local_name())
        };
        let tls = Tls::new(&parameters, environment, addresses.iter().all(is_local), &mut warnings)?;
        let base = settings(&parameters, &mut warnings)?;
        let passwords = if base.get_password().is_none() {
            password_file::path(parameters.get("passfile"), environment)
                .map(|path| password_file::read(&path).map_err(|why| format!("the password file {why}")))
        } else {
            None
        };
        let passwords = match passwords {
            Some(Ok(text)) => text,
            Some(Err(warning)) => {
                warnings.push(warning);
                String::new()
            }
            None => String::new(),
        };
        let named = |address: &Address| {
            let mut host = base.clone();
            address.apply(&mut host);
            let (database, user) = (host.get_dbname().unwrap_or_default(), host.get_user().unwrap_or_default());
            let name = address.name_in_password_file();
            let wanted = [name.as_ref(), &address.port.to_string(), database, user];
            if let Some(password) = password_file::password(&passwords, wanted) {
                host.password(password);
            }
            host
        };
        let shuffles_hosts = match parameters.get("load_balance_hosts") {
            None | Some("disable") => false,
            Some("random") => true,
            Some(_) => {
                return Err(Error::InvalidSetting {
                    setting: "load_balance_hosts",
                    reason: "must be disable or random",
                });
            }
        };
        let session = parameters.get("target_session_attrs").map(|word| {
            word.parse().map_err(|_| Error::InvalidSetting {
                setting: "target_session_attrs",
                reason: "must be any, read-write, read-only, primary, standby or prefer-standby",
            })
        });
        let names_several = ["host", "hostaddr"].iter().any(|name| parameters.get(name).unwrap_or("").contains(','));
        let connect_timeout = parameters.get("connect_timeout").map(|text| seconds("connect_timeout", text));
        Ok(Self {
            hosts: addresses.iter().map(named).collect(),
            shuffles_hosts,
            session: session.transpose()?,
            names_several,
            tls,
            password: None,
            connect_timeout: connect_timeout.transpose()?.flatten(),
            warnings,
        })
    }

    /// Returns which of the hosts to connect to. Of several hosts only one accepts writes.
    pub(crate) fn session(&self) -> SessionTarget {
        let default = if self.names_several { SessionTarget::ReadWrite } else { SessionTarget::Any };
        self.session.unwrap_or(default)
    }

    /// Returns the same server, whose primary is connected to unless its address says otherwise.
    pub(crate) fn at_primary(mut self) -> Self {
        self.session.get_or_insert(SessionTarget::Primary);
        self
    }

    /// Returns the same server, whose standbys are connected to if several hosts are named, unless its address says
    /// otherwise.
    pub(crate) fn at_standbys(mut self) -> Self {
        if self.names_several {
            self.session.get_or_insert(SessionTarget::Standby);
        }
        self
    }

    /// Returns the encryption of connections.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }
}

/// One host of a server.
struct Address {
    /// A name or address, or the folder of a socket.
    host: Option<String>,
    /// The address to connect to instead of the one that the name resolves to.
    hostaddr: Option<IpAddr>,
    port: u16,
}

impl Address {
    fn is_socket(&self) -> bool {
        self.hostaddr.is_none() && self.host.as_deref().is_some_and(|host| host.starts_with('/'))
    }

    fn is_on_this_machine(&self) -> bool {
        self.hostaddr.map_or_else(|| self.has_local_name(), is_loopback)
    }

    /// Returns whether its name, or the folder of its socket, is of this machine.
    fn has_local_name(&self) -> bool {
        self.host.as_deref().is_some_and(|host| {
            host.starts_with('/') || host == "localhost" || host.parse::<IpAddr>().is_ok_and(is_loopback)
        })
    }

    /// Adds the address to the settings. One without a name is verified by its number.
    fn apply(&self, settings: &mut tokio_postgres::Config) {
        if let Some(address) = self.hostaddr {
            settings.hostaddr(address);
        }
        match (&self.host, self.hostaddr) {
            (Some(host), _) => settings.host(host),
            (None, Some(address)) => settings.host(address.to_string()),
            (None, None) => settings,
        };
        settings.port(self.port);
        if self.is_socket() {
            // A socket has no TLS.
            settings.ssl_mode(tokio_postgres::config::SslMode::Disable);
        }
    }

    /// Returns the name to look up: `localhost` for a socket in a usual folder, and the address of a host without a
    /// name.
    fn name_in_password_file(&self) -> Cow<'_, str> {
        let Some(host) = self.host.as_deref() else {
            return self.hostaddr.map_or("localhost".into(), |address| address.to_string().into());
        };
        #[cfg(unix)]
        if SOCKET_FOLDERS.contains(&host) {
            return "localhost".into();
        }
        host.into()
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Returns the addresses of the hosts; without any, those of a server on this machine.
fn addresses(parameters: &Merged) -> Result<Vec<Address>> {
    let list = |name| parameters.get(name).map(|text| text.split(',').map(str::trim).collect::<Vec<_>>());
    let (hosts, hostaddrs) = (list("host").unwrap_or_default(), list("hostaddr").unwrap_or_default());
    let ports = list("port").unwrap_or_default();
    let count = hosts.len().max(hostaddrs.len()).max(1);
    if ![0, count].contains(&hosts.len()) || ![0, count].contains(&hostaddrs.len()) {
        return Err(Error::InvalidSetting { setting: "hostaddr", reason: "must have one address for each host" });
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(Error::InvalidSetting { setting: "port", reason: "must have one port, or one for each host" });
    }
    let mut addresses = Vec::new();
    for at in 0..count {
        let host = hosts.get(at).copied().filter(|host| !host.is_empty());
        let hostaddr = hostaddrs.get(at).copied().filter(|address| !address.is_empty());
        let port = match ports.get(at).or(ports.first()).copied().filter(|port| !port.is_empty()) {
            None => PORT,
            Some(port) => port.parse::<u16>().ok().filter(|port| *port > 0).ok_or(Error::InvalidSetting {
                setting: "port",
                reason: "must be a number from 1 to 65535: in a password, write %3A for a :",
            })?,
        };
        let hostaddr = hostaddr
            .map(str::parse::<IpAddr>)
            .transpose()
            .map_err(|_| Error::InvalidSetting { setting: "hostaddr", reason: "must be a numeric address" })?;
        // A host with an @ is the rest of a password with an @, which messages would show.
        if host.is_some_and(|host| host.contains('@')) {
            return Err(Error::InvalidSetting {
                setting: "host",
                reason: "must have no @: in a password, write %40 for it; abstract sockets are not supported",
            });
        }
        if host.is_none() && hostaddr.is_none() {
            #[cfg(unix)]
            let usual = SOCKET_FOLDERS;
            #[cfg(not(unix))]
            let usual = ["localhost"];
            addresses.extend(usual.map(|host| Address { host: Some(host.to_owned()), hostaddr, port }));
        } else {
            addresses.push(Address { host: host.map(str::to_owned), hostaddr, port });
        }
    }
    Ok(addresses)
}

/// Returns the settings that all hosts share.
fn settings(parameters: &Merged, warnings: &mut Vec<String>) -> Result<tokio_postgres::Config> {
    let mut settings = tokio_postgres::Config::new();
    let user = match parameters.get("user") {
        Some(user) => user.to_owned(),
        None => whoami::username()
            .map_err(|_| Error::InvalidSetting { setting: "user", reason: "is missing, and the system has none" })?,
    };
    settings.dbname(parameters.get("dbname").unwrap_or(&user)).user(user);
    if let Some(password) = parameters.get("password") {
        settings.password(password);
    }
    if let Some(options) = parameters.get("options") {
        settings.options(options);
    }
    let name = parameters.get("application_name").or(parameters.get("fallback_application_name"));
    settings.application_name(name.unwrap_or("school-finder-db"));
    settings.channel_binding(match parameters.get("channel_binding") {
        None | Some("prefer") => ChannelBinding::Prefer,
        Some("require") => ChannelBinding::Require,
        Some("disable") if parameters.is_own("channel_binding") => ChannelBinding::Disable,
        Some("disable") => {
            warnings.push("channel_binding=disable of the environment or service is not followed".to_owned());
            ChannelBinding::Prefer
        }
        Some(_) => {
            return Err(Error::InvalidSetting {
                setting: "channel_binding",
                reason: "must be disable, prefer or require",
            });
        }
    });
    settings.keepalives(parameters.get("keepalives") != Some("0"));
    settings.keepalives_idle(Duration::from_secs(30));
    if let Some(idle) = parameters.get("keepalives_idle") {
        seconds("keepalives_idle", idle)?.map(|idle| settings.keepalives_idle(idle));
    }
    if let Some(interval) = parameters.get("keepalives_interval") {
        seconds("keepalives_interval", interval)?.map(|interval| settings.keepalives_interval(interval));
    }
    if let Some(count) = parameters.get("keepalives_count") {
        let count = count.trim().parse();
        settings.keepalives_retries(count.map_err(|_| Error::InvalidSetting {
            setting: "keepalives_count",
            reason: "must be a number of probes",
        })?);
    }
    if let Some(timeout) = parameters.get("tcp_user_timeout") {
        // In milliseconds, as with libpq.
        let timeout: u64 = timeout.trim().parse().map_err(|_| Error::InvalidSetting {
            setting: "tcp_user_timeout",
            reason: "must be a number of milliseconds",
        })?;
        if timeout > 0 {
            settings.tcp_user_timeout(Duration::from_millis(timeout));
        }
    }
    Ok(settings)
}

/// Returns a number of seconds. Zero or less means the default, since every wait has a limit.
fn seconds(setting: &'static str, text: &str) -> Result<Option<Duration>> {
    let seconds: i64 = text
        .trim()
        .parse()
        .map_err(|_| Error::InvalidSetting { setting, reason: "must be a whole number of seconds" })?;
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

/// Writes a text with the special characters of URLs escaped.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '%' | '/' | '?' | '#' | '@' | ':' | ',' | '[' | ']' | ' ' => {
                escaped += &format!("%{:02X}", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Returns a host, or the folder of a socket, and its port, for a message.
pub(crate) fn host_and_port(settings: &tokio_postgres::Config) -> String {
    authority(settings, str::to_owned)
}

/// Returns a host and its port as a URL has them, with the folder of a socket as `folder` writes it.
fn authority(settings: &tokio_postgres::Config, folder: impl Fn(&str) -> String) -> String {
    let host = match settings.get_hosts().first() {
        Some(Host::Tcp(name)) if name.contains(':') => format!("[{name}]"),
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => folder(&path.display().to_string()),
        None => String::new(),
    };
    let port = settings.get_ports().first().copied().unwrap_or(PORT);
    if port == PORT { host } else { format!("{host}:{port}") }
}

impl std::fmt::Display for Server {
    /// Writes the URL without its password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(first) = self.hosts.first() else { return f.write_str("postgres://") };
        write!(f, "postgres://{}@", escaped(first.get_user().unwrap_or_default()))?;
        for (at, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{}", if at == 0 { "" } else { "," }, authority(host, escaped))?;
        }
        write!(f, "/{}", escaped(first.get_dbname().unwrap_or_default()))
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({self}, {:?})", self.tls)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tls::TlsMode;
    use super::*;

    /// Returns the server of a URL in an environment of these variables.
    fn server_in(url: &str, set: &[(&str, &str)]) -> Result<Server> {
        let variable = |name: &str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        let own = conninfo::parse(url).expect("a connection string")?;
        Server::new(own, &Environment { variable: &variable, home: None })
    }

    fn server(url: &str) -> Server {
        server_in(url, &[("PGUSER", "me")]).expect("a server")
    }

    #[test]
    fn only_loopback_connections_are_unencrypted() {
        let mode = |url| server(url).tls.mode;
        for local in [
            "postgres://localhost/schools",
            "postgres://finder@127.0.0.1:5433/schools",
            "postgres://finder@[::1]/schools",
            "postgres:///schools",
            "postgres:///schools?host=/run/postgresql",
            "postgres://db.example/schools?hostaddr=127.0.0.1",
            "postgres://db.example/schools?sslmode=disable",
            "host=localhost",
        ] {
            assert_eq!(mode(local), TlsMode::Disable, "{local}");
        }
        for remote in [
            "postgres://db.example/schools",
            "postgres://localhost,db.example/schools",
            "postgres://localhost/schools?hostaddr=10.0.0.1",
            "postgres://localhost/schools?sslmode=verify-full",
            "postgres://localhost/schools?sslrootcert=system",
            "postgres://localhost/schools?host=db.example",
            "host=db.example",
        ] {
            assert_eq!(mode(remote), TlsMode::VerifyFull, "{remote}");
        }
        for url in ["postgres://db.example/x?sslmode=perhaps", "postgres://h:x/d", "postgres://h/d?sslkey=k"] {
            assert!(matches!(server_in(url, &[]), Err(Error::InvalidSetting { .. })), "{url}");
        }
    }

    #[test]
    fn the_environment_never_weakens_tls() {
        let mode = |url, set: &[_]| server_in(url, &[set, &[("PGUSER", "me")]].concat()).expect("a server").tls.mode;
        assert_eq!(mode("postgres:///d", &[("PGHOST", "db.example")]), TlsMode::VerifyFull);
        assert_eq!(mode("postgres://localhost/d", &[("PGHOSTADDR", "10.0.0.1")]), TlsMode::VerifyFull);
        assert_eq!(mode("postgres://db.example/d", &[("PGHOSTADDR", "127.0.0.1")]), TlsMode::VerifyFull);
        assert_eq!(mode("postgres://localhost/d", &[("PGHOSTADDR", "127.0.0.1")]), TlsMode::Disable);
        assert_eq!(mode("postgres://db.example/d", &[("PGSSLMODE", "disable")]), TlsMode::VerifyFull);
        assert_eq!(mode("postgres://db.example/d?sslmode=", &[("PGSSLMODE", "require")]), TlsMode::VerifyFull);
        assert_eq!(mode("postgres://localhost/d", &[("PGSSLMODE", "verify-full")]), TlsMode::VerifyFull);
        assert_eq!(mode("postgres://h/d?sslmode=require", &[("PGSSLMODE", "disable")]), TlsMode::Require);
        assert_eq!(mode("postgres://h/d?sslmode=require", &[("PGSSLROOTCERT", "ca.pem")]), TlsMode::VerifyCa);
        let ambient = server_in("postgres://u@h/d", &[("PGCHANNELBINDING", "disable"), ("PGSSLMODE", "prefer")]);
        let ambient = ambient.expect("a server");
        assert_eq!(ambient.hosts[0].get_channel_binding(), ChannelBinding::Prefer);
        assert_eq!(ambient.warnings.len(), 2, "{:?}", ambient.warnings);
    }

    #[test]
    fn each_host_has_its_own_port_and_password() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pass");
        std::fs::write(
            &file,
            "a:5432:d:u:one\nb:1:d:u:no\n\\:\\:1:5433:d:u:two\n10.0.0.1:*:*:*:three\nlocalhost:*:*:*:local\n",
        )
        .expect("a file");
        #[cfg(unix)]
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("rights");
        let set = [("PGPASSFILE", file.to_str().expect("a path"))];
        let passwords = |url| {
            let server = server_in(url, &set).expect("a server");
            let password = |host: &tokio_postgres::Config| {
                String::from_utf8(host.get_password().unwrap_or_default().to_vec()).expect("text")
            };
            server.hosts.iter().map(password).collect::<Vec<_>>()
        };
        assert_eq!(passwords("postgres://u@a,[::1]:5433,b/d"), ["one", "two", ""]);
        #[cfg(unix)]
        assert_eq!(passwords("postgres://u@/d"), ["local"; 3]);
        assert_eq!(passwords("postgres://u@/d?hostaddr=10.0.0.1"), ["three"]);
        assert_eq!(passwords("postgres://u@/d?hostaddr=10.0.0.2"), [""], "localhost's is not sent elsewhere");
        assert_eq!(passwords("postgres://u:own@a,b/d"), ["own", "own"]);
        for url in ["postgres://u@a:1,b:2/d?port=1,2,3", "postgres://u@a,b/d?hostaddr=10.0.0.1", "postgres://u@a:0/d"] {
            assert!(server_in(url, &set).is_err(), "{url}");
        }
    }

    #[test]
    fn parameters_of_the_connection_are_obeyed() {
        let url = "postgres://u@h/d?connect_timeout=3&keepalives_idle=7&keepalives_count=4&tcp_user_timeout=1500\
                   &application_name=map&target_session_attrs=read-write&load_balance_hosts=random\
                   &channel_binding=require&options=-c%20work_mem%3D8MB&client_encoding=UTF8&gssencmode=disable";
        let server = server(url);
        let host = &server.hosts[0];
        assert_eq!(server.connect_timeout, Some(Duration::from_secs(3)));
        assert_eq!(host.get_keepalives_idle(), Duration::from_secs(7));
        assert_eq!(host.get_keepalives_retries(), Some(4));
        assert_eq!(host.get_tcp_user_timeout(), Some(&Duration::from_millis(1500)));
        assert_eq!(host.get_application_name(), Some("map"));
        assert_eq!(server.session(), SessionTarget::ReadWrite);
        assert_eq!(host.get_channel_binding(), ChannelBinding::Require);
        assert_eq!(host.get_options(), Some("-c work_mem=8MB"));
        assert!(server.shuffles_hosts);
        for wrong in ["connect_timeout=soon", "target_session_attrs=writer", "channel_binding=no", "sslsni=2"] {
            let error = server_in(&format!("postgres://u@h/d?{wrong}"), &[]).expect_err(wrong);
            let (name, _) = wrong.split_once('=').expect("a parameter");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn only_one_of_several_hosts_accepts_writes() {
        use SessionTarget::{Any, PreferStandby, Primary, ReadWrite, Standby};
        for (url, session) in [
            ("postgres://h/d", Any),
            ("postgres:///d", Any),
            ("postgres://a,b/d", ReadWrite),
            ("postgres://a/d?hostaddr=10.0.0.1", Any),
            ("postgres://a,b/d?target_session_attrs=any", Any),
            ("postgres://a,b/d?target_session_attrs=primary", Primary),
            ("postgres://h/d?target_session_attrs=standby", Standby),
            ("postgres://a,b/d?target_session_attrs=prefer-standby", PreferStandby),
        ] {
            assert_eq!(server(url).session(), session, "{url}");
        }
        assert_eq!(server("postgres://h/d").at_primary().session(), Primary);
        assert_eq!(server("postgres://h/d?target_session_attrs=standby").at_primary().session(), Standby);
        assert_eq!(server("postgres://h/d").at_standbys().session(), Any);
        assert_eq!(server("postgres://a,b/d").at_standbys().session(), Standby);
        assert_eq!(server("postgres://a,b/d?target_session_attrs=any").at_standbys().session(), Any);
    }

    #[test]
    fn a_server_is_shown_without_its_password() {
        for (url, shown) in [
            ("postgres://finder:s3cr3t%21@db.example:5433/schools", "postgres://finder@db.example:5433/schools"),
            ("postgres://finder:s3cr3t@a,[::1]:5433/schools", "postgres://finder@a,[::1]:5433/schools"),
            ("postgres://finder:s3cr3t@/schools?host=/a/b", "postgres://finder@%2Fa%2Fb/schools"),
            ("host=h password=s3cr3t dbname='a b'", "postgres://me@h/a%20b"),
        ] {
            let server = server(url);
            assert_eq!(server.to_string(), shown);
            assert!(!format!("{server:?}").contains("s3cr3t"));
        }
    }
}
