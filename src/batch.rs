//! Searches for many homes: the nearest schools of each, or those whose catchment covers it.
//!
//! A database takes fractions of a millisecond for one home, and a country has millions of homes. The schools are
//! therefore read once into R-trees in memory, which threads query in parallel. The results and their order are those
//! of [`find_schools`](crate::repository::FindSchools::find_schools) and
//! [`find_catchments`](crate::repository::FindCatchments::find_catchments).

use std::io::Write;

use polars::prelude::*;
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
const HOMES_A_STEP: usize = 1_024;

/// How many homes and how many results are processed before their rows are written. A home may have a thousand results.
const HOMES_A_CHUNK: usize = 65_536;
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

/// Writes the results for many homes as Parquet, one row for each home and school, and returns the number of homes.
/// Columns are `home` (the number of the home in the given order, from 0), `rank` (the rank of the school, from 1),
/// `school_id`, `urn`, `distance_km` and `evidence`. Memory holds the results of at most 65,536 homes, and of fewer
/// where these have more than a million. `on_progress` is called with the number of homes done.
///
/// This blocks, and uses every core.
///
/// # Errors
/// The first of `homes`, and [`Error::Frame`], also where `to` cannot be written.
pub fn write_parquet<E: From<Error>>(
    batch: &dyn Batch,
    homes: impl IntoIterator<Item = Result<LatLng, E>>,
    to: impl Write,
    mut on_progress: impl FnMut(u64),
) -> Result<u64, E> {
    let failed = |error: PolarsError| E::from(Error::from(error));
    let writer = ParquetWriter::new(to).with_compression(ParquetCompression::Snappy);
    let mut writer = writer.batched(rows(0, &[])?.schema()).map_err(failed)?;
    let mut homes = homes.into_iter();
    let mut done = 0_u64;
    loop {
        let (mut chunk, mut results) = (Vec::new(), 0);
        while chunk.len() < HOMES_A_CHUNK && results < RESULTS_A_CHUNK {
            let step: Vec<LatLng> = homes.by_ref().take(HOMES_A_STEP).collect::<Result<_, E>>()?;
            if step.is_empty() {
                break;
            }
            let answers = find_all(batch, &step);
            results += answers.iter().map(Vec::len).sum::<usize>();
            chunk.extend(answers);
        }
        if chunk.is_empty() {
            writer.finish().map_err(failed)?;
            return Ok(done);
        }
        writer.write_batch(&rows(done, &chunk)?).map_err(failed)?;
        done += chunk.len() as u64;
        on_progress(done);
    }
}

/// Returns the results for homes, in their order, using one thread for each core.
pub fn find_all(batch: &dyn Batch, homes: &[LatLng]) -> Vec<Vec<BatchHit>> {
    homes.par_iter().map(|home| batch.find(*home)).collect()
}

fn rows(first: u64, hits: &[Vec<BatchHit>]) -> Result<DataFrame> {
    let all = || (first..).zip(hits).flat_map(|(home, hits)| (1_u32..).zip(hits).map(move |row| (home, row)));
    Ok(df!(
        "home" => all().map(|(home, _)| home).collect::<Vec<_>>(),
        "rank" => all().map(|(_, (rank, _))| rank).collect::<Vec<_>>(),
        "school_id" => all().map(|(_, (_, hit))| hit.id.get()).collect::<Vec<_>>(),
        "urn" => all().map(|(_, (_, hit))| i64::from(hit.urn.get())).collect::<Vec<_>>(),
        "distance_km" => all().map(|(_, (_, hit))| hit.distance_km.map(Kilometres::get)).collect::<Vec<_>>(),
        "evidence" => all().map(|(_, (_, hit))| hit.evidence.map(Evidence::as_str)).collect::<Vec<_>>(),
    )?)
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
