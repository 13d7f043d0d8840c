//! Searches for many homes: the nearest schools of each, or those whose catchment covers it.
//!
//! A database takes fractions of a millisecond for one home, and a country has millions of homes. The schools are
//! therefore read once into R-trees in memory, which threads query in parallel. The results and their order are those
//! of [`find_schools`](crate::repository::FindSchools::find_schools) and
//! [`find_catchments`](crate::repository::FindCatchments::find_catchments).
//!
//! [`Nearest`] and [`Serving`] need no feature. With `polars`, [`chunks`] searches on every core, and [`write_parquet`]
//! writes what is found. For several machines, [`Part`] cuts the homes, and [`rows`] is what an engine calls on an
//! executor for each of its batches.

use std::fmt;
#[cfg(feature = "polars")]
use std::io::Write;
use std::ops::Range;
use std::str::FromStr;

#[cfg(feature = "polars")]
use polars::prelude::*;
#[cfg(feature = "polars")]
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use crate::error::{Error, Result};
use crate::geo::{BoundingBox, Catchment, LatLng};
use crate::ids::{SchoolId, Urn};
use crate::models::{Evidence, SchoolHit};
use crate::repository::ExportSchools;
use crate::request::SchoolSearch;
use crate::units::Kilometres;

/// How many homes are processed at a time.
#[cfg(feature = "polars")]
const HOMES_A_STEP: usize = 1_024;

/// How many homes and how many results are processed before their rows are written. A home may have a thousand results.
#[cfg(feature = "polars")]
const HOMES_A_CHUNK: usize = 65_536;
#[cfg(feature = "polars")]
const RESULTS_A_CHUNK: usize = 1_000_000;

/// The maximum error of a point in the tree, as a chord of a sphere of radius 1: some 64 µm on the earth, and ten
/// thousand times the rounding error. Schools this close to the last one are compared by [`LatLng::distance_to`].
const CHORD_SLACK: f64 = 1e-11;

/// A school found for a home.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchHit {
    /// The school.
    pub id: SchoolId,
    /// The school's number in the official register.
    pub urn: Urn,
    /// The great-circle distance from the home; `None` where the school's location is unknown.
    pub distance_km: Option<Kilometres>,
    /// The evidence that the school serves the home; `None` in a search by distance.
    pub evidence: Option<Evidence>,
}

/// A search that runs in memory, for one home at a time and from many threads.
pub trait Batch: Sync {
    /// Returns the schools found for a home, in order.
    fn find(&self, home: LatLng) -> Vec<BatchHit>;
}

/// A search for the nearest schools.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use school_finder_db::batch::{Batch, Nearest};
/// use school_finder_db::{Config, SchoolSearch, connect, sample};
///
/// let finder = connect(&Config::in_memory()).await?;
/// finder.insert_schools(sample::schools()).await?;
/// let nearest = Nearest::load(finder.as_ref(), &SchoolSearch::open(), 5).await?;
/// let one_by_one = finder.find_schools(&SchoolSearch::near(sample::home()).limit(5)).await?;
/// let ids: Vec<_> = one_by_one.items.iter().map(|hit| hit.school.id).collect();
/// assert_eq!(nearest.find(sample::home()).iter().map(|hit| hit.id).collect::<Vec<_>>(), ids);
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("the nearest schools");
/// ```
#[derive(Debug)]
pub struct Nearest {
    /// Points on a sphere of radius 1, where the nearest by straight line is also the nearest by great circle.
    tree: RTree<GeomWithData<[f64; 3], (SchoolId, Urn, LatLng)>>,
    count: usize,
}

impl Nearest {
    /// Reads the schools with a location that a search finds, to return the `count` nearest of them.
    ///
    /// # Errors
    /// [`Error::InvalidSearch`] where the search has a point; those of
    /// [`all_schools`](ExportSchools::all_schools).
    pub async fn load(finder: &dyn ExportSchools, search: &SchoolSearch, count: usize) -> Result<Self> {
        refuse_point(search)?;
        let schools = finder.all_schools(search).await?.into_iter().filter_map(|SchoolHit { school, .. }| {
            let location = school.location()?;
            Some(GeomWithData::new(on_sphere(location), (school.id, school.urn, location)))
        });
        Ok(Self { tree: RTree::bulk_load(schools.collect()), count })
    }
}

