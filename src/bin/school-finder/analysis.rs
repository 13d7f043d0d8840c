//! Commands that need Polars: backfills, and searches as Parquet.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::fs::File;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use school_finder_db::backfill::Backfill;
use school_finder_db::batch::{self, Batch, Nearest, Serving};
use school_finder_db::ids::{Postcode, UnknownPostcode};
use school_finder_db::models::Home;
use school_finder_db::repository::LocateHomes;
use school_finder_db::request::{PhaseGaps, WriteMode};
use school_finder_db::{Error, LatLng, SchoolSearch, frame};

use crate::args::{BackfillCommand, BatchArgs, BatchCommand, FindArgs, Options};
use crate::commands::{open_for, progress_bar};
use crate::output::Asked;
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
        let all = finder.on_writer().count_phase_gaps(PhaseGaps::UnknownOrNotApplicable).await?;
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
    let homes = Homes::open(path)?;
    let finder = database::open(options).await?;
    let located = homes.locate(finder.as_ref()).await?;
    let mut search = SchoolSearch::open();
    search.filter.phases.clone_from(phase);
    let batch: Box<dyn Batch> = match command {
        BatchCommand::Nearest { count, .. } => Box::new(Nearest::load(finder.as_ref(), &search, count.into()).await?),
        BatchCommand::Catchment(_) => Box::new(Serving::load(finder.as_ref(), &search).await?),
    };
    let mut file = OutputFile::create(parquet, Some(path), options)?;
    let points = homes.points(&located, bar.clone())?;
    let written =
        batch::write_parquet(batch.as_ref(), points, &mut file, |done| bar.set_message(format!("{done} homes")));
    bar.finish_and_clear();
    let written = written?;
    file.finish()?;
    eprintln!("{written} homes answered in {parquet:?}");
    if let Some(metres) = located.values().flatten().map(|home| home.uncertainty_m).max() {
        eprintln!("distances from a postcode are from its centre, up to {metres} m from the home");
    }
    Ok(())
}

/// A CSV file of homes, by latitude and longitude or by postcode.
struct Homes {
    path: PathBuf,
    lat_lng: Option<(usize, usize)>,
    postcode: Option<usize>,
}

/// Where a row says that a home is.
enum Place {
    At(LatLng),
    In(Postcode),
}

/// The homes of postcodes.
type Located = HashMap<Postcode, Result<Home, UnknownPostcode>>;

impl Homes {
    /// Opens a file, and finds its columns.
    fn open(path: &Path) -> Result<Self, Failure> {
        let mut homes = Self { path: path.to_owned(), lat_lng: None, postcode: None };
        let (mut reader, _) = homes.reader()?;
        let header = reader.headers().map_err(|error| homes.refused(&error))?;
        let column = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
        let (lat, lng, postcode) = (column("lat"), column("lng"), column("postcode"));
        if postcode.is_none() && (lat.is_none() || lng.is_none()) {
            let missing = if lat.is_none() { "lat" } else { "lng" };
            return Err(homes.refused(&format_args!("there is no column {missing}, and no column postcode")));
        }
        (homes.lat_lng, homes.postcode) = (lat.zip(lng), postcode);
        Ok(homes)
    }

    fn reader(&self) -> Result<(csv::Reader<File>, u64), Failure> {
        let file = File::open(&self.path).map_err(Failure::file("read", &self.path))?;
        let bytes = file.metadata().map_err(Failure::file("read", &self.path))?.len();
        Ok((csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file), bytes))
    }

    fn refused(&self, reason: &dyn Display) -> Failure {
        Failure::Usage(format!("{}: {reason}", self.path.display()))
    }

    /// Reads the rows, each with its line, while the bar shows how far.
    fn places(&self, bar: ProgressBar) -> Result<impl Iterator<Item = Result<(u64, Place), Failure>>, Failure> {
        let (lat_lng, postcode) = (self.lat_lng, self.postcode);
        let (reader, bytes) = self.reader()?;
        bar.set_length(bytes);
        Ok(reader.into_records().map(move |record| {
            let record = record.map_err(|error| Failure::Usage(error.to_string()))?;
            let (line, byte) = record.position().map_or((0, 0), |position| (position.line(), position.byte()));
            if line % 4_096 == 0 {
                bar.set_position(byte);
            }
            let refused = |reason: &dyn Display| Failure::Usage(format!("line {line}: {reason}"));
            let text = |at: usize| record.get(at).unwrap_or_default();
            let has_degrees = |(lat, lng): (usize, usize)| !text(lat).is_empty() || !text(lng).is_empty();
            let degrees = |at: usize| {
                text(at).parse::<f64>().map_err(|_| refused(&format_args!("{:?} is not a number of degrees", text(at))))
            };
            let (lat, lng) = match (lat_lng, postcode) {
                (columns, Some(postcode)) if !columns.is_some_and(has_degrees) => {
                    return Ok((line, Place::In(text(postcode).parse().map_err(|error| refused(&error))?)));
                }
                (Some((lat, lng)), _) => (degrees(lat)?, degrees(lng)?),
                (None, _) => return Err(refused(&"it has no place")),
            };
            let home = LatLng::from_lat_lng(lat, lng).map_err(|error| refused(&error))?;
            match home.looks_swapped() {
                true => Err(refused(&Error::SuspectSwapped { lat, lng })),
                false => Ok((line, Place::At(home))),
            }
        }))
    }

    /// Locates every postcode of the file.
    async fn locate(&self, finder: &dyn LocateHomes) -> Result<Located, Failure> {
        let mut postcodes = BTreeSet::new();
        if self.postcode.is_some() {
            for place in self.places(ProgressBar::hidden())? {
                if let (_, Place::In(postcode)) = place? {
                    postcodes.insert(postcode);
                }
            }
        }
        let postcodes: Vec<Postcode> = postcodes.into_iter().collect();
        let homes = finder.locate_all(&postcodes).await?;
        Ok(postcodes.into_iter().zip(homes).collect())
    }

    /// Reads the points of the homes.
    fn points(
        &self,
        located: &Located,
        bar: ProgressBar,
    ) -> Result<impl Iterator<Item = Result<LatLng, Failure>>, Failure> {
        let located = |postcode| match located.get(&postcode) {
            Some(Ok(home)) => Ok(home.location),
            Some(Err(unknown)) => Err(unknown.to_string()),
            None => Err("the file was changed while it was read".to_owned()),
        };
        Ok(self.places(bar)?.map(move |place| match place? {
            (_, Place::At(point)) => Ok(point),
            (line, Place::In(postcode)) => {
                located(postcode).map_err(|reason| Failure::Usage(format!("line {line}: {reason}")))
            }
        }))
    }
}

pub async fn parquet(options: &Options, find: FindArgs, path: PathBuf) -> Result<(), Failure> {
    let mut file = OutputFile::create(&path, None, options)?;
    let (finder, Asked { search, home }) = open_for(options, &find).await?;
    let mut schools = frame::of_search(finder.as_ref(), &search).await?;
    frame::write_parquet(&mut schools, &mut file)?;
    file.finish()?;
    eprintln!("{} schools written to {path:?}", schools.height());
    output::say_home(home.as_ref());
    Ok(())
}
