//! The same question for many homes at once: the nearest schools of each, or those whose catchment holds it.
//!
//! A database answers one home in fractions of a millisecond. A country's homes are millions, so the schools are read
//! once into R-trees in memory, which threads ask side by side; the answers are those of
//! [`find_schools`](SchoolRepository::find_schools) and [`find_catchments`](SchoolRepository::find_catchments), in
//! their order.

use std::io::Write;
use std::num::NonZero;

use polars::prelude::*;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use crate::error::{Error, Result};
use crate::geo::{BoundingBox, Catchment, LatLng};
use crate::ids::{SchoolId, Urn};
use crate::models::{Evidence, School, SchoolSummary};
use crate::repository::SchoolRepository;
use crate::request::{MAX_LIMIT, SchoolSearch};
use crate::units::Kilometres;

/// How many homes are answered before their rows are written.
const HOMES_A_CHUNK: usize = 65_536;

/// How far a place of the tree can be from where it should be, as a chord of a sphere of radius 1: some 64 µm on the
/// earth, and ten thousand times what rounding moves it. Schools that near to the last place are compared by
/// [`LatLng::distance_to`].
const CHORD_SLACK: f64 = 1e-11;

/// A school that answers for a home.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// The school.
    pub id: SchoolId,
    /// Its number in the official register.
    pub urn: Urn,
    /// The great-circle distance from the home; nothing where it is not known where the school stands.
    pub distance_km: Option<Kilometres>,
    /// What says that it serves the home; nothing where only distance was asked for.
    pub evidence: Option<Evidence>,
}

/// A question that is answered in memory, for one home at a time and from many threads.
pub trait Batch: Sync {
    /// The schools that answer for a home, in order.
    fn answer(&self, home: LatLng) -> Vec<Answer>;
}

/// The nearest schools.
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
/// assert_eq!(nearest.answer(sample::home()).iter().map(|answer| answer.id).collect::<Vec<_>>(), ids);
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("an answer");
/// ```
#[derive(Debug)]
pub struct Nearest {
    /// On a sphere of radius 1, where the nearest by a straight line is the nearest by the great circle too.
    tree: RTree<GeomWithData<[f64; 3], usize>>,
    schools: Vec<(SchoolId, Urn, LatLng)>,
    count: usize,
}

impl Nearest {
    /// Reads the schools that a search finds, and of which it is known where they stand, to find the `count` nearest of
    /// them.
    ///
    /// # Errors
    /// [`Error::InvalidSearch`] where the search has a point of its own; those of
    /// [`find_schools`](SchoolRepository::find_schools).
    pub async fn load(finder: &dyn SchoolRepository, search: &SchoolSearch, count: usize) -> Result<Self> {
        let found = all_of(finder, search).await?;
        let placed = found.iter().filter_map(|school| Some((school.id, school.urn, school.location()?)));
        let schools: Vec<_> = placed.collect();
        let points = schools.iter().enumerate().map(|(at, (_, _, place))| GeomWithData::new(on_sphere(*place), at));
        Ok(Self { tree: RTree::bulk_load(points.collect()), schools, count })
    }
}

impl Batch for Nearest {
    fn answer(&self, home: LatLng) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(self.count + 1);
        let mut enough = f64::INFINITY;
        for (point, chord_squared) in self.tree.nearest_neighbor_iter_with_distance_2(&on_sphere(home)) {
            let chord = chord_squared.sqrt();
            if answers.len() >= self.count {
                if chord > enough {
                    break;
                }
            } else {
                // The last one that is needed; any that is farther by more than rounding comes after it.
                enough = chord + CHORD_SLACK;
            }
            let (id, urn, place) = self.schools[point.data];
            answers.push(Answer { id, urn, distance_km: Some(home.distance_to(place)), evidence: None });
        }
        in_order(&mut answers);
        answers.truncate(self.count);
        answers
    }
}

/// The schools whose catchment holds a home.
#[derive(Debug)]
pub struct Serving {
    tree: RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>,
    catchments: Vec<Served>,
}

/// A school with its catchment.
#[derive(Debug)]
struct Served {
    id: SchoolId,
    urn: Urn,
    place: Option<LatLng>,
    area: Area,
}

#[derive(Debug)]
enum Area {
    Outline(Catchment),
    /// Round where the school stands.
    Circle(LatLng, Kilometres),
}

impl Serving {
    /// Reads the catchments of the schools that a search finds.
    ///
    /// # Errors
    /// [`Error::InvalidSearch`] where the search has a point of its own; those of
    /// [`find_schools`](SchoolRepository::find_schools).
    pub async fn load(finder: &dyn SchoolRepository, search: &SchoolSearch) -> Result<Self> {
        let ids: Vec<SchoolId> = all_of(finder, search).await?.into_iter().map(|school| school.id).collect();
        let (mut catchments, mut boxes) = (Vec::new(), Vec::new());
        let mut add = |School { id, urn, .. }: School, place: Option<LatLng>, area: Area| {
            boxes.push(GeomWithData::new(area.bounds(), catchments.len()));
            catchments.push(Served { id, urn, place, area });
        };
        for ids in ids.chunks(MAX_LIMIT as usize) {
            // Both in the order of the ids.
            let mut outlines = finder.catchments(ids).await?.into_iter().peekable();
            for school in finder.schools(ids).await? {
                let place = school.location();
                match outlines.next_if(|catchment| catchment.id == school.id) {
                    Some(catchment) => add(school, place, Area::Outline(catchment.outline)),
                    None => {
                        if let (Some(place), Some(km)) = (place, school.catchment_radius_km) {
                            add(school, Some(place), Area::Circle(place, Kilometres::new(km)?));
                        }
                    }
                }
            }
        }
        Ok(Self { tree: RTree::bulk_load(boxes), catchments })
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
            Self::Circle(place, km) => {
                let BoundingBox { south, north, west, east } = BoundingBox::around(*place, *km);
                Rectangle::from_corners([west, south], [east, north])
            }
        }
    }

    fn holds(&self, home: LatLng) -> Option<Evidence> {
        match self {
            Self::Outline(outline) => outline.covers(home).then_some(Evidence::Polygon),
            Self::Circle(place, km) => (home.distance_to(*place) <= *km).then_some(Evidence::Radius),
        }
    }
}

