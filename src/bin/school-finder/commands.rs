//! The commands.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use school_finder_db::explain::{ExplainMode, ExplainedQuery};
use school_finder_db::ids::Urn;
use school_finder_db::import::{Import, Reject};
use school_finder_db::migrate::{self as schema, Migrator};
use school_finder_db::request::WriteMode;
use school_finder_db::{Config, SchoolRepository, SchoolSearch, text};

use crate::Failure;
use crate::args::{CountFormat, ExplainCommand, FindArgs, Format, ImportArgs, ImportCommand, MigrateCommand};
use crate::output_file::OutputFile;
use crate::{database, output};

/// How a command ended.
pub enum Outcome {
    /// It did what it was asked.
    Done,
    /// It looked, and found this to be wrong.
    Found(String),
}

/// How many rejected rows are told of when nobody asked for a file of them.
const REJECTS_SHOWN: usize = 10;

pub async fn migrate(named: Option<&str>, command: MigrateCommand) -> Result<Outcome, Failure> {
    let choice = database::choose(named)?;
    let config = &choice.config;
    match command {
        MigrateCommand::Up => {
            database::prepare(&choice)?;
            let names = migrator(config).up().await?;
            tell("ran", &names, "nothing to do: the database is up to date")?;
        }
        MigrateCommand::Down { steps, accept_loss } => {
            let names = may_lose(migrator(config), accept_loss).down(steps).await?;
            tell("reverted", &names, "nothing to do: there was no migration to revert")?;
        }
        MigrateCommand::Redo { accept_loss } => {
            let names = may_lose(migrator(config), accept_loss).redo().await?;
            tell("ran again", &names, "nothing to do: there was no migration to run again")?;
        }
        MigrateCommand::Status => {
            let lines = schema::status(config).await?.into_iter().map(|migration| {
                let mark = if migration.applied { 'x' } else { ' ' };
                let note = if migration.known { "" } else { "  (not known to this build)" };
                format!("[{mark}] {}{note}", migration.name)
            });
            output::lines(lines)?;
        }
        MigrateCommand::Check => {
            let differences = schema::check(config).await?;
            let count = differences.len();
            output::lines(differences)?;
            if count > 0 {
                return Ok(Outcome::Found(format!("{count} difference(s) from what this build expects")));
            }
            eprintln!("the database is what this build expects");
        }
        MigrateCommand::Grant { role } => {
            migrator(config).grant(&role).await?;
            eprintln!("{role} may read and write rows, and change no table");
        }
    }
    Ok(Outcome::Done)
}

fn migrator(config: &Config) -> Migrator {
    Migrator::new(config).on_wait(|| {
        let _ = writeln!(std::io::stderr(), "another program is changing this database's schema: waiting for it");
    })
}

fn may_lose(migrator: Migrator, accept_loss: bool) -> Migrator {
    if accept_loss { migrator.accept_loss() } else { migrator }
}

fn tell(done: &str, names: &[String], nothing: &str) -> Result<(), Failure> {
    if names.is_empty() {
        eprintln!("{nothing}");
    }
    output::lines(names.iter().map(|name| format!("{done} {name}")))
}

