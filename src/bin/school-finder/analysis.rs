//! Commands that need Polars: backfills, and searches as Parquet.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use school_finder_db::backfill::Backfill;
use school_finder_db::batch::{self, Batch, BatchFile, BatchHit, BatchHome, BatchRow, Nearest, Part, Serving};
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
    let BatchArgs { homes: path, answers, part, id, phase } = args;
    let bar = progress_bar(0);
    // Files are opened first: a mistyped name should fail before the schools are read.
    let homes = Homes::open(path, id.as_deref(), *part)?;
    let finder = database::open(options).await?;
    let mut search = SchoolSearch::open();
    search.filter.phases.clone_from(phase);
    let (generation, located, batch) = loop {
        let generation = finder.health().await?.generation;
        let located = homes.locate(finder.as_ref()).await?;
        let batch: Box<dyn Batch> = match command {
            BatchCommand::Nearest { count, .. } => {
                Box::new(Nearest::load(finder.as_ref(), &search, count.into()).await?)
            }
            BatchCommand::Catchment(_) => Box::new(Serving::load(finder.as_ref(), &search).await?),
        };
        // A newer generation may have come between two of these.
        if finder.health().await?.generation == generation {
            break (generation, located, batch);
        }
    };
    let mut file = OutputFile::create(answers, Some(path), options)?;
    let answered = BatchFile {
        first: homes.rows.start,
        has_ids: homes.id.is_some(),
        generation: generation.map(|generation| generation.to_string()),
    };
    let points = homes.points(&located, bar.clone())?;
    let on_progress = |done| bar.set_message(format!("{done} homes"));
    let written = match answers.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        true => write_csv(batch.as_ref(), points, &mut file, &answered, options.raw, on_progress),
        false => batch::write_parquet(batch.as_ref(), points, &mut file, &answered, on_progress),
    };
    bar.finish_and_clear();
    let written = written?;
    if part.is_some() && written != homes.rows.end - homes.rows.start {
        return Err(homes.refused(&"the file was changed while it was read"));
    }
    file.finish()?;
    eprintln!("{written} homes answered in {answers:?}");
    if let Some(metres) = located.values().flatten().map(|home| home.uncertainty_m).max() {
        eprintln!("distances from a postcode are from its centre, up to {metres} m from the home");
    }
    Ok(())
}

/// Writes the results as CSV, with the generation of the data in a column: CSV has no metadata.
fn write_csv(
    batch: &dyn Batch,
    homes: impl Iterator<Item = Result<BatchHome, Failure>>,
    to: &mut OutputFile,
    answered: &BatchFile,
    raw: bool,
    on_progress: impl Fn(u64),
) -> Result<u64, Failure> {
    let BatchFile { first, has_ids, generation } = answered;
    let generation = generation.as_deref().unwrap_or_default();
    let with_id = |mut row: Vec<String>, id: &str| {
        if *has_ids {
            row.insert(1, output::csv_cell(id.to_owned(), raw));
        }
        row
    };
    let mut writer = csv::Writer::from_writer(to);
    let header = ["home", "rank", "school_id", "urn", "distance_km", "evidence", "generation"];
    writer.write_record(with_id(header.map(str::to_owned).to_vec(), "id")).map_err(std::io::Error::from)?;
    let mut done = 0;
    for chunk in batch::chunks(batch, homes, *first) {
        let chunk = chunk?;
        for row in &chunk.rows {
            let BatchRow { home, rank, hit: BatchHit { id, urn, distance_km, evidence } } = row;
            let cells = vec![
                home.to_string(),
                rank.to_string(),
                id.to_string(),
                urn.to_string(),
                distance_km.map_or(String::new(), |km| km.get().to_string()),
                evidence.map_or(String::new(), |evidence| evidence.as_str().to_owned()),
                generation.to_owned(),
            ];
            let cells = with_id(cells, chunk.id(row).unwrap_or_default());
            writer.write_record(cells).map_err(std::io::Error::from)?;
        }
        done += chunk.homes.len() as u64;
        on_progress(done);
    }
    writer.flush()?;
    Ok(done)
}

/// A CSV file of homes, by latitude and longitude or by postcode.
struct Homes {
    path: PathBuf,
    lat_lng: Option<(usize, usize)>,
    postcode: Option<usize>,
    /// The column of the homes' own ids.
    id: Option<usize>,
    /// The rows to read.
    rows: Range<u64>,
}

/// Where a row says that a home is.
enum Place {
    At(LatLng),
    In(Postcode),
}

/// A row of the file.
struct Row {
    line: u64,
    id: Option<String>,
    place: Place,
}

/// The homes of postcodes.
type Located = HashMap<Postcode, Result<Home, UnknownPostcode>>;

