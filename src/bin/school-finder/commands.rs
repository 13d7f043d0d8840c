//! The commands.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use school_finder_db::explain::{ExplainMode, ExplainedQuery};
use school_finder_db::ids::Postcode;
use school_finder_db::import::{CatchmentOptions, Import, ImportError, Notice, NoticeKind, Reject, postcode_files};
use school_finder_db::migrate::{self as schema, Migrator};
use school_finder_db::request::{MissingSchools, WriteMode};
use school_finder_db::{Config, Error, SchoolRepository, SchoolSearch, text};
use serde::Serialize;

use crate::Failure;
use crate::args::{
    CountFormat, ExplainArgs, ExplainCommand, FindArgs, Format, ImportArgs, ImportCommand, MigrateCommand, Options,
    PageArgs, RegisterArgs, SchoolNumber, SuggestArgs,
};
use crate::output::Asked;
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
            let migrator = migrator(config, false);
            let names = migrator.up().await?;
            let newer = if names.is_empty() { migrator.status().await? } else { Vec::new() };
            match newer.iter().rev().find(|migration| !migration.known) {
                Some(newer) => {
                    let nothing = "nothing to do: a newer build migrated this database, which serves this build too";
                    eprintln!("{nothing} (its newest migration is {})", newer.name);
                    Ok(())
                }
                None => report("ran", &names, "nothing to do: the database is up to date"),
            }
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
        MigrateCommand::Check { all, data, repair } => {
            let drift = schema::check(config).await?;
            let count = drift.len();
            output::lines(drift)?;
            if all {
                let additions = migrator(config, false).additions().await?;
                eprintln!("{} addition(s) of other programs", additions.len());
                output::lines(additions)?;
            }
            if count > 0 {
                return Err(Failure::Negative(format!("{count} difference(s) from what this build expects")));
            }
            if repair {
                let mended = migrator(config, false).repair_data().await?;
                eprintln!("{} row(s) mended", mended.len());
                output::lines(mended)?;
            } else if data {
                let stale = migrator(config, false).check_data().await?;
                let count = stale.len();
                output::lines(stale)?;
                if count > 0 {
                    let mend = "`school-finder migrate check --data --repair` writes them again";
                    return Err(Failure::Negative(format!(
                        "{count} row(s) disagree with what they are copied from: {mend}"
                    )));
                }
            }
            eprintln!("the database is what this build expects");
            Ok(())
        }
        MigrateCommand::Grant { role, settings } => {
            migrator(config, false).grant(&role).await?;
            eprintln!("{role} may read and write rows, and change no table");
            if !settings {
                return Ok(());
            }
            let statements = migrator(config, false).grant_settings(&role).await?;
            if statements.is_empty() {
                eprintln!("the settings of connections are stored with it");
            } else {
                eprintln!("an administrator has to run these statements, which store the settings of connections:");
            }
            output::lines(statements)
        }
    }
}

