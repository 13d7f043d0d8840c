//! The password file (`~/.pgpass`), as libpq reads it.

use std::path::{Path, PathBuf};

use super::parameters::Environment;

/// Returns the file to look for passwords in.
pub(super) fn path(parameter: Option<&str>, environment: &Environment<'_>) -> Option<PathBuf> {
    if let Some(path) = parameter {
        return Some(PathBuf::from(path));
    }
    if cfg!(windows) {
        let folder = PathBuf::from((environment.variable)("APPDATA")?);
        return Some(folder.join("postgresql").join("pgpass.conf"));
    }
    Some(environment.home.as_ref()?.join(".pgpass"))
}

/// Returns the text of a password file, empty where there is none, or why it is not read.
pub(super) fn read(path: &Path) -> Result<String, &'static str> {
    let Ok(metadata) = std::fs::metadata(path) else { return Ok(String::new()) };
    if !metadata.is_file() {
        return Err("is not a file");
    }
    if is_readable_by_others(&metadata) {
        return Err("can be read by other users, so it is not used: `chmod 600` it");
    }
    std::fs::read_to_string(path).map_err(|_| "cannot be read")
}

/// Returns whether somebody other than the owner has rights on a file.
fn is_readable_by_others(metadata: &std::fs::Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::mode(metadata) & 0o077 != 0;
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}

/// Returns the password of the first line that matches: `host:port:database:user:password`.
pub(super) fn password(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut rest = line;
        for wanted in wanted {
            let (field, after) = field(rest);
            rest = after?;
            if field != "*" && unescaped(field) != wanted {
                return None;
            }
        }
        Some(unescaped(field(rest).0)).filter(|password| !password.is_empty())
    })
}

/// Returns the text before the first colon that has no backslash before it, and the text after that colon.
fn field(line: &str) -> (&str, Option<&str>) {
    let mut is_escaped = false;
    for (at, character) in line.char_indices() {
        match character {
            ':' if !is_escaped => return (&line[..at], Some(&line[at + 1..])),
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    (line, None)
}

fn unescaped(field: &str) -> String {
    let mut characters = field.chars();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_matches_has_the_password() {
        let text = "# host:5432:schools:finder:commented\n\
                    other:5432:schools:finder:no\n\
                    host:5432:schools:f\\:in\\\\der:a\\:b\\\\c:rest\n\
                    host:*:*:finder:first\n\
                    *:*:*:*:any\n\
                    short:line";
        let found = |host, port, database, user| password(text, [host, port, database, user]);
        assert_eq!(found("host", "5432", "schools", "finder").as_deref(), Some("first"));
        assert_eq!(found("host", "5432", "schools", "f:in\\der").as_deref(), Some("a:b\\c"));
        assert_eq!(found("elsewhere", "1", "d", "u").as_deref(), Some("any"));
        assert_eq!(password("h:1:d:u:", ["h", "1", "d", "u"]), None);
        assert_eq!(password("h:1:d", ["h", "1", "d", "u"]), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pass");
        assert_eq!(read(&file), Ok(String::new()));
        std::fs::write(&file, "*:*:*:*:secret").expect("a file");
        for (mode, is_used) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("rights");
            assert_eq!(read(&file).is_ok(), is_used, "{mode:o}");
        }
        assert!(read(folder.path()).is_err());
    }
}
