//! The address of an SQLite file.

use std::path::{Path, PathBuf};

use super::{Target, decode};
use crate::error::{Error, Result};

/// The access to an SQLite file: the `mode` and `immutable` of its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FileAccess {
    /// It is read and written. [`create`](crate::create) and migrations create a missing one;
    /// [`connect`](crate::connect) never does. `mode=rwc`, the default.
    #[default]
    Create,
    /// It is read and written, and never created. `mode=rw`.
    Write,
    /// It is only read. Other programs may write it. `mode=ro`.
    Read,
    /// It is only read, without locks: nothing may write it while it is open. It is refused if it has a `-wal` file,
    /// whose rows would be missing. `immutable=1`.
    Immutable,
}

impl FileAccess {
    pub(crate) const fn is_written(self) -> bool {
        matches!(self, Self::Create | Self::Write)
    }
}

fn invalid(reason: &'static str) -> Error {
    Error::InvalidSetting { setting: "DATABASE_URL", reason }
}

/// Returns the database of a URL or a bare path.
pub(super) fn target(url: &str) -> Result<Target> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let path = match (address.strip_prefix("sqlite:"), address.strip_prefix("file:")) {
        (Some(path), _) => decode(path.strip_prefix("//").unwrap_or(path))?,
        (_, Some(path)) => decode(path_of_file_url(path)?)?,
        _ if address.contains('\0') => return Err(invalid("contains a NUL character")),
        _ => address.to_owned(),
    };
    let Parameters { access, is_memory, is_followed } = Parameters::parse(query)?;
    match path.as_str() {
        ":memory:" | "/:memory:" if is_followed => return Err(not_followed()),
        ":memory:" | "/:memory:" => return Ok(Target::SqliteMemory),
        _ if is_memory => return Ok(Target::SqliteMemory),
        "" => return Err(invalid("names no file: write sqlite:PATH, or sqlite::memory: for a database in memory")),
        _ => {}
    }
    // Several slashes are one, as everywhere: URLs have four before an absolute path.
    let absolute = path.strip_prefix('/').map(|rest| format!("/{}", rest.trim_start_matches('/')));
    let path = absolute.unwrap_or(path);
    let path = in_home(path)?;
    Ok(match is_followed {
        true => Target::SqliteGenerations { folder: path, immutable: access == FileAccess::Immutable },
        false => Target::SqliteFile { path, access },
    })
}

/// Returns the path of a URL after `file:`, which may name this machine.
fn path_of_file_url(rest: &str) -> Result<&str> {
    if rest.contains('#') {
        return Err(invalid("has a #: write %23 for one in a path"));
    }
    let Some(after) = rest.strip_prefix("//") else { return Ok(rest) };
    let path = after.strip_prefix("localhost").unwrap_or(after);
    if path.starts_with('/') { Ok(path) } else { Err(invalid("has // before a relative path: write file:PATH")) }
}

/// The parameters of a URL.
#[derive(Default)]
struct Parameters {
    access: FileAccess,
    is_memory: bool,
    /// Whether the path is a folder of generations.
    is_followed: bool,
}

/// Returns the error for a URL that follows a database in memory, or one that it would write.
fn not_followed() -> Error {
    let reason =
        "is for a folder of generations, which is only read: write sqlite:FOLDER?follow=true, without another mode";
    Error::InvalidSetting { setting: "follow", reason }
}

impl Parameters {
    fn parse(query: &str) -> Result<Self> {
        let (mut parameters, mut is_immutable, mut is_only_read) = (Self::default(), false, true);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let switch = |setting| match value {
                "1" | "true" => Ok(true),
                "0" | "false" => Ok(false),
                _ => Err(Error::InvalidSetting { setting, reason: "must be 0 or 1, or false or true" }),
            };
            match name {
                "mode" => {
                    is_only_read = value == "ro";
                    match value {
                        "rwc" => parameters.access = FileAccess::Create,
                        "rw" => parameters.access = FileAccess::Write,
                        "ro" => parameters.access = FileAccess::Read,
                        "memory" => parameters.is_memory = true,
                        _ => {
                            return Err(Error::InvalidSetting {
                                setting: "mode",
                                reason: "must be ro, rw, rwc or memory",
                            });
                        }
                    }
                }
                "immutable" => is_immutable = switch("immutable")?,
                "follow" => parameters.is_followed = switch("follow")?,
                given => {
                    let known = "mode, immutable, follow".to_owned();
                    return Err(Error::UnknownParameter { given: given.to_owned(), known });
                }
            }
        }
        if parameters.is_followed && !is_only_read {
            return Err(not_followed());
        }
        if is_immutable {
            parameters.access = FileAccess::Immutable;
        }
        Ok(parameters)
    }
}

