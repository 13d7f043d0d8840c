//! Commands that need Polars: backfills, and searches as Parquet.

use std::fmt::Display;
use std::fs::File;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use school_finder_db::backfill::Backfill;
use school_finder_db::batch::{self, Batch, Nearest, Serving};
use school_finder_db::request::{PhaseGaps, WriteMode};
use school_finder_db::{Error, LatLng, SchoolSearch, frame};

use crate::args::{BackfillCommand, BatchArgs, BatchCommand, FindArgs, Options};
use crate::commands::{open_for, progress_bar};
use crate::output_file::OutputFile;
use crate::{Failure, database, output};

pub async fn backfill(options: &Options, command: BackfillCommand) -> Result<(), Failure> {
    let BackfillCommand::Phase { dry_run, not_applicable } = command;
    let finder = database::existing(options).await?;
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
    Ok(())
}

pub async fn batch(options: &Options, command: BatchCommand) -> Result<(), Failure> {
    let (BatchCommand::Nearest { batch: args, .. } | BatchCommand::Catchment(args)) = &command;
    let BatchArgs { homes: path, parquet, phase } = args;
    let bar = progress_bar(0);
    // Files are opened first: a mistyped name should fail before the schools are read.
    let homes = homes(path, bar.clone())?;
    let finder = database::open(options).await?;
    let mut search = SchoolSearch::open();
    search.filter.phases.clone_from(phase);
    let batch: Box<dyn Batch> = match command {
        BatchCommand::Nearest { count, .. } => Box::new(Nearest::load(finder.as_ref(), &search, count.into()).await?),
        BatchCommand::Catchment(_) => Box::new(Serving::load(finder.as_ref(), &search).await?),
    };
    let mut file = OutputFile::create(parquet, Some(path), options)?;
    let written =
        batch::write_parquet(batch.as_ref(), homes, &mut file, |done| bar.set_message(format!("{done} homes")));
    bar.finish_and_clear();
    let written = written?;
    file.finish()?;
    eprintln!("{written} homes answered in {parquet:?}");
    Ok(())
}

/// Opens a CSV file of homes, and reads them while the bar shows how far.
fn homes(path: &Path, bar: ProgressBar) -> Result<impl Iterator<Item = Result<LatLng, Failure>>, Failure> {
    let file = File::open(path).map_err(Failure::file("read", path))?;
    bar.set_length(file.metadata().map_err(Failure::file("read", path))?.len());
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let refused = |reason: &dyn Display| Failure::Usage(format!("{}: {reason}", path.display()));
    let header = reader.headers().map_err(|error| refused(&error))?;
    let column = |name: &str| {
        let at = header.iter().position(|column| column.eq_ignore_ascii_case(name));
        at.ok_or_else(|| refused(&format_args!("there is no column {name}")))
    };
    let (lat, lng) = (column("lat")?, column("lng")?);
    Ok(reader.into_records().map(move |record| {
        let record = record.map_err(|error| Failure::Usage(error.to_string()))?;
        let (line, byte) = record.position().map_or((0, 0), |position| (position.line(), position.byte()));
        if line % 4_096 == 0 {
            bar.set_position(byte);
        }
        let refused = |reason: &dyn Display| Failure::Usage(format!("line {line}: {reason}"));
        let degrees = |at: usize| {
            let text = record.get(at).unwrap_or_default();
            text.parse::<f64>().map_err(|_| refused(&format_args!("{text:?} is not a number of degrees")))
        };
        let home = LatLng::from_lat_lng(degrees(lat)?, degrees(lng)?).map_err(|error| refused(&error))?;
        match home.looks_swapped() {
            true => {
                let (lat, lng) = (home.lat().degrees(), home.lng().degrees());
                Err(refused(&Error::SuspectSwapped { lat, lng }))
            }
            false => Ok(home),
        }
    }))
}

pub async fn parquet(options: &Options, find: FindArgs, path: PathBuf) -> Result<(), Failure> {
    let mut file = OutputFile::create(&path, None, options)?;
    let (finder, search) = open_for(options, &find).await?;
    let mut schools = frame::of_search(finder.as_ref(), &search).await?;
    frame::write_parquet(&mut schools, &mut file)?;
    file.finish()?;
    eprintln!("{} schools written to {path:?}", schools.height());
    Ok(())
}
