//! The parameters of connection strings, and the sources of missing ones.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::conninfo::{Parameters, store};
use crate::error::{Error, Result};

/// A parameter that is understood.
pub(super) struct Known {
    pub(super) name: &'static str,
    /// The environment's variable for it, or an empty text.
    variable: &'static str,
}

const fn known(name: &'static str, variable: &'static str) -> Known {
    Known { name, variable }
}

/// The parameters that are understood, by libpq's names.
pub(super) const KNOWN: &[Known] = &[
    known("host", "PGHOST"),
    known("hostaddr", "PGHOSTADDR"),
    known("port", "PGPORT"),
    known("dbname", "PGDATABASE"),
    known("user", "PGUSER"),
    known("password", "PGPASSWORD"),
    known("passfile", "PGPASSFILE"),
    known("service", "PGSERVICE"),
    known("sslmode", "PGSSLMODE"),
    known("sslrootcert", "PGSSLROOTCERT"),
    known("sslcert", "PGSSLCERT"),
    known("sslkey", "PGSSLKEY"),
    known("sslsni", "PGSSLSNI"),
    known("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    known("ssl_max_protocol_version", ""),
    known("channel_binding", "PGCHANNELBINDING"),
    known("connect_timeout", "PGCONNECT_TIMEOUT"),
    known("keepalives", ""),
    known("keepalives_idle", ""),
    known("keepalives_interval", ""),
    known("keepalives_count", ""),
    known("tcp_user_timeout", ""),
    known("target_session_attrs", "PGTARGETSESSIONATTRS"),
    known("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    known("options", "PGOPTIONS"),
    known("application_name", "PGAPPNAME"),
    known("fallback_application_name", ""),
];

/// A parameter of libpq that is accepted only with values that change nothing.
struct Fixed {
    name: &'static str,
    variable: &'static str,
    /// The values that change nothing.
    harmless: &'static [&'static str],
    reason: &'static str,
}

/// Parameters that are not supported. Ignoring one would silently drop what it asks for.
const FIXED: &[Fixed] = &[
    Fixed {
        name: "client_encoding",
        variable: "",
        harmless: &["utf8", "utf-8", "auto", "unicode"],
        reason: "must be UTF8, the only encoding of this crate",
    },
    Fixed {
        name: "gssencmode",
        variable: "",
        harmless: &["disable", "prefer"],
        reason: "must be disable: GSSAPI is not supported, use TLS",
    },
    Fixed {
        name: "sslnegotiation",
        variable: "",
        harmless: &["postgres"],
        reason: "must be postgres: direct TLS is not supported",
    },
    Fixed { name: "sslcompression", variable: "", harmless: &["0"], reason: "must be 0: compressed TLS is not safe" },
    Fixed {
        name: "sslpassword",
        variable: "",
        harmless: &[],
        reason: "is not supported: name a key by sslkey that is not encrypted",
    },
    Fixed {
        name: "sslcrl",
        variable: "PGSSLCRL",
        harmless: &[],
        reason: "is not supported: certificates are not checked against revocation lists",
    },
    Fixed {
        name: "sslcrldir",
        variable: "PGSSLCRLDIR",
        harmless: &[],
        reason: "is not supported: certificates are not checked against revocation lists",
    },
    Fixed {
        name: "requirepeer",
        variable: "PGREQUIREPEER",
        harmless: &[],
        reason: "is not supported: the owner of a socket is not checked",
    },
    Fixed {
        name: "require_auth",
        variable: "PGREQUIREAUTH",
        harmless: &[],
        reason: "is not supported: use channel_binding=require",
    },
    Fixed {
        name: "replication",
        variable: "",
        harmless: &["false", "off", "no", "0"],
        reason: "is not supported: a replication connection runs no queries",
    },
];

/// Returns the names of the parameters that are understood.
pub(super) fn names() -> String {
    KNOWN.iter().map(|known| known.name).collect::<Vec<_>>().join(", ")
}

/// Returns the error for a parameter of libpq whose value is not supported here.
pub(super) fn refusal(name: &str, value: &str) -> Option<Error> {
    let fixed = FIXED.iter().find(|fixed| fixed.name == name)?;
    let is_harmless = value.is_empty() || fixed.harmless.contains(&value.to_ascii_lowercase().as_str());
    (!is_harmless).then_some(Error::InvalidSetting { setting: fixed.name, reason: fixed.reason })
}

/// Returns whether a parameter is accepted and changes nothing.
pub(super) fn changes_nothing(name: &str) -> bool {
    FIXED.iter().any(|fixed| fixed.name == name)
}

/// The environment of a program: its variables and the user's home.
pub(super) struct Environment<'a> {
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    pub(super) home: Option<PathBuf>,
}

/// Returns the environment of this program.
pub(super) fn of_this_program() -> Environment<'static> {
    Environment { variable: &|name| std::env::var(name).ok(), home: std::env::home_dir() }
}

/// The parameters of a connection, and those that the connection string itself has.
pub(super) struct Merged {
    all: Parameters,
    own: Parameters,
}

