//! The address of a Postgres server, and the encryption of its connections.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::config::Host;

use crate::error::{Error, Result};

/// A Postgres server and a database on it. The password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    // Boxed, since it is large and is stored in an enum beside a path.
    pub(crate) settings: Box<tokio_postgres::Config>,
    pub(crate) tls: Tls,
}

/// The encryption of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// No encryption. The default for the local machine only.
    Off,
    /// Encryption, with the server's certificate and name verified. The default for any other machine.
    VerifyFull {
        /// A PEM file of the authority to trust instead of the system's.
        root_certificate: Option<PathBuf>,
    },
}

impl Server {
    /// Returns the server of a URL: `postgres://user:password@host:port/database?sslmode=verify-full`.
    ///
    /// `sslmode` is `verify-full`, the default for any host but the local machine, or `disable`. `sslrootcert` names a
    /// PEM file of the authority to trust. Other parameters are those of libpq that tokio-postgres supports.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], which does not show the URL.
    pub fn from_url(url: &str) -> Result<Self> {
        let invalid = |reason| Error::InvalidSetting { setting: "DATABASE_URL", reason };
        let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut root_certificate, mut others) = (None, None, Vec::new());
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => root_certificate = Some(PathBuf::from(value)),
                _ => others.push(parameter),
            }
        }
        let settings = tokio_postgres::Config::from_str(&format!("{address}?{}", others.join("&")));
        // The error's text may repeat a part of the URL.
        let mut settings = settings.map_err(|_| invalid("is not a URL like postgres://user@host:5432/database"))?;
        // A host with an @ is the rest of a password with an @, which messages would show.
        if settings.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if name.contains('@'))) {
            return Err(invalid("has an @ in the name of its host: in a password, write %40 for it"));
        }
        let verified = Tls::VerifyFull { root_certificate };
        let tls = match mode {
            None if is_on_this_machine(&settings) => Tls::Off,
            None | Some("verify-full") => verified,
            Some("disable") => Tls::Off,
            Some(_) => {
                return Err(invalid(
                    "has an sslmode that is not supported: use verify-full, or disable to have no TLS",
                ));
            }
        };
        settings.ssl_mode(match tls {
            Tls::Off => tokio_postgres::config::SslMode::Disable,
            Tls::VerifyFull { .. } => tokio_postgres::config::SslMode::Require,
        });
        if settings.get_application_name().is_none() {
            settings.application_name("school-finder-db");
        }
        Ok(Self { settings: Box::new(settings), tls })
    }

    /// Returns the encryption of connections.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }
}

fn is_on_this_machine(settings: &tokio_postgres::Config) -> bool {
    let is_loopback = |host: &Host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    settings.get_hosts().iter().all(is_loopback) && settings.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

impl std::fmt::Display for Server {
    /// Writes the URL without its password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.settings.get_user() {
            write!(f, "{user}@")?;
        }
        let ports = self.settings.get_ports();
        for (at, host) in self.settings.get_hosts().iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}")?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{comma}{}", path.display())?,
            }
            if let Some(port) = ports.get(at).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.settings.get_dbname().unwrap_or_default())
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({self}, {:?})", self.tls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_connections_are_unencrypted() {
        let tls = |url| Server::from_url(url).expect("a server").tls;
        let verified = Tls::VerifyFull { root_certificate: None };
        assert_eq!(tls("postgres://localhost/schools"), Tls::Off);
        assert_eq!(tls("postgres://finder@127.0.0.1:5433/schools"), Tls::Off);
        assert_eq!(tls("postgres://finder@[::1]/schools"), Tls::Off);
        assert_eq!(tls("postgres:///schools?host=/run/postgresql"), Tls::Off);
        assert_eq!(tls("postgres://db.example/schools"), verified);
        assert_eq!(tls("postgres://localhost,db.example/schools"), verified, "one remote host is enough");
        assert_eq!(tls("postgres://localhost/schools?hostaddr=10.0.0.1"), verified);
        assert_eq!(tls("postgres://localhost/schools?sslmode=verify-full"), verified);
        assert_eq!(tls("postgres://db.example/schools?sslmode=disable"), Tls::Off);
        for url in ["postgres://db.example/x?sslmode=require", "postgres://db.example/x?sslmode=", "postgres://h:x/d"] {
            assert!(
                matches!(Server::from_url(url), Err(Error::InvalidSetting { setting: "DATABASE_URL", .. })),
                "{url}"
            );
        }
    }

    #[test]
    fn a_server_is_shown_without_its_password() {
        let server = Server::from_url("postgres://finder:s3cr3t%21@db.example:5433/schools").expect("a server");
        assert_eq!(server.to_string(), "postgres://finder@db.example:5433/schools");
        assert!(!format!("{server:?}").contains("s3cr3t"));
    }
}
