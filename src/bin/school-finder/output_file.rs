//! Files that a command writes: complete or not at all, and never over what the command reads.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::args::Options;
use crate::{Failure, database};

/// A file that replaces its target when it is complete. Until then it has another name in the same folder, and an
/// incomplete one is removed. A pipe or a device is written to directly.
pub struct OutputFile {
    target: PathBuf,
    /// The incomplete file. `None` once it has replaced the target, and for a pipe or a device.
    partial: Option<PathBuf>,
    file: BufWriter<File>,
}

impl OutputFile {
    /// Creates the file for a command that reads `input` and uses the options' database.
    ///
    /// Refuses the input and the database with its side files, also under another path.
    pub fn create(target: &Path, input: Option<&Path>, options: &Options) -> Result<Self, Failure> {
        let refused =
            |what: &str| Failure::Usage(format!("{} is {what}: name another file to write to", target.display()));
        if input.is_some_and(|input| is_same(input, target)) {
            return Err(refused("the file that is read"));
        }
        if database::files(options)?.iter().any(|file| is_same(file, target)) {
            return Err(refused("part of the database"));
        }
        let is_special = std::fs::metadata(target).is_ok_and(|metadata| !metadata.is_file());
        let (partial, file) = if is_special {
            (None, File::options().write(true).open(target))
        } else {
            // A program that was killed may have left one. In containers, all programs have the same id.
            let mut number = 0_u64;
            loop {
                let mut partial = target.as_os_str().to_owned();
                partial.push(format!(".{}-{number}.part", std::process::id()));
                let partial = PathBuf::from(partial);
                match File::create_new(&partial) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                    file => break (Some(partial), file),
                }
            }
        };
        let file = file.map_err(Failure::file("write", target))?;
        Ok(Self { target: target.to_owned(), partial, file: BufWriter::new(file) })
    }

    /// Replaces the target by the complete file.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.file.flush().map_err(|error| self.failure(error))?;
        if let Some(partial) = &self.partial {
            // Otherwise a power cut could leave the name without the content.
            self.file.get_ref().sync_all().map_err(|error| self.failure(error))?;
            std::fs::rename(partial, &self.target).map_err(|error| self.failure(error))?;
        }
        self.partial = None;
        Ok(())
    }

    /// Returns the failure of a write to this file.
    pub fn failure(&self, error: io::Error) -> Failure {
        Failure::file("write", &self.target)(error)
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Some(partial) = &self.partial {
            let _ = std::fs::remove_file(partial);
        }
    }
}

/// Returns whether two paths lead to one file. Links are followed; a file that is missing has its name in its folder.
fn is_same(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    if let (Ok(one), Ok(other)) = (std::fs::metadata(one), std::fs::metadata(other)) {
        use std::os::unix::fs::MetadataExt;
        return (one.dev(), one.ino()) == (other.dev(), other.ino());
    }
    let location = |path: &Path| {
        path.canonicalize().ok().or_else(|| {
            let folder = match path.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            };
            Some(folder.canonicalize().ok()?.join(path.file_name()?))
        })
    };
    location(one).is_some_and(|one| Some(one) == location(other))
}