impl Merged {
    /// Adds to the parameters of a connection string those of its service, and then those of the environment.
    pub(super) fn new(own: Parameters, environment: &Environment<'_>) -> Result<Self> {
        for fixed in FIXED.iter().filter(|fixed| !fixed.variable.is_empty()) {
            if let Some(error) = (environment.variable)(fixed.variable).and_then(|value| refusal(fixed.name, &value)) {
                return Err(error);
            }
        }
        let variable = |name: &str| (environment.variable)(name).filter(|value| !value.is_empty());
        let mut all = own.clone();
        if let Some(service) = own.get("service").cloned().or_else(|| variable("PGSERVICE")) {
            for (name, value) in service_of(&service, environment)? {
                all.entry(name).or_insert(value);
            }
        }
        for known in KNOWN.iter().filter(|known| !known.variable.is_empty() && known.name != "service") {
            if let Some(value) = variable(known.variable) {
                all.entry(known.name).or_insert(value);
            }
        }
        Ok(Self { all, own })
    }

    /// Returns a parameter that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns whether the connection string itself has a parameter.
    pub(super) fn is_own(&self, name: &str) -> bool {
        self.own.get(name).is_some_and(|value| !value.is_empty())
    }
}

/// Returns the parameters of a service, from the user's file or else the system's.
fn service_of(service: &str, environment: &Environment<'_>) -> Result<Parameters> {
    let own = (environment.variable)("PGSERVICEFILE").map(PathBuf::from);
    let own = own.or_else(|| Some(environment.home.as_ref()?.join(".pg_service.conf")));
    let of_system = (environment.variable)("PGSYSCONFDIR").unwrap_or("/etc/postgresql-common".to_owned());
    let of_system = PathBuf::from(of_system).join("pg_service.conf");
    for path in own.into_iter().chain([of_system]) {
        match std::fs::read_to_string(&path) {
            Ok(text) => match section(&text, service)? {
                Some(parameters) => return Ok(parameters),
                None => continue,
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => return Err(Error::InvalidSetting { setting: "service", reason: "its file cannot be read" }),
        }
    }
    Err(Error::InvalidSetting {
        setting: "service",
        reason: "is in no service file: these are PGSERVICEFILE, else ~/.pg_service.conf, and PGSYSCONFDIR's \
                 pg_service.conf",
    })
}

/// Returns the parameters of a section of a service file. The first value of one that is given twice counts.
fn section(text: &str, service: &str) -> Result<Option<Parameters>> {
    let mut parameters: Option<Parameters> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            if parameters.is_some() {
                break;
            }
            parameters = (name == service).then(BTreeMap::new);
        } else if let Some(parameters) = &mut parameters {
            let invalid = |reason| Error::InvalidSetting { setting: "service", reason };
            let (name, value) =
                line.split_once('=').ok_or(invalid("has a line without a = in its file, or an LDAP address"))?;
            if name == "service" {
                return Err(invalid("names another service in its file"));
            }
            if !parameters.contains_key(name) {
                store(parameters, name, value.to_owned())?;
            }
        }
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_a_section_of_its_file() {
        let text =
            "# ours\n[other]\nhost=a\n\n[schools]\nhost=db.example\n host=second\ndbname=schools\n[last]\nport=1\n";
        let found = section(text, "schools").expect("a file").expect("a section");
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("dbname", "schools".to_owned()), ("host", "db.example".to_owned())]
        );
        assert!(section(text, "schol").expect("a file").is_none());
        assert!(section("[a]\nservice=b", "a").is_err());
        assert!(section("[a]\nldap://directory", "a").is_err());
        assert!(matches!(section("[a]\nuzer=b", "a"), Err(Error::UnknownParameter { .. })));
    }

    #[test]
    fn a_string_wins_over_its_service_and_that_over_the_environment() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(".pg_service.conf"), "[s]\nuser=of-service\nport=2\nhost=of-service\n")
            .expect("a file");
        let variable = |name: &str| {
            let set = [("PGUSER", "of-environment"), ("PGDATABASE", "d"), ("PGPORT", "3"), ("PGSERVICE", "s")];
            set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
        };
        let environment = Environment { variable: &variable, home: Some(folder.path().to_owned()) };
        let own = Parameters::from([("host", "own".to_owned())]);
        let merged = Merged::new(own, &environment).expect("parameters");
        let got = ["host", "user", "port", "dbname", "password"].map(|name| merged.get(name));
        assert_eq!(got, [Some("own"), Some("of-service"), Some("2"), Some("d"), None]);
        assert!(merged.is_own("host") && !merged.is_own("user"));
        let missing = Merged::new(Parameters::from([("service", "no".to_owned())]), &environment);
        assert!(matches!(missing, Err(Error::InvalidSetting { setting: "service", .. })));
    }

    #[test]
    fn what_is_not_supported_is_refused_from_the_environment_too() {
        let variable = |name: &str| (name == "PGREQUIREAUTH").then(|| "scram-sha-256".to_owned());
        let environment = Environment { variable: &variable, home: None };
        let merged = Merged::new(Parameters::new(), &environment);
        assert!(matches!(merged, Err(Error::InvalidSetting { setting: "require_auth", .. })));
    }
}