impl Homes {
    /// Opens a file, and finds its columns, and the rows of a part.
    fn open(path: &Path, id: Option<&str>, part: Option<Part>) -> Result<Self, Failure> {
        let mut homes = Self { path: path.to_owned(), lat_lng: None, postcode: None, id: None, rows: 0..u64::MAX };
        let (mut reader, _) = homes.reader()?;
        let header = reader.headers().map_err(|error| homes.refused(&error))?;
        let column = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
        let (lat, lng, postcode) = (column("lat"), column("lng"), column("postcode"));
        if postcode.is_none() && (lat.is_none() || lng.is_none()) {
            let missing = if lat.is_none() { "lat" } else { "lng" };
            return Err(homes.refused(&format_args!("there is no column {missing}, and no column postcode")));
        }
        (homes.lat_lng, homes.postcode, homes.id) = (lat.zip(lng), postcode, column(id.unwrap_or("id")));
        if let (Some(id), None) = (id, homes.id) {
            return Err(homes.refused(&format_args!("there is no column {id}")));
        }
        if let Some(part) = part {
            let mut rows = 0;
            for record in reader.byte_records() {
                match record {
                    Err(error) if error.is_io_error() => return Err(homes.refused(&error)),
                    // A row that cannot be used is reported with the part that it is in.
                    Ok(_) | Err(_) => rows += 1,
                }
            }
            homes.rows = part.range(rows);
        }
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

    /// Reads the rows, while the bar shows how far.
    fn places(&self, bar: ProgressBar) -> Result<impl Iterator<Item = Result<Row, Failure>>, Failure> {
        let (lat_lng, postcode, id) = (self.lat_lng, self.postcode, self.id);
        let (reader, bytes) = self.reader()?;
        bar.set_length(bytes);
        let count = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
        let (before, rows) = (count(self.rows.start), count(self.rows.end - self.rows.start));
        Ok(reader.into_records().skip(before).take(rows).map(move |record| {
            let record = record.map_err(|error| Failure::Usage(error.to_string()))?;
            let (line, byte) = record.position().map_or((0, 0), |position| (position.line(), position.byte()));
            if line % 4_096 == 0 {
                bar.set_position(byte);
            }
            let refused = |reason: &dyn Display| Failure::Usage(format!("line {line}: {reason}"));
            let text = |at: usize| record.get(at).unwrap_or_default();
            let row = |place| Row { line, id: id.map(|id| text(id).to_owned()), place };
            let has_degrees = |(lat, lng): (usize, usize)| !text(lat).is_empty() || !text(lng).is_empty();
            let degrees = |at: usize| {
                text(at).parse::<f64>().map_err(|_| refused(&format_args!("{:?} is not a number of degrees", text(at))))
            };
            let (lat, lng) = match (lat_lng, postcode) {
                (columns, Some(postcode)) if !columns.is_some_and(has_degrees) => {
                    return Ok(row(Place::In(text(postcode).parse().map_err(|error| refused(&error))?)));
                }
                (Some((lat, lng)), _) => (degrees(lat)?, degrees(lng)?),
                (None, _) => return Err(refused(&"it has no place")),
            };
            let home = LatLng::from_lat_lng(lat, lng).map_err(|error| refused(&error))?;
            match home.looks_swapped() {
                true => Err(refused(&Error::SuspectSwapped { lat, lng })),
                false => Ok(row(Place::At(home))),
            }
        }))
    }

    /// Locates every postcode of the file.
    async fn locate(&self, finder: &dyn LocateHomes) -> Result<Located, Failure> {
        let mut postcodes = BTreeSet::new();
        if self.postcode.is_some() {
            for place in self.places(ProgressBar::hidden())? {
                if let Place::In(postcode) = place?.place {
                    postcodes.insert(postcode);
                }
            }
        }
        let postcodes: Vec<Postcode> = postcodes.into_iter().collect();
        let homes = finder.locate_all(&postcodes).await?;
        Ok(postcodes.into_iter().zip(homes).collect())
    }

    /// Reads the homes.
    fn points(
        &self,
        located: &Located,
        bar: ProgressBar,
    ) -> Result<impl Iterator<Item = Result<BatchHome, Failure>>, Failure> {
        let located = |postcode| match located.get(&postcode) {
            Some(Ok(home)) => Ok(home.location),
            Some(Err(unknown)) => Err(unknown.to_string()),
            None => Err("the file was changed while it was read".to_owned()),
        };
        Ok(self.places(bar)?.map(move |row| {
            let Row { line, id, place } = row?;
            let location = match place {
                Place::At(point) => point,
                Place::In(postcode) => {
                    located(postcode).map_err(|reason| Failure::Usage(format!("line {line}: {reason}")))?
                }
            };
            Ok(BatchHome { id, location })
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
