//! Generations: whole databases, shipped to a folder as files that never change, and followed from one to the next.
//!
//! A folder holds the files of at most two generations, the newest and the one before, and the symbolic link `current`
//! to the newest. A file's name has its number and its checksum, `generation-0000000007-1f0c92d3a8b4e657.db`, so that
//! damage is detected wherever the file is copied.

mod follow;
mod ship;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

pub(super) use self::follow::Follower;
pub use self::ship::{Shipped, ship};
use crate::config::FileAccess;
use crate::error::{Error, Result};
use crate::fnv::{OF_NOTHING, fnv1a_after};

/// The symbolic link to the newest generation.
const LINK: &str = "current";

/// The file of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Generation {
    number: u64,
    checksum: u64,
    path: PathBuf,
}

impl Generation {
    fn name(number: u64, checksum: u64) -> String {
        format!("generation-{number:010}-{checksum:016x}.db")
    }

    /// Returns the generation of a path, if its name is that of one.
    fn of_path(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (number, checksum) = name.strip_prefix("generation-")?.strip_suffix(".db")?.split_once('-')?;
        let (number, checksum) = (number.parse().ok()?, u64::from_str_radix(checksum, 16).ok()?);
        (name == Self::name(number, checksum)).then_some(Self { number, checksum, path })
    }

    /// Returns an error for a file that is not what was shipped.
    fn check(&self) -> Result<()> {
        let cannot_open = |error: std::io::Error| self.cannot_open(&error.to_string());
        match std::fs::metadata(&self.path).map_err(cannot_open)?.is_file() {
            false => Err(self.cannot_open("it is not a file")),
            true if checksum(&self.path).map_err(cannot_open)? == self.checksum => Ok(()),
            true => Err(Error::Corrupt),
        }
    }

    fn cannot_open(&self, reason: &str) -> Error {
        Error::CannotOpen { path: self.path.clone(), reason: reason.to_owned() }
    }
}

fn checksum(path: &Path) -> std::io::Result<u64> {
    let (mut file, mut buffer, mut hash) = (File::open(path)?, vec![0; 1 << 16], OF_NOTHING);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hash),
            Ok(read) => hash = fnv1a_after(hash, buffer.iter().take(read).copied()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns the generation that the link leads to.
fn newest(folder: &Path) -> Result<Generation> {
    let refused = |reason: String| Error::CannotOpen { path: folder.to_owned(), reason };
    let target = std::fs::read_link(folder.join(LINK)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => refused("it holds no generation: `school-finder ship` writes one".to_owned()),
        _ => refused(format!("its link {LINK} cannot be read: {error}")),
    })?;
    let not_one = format!("its link {LINK} leads to {target:?}, which has not the name of a generation");
    Generation::of_path(folder.join(target)).ok_or_else(|| refused(not_one))
}

/// Returns the generations whose files are in a folder, the highest number first.
fn all(folder: &Path) -> std::io::Result<Vec<Generation>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        all.extend(Generation::of_path(entry?.path()));
    }
    all.sort_by_key(|generation| std::cmp::Reverse(generation.number));
    Ok(all)
}

/// Returns the path of the newest generation, for a program that opens it once.
pub(super) fn newest_file(folder: &Path, immutable: bool) -> Result<(PathBuf, FileAccess)> {
    Ok((newest(folder)?.path, access(immutable)))
}

fn access(immutable: bool) -> FileAccess {
    if immutable { FileAccess::Immutable } else { FileAccess::Read }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_number_and_a_checksum() {
        let name = Generation::name(7, 0x1f0c_92d3_a8b4_e657);
        assert_eq!(name, "generation-0000000007-1f0c92d3a8b4e657.db");
        let generation = Generation::of_path(PathBuf::from("/srv").join(&name)).expect("a generation");
        assert_eq!((generation.number, generation.checksum), (7, 0x1f0c_92d3_a8b4_e657));
        for other in ["current", "generation.part", "generation-7-1f0c92d3a8b4e657.db", "generation-0000000007.db", ""]
        {
            assert_eq!(Generation::of_path(other.into()), None, "{other}");
        }
    }
}