impl Batch for Serving {
    fn answer(&self, home: LatLng) -> Vec<Answer> {
        let at = [home.lng().degrees(), home.lat().degrees()];
        let held = self.tree.locate_all_at_point(&at).filter_map(|bounds| {
            let Served { id, urn, place, area } = &self.catchments[bounds.data];
            let evidence = Some(area.holds(home)?);
            let distance_km = place.map(|place| home.distance_to(place));
            Some(Answer { id: *id, urn: *urn, distance_km, evidence })
        });
        let mut answers: Vec<Answer> = held.collect();
        in_order(&mut answers);
        answers
    }
}

/// Answers for many homes, a row for each home and school, written as Parquet on the way: `home` is the number of the
/// home in the order given, from 0, `rank` the school's place, from 1, then `school_id`, `urn`, `distance_km` and
/// `evidence`. Memory holds one chunk of 65,536 homes. `tell` is told how many homes are done.
///
/// It blocks, and uses every core.
///
/// # Errors
/// The first of `homes`, and [`Error::Frame`], also where `to` cannot be written.
pub fn write_parquet<E: From<Error>>(
    batch: &dyn Batch,
    homes: impl IntoIterator<Item = Result<LatLng, E>>,
    to: impl Write,
    mut tell: impl FnMut(u64),
) -> Result<u64, E> {
    let failed = |error: PolarsError| E::from(Error::from(error));
    let writer = ParquetWriter::new(to).with_compression(ParquetCompression::Snappy);
    let mut writer = writer.batched(rows(0, &[])?.schema()).map_err(failed)?;
    let mut homes = homes.into_iter();
    let mut done = 0_u64;
    loop {
        let chunk: Vec<LatLng> = homes.by_ref().take(HOMES_A_CHUNK).collect::<Result<_, E>>()?;
        if chunk.is_empty() {
            writer.finish().map_err(failed)?;
            return Ok(done);
        }
        writer.write_batch(&rows(done, &answer_all(batch, &chunk))?).map_err(failed)?;
        done += chunk.len() as u64;
        tell(done);
    }
}

/// The answers for homes, in their order, by as many threads as there are cores.
pub fn answer_all(batch: &dyn Batch, homes: &[LatLng]) -> Vec<Vec<Answer>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = homes.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = homes
            .chunks(share)
            .map(|homes| scope.spawn(|| homes.iter().map(|home| batch.answer(*home)).collect::<Vec<_>>()))
            .collect();
        let join = |part: std::thread::ScopedJoinHandle<'_, _>| match part.join() {
            Ok(answers) => answers,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        parts.into_iter().flat_map(join).collect()
    })
}

fn rows(first: u64, answers: &[Vec<Answer>]) -> Result<DataFrame> {
    let all = || (first..).zip(answers).flat_map(|(home, answers)| (1_u32..).zip(answers).map(move |row| (home, row)));
    Ok(df!(
        "home" => all().map(|(home, _)| home).collect::<Vec<_>>(),
        "rank" => all().map(|(_, (rank, _))| rank).collect::<Vec<_>>(),
        "school_id" => all().map(|(_, (_, answer))| answer.id.get()).collect::<Vec<_>>(),
        "urn" => all().map(|(_, (_, answer))| i64::from(answer.urn.get())).collect::<Vec<_>>(),
        "distance_km" => all().map(|(_, (_, answer))| answer.distance_km.map(Kilometres::get)).collect::<Vec<_>>(),
        "evidence" => all().map(|(_, (_, answer))| answer.evidence.map(Evidence::as_str)).collect::<Vec<_>>(),
    )?)
}

/// Every school that a search finds.
async fn all_of(finder: &dyn SchoolRepository, search: &SchoolSearch) -> Result<Vec<SchoolSummary>> {
    if search.near.is_some() {
        return Err(Error::InvalidSearch {
            field: "near",
            reason: "the homes of a batch are its points: search without one",
        });
    }
    let mut search = search.clone().limit(MAX_LIMIT);
    let mut all = Vec::new();
    loop {
        let page = finder.find_schools(&search).await?;
        all.extend(page.items.into_iter().map(|hit| hit.school));
        match page.next {
            Some(next) => search = search.after(next),
            None => return Ok(all),
        }
    }
}

/// By distance, unknown ones last, then by id: the order of a search.
fn in_order(answers: &mut [Answer]) {
    let km = |answer: &Answer| answer.distance_km.map_or(f64::INFINITY, Kilometres::get);
    answers.sort_unstable_by(|a, b| km(a).total_cmp(&km(b)).then(a.id.cmp(&b.id)));
}

/// A place as a point of a sphere of radius 1.
fn on_sphere(place: LatLng) -> [f64; 3] {
    let (lat, lng) = (place.lat().degrees().to_radians(), place.lng().degrees().to_radians());
    [lat.cos() * lng.cos(), lat.cos() * lng.sin(), lat.sin()]
}
