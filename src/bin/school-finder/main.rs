//! The `school-finder` program: the crate on the command line.
//!
//! Only data is written to standard output. Exit codes: 0, success; 1, failure; 2, invalid arguments.
#![forbid(unsafe_code)]

/// As std's, which panics where a write fails: the pipe is closed, or the disk is full.
macro_rules! eprintln {
    ($($message:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($message)*);
    }};
}

#[cfg(feature = "polars")]
mod analysis;
mod args;
mod commands;
mod database;
mod find_args;
mod manual;
mod output;
mod output_file;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use self::args::{Arguments, Command, Options};

fn main() -> ExitCode {
    let Arguments { options, command } = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(Failure::Io).and_then(|runtime| runtime.block_on(run(&options, command)));
    result.map_or_else(|failure| fail(&failure), |()| ExitCode::SUCCESS)
}

async fn run(options: &Options, command: Command) -> Result<(), Failure> {
    match command {
        Command::Migrate { command } => commands::migrate(options, command).await,
        Command::Import { command } => commands::import(options, command).await,
        Command::Find { page, parquet: None } => commands::find(options, page).await,
        #[cfg(feature = "polars")]
        Command::Find { page, parquet: Some(file) } => analysis::parquet(options, page.find, file).await,
        #[cfg(feature = "polars")]
        Command::Batch { command } => analysis::batch(options, command).await,
        #[cfg(feature = "polars")]
        Command::Backfill { command } => analysis::backfill(options, command).await,
        #[cfg(not(feature = "polars"))]
        Command::Find { parquet: Some(_), .. } | Command::Batch { .. } | Command::Backfill { .. } => {
            Err(Failure::Usage("this command needs Polars: build with --features cli,polars".to_owned()))
        }
        Command::Suggest { suggest, format } => commands::suggest(options, suggest, format).await,
        Command::Catchment(page) => commands::catchment(options, page).await,
        Command::Reach(page) => commands::reach(options, page).await,
        Command::Locate { postcode, format } => commands::locate(options, postcode, format).await,
        Command::Show { school, format } => commands::show(options, school, format).await,
        Command::Councils { format } => commands::councils(options, format).await,
        Command::Facets { find, format } => commands::facets(options, find, format).await,
        Command::Ship { folder } => commands::ship(options, folder).await,
        Command::Explain { command } => commands::explain(options, command).await,
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { folder } => manual::pages(folder),
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Finder(#[from] school_finder_db::Error),
    #[error("{0}")]
    Usage(String),
    /// The command ran, and its result is negative.
    #[error("{0}")]
    Negative(String),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("cannot {action} {path:?}: {error}{}", next_step(error))]
    File { action: &'static str, path: PathBuf, error: std::io::Error },
}

impl Failure {
    /// Returns what makes a failure of an error of this file.
    fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::File { action, path, error }
    }
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
    use school_finder_db::import::ImportError;
    match failure {
        // The reader closed the pipe, as `head` does once it has enough.
        Failure::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        _ => eprintln!("school-finder: {failure}"),
    }
    let is_usage = match failure {
        Failure::Usage(_) => true,
        Failure::Finder(
            Error::UnknownBackend { .. }
            | Error::BackendMismatch { .. }
            | Error::InvalidSetting { .. }
            | Error::UnknownParameter { .. }
            | Error::ForeignUrl { .. },
        ) => true,
        Failure::Finder(Error::Import(ImportError::NotClearable { .. })) => true,
        Failure::Finder(error) => error.is_invalid_input(),
        Failure::Negative(_) | Failure::Io(_) | Failure::File { .. } => false,
    };
    ExitCode::from(if is_usage { 2 } else { 1 })
}
