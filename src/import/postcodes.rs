//! Postcodes: the ONS's "National Statistics Postcode Lookup" (NSPL) and "ONS Postcode Directory" (ONSPD), and the
//! Ordnance Survey's "Code-Point Open".
//!
//! A file of the country has some 2.7 million rows. Their places are spooled to a temporary file by postcode area, such
//! as MK, so that one area at a time is sorted and compared with what is stored.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{Datelike, NaiveDate};
use tempfile::SpooledTempFile;

use super::csv_file::{Layout, WithoutHeader};
use super::facts::{self, Facts};
use super::rows::{Reason, Rows};
use super::source::{self, Format, Wanted};
use super::{Import, ImportCounts, ImportError, values};
use crate::error::Result;
use crate::geo::LatLng;
use crate::ids::Postcode;
use crate::models::PostcodePlace;
use crate::repository::WritePostcodes;
use crate::request::PostcodeStream;
use crate::tasks::blocking;

/// The largest file, also unpacked. A directory of the country has 1.5 GB.
const MAX_BYTES: u64 = 8 << 30;

/// The area of Northern Ireland, whose postcodes have a licence of their own.
const NORTHERN_IRELAND: &str = "BT";

const LAYOUT: Layout = Layout {
    encoding: encoding_rs::UTF_8,
    max_bytes: MAX_BYTES,
    keys: &["pcds"],
    required: &[],
    optional: &["doterm", "gridind", "lat", "long", "east1m", "north1m"],
    distances: &[],
    aliases: &[
        ("pcds", "pcd8"),
        ("pcds", "pcd7"),
        ("pcds", "pcd2"),
        ("pcds", "pcd"),
        ("pcds", "postcode"),
        ("gridind", "osgrdind"),
        ("gridind", "positional_quality_indicator"),
        ("lat", "latitude"),
        ("long", "longitude"),
        ("east1m", "oseast1m"),
        ("east1m", "eastings"),
        ("north1m", "osnrth1m"),
        ("north1m", "northings"),
    ],
    without_header: Some(WithoutHeader {
        columns: &["pcds", "gridind", "east1m", "north1m", "", "", "", "", "", ""],
        is_row: |first| first[0].parse::<Postcode>().is_ok() && first[1..4].iter().all(|text| is_number(text)),
    }),
};

impl Import {
    /// Imports postcodes with their places, for [`LocateHomes`](crate::repository::LocateHomes): the National
    /// Statistics Postcode Lookup (NSPL), the ONS Postcode Directory (ONSPD), or Code-Point Open, of any release. A
    /// source is a CSV file, or a ZIP archive with any number of them. A postcode that several of them have is read
    /// once.
    ///
    /// The postcodes of each area that the files have, such as MK, replace the stored ones: only what changed is
    /// written, and stored postcodes that the files lack are marked as withdrawn. The import is atomic. It holds one
    /// area in memory, and the files in temporary files.
    ///
    /// # Errors
    /// [`Error::Import`](crate::Error::Import) where the files cannot be what they claim; those of the database.
    /// Nothing is written on an error.
    pub async fn postcodes<R: Read + Send + 'static>(
        self,
        repository: &dyn WritePostcodes,
        sources: Vec<R>,
    ) -> Result<ImportCounts> {
        let (mode, rejected) = (self.mode, Arc::clone(&self.rejected));
        let repeated = Arc::new(AtomicU64::new(0));
        let (mut import, areas) = blocking({
            let repeated = Arc::clone(&repeated);
            move || Ok(read(self, sources, repeated)?)
        })
        .await?;
        let counts = repository.replace_postcodes(areas, mode).await?;
        let repeated = repeated.load(Ordering::Relaxed);
        if repeated > 0 {
            import.remark(format!("{repeated} postcodes are given again with other values: the first ones were read"));
        }
        Ok(ImportCounts { withdrawn: counts.withdrawn, ..ImportCounts::new(counts.postcodes, &rejected) })
    }
}

/// Returns the CSV files and ZIP archives of a folder, such as of an unpacked release, in the order of their paths.
/// Files in a folder `multi_csv` are parts of the file beside that folder: they are left out where there is one.
///
/// # Errors
/// A folder that cannot be read.
pub fn postcode_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
            if path.is_dir() {
                folders.push(path);
            } else if matches!(ending.as_deref(), Some("csv" | "zip")) {
                files.push(path);
            }
        }
    }
    files.sort();
    let folders: HashSet<PathBuf> = files.iter().filter_map(|file| Some(file.parent()?.to_owned())).collect();
    files.retain(|file| {
        let folder = file.parent().filter(|folder| source::is_of_parts(&folder.to_string_lossy()));
        folder.and_then(Path::parent).is_none_or(|beside| !folders.contains(beside))
    });
    Ok(files)
}

/// What a row has.
enum Row {
    Place(PostcodePlace),
    /// No place, or a sign for none.
    Nowhere,
    /// A postcode that was not asked for.
    LeftOut,
}

