//! Commands that need Polars: backfills, and searches as Parquet.

#[cfg(feature = "polars")]
pub use with_polars::{backfill, batch, parquet};
#[cfg(not(feature = "polars"))]
pub use without_polars::{backfill, batch, parquet};

#[cfg(feature = "polars")]
mod with_polars {
    use std::fs::File;
    use std::io::BufReader;
    use std::path::{Path, PathBuf};

    use school_finder_db::backfill::Backfill;
    use school_finder_db::batch::{self, Batch, Nearest, Serving};
    use school_finder_db::request::{PhaseGaps, WriteMode};
    use school_finder_db::{LatLng, SchoolSearch, frame};

    use crate::args::{BackfillCommand, BatchArgs, BatchCommand, FindArgs};
    use crate::commands::{Outcome, progress_bar, with_known_councils};
    use crate::output_file::OutputFile;
    use crate::{Failure, database, output};

    pub async fn backfill(named: Option<&str>, command: BackfillCommand) -> Result<Outcome, Failure> {
        let BackfillCommand::Phase { dry_run, not_applicable } = command;
        let finder = database::for_additions(named).await?.finder;
        let bar = progress_bar(0);
        let backfill = Backfill::new()
            .mode(if dry_run { WriteMode::DryRun } else { WriteMode::Commit })
            .gaps(if not_applicable { PhaseGaps::UnknownOrNotApplicable } else { PhaseGaps::Unknown });
        let backfill = backfill.on_progress({
            let bar = bar.clone();
            move |done, total| {
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(format!("{done} of {total} schools"));
            }
        });
        let counts = backfill.phase(finder.as_ref()).await;
        bar.finish_and_clear();
        let counts = counts?;
        if dry_run {
            eprintln!("This was a dry run: nothing was written.");
        }
        let phases = counts.filled.iter().map(|(phase, count)| format!("{phase} {count}"));
        output::lines(phases.chain([format!("filled {}, left without a phase {}", counts.total(), counts.left)]))?;
        if counts.total() == 0 && !not_applicable {
            let all = finder.count_phase_gaps(PhaseGaps::UnknownOrNotApplicable).await?;
            // Other programs may have filled some in the meantime.
            let others = all.saturating_sub(counts.left);
            if others > 0 {
                eprintln!(
                    "{others} school(s) have \"not applicable\" of the register: --not-applicable goes by their ages too"
                );
            }
        }
        Ok(Outcome::Done)
    }

    pub async fn batch(named: Option<&str>, command: BatchCommand) -> Result<Outcome, Failure> {
        let (BatchCommand::Nearest { batch: args, .. } | BatchCommand::Catchment { batch: args }) = &command;
        let BatchArgs { homes: path, parquet, phase } = args;
        // Files are opened first: a mistyped name should fail before the schools are read.
        let (bytes, homes) = homes(path)?;
        let finder = database::open(named).await?;
        let mut search = SchoolSearch::open();
        search.filter.phases.clone_from(phase);
        let asked: Box<dyn Batch> = match command {
            BatchCommand::Nearest { count, .. } => {
                Box::new(Nearest::load(finder.as_ref(), &search, count.into()).await?)
            }
            BatchCommand::Catchment { .. } => Box::new(Serving::load(finder.as_ref(), &search).await?),
        };
        let bar = progress_bar(bytes);
        let mut file = OutputFile::create(parquet, Some(path), named)?;
        let tell = |done| bar.set_message(format!("{done} homes"));
        let written = batch::write_parquet(asked.as_ref(), homes(&bar), &mut file, tell);
        bar.finish_and_clear();
        let written = written?;
        file.finish()?;
        eprintln!("{written} homes answered in {parquet:?}");
        Ok(Outcome::Done)
    }

    type Homes = Box<dyn Iterator<Item = Result<LatLng, Failure>>>;

    /// How large a file of homes is, and how to read it while a bar shows how far that is.
    fn homes(path: &Path) -> Result<(u64, impl FnOnce(&indicatif::ProgressBar) -> Homes), Failure> {
        let file = File::open(path).map_err(cannot("read", path))?;
        let bytes = file.metadata().map_err(cannot("read", path))?.len();
        let mut reader = csv::Reader::from_reader(BufReader::new(file));
        let refused = |reason: &str| Failure::Usage(format!("{}: {reason}", path.display()));
        let header = reader.headers().map_err(|error| refused(&error.to_string()))?;
        let column = |name: &str| {
            let is = |column: &str| column.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(name);
            header.iter().position(is).ok_or_else(|| refused(&format!("there is no column {name}")))
        };
        let (lat, lng) = (column("lat")?, column("lng")?);
        let read = move |bar: &indicatif::ProgressBar| -> Homes {
            let bar = bar.clone();
            Box::new(reader.into_records().map(move |record| {
                let wrong =
                    |line: u64, reason: &dyn std::fmt::Display| Failure::Usage(format!("line {line}: {reason}"));
                let record = record.map_err(|error| Failure::Usage(error.to_string()))?;
                let (line, byte) = record.position().map_or((0, 0), |position| (position.line(), position.byte()));
                if line % 4_096 == 0 {
                    bar.set_position(byte);
                }
                let number = |at: usize| {
                    let text = record.get(at).unwrap_or_default().trim();
                    text.parse::<f64>().map_err(|_| wrong(line, &format_args!("{text:?} is not a number of degrees")))
                };
                LatLng::from_lat_lng(number(lat)?, number(lng)?).map_err(|error| wrong(line, &error))
            }))
        };
        Ok((bytes, read))
    }

    fn cannot(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
        let path = path.to_owned();
        move |error| Failure::File { action, path, error }
    }

    pub async fn parquet(named: Option<&str>, find: FindArgs, path: PathBuf) -> Result<Outcome, Failure> {
        let search = find.search();
        let mut file = OutputFile::create(&path, None, named)?;
        let finder = database::open(named).await?;
        let search = with_known_councils(finder.as_ref(), search).await?;
        let mut schools = frame::of_search(finder.as_ref(), &search).await?;
        frame::write_parquet(&mut schools, &mut file)?;
        file.finish()?;
        eprintln!("{} schools written to {path:?}", schools.height());
        Ok(Outcome::Done)
    }
}

#[cfg(not(feature = "polars"))]
mod without_polars {
    use std::path::PathBuf;

    use crate::Failure;
    use crate::args::{BackfillCommand, BatchCommand, FindArgs};
    use crate::commands::Outcome;

    fn missing(what: &str) -> Result<Outcome, Failure> {
        Err(Failure::Usage(format!("{what} needs Polars: build with --features cli,polars")))
    }

    pub async fn backfill(_: Option<&str>, _: BackfillCommand) -> Result<Outcome, Failure> {
        missing("backfill")
    }

    pub async fn batch(_: Option<&str>, _: BatchCommand) -> Result<Outcome, Failure> {
        missing("batch")
    }

    pub async fn parquet(_: Option<&str>, _: FindArgs, _: PathBuf) -> Result<Outcome, Failure> {
        missing("--parquet")
    }
}
