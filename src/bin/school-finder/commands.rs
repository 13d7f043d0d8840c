//! The commands.

use std::fs::File;
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
use crate::args::{
    CountFormat, ExplainArgs, ExplainCommand, FindArgs, Format, ImportArgs, ImportCommand, MigrateCommand, Options,
    PageArgs,
};
use crate::output_file::OutputFile;
use crate::{database, output};

/// How many rejected rows are reported where no file of them is named.
const REJECTS_SHOWN: usize = 10;

pub async fn migrate(options: &Options, command: MigrateCommand) -> Result<(), Failure> {
    let choice = database::choose(options)?;
    let config = &choice.config;
    match command {
        MigrateCommand::Up => {
            database::prepare(&choice)?;
            let names = migrator(config, false).up().await?;
            report("ran", &names, "nothing to do: the database is up to date")
        }
        MigrateCommand::Down { steps, accept_loss } => {
            let names = migrator(config, accept_loss).down(steps).await?;
            report("reverted", &names, "nothing to do: there was no migration to revert")
        }
        MigrateCommand::Redo { accept_loss } => {
            let names = migrator(config, accept_loss).redo().await?;
            report("ran again", &names, "nothing to do: there was no migration to run again")
        }
        MigrateCommand::Status => {
            let lines = schema::status(config).await?.into_iter().map(|migration| {
                let mark = if migration.applied { 'x' } else { ' ' };
                let note = if migration.known { "" } else { "  (not known to this build)" };
                format!("[{mark}] {}{note}", migration.name)
            });
            output::lines(lines)
        }
        MigrateCommand::Check => {
            let drift = schema::check(config).await?;
            let count = drift.len();
            output::lines(drift)?;
            if count > 0 {
                return Err(Failure::Negative(format!("{count} difference(s) from what this build expects")));
            }
            eprintln!("the database is what this build expects");
            Ok(())
        }
        MigrateCommand::Grant { role } => {
            migrator(config, false).grant(&role).await?;
            eprintln!("{role} may read and write rows, and change no table");
            Ok(())
        }
    }
}

fn migrator(config: &Config, accept_loss: bool) -> Migrator {
    let migrator = Migrator::new(config)
        .on_wait(|| eprintln!("another program is changing this database's schema: waiting for it"));
    if accept_loss { migrator.accept_loss() } else { migrator }
}

fn report(done: &str, names: &[String], nothing: &str) -> Result<(), Failure> {
    if names.is_empty() {
        eprintln!("{nothing}");
    }
    output::lines(names.iter().map(|name| format!("{done} {name}")))
}

pub async fn import(options: &Options, command: ImportCommand) -> Result<(), Failure> {
    // The unit in the list of rejects.
    let unit = match command {
        ImportCommand::Register(_) | ImportCommand::Links(_) | ImportCommand::Admissions(_) => "line",
        ImportCommand::Catchments { .. } => "feature",
    };
    let (ImportCommand::Register(import)
    | ImportCommand::Links(import)
    | ImportCommand::Admissions(import)
    | ImportCommand::Catchments { import, .. }) = &command;
    let ImportArgs { file: path, dry_run, rejects } = import;
    // Files are opened first: a mistyped name should not leave a new database behind.
    let file = File::open(path).map_err(Failure::file("read", path))?;
    let bytes = file.metadata().map_err(Failure::file("read", path))?.len();
    let rejects = Arc::new(Mutex::new(Rejects::open(unit, rejects.as_deref(), path, options)?));

    let (finder, created) = match command {
        ImportCommand::Register(_) => database::open_or_create(options, *dry_run).await?,
        // These rows belong to schools, so the database must exist.
        ImportCommand::Links(_) | ImportCommand::Admissions(_) | ImportCommand::Catchments { .. } => {
            (database::existing(options).await?, None)
        }
    };
    let bar = progress_bar(bytes);
    let import = Import::new()
        .mode(if *dry_run { WriteMode::DryRun } else { WriteMode::Commit })
        .on_progress({
            let bar = bar.clone();
            move |rows, bytes| {
                bar.set_position(bytes);
                bar.set_message(format!("{rows} {unit}s"));
            }
        })
        .on_reject({
            let rejects = Arc::clone(&rejects);
            move |reject| rejects.lock().unwrap_or_else(PoisonError::into_inner).add(reject)
        });
    let counts = match &command {
        ImportCommand::Register(_) => import.register(finder.as_ref(), file).await,
        ImportCommand::Links(_) => import.links(finder.as_ref(), file).await,
        ImportCommand::Admissions(_) => import.admissions(finder.as_ref(), file).await,
        ImportCommand::Catchments { key, .. } => import.catchments(finder.as_ref(), file, key).await,
    };
    bar.finish_and_clear();
    if counts.is_err() {
        database::remove_created(finder, created).await;
    }
    let counts = counts?;
    rejects.lock().unwrap_or_else(PoisonError::into_inner).finish()?;
    if *dry_run {
        eprintln!("This was a dry run: nothing was written.");
    }
    output::lines([format!(
        "inserted {}, updated {}, unchanged {}, rejected {}",
        counts.inserted, counts.updated, counts.unchanged, counts.rejected
    )])
}

/// Returns a bar on standard error, which is hidden where that is no terminal.
pub fn progress_bar(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} % {msg}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The rows that were not imported: into a file, or the first of them to standard error.
struct Rejects {
    unit: &'static str,
    file: Option<csv::Writer<OutputFile>>,
    shown: usize,
    raw: bool,
    result: csv::Result<()>,
}