/// Reads files to their ends, and returns their places by area.
fn read<R: Read>(
    mut import: Import,
    sources: Vec<R>,
    repeated: Arc<AtomicU64>,
) -> Result<(Import, PostcodeStream), ImportError> {
    let wanted = Wanted { format: Format::Csv, max_bytes: MAX_BYTES, max_unpacked: MAX_BYTES };
    let northern_ireland = import.northern_ireland;
    let mut areas = Areas::default();
    let (mut before, mut without_place, mut left_out) = ((0, 0), 0_u64, 0_u64);
    let (count, mut skipped) = (sources.len(), None);
    for source in sources {
        let opened = source::open_all(
            source,
            wanted,
            |head| LAYOUT.fits(head),
            |opened| {
                let mut rows = Rows::of(&mut import, opened, &LAYOUT, move |facts| row(facts, northern_ireland))?;
                if !(rows.has("lat") && rows.has("long") || rows.has("east1m") && rows.has("north1m")) {
                    let found = "those of a list without places".to_owned();
                    return Err(ImportError::MissingColumn { column: "lat", found });
                }
                rows.before = before;
                while let Some((_, row)) = rows.next(Some(&mut import))? {
                    match row {
                        Row::Place(place) => areas.push(place)?,
                        Row::Nowhere => without_place += 1,
                        Row::LeftOut => left_out += 1,
                    }
                }
                before = rows.read();
                Ok(())
            },
        );
        match opened {
            // A list of codes beside the postcodes.
            Err(error @ (ImportError::MissingColumn { .. } | ImportError::Empty)) if count > 1 => skipped = Some(error),
            opened => opened?,
        }
    }
    if areas.of.is_empty() {
        return Err(match (skipped, before.0) {
            (Some(error), 0) => error,
            (None, 0) => ImportError::Empty,
            (_, rows) => ImportError::NothingUsable { rows, unit: "row" },
        });
    }
    if without_place > 0 {
        import.remark(format!("{without_place} postcodes have no place, and were left out"));
    }
    if left_out > 0 {
        import.remark(format!(
            "{left_out} postcodes of Northern Ireland were left out: they have a licence of their own \
             (--with-northern-ireland reads them)"
        ));
    }
    let mut on_progress = std::mem::replace(&mut import.on_progress, Box::new(|_, _| {}));
    let mut stored = 0;
    let areas = areas.stream(repeated).inspect(move |area| {
        stored += area.as_ref().map_or(0, |places| places.len() as u64);
        let (rows, bytes) = before;
        on_progress(stored, bytes.saturating_mul(stored) / rows.max(1));
    });
    Ok((import, Box::new(areas)))
}

fn row(facts: &mut Facts, northern_ireland: bool) -> Result<Row, Reason> {
    let postcode: Postcode = facts.text("pcds").ok_or("the postcode is blank")?.parse()?;
    if !postcode.is_unit() {
        return Err("it is a part of a postcode".into());
    } else if postcode.area() == NORTHERN_IRELAND && !northern_ireland {
        return Ok(Row::LeftOut);
    }
    let Some(uncertainty_m) = uncertainty_m(facts.text("gridind"))? else { return Ok(Row::Nowhere) };
    let mut degrees = |column| facts.value(column, |_, text| values::degrees(text));
    let location = match (degrees("lat"), degrees("long")) {
        // The sign for a postcode without a place has a latitude of 99.999999.
        (Some(lat), Some(lng)) if lat.abs() <= 90.0 && (lat, lng) != (0.0, 0.0) => {
            Some(LatLng::from_lat_lng(lat, lng)?)
        }
        (Some(_), _) | (_, Some(_)) => None,
        // Those of Northern Ireland are on the Irish grid.
        (None, None) if facts::is_off_the_grid(postcode.area()) => None,
        (None, None) => facts.grid_reference("east1m", "north1m").map(|(_, location)| location),
    };
    let Some(location) = location else { return Ok(Row::Nowhere) };
    // To some 10 cm, as the ONS has them.
    let rounded = |degrees: f64| (degrees * 1e6).round() / 1e6;
    let location = LatLng::from_lat_lng(rounded(location.lat().degrees()), rounded(location.lng().degrees()))?;
    let terminated_on = facts.value("doterm", |_, text| values::month(text));
    Ok(Row::Place(PostcodePlace { postcode, location, uncertainty_m, terminated_on }))
}