pub async fn import(named: Option<&str>, command: ImportCommand) -> Result<Outcome, Failure> {
    // The unit in the list of rejects.
    let unit = match command {
        ImportCommand::Register { .. } | ImportCommand::Links { .. } | ImportCommand::Admissions { .. } => "line",
        ImportCommand::Catchments { .. } => "feature",
    };
    let (ImportCommand::Register { import }
    | ImportCommand::Links { import }
    | ImportCommand::Admissions { import }
    | ImportCommand::Catchments { import, .. }) = &command;
    let ImportArgs { file: path, dry_run, rejects } = import;
    let dry_run = *dry_run;
    // Files are opened first: a mistyped name should not leave a new database behind.
    let cannot = |action, path: &Path| {
        let path = path.to_owned();
        move |error| Failure::File { action, path, error }
    };
    let file = File::open(path).map_err(cannot("read", path))?;
    let bytes = file.metadata().map_err(cannot("read", path))?.len();
    let rejects = Arc::new(Mutex::new(Rejects::open(unit, rejects.as_deref(), path, named)?));

    let target = match command {
        ImportCommand::Register { .. } => database::for_import(named, dry_run).await?,
        // These rows belong to schools, so the database must exist.
        ImportCommand::Links { .. } | ImportCommand::Admissions { .. } | ImportCommand::Catchments { .. } => {
            database::for_additions(named).await?
        }
    };
    let finder = target.finder;
    let bar = progress_bar(bytes);
    let import = Import::new().mode(if dry_run { WriteMode::DryRun } else { WriteMode::Commit });
    let import = import.on_progress({
        let bar = bar.clone();
        move |rows, bytes| {
            if rows % 256 == 0 || unit == "feature" {
                bar.set_position(bytes);
                #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
                let rate = rows as f64 / bar.elapsed().as_secs_f64().max(0.001);
                bar.set_message(format!("{rows} {unit}s, {rate:.0} {unit}s/s"));
            }
        }
    });
    let import = import.on_reject({
        let rejects = Arc::clone(&rejects);
        move |reject| rejects.lock().unwrap_or_else(PoisonError::into_inner).take(reject)
    });
    let counts = match &command {
        ImportCommand::Register { .. } => import.register(finder.as_ref(), file).await,
        ImportCommand::Links { .. } => import.links(finder.as_ref(), file).await,
        ImportCommand::Admissions { .. } => import.admissions(finder.as_ref(), file).await,
        ImportCommand::Catchments { key, .. } => import.catchments(finder.as_ref(), file, key).await,
    };
    bar.finish_and_clear();
    if counts.is_err() {
        database::remove_created(finder, target.created).await;
    }
    let counts = counts?;
    rejects.lock().unwrap_or_else(PoisonError::into_inner).finish()?;
    if dry_run {
        eprintln!("This was a dry run: nothing was written.");
    }
    output::lines([format!(
        "inserted {}, updated {}, unchanged {}, rejected {}",
        counts.inserted, counts.updated, counts.unchanged, counts.rejected
    )])?;
    Ok(Outcome::Done)
}

