//! The encryption of connections to Postgres.

use std::path::PathBuf;

use super::parameters::{Environment, Merged};
use crate::error::{Error, Result};

/// The encryption of connections to a server, and the checks of its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// The mode: whether to encrypt, and what to check.
    pub mode: TlsMode,
    /// A PEM file of the authorities to trust instead of the system's (`sslrootcert`).
    pub root_certificate: Option<PathBuf>,
    /// The PEM files of the client's own certificate (`sslcert`) and of its key (`sslkey`).
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Whether the server is sent the name of its host before encryption begins (`sslsni`).
    pub(crate) sends_name: bool,
    /// Whether TLS 1.2 is used, and TLS 1.3.
    pub(crate) versions: (bool, bool),
}

/// libpq's `sslmode`, from the weakest to the strongest: whether to encrypt, and what to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::EnumString)]
#[strum(serialize_all = "kebab-case")]
pub enum TlsMode {
    /// No encryption: whoever carries the connection can read and change it. The default for this machine.
    Disable,
    /// Encryption if the server insists on it, without checks: no protection from anybody who can change traffic.
    Allow,
    /// Encryption if the server offers it, without checks: no protection from anybody who can change traffic.
    Prefer,
    /// Encryption. A certificate that cannot be verified is reported in a warning, and the connection is used: this
    /// protects from somebody who only reads traffic, but not from an impostor. With a root certificate it is
    /// `VerifyCa`.
    Require,
    /// Encryption, and a certificate of a trusted authority, whatever its name: another server with a certificate of
    /// that authority can pose as this one.
    VerifyCa,
    /// Encryption, and a certificate of a trusted authority for the name of the host. The default for any other
    /// machine.
    VerifyFull,
}

impl TlsMode {
    /// Returns what the mode does not check, for a warning.
    pub(super) fn warning(self) -> Option<&'static str> {
        match self {
            Self::Disable | Self::VerifyFull => None,
            Self::Allow => Some("sslmode=allow encrypts only where the server insists, and checks nothing"),
            Self::Prefer => Some("sslmode=prefer encrypts only where the server offers it, and checks nothing"),
            Self::Require => Some("sslmode=require goes on where the server's certificate cannot be verified"),
            Self::VerifyCa => Some("sslmode=verify-ca does not check the name in the server's certificate"),
        }
    }
}

impl Tls {
    /// Returns the encryption that the parameters ask for. The environment and a service can only strengthen it.
    pub(super) fn new(
        parameters: &Merged,
        environment: &Environment<'_>,
        is_on_this_machine: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let root_certificate = parameters.get("sslrootcert");
        let of_system = root_certificate == Some("system");
        let default = if is_on_this_machine && !of_system { TlsMode::Disable } else { TlsMode::VerifyFull };
        let mut mode = match parameters.get("sslmode") {
            None => default,
            Some(word) => word.parse().map_err(|_| Error::InvalidSetting {
                setting: "sslmode",
                reason: "must be one of disable, allow, prefer, require, verify-ca, verify-full",
            })?,
        };
        if mode < default && !parameters.is_own("sslmode") {
            warnings
                .push(format!("sslmode={mode} of the environment or service is not followed: only a URL weakens TLS"));
            mode = default;
        }
        if of_system && mode != TlsMode::VerifyFull {
            return Err(Error::InvalidSetting {
                setting: "sslrootcert",
                reason: "is system, which needs sslmode=verify-full",
            });
        }
        // Where psql looks for them.
        let folder =
            environment.home.as_ref().filter(|_| mode >= TlsMode::Require).map(|home| home.join(".postgresql"));
        let in_home = |name| Some(folder.as_ref()?.join(name)).filter(|path| path.exists());
        let file = |name, in_home: Option<PathBuf>| parameters.get(name).map(PathBuf::from).or(in_home);
        let root_certificate = if of_system { None } else { file("sslrootcert", in_home("root.crt")) };
        if mode == TlsMode::Require && root_certificate.is_some() {
            mode = TlsMode::VerifyCa;
        }
        let certificate = file("sslcert", in_home("postgresql.crt"));
        let key = file("sslkey", in_home("postgresql.key"));
        let certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => {
                return Err(Error::InvalidSetting { setting: "sslkey", reason: "is missing, and sslcert needs it" });
            }
            (None, Some(_)) => {
                return Err(Error::InvalidSetting { setting: "sslcert", reason: "is missing, and sslkey needs it" });
            }
        };
        // A machine's own connections can be read only by its administrators.
        if !is_on_this_machine || mode != TlsMode::Disable {
            warnings.extend(mode.warning().map(str::to_owned));
        }
        if !is_on_this_machine && mode == TlsMode::Disable {
            warnings.push("sslmode=disable sends passwords and homes in the clear".to_owned());
        }
        let sends_name = match parameters.get("sslsni") {
            None | Some("1") => true,
            Some("0") => false,
            Some(_) => return Err(Error::InvalidSetting { setting: "sslsni", reason: "must be 0 or 1" }),
        };
        Ok(Self { mode, root_certificate, certificate, sends_name, versions: versions(parameters)? })
    }
}

/// Returns whether TLS 1.2 is used, and TLS 1.3. Older ones never are.
fn versions(parameters: &Merged) -> Result<(bool, bool)> {
    let oldest = match parameters.get("ssl_min_protocol_version").map(str::to_ascii_lowercase).as_deref() {
        None | Some("tlsv1" | "tlsv1.1" | "tlsv1.2") => 2,
        Some("tlsv1.3") => 3,
        Some(_) => {
            return Err(Error::InvalidSetting {
                setting: "ssl_min_protocol_version",
                reason: "must be TLSv1.2 or TLSv1.3",
            });
        }
    };
    let newest = parameters.get("ssl_max_protocol_version").filter(|_| parameters.is_own("ssl_max_protocol_version"));
    let newest = match newest.map(str::to_ascii_lowercase).as_deref() {
        None | Some("tlsv1.3") => 3,
        Some("tlsv1.2") if oldest == 2 => 2,
        Some(_) => {
            return Err(Error::InvalidSetting {
                setting: "ssl_max_protocol_version",
                reason: "must be TLSv1.2 or TLSv1.3, and not older than ssl_min_protocol_version",
            });
        }
    };
    Ok((oldest == 2, newest == 3))
}