/// Replaces a first `~` by the user's home, which the shell does only for a word that begins with it.
fn in_home(path: String) -> Result<PathBuf> {
    let Some(rest) = path.strip_prefix('~') else { return Ok(PathBuf::from(path)) };
    if rest.is_empty() || rest.starts_with('/') {
        let home = std::env::home_dir().ok_or(invalid("begins with ~, and this user has no home"))?;
        return Ok(home.join(rest.trim_start_matches('/')));
    }
    Err(invalid("begins with the home of another user: write its whole path, or ./~ for a file of that name"))
}

/// Writes the URL of a file.
pub(super) fn write_url(f: &mut std::fmt::Formatter<'_>, path: &Path, access: FileAccess) -> std::fmt::Result {
    let parameter = match access {
        FileAccess::Create => "",
        FileAccess::Write => "?mode=rw",
        FileAccess::Read => "?mode=ro",
        FileAccess::Immutable => "?immutable=1",
    };
    write!(f, "sqlite:{}{parameter}", escaped(path))
}

/// Writes the URL of a folder of generations.
pub(super) fn write_folder_url(f: &mut std::fmt::Formatter<'_>, folder: &Path, immutable: bool) -> std::fmt::Result {
    write!(f, "sqlite:{}?follow=true{}", escaped(folder), if immutable { "&immutable=1" } else { "" })
}

fn escaped(path: &Path) -> String {
    path.display().to_string().replace('%', "%25").replace('?', "%3F")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn urls_name_databases() {
        let home = std::env::home_dir().expect("a home");
        let in_home = home.join("x.db").display().to_string();
        for (url, path, access) in [
            ("sqlite:data/schools.db", "data/schools.db", FileAccess::Create),
            ("sqlite://data/schools.db", "data/schools.db", FileAccess::Create),
            ("sqlite:///var/schools.db", "/var/schools.db", FileAccess::Create),
            ("sqlite:////var/schools.db", "/var/schools.db", FileAccess::Create),
            ("//var/schools.db", "/var/schools.db", FileAccess::Create),
            ("/var/schools.db", "/var/schools.db", FileAccess::Create),
            ("schools.db", "schools.db", FileAccess::Create),
            ("file:schools.db", "schools.db", FileAccess::Create),
            ("file:/var/schools.db", "/var/schools.db", FileAccess::Create),
            ("file:///var/schools.db", "/var/schools.db", FileAccess::Create),
            ("file://localhost/var/schools.db", "/var/schools.db", FileAccess::Create),
            ("sqlite://schools.db?mode=rwc", "schools.db", FileAccess::Create),
            ("sqlite:schools.db?mode=rw", "schools.db", FileAccess::Write),
            ("schools.db?mode=ro", "schools.db", FileAccess::Read),
            ("file:schools.db?mode=ro&immutable=1", "schools.db", FileAccess::Immutable),
            ("file:schools.db?immutable=0&", "schools.db", FileAccess::Create),
            ("sqlite:a%20b%3Fc%25.db", "a b?c%.db", FileAccess::Create),
            ("a%20b.db", "a%20b.db", FileAccess::Create),
            ("sqlite:~/x.db", &in_home, FileAccess::Create),
            ("sqlite:./~", "./~", FileAccess::Create),
        ] {
            let config = Config::from_url(url).expect(url);
            assert_eq!(config.target, Target::SqliteFile { path: path.into(), access }, "{url}");
            let shown = config.to_string();
            assert_eq!(Config::from_url(&shown).expect(&shown), config, "{url}");
        }
        for (url, immutable) in [
            ("sqlite:/srv/schools?follow=true", false),
            ("/srv/schools?follow=1&mode=ro", false),
            ("sqlite:/srv/schools?immutable=true&follow=true", true),
        ] {
            let config = Config::from_url(url).expect(url);
            assert_eq!(config.target, Target::SqliteGenerations { folder: "/srv/schools".into(), immutable }, "{url}");
            assert_eq!(Config::from_url(&config.to_string()).expect("its own URL"), config);
        }
        for url in [
            "sqlite::memory:",
            ":memory:",
            "sqlite:///:memory:",
            "file::memory:",
            "file:x?mode=memory",
            "sqlite://?mode=memory",
        ] {
            assert_eq!(Config::from_url(url).expect(url).target, Target::SqliteMemory, "{url}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (url, reason) in [
            ("sqlite:", "names no file"),
            ("sqlite://", "names no file"),
            ("sqlite:x.db?mode=rwx", "ro, rw, rwc or memory"),
            ("sqlite:x.db?immutable=yes", "0 or 1"),
            ("sqlite:x?follow=yes", "0 or 1"),
            ("sqlite:x?follow=true&mode=rw", "only read"),
            ("sqlite::memory:?follow=true", "only read"),
            ("sqlite:x.db?cache=shared", "\"cache\""),
            ("x.db?vfs=unix", "\"vfs\""),
            ("sqlite:100%.db", "%25"),
            ("sqlite:~other/x.db", "another user"),
            ("file://data/x.db", "relative path"),
            ("file:x#1.db", "%23"),
            ("sqlite:a%00b", "NUL"),
        ] {
            let error = Config::from_url(url).expect_err(url).to_string();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }
}