impl Rejects {
    fn open(unit: &'static str, path: Option<&Path>, input: &Path, options: &Options) -> Result<Self, Failure> {
        let file = path.map(|path| OutputFile::create(path, Some(input), options)).transpose()?;
        Ok(Self { unit, file: file.map(csv::Writer::from_writer), shown: 0, raw: options.raw, result: Ok(()) })
    }

    fn add(&mut self, reject: Reject) {
        if let Some(writer) = &mut self.file {
            if self.result.is_ok() {
                let [urn, reason] = [reject.urn, reject.reason].map(|text| output::csv_cell(text, self.raw));
                self.result = writer.serialize(Reject { urn, reason, ..reject });
            }
            return;
        }
        self.shown += 1;
        if self.shown <= REJECTS_SHOWN {
            let line = format!("{} {}, URN {}: {}", self.unit, reject.number, reject.urn, reject.reason);
            eprintln!("{}", output::printable(&line));
        } else if self.shown == REJECTS_SHOWN + 1 {
            eprintln!("and more: --rejects FILE writes them all to a file");
        }
    }

    /// Completes the file. An import whose file of rejects could not be written has failed.
    fn finish(&mut self) -> Result<(), Failure> {
        let Some(mut writer) = self.file.take() else { return Ok(()) };
        let written = std::mem::replace(&mut self.result, Ok(())).map_err(std::io::Error::other);
        if let Err(error) = written.and_then(|()| writer.flush()) {
            return Err(writer.get_ref().failure(error));
        }
        writer.into_inner().map_err(|error| Failure::Io(error.into_error()))?.finish()
    }
}

pub async fn find(options: &Options, PageArgs { find, format }: PageArgs) -> Result<(), Failure> {
    let (finder, search) = open_for(options, &find).await?;
    output::hits(&finder.find_schools(&search).await?, &search, format, options.raw)
}

pub async fn catchment(options: &Options, PageArgs { find, format }: PageArgs) -> Result<(), Failure> {
    let (finder, search) = open_for(options, &find).await?;
    output::catchments(&finder.find_catchments(&search).await?, &search, format, options.raw)
}

pub async fn reach(options: &Options, PageArgs { find, format }: PageArgs) -> Result<(), Failure> {
    let (finder, search) = open_for(options, &find).await?;
    output::reach(&finder.find_reach(&search).await?, &search, format, options.raw)
}

pub async fn show(options: &Options, urn: Urn, format: Format) -> Result<(), Failure> {
    let finder = database::open(options).await?;
    let school = match finder.school_by_urn(urn).await? {
        Some(school) => finder.school_details(school.id).await?,
        None => None,
    };
    if let Some(school) = school {
        return output::school(&school, format, options.raw);
    }
    let successors = finder.schools_of_today(urn).await?;
    let successors: Vec<_> = successors.iter().map(|school| format!("{} ({})", school.urn, school.name)).collect();
    let hint = if successors.is_empty() {
        "look for it by name: school-finder find --name TEXT".to_owned()
    } else {
        format!("its links lead to {}", successors.join(", "))
    };
    Err(Failure::Negative(format!("no school in this database has URN {urn}; {hint}")))
}

pub async fn councils(options: &Options, format: CountFormat) -> Result<(), Failure> {
    output::councils(&database::open(options).await?.councils().await?, format, options.raw)
}

pub async fn facets(options: &Options, find: FindArgs, format: CountFormat) -> Result<(), Failure> {
    let (finder, search) = open_for(options, &find).await?;
    output::facets(&finder.facets(&search).await?, format, options.raw)
}

pub async fn explain(options: &Options, command: ExplainCommand) -> Result<(), Failure> {
    let (query, ExplainArgs { find, analyze }) = match command {
        ExplainCommand::Find(args) => (ExplainedQuery::Find, args),
        ExplainCommand::Catchment(args) => (ExplainedQuery::Catchments, args),
        ExplainCommand::Reach(args) => (ExplainedQuery::Reach, args),
        ExplainCommand::Facets(args) => (ExplainedQuery::Facets, args),
    };
    let mode = if analyze { ExplainMode::Analyze } else { ExplainMode::Plan };
    let (finder, search) = open_for(options, &find).await?;
    let explanation = finder.explain(query, &search, mode).await?;
    output::lines([explanation.to_string()])
}

/// Opens the database for a search.
///
/// People type `milton keynes`, so councils are spelled as the database has them. One that is not found stays as it is,
/// and is reported, since the result will be empty.
pub async fn open_for(
    options: &Options,
    find: &FindArgs,
) -> Result<(Arc<dyn SchoolRepository>, SchoolSearch), Failure> {
    let mut search = find.search();
    let finder = database::open(options).await?;
    if search.filter.councils.is_empty() {
        return Ok((finder, search));
    }
    // A council may have only schools of another status than open.
    let mut of_status = SchoolSearch::open();
    of_status.filter.statuses.clone_from(&search.filter.statuses);
    let known = finder.facets(&of_status).await?.council;
    for typed in &mut search.filter.councils {
        let folded = text::fold(typed);
        let exact = known.get_key_value(typed).map(|(known, _)| known);
        match exact.or_else(|| known.keys().find(|known| text::fold(known) == folded)) {
            Some(known) => typed.clone_from(known),
            None => eprintln!(
                "no school of this status is in a council called {typed:?}: `school-finder facets` lists them"
            ),
        }
    }
    Ok((finder, search))
}