/// A bar on a terminal, and nothing elsewhere.
pub fn progress_bar(length: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template("{wide_bar} {percent:>3} % {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The rows that were not imported: into a file, or the first of them to the terminal.
struct Rejects {
    unit: &'static str,
    file: Option<csv::Writer<OutputFile>>,
    shown: usize,
    failed: Option<csv::Error>,
}

impl Rejects {
    fn open(unit: &'static str, path: Option<&Path>, input: &Path, named: Option<&str>) -> Result<Self, Failure> {
        let file = path.map(|path| OutputFile::create(path, Some(input), named)).transpose()?;
        Ok(Self { unit, file: file.map(csv::Writer::from_writer), shown: 0, failed: None })
    }

    fn take(&mut self, reject: Reject) {
        if let Some(writer) = &mut self.file {
            if let Err(error) = writer.serialize(reject) {
                self.failed.get_or_insert(error);
            }
            return;
        }
        self.shown += 1;
        if self.shown <= REJECTS_SHOWN {
            Self::tell(format_args!("{} {}, URN {}: {}", self.unit, reject.number, reject.urn, reject.reason));
        } else if self.shown == REJECTS_SHOWN + 1 {
            Self::tell(format_args!("and more: --rejects FILE writes them all to a file"));
        }
    }

    /// Writes to standard error. That it may be closed does not stop an import.
    fn tell(line: std::fmt::Arguments<'_>) {
        let _ = writeln!(std::io::stderr(), "{}", output::printable(&line.to_string()));
    }

    /// Completes the file of rejects. That it could not be written is a failure of the import.
    fn finish(&mut self) -> Result<(), Failure> {
        let Some(mut writer) = self.file.take() else { return Ok(()) };
        let written = match self.failed.take() {
            Some(error) => Err(std::io::Error::other(error)),
            None => writer.flush(),
        };
        if let Err(error) = written {
            return Err(writer.get_ref().failure(error));
        }
        writer.into_inner().map_err(|error| Failure::Io(error.into_error()))?.finish()
    }
}

pub async fn find(named: Option<&str>, find: FindArgs, format: Option<Format>) -> Result<Outcome, Failure> {
    let search = find.search();
    let finder = database::open(named).await?;
    let search = with_known_councils(finder.as_ref(), search).await?;
    let page = finder.find_schools(&search).await?;
    output::hits(&page, &search, format.unwrap_or_else(output::default_format))?;
    Ok(Outcome::Done)
}

pub async fn catchment(named: Option<&str>, find: FindArgs, format: Option<Format>) -> Result<Outcome, Failure> {
    let search = find.search();
    let finder = database::open(named).await?;
    let search = with_known_councils(finder.as_ref(), search).await?;
    let page = finder.find_catchments(&search).await?;
    output::catchments(&page, &search, format.unwrap_or_else(output::default_format))?;
    Ok(Outcome::Done)
}

pub async fn reach(named: Option<&str>, find: FindArgs, format: Option<Format>) -> Result<Outcome, Failure> {
    let search = find.search();
    let finder = database::open(named).await?;
    let search = with_known_councils(finder.as_ref(), search).await?;
    let page = finder.find_reach(&search).await?;
    output::reach(&page, &search, format.unwrap_or_else(output::default_format))?;
    Ok(Outcome::Done)
}

pub async fn show(named: Option<&str>, urn: Urn, format: Option<Format>) -> Result<Outcome, Failure> {
    let finder = database::open(named).await?;
    let Some(school) = finder.school_by_urn(urn).await? else {
        let today = finder.schools_of_today(urn).await?;
        let leads = today.iter().map(|school| format!("{} ({})", school.urn, school.name)).collect::<Vec<_>>();
        let leads = if leads.is_empty() {
            "; look for it by name: school-finder find --name TEXT".to_owned()
        } else {
            format!("; its links lead to {}", leads.join(", "))
        };
        return Ok(Outcome::Found(format!("school-finder: no school in this database has URN {urn}{leads}")));
    };
    if let Some(details) = finder.school_details(school.id).await? {
        output::school(&details, format.unwrap_or_else(output::default_format))?;
    }
    Ok(Outcome::Done)
}

pub async fn councils(named: Option<&str>, format: Option<CountFormat>) -> Result<Outcome, Failure> {
    let finder = database::open(named).await?;
    output::councils(&finder.councils().await?, format.unwrap_or_else(output::default_count_format))?;
    Ok(Outcome::Done)
}

pub async fn facets(named: Option<&str>, find: FindArgs, format: Option<CountFormat>) -> Result<Outcome, Failure> {
    let search = find.search();
    let finder = database::open(named).await?;
    let search = with_known_councils(finder.as_ref(), search).await?;
    output::facets(&finder.facets(&search).await?, format.unwrap_or_else(output::default_count_format))?;
    Ok(Outcome::Done)
}

pub async fn explain(named: Option<&str>, command: ExplainCommand) -> Result<Outcome, Failure> {
    let (query, find, analyze) = match command {
        ExplainCommand::Find { find, analyze } => (ExplainedQuery::Find, find, analyze),
        ExplainCommand::Catchment { find, analyze } => (ExplainedQuery::Catchments, find, analyze),
    };
    let mode = if analyze { ExplainMode::Analyze } else { ExplainMode::Plan };
    let search = find.search();
    let finder = database::open(named).await?;
    let search = with_known_councils(finder.as_ref(), search).await?;
    let explanation = finder.explain(query, &search, mode).await?;
    output::lines([explanation.to_string()])?;
    Ok(Outcome::Done)
}

/// Councils as the database spells them: people type `milton keynes`. One that is not found stays as typed, and is told
/// of, since the answer will be empty.
pub async fn with_known_councils(
    finder: &dyn SchoolRepository,
    mut search: SchoolSearch,
) -> Result<SchoolSearch, Failure> {
    if search.filter.councils.is_empty() {
        return Ok(search);
    }
    let known = finder.councils().await?;
    for typed in &mut search.filter.councils {
        let folded = text::fold(typed);
        let exact = known.iter().find(|known| known.council == *typed);
        match exact.or_else(|| known.iter().find(|known| text::fold(&known.council) == folded)) {
            Some(known) => typed.clone_from(&known.council),
            // A search for another status may name a council without open schools.
            None if !search.filter.statuses.is_empty() => {}
            None => eprintln!("no open school is in a council called {typed:?}: `school-finder councils` lists them"),
        }
    }
    Ok(search)
}