/// Returns how far a home may be from the place of its postcode, in metres, by the quality of that place: the ONS's
/// from 1 to 9, or Code-Point Open's from 10 to 90. `None` is no place. docs/postcodes.md has the reasons.
fn uncertainty_m(quality: Option<&str>) -> Result<Option<i16>, Reason> {
    Ok(match quality.map(|quality| quality.trim_start_matches('0')) {
        // In the building of an address that is nearest to the mean of all.
        Some("1" | "2" | "10" | "20") => Some(100),
        // Within 50 m of that; the mean of addresses.
        Some("3" | "4" | "30" | "40") => Some(150),
        // From the postcodes around it.
        Some("5" | "50") => Some(250),
        // Of before the year 2000, to 100 m.
        Some("8") => Some(250),
        // The mean of its sector.
        Some("6" | "60") => Some(2_000),
        Some("9" | "90" | "") => None,
        // The file does not say.
        None => Some(250),
        Some(other) => return Err(format!("{other:?} is not a known quality of a place").into()),
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// How many places of an area are written to the temporary file at a time, and the bytes of one.
const PLACES_A_CHUNK: usize = 2_048;
const PLACE_BYTES: usize = 7 + 8 + 8 + 2 + 4;

/// Places by area, in a temporary file.
struct Areas {
    file: SpooledTempFile,
    of: BTreeMap<String, Area>,
}

/// The places of an area: where chunks of them are in the file, and those that wait to be written.
#[derive(Default)]
struct Area {
    chunks: Vec<u64>,
    waiting: Vec<u8>,
}

impl Default for Areas {
    fn default() -> Self {
        Self { file: SpooledTempFile::new(1 << 20), of: BTreeMap::new() }
    }
}

impl Areas {
    fn push(&mut self, place: PostcodePlace) -> Result<(), ImportError> {
        let PostcodePlace { postcode, location, uncertainty_m, terminated_on } = place;
        if !self.of.contains_key(postcode.area()) {
            self.of.insert(postcode.area().to_owned(), Area::default());
        }
        let Some(area) = self.of.get_mut(postcode.area()) else { return Ok(()) };
        let days = terminated_on.map_or(0, |day| day.num_days_from_ce());
        area.waiting.extend_from_slice(postcode.key().as_bytes());
        area.waiting.extend_from_slice(&location.lat().degrees().to_le_bytes());
        area.waiting.extend_from_slice(&location.lng().degrees().to_le_bytes());
        area.waiting.extend_from_slice(&uncertainty_m.to_le_bytes());
        area.waiting.extend_from_slice(&days.to_le_bytes());
        if area.waiting.len() == PLACES_A_CHUNK * PLACE_BYTES {
            area.chunks.push(self.file.stream_position().map_err(ImportError::NoTemporaryFile)?);
            self.file.write_all(&area.waiting).map_err(ImportError::NoTemporaryFile)?;
            area.waiting.clear();
        }
        Ok(())
    }

    /// Returns the places of each area, sorted. Of a postcode that occurs several times the first one that has not
    /// ended is kept, and those with other values are counted.
    fn stream(mut self, repeated: Arc<AtomicU64>) -> impl Iterator<Item = Result<Vec<PostcodePlace>>> {
        std::iter::from_fn(move || {
            let (_, area) = self.of.pop_first()?;
            Some(self.read(area).map_err(Into::into).map(|mut places| {
                places.sort_by_key(|place| (place.postcode, place.terminated_on.is_some()));
                places.dedup_by(|next, kept| {
                    let is_repeated = next.postcode == kept.postcode;
                    if is_repeated && next != kept {
                        repeated.fetch_add(1, Ordering::Relaxed);
                    }
                    is_repeated
                });
                places
            }))
        })
    }

    fn read(&mut self, area: Area) -> Result<Vec<PostcodePlace>, ImportError> {
        let mut bytes = Vec::with_capacity(area.chunks.len() * PLACES_A_CHUNK * PLACE_BYTES + area.waiting.len());
        for chunk in area.chunks {
            self.file.seek(SeekFrom::Start(chunk)).map_err(ImportError::NoTemporaryFile)?;
            let chunk = Read::by_ref(&mut self.file).take((PLACES_A_CHUNK * PLACE_BYTES) as u64);
            { chunk }.read_to_end(&mut bytes).map_err(ImportError::NoTemporaryFile)?;
        }
        bytes.extend_from_slice(&area.waiting);
        let damaged = || ImportError::NoTemporaryFile(io::Error::other("it was changed while it was read"));
        bytes.chunks_exact(PLACE_BYTES).map(|place| place_of(place).ok_or_else(damaged)).collect()
    }
}

/// Reads a place as [`Areas::push`] writes it.
fn place_of(bytes: &[u8]) -> Option<PostcodePlace> {
    let (key, bytes) = bytes.split_at_checked(7)?;
    let (lat, bytes) = bytes.split_first_chunk()?;
    let (lng, bytes) = bytes.split_first_chunk()?;
    let (uncertainty_m, bytes) = bytes.split_first_chunk()?;
    let days = i32::from_le_bytes(*bytes.first_chunk()?);
    Some(PostcodePlace {
        postcode: Postcode::of_key(std::str::from_utf8(key).ok()?)?,
        location: LatLng::from_lat_lng(f64::from_le_bytes(*lat), f64::from_le_bytes(*lng)).ok()?,
        uncertainty_m: i16::from_le_bytes(*uncertainty_m),
        terminated_on: if days == 0 { None } else { Some(NaiveDate::from_num_days_from_ce_opt(days)?) },
    })
}