impl Batch for Nearest {
    fn find(&self, home: LatLng) -> Vec<BatchHit> {
        let mut hits = Vec::with_capacity(self.count.min(self.tree.size()).saturating_add(1));
        let mut enough = f64::INFINITY;
        for (point, chord_squared) in self.tree.nearest_neighbor_iter_with_distance_2(&on_sphere(home)) {
            let chord = chord_squared.sqrt();
            if hits.len() < self.count {
                // The last school needed; any that is farther by more than the slack comes after it.
                enough = chord + CHORD_SLACK;
            } else if chord > enough {
                break;
            }
            let (id, urn, location) = point.data;
            hits.push(BatchHit { id, urn, distance_km: Some(home.distance_to(location)), evidence: None });
        }
        in_order(&mut hits);
        hits.truncate(self.count);
        hits
    }
}

/// A search for the schools whose catchment covers a home.
#[derive(Debug)]
pub struct Serving {
    tree: RTree<GeomWithData<Rectangle<[f64; 2]>, Served>>,
}

/// A school with its catchment.
#[derive(Debug)]
struct Served {
    id: SchoolId,
    urn: Urn,
    location: Option<LatLng>,
    area: Area,
}

#[derive(Debug)]
enum Area {
    Outline(Catchment),
    /// A circle around the school's location.
    Circle(LatLng, Kilometres),
}

impl Serving {
    /// Reads the catchments of the schools that a search finds.
    ///
    /// # Errors
    /// [`Error::InvalidSearch`] where the search has a point; those of
    /// [`all_schools`](ExportSchools::all_schools).
    pub async fn load(finder: &dyn ExportSchools, search: &SchoolSearch) -> Result<Self> {
        refuse_point(search)?;
        let mut catchments = Vec::new();
        for (school, outline) in finder.all_catchments(search).await? {
            let (id, urn, location) = (school.id, school.urn, school.location());
            let area = match (outline, location, school.catchment_radius_km) {
                (Some(outline), ..) => Area::Outline(outline),
                (None, Some(location), Some(km)) => Area::Circle(location, km),
                (None, ..) => continue,
            };
            catchments.push(GeomWithData::new(area.bounds(), Served { id, urn, location, area }));
        }
        Ok(Self { tree: RTree::bulk_load(catchments) })
    }
}

impl Area {
    fn bounds(&self) -> Rectangle<[f64; 2]> {
        match self {
            Self::Outline(outline) => {
                let corners = outline.as_multi_polygon().iter().flat_map(|polygon| polygon.exterior().coords());
                let corners: Vec<[f64; 2]> = corners.map(|corner| [corner.x, corner.y]).collect();
                Rectangle::from_aabb(AABB::from_points(corners.iter()))
            }
            Self::Circle(centre, km) => {
                let BoundingBox { south, north, west, east } = BoundingBox::around(*centre, *km);
                Rectangle::from_corners([west, south], [east, north])
            }
        }
    }

    fn covers(&self, home: LatLng) -> Option<Evidence> {
        match self {
            Self::Outline(outline) => outline.covers(home).then_some(Evidence::Polygon),
            Self::Circle(centre, km) => (home.distance_to(*centre) <= *km).then_some(Evidence::Radius),
        }
    }
}

impl Batch for Serving {
    fn find(&self, home: LatLng) -> Vec<BatchHit> {
        let at = [home.lng().degrees(), home.lat().degrees()];
        let found = self.tree.locate_all_at_point(&at).filter_map(|bounds| {
            let Served { id, urn, location, area } = &bounds.data;
            let evidence = Some(area.covers(home)?);
            let distance_km = location.map(|location| home.distance_to(location));
            Some(BatchHit { id: *id, urn: *urn, distance_km, evidence })
        });
        let mut hits: Vec<BatchHit> = found.collect();
        in_order(&mut hits);
        hits
    }
}

/// A school found for one of many homes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchRow {
    /// The number of the home, in the given order.
    pub home: u64,
    /// The rank of the school among those of the home, from 1.
    pub rank: u32,
    /// The school.
    pub hit: BatchHit,
}

/// Returns the results for homes, in their order, on the calling thread: what an engine's executor needs for a batch of
/// its table. The first home has the number `first`, and the others follow it. A home without results has no row.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use school_finder_db::batch::{Nearest, rows};
/// use school_finder_db::{Config, LatLng, SchoolSearch, connect, sample};
///
/// let finder = connect(&Config::in_memory()).await?;
/// finder.insert_schools(sample::schools()).await?;
/// let nearest = Nearest::load(finder.as_ref(), &SchoolSearch::open(), 5).await?;
/// // Two columns of an Arrow batch.
/// let (lats, lngs) = ([52.0406, 52.0412], [-0.7594, -0.7601]);
/// let homes = lats.iter().zip(lngs).map(|(lat, lng)| LatLng::from_lat_lng(*lat, lng));
/// let rows = rows(&nearest, 0, &homes.collect::<Result<Vec<_>, _>>()?);
/// assert_eq!((rows.len(), rows[9].home, rows[9].rank), (10, 1, 5));
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("the nearest schools");
/// ```
pub fn rows(batch: &dyn Batch, first: u64, homes: &[LatLng]) -> Vec<BatchRow> {
    numbered(first, homes.iter().map(|home| batch.find(*home)))
}

