//! The `school-finder` program: the crate on the command line.
//!
//! Only data is written to standard output. Exit codes: 0, success; 1, failure; 2, invalid arguments.
#![forbid(unsafe_code)]

/// As the standard one, which panics where nothing can be written: the pipe is closed, or the disk full.
macro_rules! eprintln {
    ($($message:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($message)*);
    }};
}

mod analysis;
mod args;
mod commands;
mod database;
mod find_args;
mod manual;
mod output;
mod output_file;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Arguments, Command};
use self::commands::Outcome;

fn main() -> ExitCode {
    let Arguments { database, command } = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Failure::Io(error)),
    };
    match runtime.block_on(run(database.as_deref(), command)) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Found(problem)) => {
            eprintln!("{problem}");
            ExitCode::from(1)
        }
        Err(failure) => fail(&failure),
    }
}

async fn run(database: Option<&str>, command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Migrate { command } => commands::migrate(database, command).await,
        Command::Import { command } => commands::import(database, command).await,
        Command::Find { find, format, parquet: None } => commands::find(database, find, format).await,
        Command::Find { find, format: _, parquet: Some(file) } => analysis::parquet(database, find, file).await,
        Command::Batch { command } => analysis::batch(database, command).await,
        Command::Backfill { command } => analysis::backfill(database, command).await,
        Command::Catchment { find, format } => commands::catchment(database, find, format).await,
        Command::Reach { find, format } => commands::reach(database, find, format).await,
        Command::Show { urn, format } => commands::show(database, urn, format).await,
        Command::Councils { format } => commands::councils(database, format).await,
        Command::Facets { find, format } => commands::facets(database, find, format).await,
        Command::Explain { command } => commands::explain(database, command).await,
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { folder } => manual::pages(folder),
    }
}

/// Why the program ends without having done what it was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Finder(#[from] school_finder_db::Error),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("cannot {action} {path:?}: {error}{}", next_step(error))]
    File { action: &'static str, path: std::path::PathBuf, error: std::io::Error },
}

/// What to do about a file that cannot be used.
fn next_step(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => "; check the path",
        std::io::ErrorKind::PermissionDenied => "; check the rights on it and on its folder",
        std::io::ErrorKind::StorageFull => "; make room on the disk",
        _ => "",
    }
}

fn fail(failure: &Failure) -> ExitCode {
    use school_finder_db::Error;
    match failure {
        // The reader closed the pipe, as `head` does once it has enough.
        Failure::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        _ => eprintln!("school-finder: {failure}"),
    }
    match failure {
        Failure::Usage(_) => ExitCode::from(2),
        Failure::Finder(error) if error.is_invalid_input() => ExitCode::from(2),
        Failure::Finder(
            Error::UnknownBackend { .. } | Error::BackendMismatch { .. } | Error::InvalidSetting { .. },
        ) => ExitCode::from(2),
        _ => ExitCode::from(1),
    }
}
