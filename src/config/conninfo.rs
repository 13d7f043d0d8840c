//! Connection strings as libpq's documentation has them: URLs, and `key=value` pairs.
//!
//! Errors show no part of a string but the name of a parameter, since a mistyped string may have its password anywhere.

use std::collections::BTreeMap;

use super::decode;
use super::parameters::{self, KNOWN};
use crate::error::{Error, Result};

/// The parameters of a connection string, by name.
pub(super) type Parameters = BTreeMap<&'static str, String>;

/// Returns the parameters of a connection string, or `None` for any other text.
pub(super) fn parse(text: &str) -> Option<Result<Parameters>> {
    if let Some(rest) = text.strip_prefix("postgres://").or(text.strip_prefix("postgresql://")) {
        return Some(parse_url(rest));
    }
    let (key, _) = text.split_once('=')?;
    let is_known = KNOWN.iter().any(|known| known.name == key.trim()) || parameters::changes_nothing(key.trim());
    is_known.then(|| parse_pairs(text))
}

fn invalid(reason: &'static str) -> Error {
    Error::InvalidSetting { setting: "DATABASE_URL", reason }
}

/// Stores a parameter. The last value of one that is given twice counts.
pub(super) fn store(parameters: &mut Parameters, name: &str, value: String) -> Result<()> {
    if let Some(known) = KNOWN.iter().find(|known| known.name == name) {
        parameters.insert(known.name, value);
        return Ok(());
    }
    match parameters::refusal(name, &value) {
        Some(error) => Err(error),
        None if parameters::changes_nothing(name) => Ok(()),
        None => Err(Error::UnknownParameter { given: name.to_owned(), known: parameters::names() }),
    }
}

/// Parses a URL after its `//`.
fn parse_url(url: &str) -> Result<Parameters> {
    let mut parameters = Parameters::new();
    // The text before the first `@` is a login, unless a path begins earlier.
    let login_end = url.find(['@', '/']).filter(|end| url[*end..].starts_with('@'));
    let mut rest = url;
    if let Some(end) = login_end {
        let (user, password) = url[..end].split_once(':').unwrap_or((&url[..end], ""));
        for (name, value) in [("user", user), ("password", password)] {
            if !value.is_empty() {
                store(&mut parameters, name, decode(value)?)?;
            }
        }
        rest = &url[end + 1..];
    }
    let (hosts, ports, rest) = parse_hosts(rest)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let database = path.strip_prefix('/').unwrap_or_default();
    // An @ here ends a password that has a / in it.
    if hosts.contains('@') || database.contains('@') {
        return Err(invalid("has a second @: in a password write %40 for @ and %2F for /"));
    }
    for (name, value) in [("host", hosts), ("port", ports), ("dbname", decode(database)?)] {
        if !value.is_empty() {
            store(&mut parameters, name, value)?;
        }
    }
    for parameter in query.split('&').filter(|_| !query.is_empty()) {
        let (name, value) = parameter.split_once('=').ok_or(invalid("has a parameter without a = after its ?"))?;
        if value.contains('=') {
            return Err(invalid("has a parameter with two =: write %3D for one in a value"));
        }
        let (name, value) = (decode(name)?, decode(value)?);
        // The spelling of JDBC, which libpq takes.
        if name == "ssl" && value == "true" {
            store(&mut parameters, "sslmode", "require".to_owned())?;
        } else if query.contains('@') && !KNOWN.iter().any(|known| known.name == name) {
            // The name may be a part of the password.
            return Err(invalid("has an unknown parameter, or a password with a ? in it: write %3F for it"));
        } else {
            store(&mut parameters, &name, value)?;
        }
    }
    Ok(parameters)
}

/// Returns the hosts and the ports of a URL, each separated by commas, and what follows them.
fn parse_hosts(mut rest: &str) -> Result<(String, String, &str)> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    loop {
        let host;
        if let Some(address) = rest.strip_prefix('[') {
            let end = address.find(']').ok_or(invalid("has a [ without a ] in its host"))?;
            if end == 0 {
                return Err(invalid("has an empty [] for a host"));
            }
            (host, rest) = (&address[..end], &address[end + 1..]);
            if !(rest.is_empty() || rest.starts_with([':', '/', '?', ','])) {
                return Err(invalid("has text between the ] of its host and its port or path"));
            }
        } else {
            let end = rest.find([':', '/', '?', ',']).unwrap_or(rest.len());
            (host, rest) = rest.split_at(end);
        }
        hosts.push(decode(host)?);
        let mut port = "";
        if let Some(after) = rest.strip_prefix(':') {
            let end = after.find(['/', '?', ',']).unwrap_or(after.len());
            (port, rest) = after.split_at(end);
        }
        ports.push(decode(port)?);
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => break,
        }
    }
    let join = |parts: Vec<String>| if parts.iter().all(String::is_empty) { String::new() } else { parts.join(",") };
    Ok((join(hosts), join(ports), rest))
}