fn numbered(first: u64, results: impl IntoIterator<Item = Vec<BatchHit>>) -> Vec<BatchRow> {
    let of_home =
        |(home, hits): (u64, Vec<BatchHit>)| (1_u32..).zip(hits).map(move |(rank, hit)| BatchRow { home, rank, hit });
    (first..).zip(results).flat_map(of_home).collect()
}

/// A part of many homes, such as the third of sixteen: `3/16`. The parts are contiguous, and together they are the
/// whole.
///
/// ```
/// use school_finder_db::batch::Part;
///
/// let part: Part = "3/16".parse()?;
/// assert_eq!(part.range(1_000), 125..187);
/// # Ok::<(), school_finder_db::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    number: u32,
    of: u32,
}

impl Part {
    /// Creates the part `number`, from 1, of `of` parts.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] where there is no such part.
    pub const fn new(number: u32, of: u32) -> Result<Self> {
        match number >= 1 && number <= of {
            true => Ok(Self { number, of }),
            false => Err(no_part()),
        }
    }

    /// Returns the numbers of its homes, among so many from 0. Parts differ by at most one home.
    pub fn range(self, homes: u64) -> Range<u64> {
        let before = |parts: u32| {
            let before = u128::from(homes) * u128::from(parts) / u128::from(self.of);
            u64::try_from(before).unwrap_or(homes)
        };
        before(self.number - 1)..before(self.number)
    }
}

const fn no_part() -> Error {
    Error::InvalidSetting { setting: "part", reason: "must be such as 3/16, the third of sixteen: from 1/16 to 16/16" }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Part {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (number, of) = text.split_once('/').ok_or(no_part())?;
        Self::new(number.parse().map_err(|_| no_part())?, of.parse().map_err(|_| no_part())?)
    }
}

/// A home to search from.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchHome {
    /// The caller's own id of it, which its rows repeat.
    pub id: Option<String>,
    /// Its location.
    pub location: LatLng,
}

impl From<LatLng> for BatchHome {
    fn from(location: LatLng) -> Self {
        Self { id: None, location }
    }
}

/// Consecutive homes, and the results for them.
#[cfg(feature = "polars")]
#[derive(Debug)]
pub struct Chunk {
    /// The number of its first home.
    pub first: u64,
    /// The homes.
    pub homes: Vec<BatchHome>,
    /// The results, in the order of the homes.
    pub rows: Vec<BatchRow>,
}

#[cfg(feature = "polars")]
impl Chunk {
    /// Returns the id of a row's home.
    pub fn id(&self, row: &BatchRow) -> Option<&str> {
        let home = usize::try_from(row.home - self.first).ok()?;
        self.homes.get(home)?.id.as_deref()
    }
}

/// Returns the results for many homes, chunk by chunk, using one thread for each core. The first home has the number
/// `first`. Memory holds the results of at most 65,536 homes, and of fewer where these have more than a million.
///
/// # Errors
/// The first of `homes`, in the place of its chunk. It is the last item.
#[cfg(feature = "polars")]
pub fn chunks<E>(
    batch: &dyn Batch,
    homes: impl IntoIterator<Item = Result<BatchHome, E>>,
    first: u64,
) -> impl Iterator<Item = Result<Chunk, E>> {
    let (mut homes, mut next) = (homes.into_iter().fuse(), Some(first));
    std::iter::from_fn(move || {
        let mut chunk = Chunk { first: next?, homes: Vec::new(), rows: Vec::new() };
        while chunk.homes.len() < HOMES_A_CHUNK && chunk.rows.len() < RESULTS_A_CHUNK {
            let step = match homes.by_ref().take(HOMES_A_STEP).collect::<Result<Vec<BatchHome>, E>>() {
                Ok(step) => step,
                Err(error) => {
                    next = None;
                    return Some(Err(error));
                }
            };
            if step.is_empty() {
                break;
            }
            let locations: Vec<LatLng> = step.iter().map(|home| home.location).collect();
            chunk.rows.extend(numbered(chunk.first + chunk.homes.len() as u64, find_all(batch, &locations)));
            chunk.homes.extend(step);
        }
        next = Some(chunk.first + chunk.homes.len() as u64);
        (!chunk.homes.is_empty()).then_some(Ok(chunk))
    })
}