pub async fn ship(options: &Options, folder: PathBuf) -> Result<(), Failure> {
    let shipped = school_finder_db::sqlite::ship(&database::choose(options)?.config, folder).await?;
    output::lines([format!("shipped generation {} with {} schools", shipped.generation, shipped.schools)])
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
        ImportCommand::Register { .. }
        | ImportCommand::Links { .. }
        | ImportCommand::Admissions { .. }
        | ImportCommand::Postcodes { .. } => "line",
        ImportCommand::Catchments { .. } => "feature",
    };
    let (ImportCommand::Register { import, .. }
    | ImportCommand::Links { import, .. }
    | ImportCommand::Admissions { import, .. }
    | ImportCommand::Postcodes { import, .. }
    | ImportCommand::Catchments { import, .. }) = &command;
    let ImportArgs { file: path, dry_run, rejects } = import;
    let import = configured(&command)?;
    // Files are opened first: a mistyped name should not leave a new database behind.
    let paths = match command {
        ImportCommand::Postcodes { .. } if path.is_dir() => {
            postcode_files(path).map_err(Failure::file("read", path))?
        }
        _ => vec![path.clone()],
    };
    let (mut files, mut bytes) = (Vec::new(), 0);
    for path in &paths {
        let file = File::open(path).map_err(Failure::file("read", path))?;
        bytes += file.metadata().map_err(Failure::file("read", path))?.len();
        files.push(file);
    }
    let rejects = Arc::new(Mutex::new(Rejects::open(unit, rejects.as_deref(), path, options)?));

    let (finder, created) = match command {
        ImportCommand::Register { .. } | ImportCommand::Postcodes { .. } => {
            database::open_or_create(options, *dry_run).await?
        }
        // These rows belong to schools, so the database must exist.
        ImportCommand::Links { .. } | ImportCommand::Admissions { .. } | ImportCommand::Catchments { .. } => {
            (database::existing(options).await?, None)
        }
    };
    let bar = progress_bar(bytes);
    let import = import
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
            move |reject| rejects.lock().unwrap_or_else(PoisonError::into_inner).reject(reject)
        })
        .on_notice({
            let rejects = Arc::clone(&rejects);
            move |notice| rejects.lock().unwrap_or_else(PoisonError::into_inner).notice(notice)
        });
    let counts = match (&command, files.pop()) {
        (ImportCommand::Postcodes { .. }, last) => {
            files.extend(last);
            import.postcodes(finder.as_ref(), files).await
        }
        (_, None) => Err(ImportError::Empty.into()),
        (ImportCommand::Register { .. }, Some(file)) => import.register(finder.as_ref(), file).await,
        (ImportCommand::Links { .. }, Some(file)) => import.links(finder.as_ref(), file).await,
        (ImportCommand::Admissions { .. }, Some(file)) => import.admissions(finder.as_ref(), file).await,
        (ImportCommand::Catchments { key, key_is, council, partial, .. }, Some(file)) => {
            let mut options = CatchmentOptions::new(key);
            (options.key_is, options.council, options.partial) = (*key_is, council.clone(), *partial);
            import.catchments(finder.as_ref(), file, options).await
        }
    };
    bar.finish_and_clear();
    if counts.is_err() {
        database::remove_created(finder, created).await;
    }
    // The list is complete where the file was read to its end, and says why no row could be used.
    if matches!(counts, Ok(_) | Err(Error::Import(ImportError::NothingUsable { .. }))) {
        rejects.lock().unwrap_or_else(PoisonError::into_inner).finish()?;
    }
    let counts = counts?;
    if counts.missing > 0 {
        let (schools, are) = if counts.missing == 1 { ("school that is", "is") } else { ("schools that are", "are") };
        let next = match counts.closed {
            0 => "--rejects lists them, --close-missing closes them",
            _ => "now closed; --rejects lists them",
        };
        eprintln!("{} {schools} open here {are} not in this file ({next})", counts.missing);
    }
    if *dry_run {
        eprintln!("This was a dry run: nothing was written.");
    }
    let closed = if counts.closed > 0 { format!(", closed {}", counts.closed) } else { String::new() };
    let withdrawn = if counts.withdrawn > 0 { format!(", withdrawn {}", counts.withdrawn) } else { String::new() };
    output::lines([format!(
        "inserted {}, updated {}, unchanged {}, rejected {}{closed}{withdrawn}",
        counts.inserted, counts.updated, counts.unchanged, counts.rejected
    )])
}

/// Returns an import with the options of a command.
fn configured(command: &ImportCommand) -> Result<Import, Failure> {
    let import = match command {
        ImportCommand::Register { register: RegisterArgs { close_missing, force, clear, source }, .. } => {
            let missing = match (close_missing, force) {
                (false, _) => MissingSchools::Keep,
                (true, false) => MissingSchools::Close,
                (true, true) => MissingSchools::CloseAny,
            };
            let import = Import::new().missing_schools(missing).clear(clear.clone());
            source.iter().fold(import, |import, source| import.source(source.clone()))
        }
        ImportCommand::Admissions { distance_criterion, .. } => {
            Import::new().distance_criteria(distance_criterion.clone())
        }
        ImportCommand::Postcodes { with_northern_ireland, .. } => {
            Import::new().northern_ireland(*with_northern_ireland)
        }
        ImportCommand::Links { .. } | ImportCommand::Catchments { .. } => Import::new(),
    };
    match command {
        ImportCommand::Register { csv, .. }
        | ImportCommand::Links { csv, .. }
        | ImportCommand::Admissions { csv, .. } => match &csv.encoding {
            Some(label) => import.encoding(label).map_err(|error| Failure::Usage(error.to_string())),
            None => Ok(import),
        },
        ImportCommand::Catchments { .. } | ImportCommand::Postcodes { .. } => Ok(import),
    }
}

/// Returns a bar on standard error, which is hidden where that is no terminal.
pub fn progress_bar(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} % {msg}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What was not imported or could not be read: into a file, or the first of it to standard error.
struct Rejects {
    unit: &'static str,
    file: Option<csv::Writer<OutputFile>>,
    shown: usize,
    raw: bool,
    result: csv::Result<()>,
}

/// A line of the file of rejects.
#[derive(Serialize)]
struct Listed {
    number: Option<u64>,
    urn: String,
    reason: String,
    /// `rejected`, or the kind of notice.
    kind: &'static str,
}

impl Rejects {
    fn open(unit: &'static str, path: Option<&Path>, input: &Path, options: &Options) -> Result<Self, Failure> {
        let file = path.map(|path| OutputFile::create(path, Some(input), options)).transpose()?;
        Ok(Self { unit, file: file.map(csv::Writer::from_writer), shown: 0, raw: options.raw, result: Ok(()) })
    }

    fn reject(&mut self, Reject { number, urn, reason }: Reject) {
        self.add(Listed { number: Some(number), urn, reason, kind: "rejected" });
    }

