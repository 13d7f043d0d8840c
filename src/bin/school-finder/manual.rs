//! Shell completions and man pages.

use std::io::Write;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Failure;
use crate::args::Arguments;

/// The script for a shell.
pub fn completions(shell: Shell) -> Result<(), Failure> {
    // Generated in memory first: the generator panics where standard output is closed, as by `head`.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "school-finder", &mut script);
    Ok(std::io::stdout().lock().write_all(&script)?)
}

/// The program's page on standard output, or every command's in a folder.
pub fn pages(folder: Option<PathBuf>) -> Result<(), Failure> {
    let program = Arguments::command();
    let Some(folder) = folder else {
        return Ok(clap_mangen::Man::new(program).render(&mut std::io::stdout().lock())?);
    };
    std::fs::create_dir_all(&folder)
        .and_then(|()| clap_mangen::generate_to(program, &folder))
        .map_err(Failure::file("write", &folder))
}