/// Returns the results for homes, in their order, using one thread for each core.
#[cfg(feature = "polars")]
pub fn find_all(batch: &dyn Batch, homes: &[LatLng]) -> Vec<Vec<BatchHit>> {
    homes.par_iter().map(|home| batch.find(*home)).collect()
}

/// What a file of results has beside them.
#[cfg(feature = "polars")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchFile {
    /// The number of the first home: where a part begins.
    pub first: u64,
    /// Whether it has a column `id`, with the homes' own ids.
    pub has_ids: bool,
    /// The data that the results are from, such as the number of a generation. It is the value of `generation` in the
    /// file's metadata, which has none where this is `None`.
    pub generation: Option<String>,
}

/// Writes the results for many homes as Parquet, one row for each home and school, and returns the number of homes.
/// Columns are `home` (the number of the home in the given order), `id` where `file` has it, `rank` (the rank of the
/// school, from 1), `school_id`, `urn`, `distance_km` and `evidence`. The same homes and schools give the same bytes.
/// Memory is that of [`chunks`]. `on_progress` is called with the number of homes done.
///
/// This blocks, and uses every core.
///
/// # Errors
/// The first of `homes`, and [`Error::Frame`], also where `to` cannot be written.
#[cfg(feature = "polars")]
pub fn write_parquet<E: From<Error>>(
    batch: &dyn Batch,
    homes: impl IntoIterator<Item = Result<BatchHome, E>>,
    to: impl Write,
    file: &BatchFile,
    mut on_progress: impl FnMut(u64),
) -> Result<u64, E> {
    let failed = |error: PolarsError| E::from(Error::from(error));
    let metadata = file
        .generation
        .clone()
        .map(|generation| KeyValueMetadata::from_static(vec![("generation".to_owned(), generation)]));
    let writer = ParquetWriter::new(to).with_compression(ParquetCompression::Snappy).with_key_value_metadata(metadata);
    let empty = Chunk { first: 0, homes: Vec::new(), rows: Vec::new() };
    let mut writer = writer.batched(frame_of(&empty, file.has_ids)?.schema()).map_err(failed)?;
    let mut done = 0_u64;
    for chunk in chunks(batch, homes, file.first) {
        let chunk = chunk?;
        writer.write_batch(&frame_of(&chunk, file.has_ids)?).map_err(failed)?;
        done += chunk.homes.len() as u64;
        on_progress(done);
    }
    writer.finish().map_err(failed)?;
    Ok(done)
}

#[cfg(feature = "polars")]
fn frame_of(chunk: &Chunk, has_ids: bool) -> Result<DataFrame> {
    let rows = || chunk.rows.iter();
    let mut frame = df!(
        "home" => rows().map(|row| row.home).collect::<Vec<_>>(),
        "rank" => rows().map(|row| row.rank).collect::<Vec<_>>(),
        "school_id" => rows().map(|row| row.hit.id.get()).collect::<Vec<_>>(),
        "urn" => rows().map(|row| i64::from(row.hit.urn.get())).collect::<Vec<_>>(),
        "distance_km" => rows().map(|row| row.hit.distance_km.map(Kilometres::get)).collect::<Vec<_>>(),
        "evidence" => rows().map(|row| row.hit.evidence.map(Evidence::as_str)).collect::<Vec<_>>(),
    )?;
    if has_ids {
        let ids: Vec<Option<&str>> = rows().map(|row| chunk.id(row)).collect();
        frame.insert_column(1, Column::new("id".into(), ids))?;
    }
    Ok(frame)
}

/// Refuses a search with a point: the homes are the points.
fn refuse_point(search: &SchoolSearch) -> Result<()> {
    match search.near {
        None => Ok(()),
        Some(_) => Err(Error::InvalidSearch {
            field: "near",
            reason: "the homes of a batch are its points: search without one",
        }),
    }
}

/// Sorts by distance, unknown ones last, then by id: the order of a search.
fn in_order(hits: &mut [BatchHit]) {
    let km = |hit: &BatchHit| hit.distance_km.map_or(f64::INFINITY, Kilometres::get);
    hits.sort_unstable_by(|a, b| km(a).total_cmp(&km(b)).then(a.id.cmp(&b.id)));
}

/// Returns a location as a point on a sphere of radius 1.
fn on_sphere(location: LatLng) -> [f64; 3] {
    let (lat, lng) = (location.lat().degrees().to_radians(), location.lng().degrees().to_radians());
    [lat.cos() * lng.cos(), lat.cos() * lng.sin(), lat.sin()]
}