    fn notice(&mut self, Notice { kind, number, urn, text, .. }: Notice) {
        let kind = match kind {
            NoticeKind::MissingSchool => "missing_school",
            NoticeKind::File => "file",
            // Of a row that was imported.
            _ => "value",
        };
        // A word on the file as a whole is shown wherever the rest goes.
        if kind == "file" {
            eprintln!("{}", output::printable(&text));
        }
        if kind != "file" || self.file.is_some() {
            self.add(Listed { number, urn, reason: text, kind });
        }
    }

    fn add(&mut self, listed: Listed) {
        if let Some(writer) = &mut self.file {
            if self.result.is_ok() {
                let [urn, reason] = [listed.urn, listed.reason].map(|text| output::csv_cell(text, self.raw));
                self.result = writer.serialize(Listed { urn, reason, ..listed });
            }
            return;
        }
        self.shown += 1;
        if self.shown <= REJECTS_SHOWN {
            let number = listed.number.map_or(String::new(), |number| format!("{} {number}", self.unit));
            let whose = match listed.urn.as_str() {
                "" => String::new(),
                urn if urn.bytes().all(|byte| byte.is_ascii_digit()) => format!("URN {urn}"),
                key => format!("{key:?}"),
            };
            let comma = if number.is_empty() || whose.is_empty() { "" } else { ", " };
            let line = format!("{number}{comma}{whose}: {}", listed.reason);
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
    let (finder, asked) = open_for(options, &find).await?;
    output::hits(&finder.find_schools(&asked.search).await?, &asked, format, options.raw)
}

pub async fn suggest(options: &Options, suggest: SuggestArgs, format: Format) -> Result<(), Failure> {
    let finder = database::open(options).await?;
    let (suggestions, home) = suggest.suggestions(finder.as_ref()).await?;
    output::suggestions(suggestions, home, format, options.raw)
}

pub async fn catchment(options: &Options, PageArgs { find, format }: PageArgs) -> Result<(), Failure> {
    let (finder, asked) = open_for(options, &find).await?;
    output::catchments(&finder.find_catchments(&asked.search).await?, &asked, format, options.raw)
}

pub async fn reach(options: &Options, PageArgs { find, format }: PageArgs) -> Result<(), Failure> {
    let (finder, asked) = open_for(options, &find).await?;
    output::reach(&finder.find_reach(&asked.search).await?, &asked, format, options.raw)
}

pub async fn locate(options: &Options, postcode: Postcode, format: CountFormat) -> Result<(), Failure> {
    let finder = database::open(options).await?;
    output::home(&finder.locate(&postcode.to_string()).await?, format, options.raw)
}

pub async fn show(options: &Options, school: SchoolNumber, format: Format) -> Result<(), Failure> {
    let finder = database::open(options).await?;
    let urn = match school {
        SchoolNumber::Urn(urn) => urn,
        SchoolNumber::Laestab(laestab) => {
            let schools = finder.schools_by_laestab(&[laestab]).await?;
            match schools.as_slice() {
                [(_, school)] => school.urn,
                [] => {
                    let message = format!("no school in this database has LAESTAB {laestab}; the register has them");
                    return Err(Failure::Negative(message));
                }
                several => {
                    let several = several.iter().map(|(_, school)| format!("{} ({})", school.urn, school.name));
                    let several = several.collect::<Vec<_>>().join(", ");
                    return Err(Failure::Negative(format!("several schools have LAESTAB {laestab}: show {several}")));
                }
            }
        }
    };
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
    let (finder, Asked { search, home }) = open_for(options, &find).await?;
    output::facets(&finder.facets(&search).await?, format, options.raw)?;
    output::say_home(home.as_ref());
    Ok(())
}

pub async fn explain(options: &Options, command: ExplainCommand) -> Result<(), Failure> {
    let (query, ExplainArgs { find, analyze }) = match command {
        ExplainCommand::Find(args) => (ExplainedQuery::Find, args),
        ExplainCommand::Catchment(args) => (ExplainedQuery::Catchments, args),
        ExplainCommand::Reach(args) => (ExplainedQuery::Reach, args),
        ExplainCommand::Facets(args) => (ExplainedQuery::Facets, args),
    };
    let mode = if analyze { ExplainMode::Analyze } else { ExplainMode::Plan };
    let (finder, Asked { search, .. }) = open_for(options, &find).await?;
    let explanation = finder.explain(query, &search, mode).await?;
    output::lines([explanation.to_string()])
}

/// Opens the database for a search.
///
/// People type `milton keynes`, so councils are spelled as the database has them. One that is not found stays as it is,
/// and is reported, since the result will be empty.
pub async fn open_for(options: &Options, find: &FindArgs) -> Result<(Arc<dyn SchoolRepository>, Asked), Failure> {
    let finder = database::open(options).await?;
    let (near, home) = find.point.located(finder.as_ref()).await?;
    let mut search = find.search(near);
    if search.filter.councils.is_empty() {
        return Ok((finder, Asked { search, home }));
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
    Ok((finder, Asked { search, home }))
}