/// Parses pairs: `host=localhost dbname=schools`. A value may be in single quotes, and a backslash escapes.
fn parse_pairs(text: &str) -> Result<Parameters> {
    let mut parameters = Parameters::new();
    let mut rest = text.trim_start();
    let mut is_after_password = false;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or(invalid("has a parameter without a ="))?;
        let name = name.trim_end();
        if name.contains(char::is_whitespace) {
            return Err(invalid("has a parameter without a ="));
        }
        let after = after.trim_start();
        let quoted = after.strip_prefix('\'');
        let mut value = String::new();
        let mut characters = quoted.unwrap_or(after).chars();
        loop {
            match characters.next() {
                Some('\\') => value.extend(characters.next()),
                Some('\'') if quoted.is_some() => break,
                Some(character) if quoted.is_none() && character.is_whitespace() => break,
                Some(character) => value.push(character),
                None if quoted.is_some() => return Err(invalid("has a ' without its second one")),
                None => break,
            }
        }
        // A missing space: the password would be shown as a part of that value.
        if name != "password" && value.contains("password=") {
            return Err(invalid("has password= within another value: put a space before it"));
        }
        match store(&mut parameters, name, value) {
            Err(Error::UnknownParameter { .. }) if is_after_password => {
                return Err(invalid(
                    "has an unknown parameter, or a password with a space in it: put it in quotes (')",
                ));
            }
            stored => stored?,
        }
        is_after_password = name == "password" && quoted.is_none();
        rest = characters.as_str().trim_start();
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the parameters of a URL as `key=value` words, or `None` for one that is refused.
    fn parsed(text: &str) -> Option<String> {
        let parameters = parse(text).expect("a connection string").ok()?;
        Some(parameters.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn urls_are_parsed_as_libpq_does() {
        for (url, expected) in [
            ("postgresql://finder:secret@host:12345/db", "dbname=db host=host password=secret port=12345 user=finder"),
            ("postgresql://finder@host/db", "dbname=db host=host user=finder"),
            ("postgresql://host:12345/db", "dbname=db host=host port=12345"),
            ("postgresql://finder@host/", "host=host user=finder"),
            ("postgresql://finder@", "user=finder"),
            ("postgresql://host:12345", "host=host port=12345"),
            ("postgresql://host?", "host=host"),
            ("postgresql://", ""),
            ("postgres:///", ""),
            ("postgres:///db", "dbname=db"),
            ("postgresql://?hostaddr=127.0.0.1", "hostaddr=127.0.0.1"),
            ("postgresql://db.example?hostaddr=10.1.2.4", "host=db.example hostaddr=10.1.2.4"),
            ("postgresql://%68ost/", "host=host"),
            ("postgresql://host/db?user=finder&port=12345", "dbname=db host=host port=12345 user=finder"),
            ("postgresql://host/db?u%73er=other", "dbname=db host=host user=other"),
            ("postgresql://a@host/db?user=b&host=c", "dbname=db host=c user=b"),
            ("postgresql://[::1]:12345/db", "dbname=db host=::1 port=12345"),
            ("postgresql://[2001:db8::1234]/", "host=2001:db8::1234"),
            ("postgresql://[fe80::1%25eth0]", "host=fe80::1%eth0"),
            ("postgres://finder@/db", "dbname=db user=finder"),
            ("postgres://?host=/a/socket", "host=/a/socket"),
            ("postgres://@host", "host=host"),
            ("postgres://host:/", "host=host"),
            ("postgres://:12345/", "port=12345"),
            ("postgres://finder@:12345/db?host=/a/socket", "dbname=db host=/a/socket port=12345 user=finder"),
            ("postgres://%2Fvar%2Flib%2Fpostgresql/db", "dbname=db host=/var/lib/postgresql"),
            ("postgres://a,b:5433,[::1]:5434/db", "dbname=db host=a,b,::1 port=,5433,5434"),
            ("postgres://host/a%2Fb%40c?ssl=true", "dbname=a/b@c host=host sslmode=require"),
            ("postgres://u:p%40%3a%2f%3F%23%25@host", "host=host password=p@:/?#% user=u"),
            ("postgres://u:p?q#r:s@host", "host=host password=p?q#r:s user=u"),
            ("postgres://host?options=-c%20search_path%3Da,b", "host=host options=-c search_path=a,b"),
            // Pairs.
            ("host=localhost port=5433 dbname = schools", "dbname=schools host=localhost port=5433"),
            (r"user='a b' password='it\'s \\' host=", r"host= password=it's \ user=a b"),
            (r"password=a\ b user=c", "password=a b user=c"),
            ("gssencmode=disable host=h", "host=h"),
        ] {
            assert_eq!(parsed(url).as_deref(), Some(expected), "{url}");
        }
        for url in [
            "postgresql://host/db?uzer=finder",
            "postgresql://host?u%7aer=finder",
            "postgres://[::1",
            "postgres://[]",
            "postgres://[::1]z",
            "postgresql://host?zzz",
            "postgresql://host?user&port",
            "postgresql://host?user=a=b",
            "postgres://host?dbname=%XXfoo",
            "postgresql://a%00b",
            "postgresql://%zz",
            "postgresql://%1",
            "postgresql://%",
            "postgresql://%ff",
            "postgresql://%+f",
            "postgres://host?requirepeer=postgres",
            "host=localhost dbname",
            "host=localhost db name=x",
            "password='a",
        ] {
            assert_eq!(parsed(url), None, "{url}");
        }
        for path in ["schools.db", "a=b.db", "postgre://host", "/run/host"] {
            assert!(parse(path).is_none(), "{path}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_named_with_the_known_ones() {
        let error = |url| parse(url).expect("a URL").expect_err("refused").to_string();
        let unknown = error("postgres://u:s3cr3t@h/d?pgbouncer=true");
        assert!(unknown.contains("\"pgbouncer\"") && unknown.contains("connect_timeout, "), "{unknown}");
        assert!(error("postgres://h/d?requirepeer=postgres").contains("requirepeer"));
        // A part of a password is no name of a parameter.
        for url in [
            "postgres://u:12/3?s3cr3t=4@h/d",
            "postgres://u:1/s3cr3t@h/d",
            "postgres://u:s3cr3t%zz@h/d",
            "postgres://u:p@s3cr3t@h/d",
            "host=h password=a s3cr3t=b",
        ] {
            assert!(!error(url).contains("s3cr3t"), "{url}");
        }
    }
}
