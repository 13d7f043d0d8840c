//! The questions that can be asked, and what their answers mean, whatever the database.

mod factory;

use async_trait::async_trait;

use crate::config::Backend;
use crate::error::Result;
use crate::explain::Explanation;
use crate::ids::{SchoolId, Urn};
use crate::models::{
    CatchmentHit, CouncilCount, Facets, NewCatchment, NewSchool, School, SchoolCatchment, SchoolHit, UpsertCounts,
};
use crate::request::{Page, SchoolSearch, SchoolStream, WriteMode};

pub use factory::{connect, create};

/// Schools in a database: the one interface to every backend. [`connect`] gives one.
///
/// What callers may count on, on each backend alike:
///
/// - **Distances** are great-circle kilometres on a sphere of 6371.0 km ([`haversine`](crate::geo::haversine)). That
///   function alone decides what lies inside a radius and what is nearer; indexes only fetch candidates. A radius's
///   boundary is inside.
/// - **Orders are total**: every one ends in the id, and has unknown values last.
/// - **Unknown is not zero**: what is not known is `None`. A school of which it is not known where it stands has no
///   distance, lies within no radius, and comes last by distance.
/// - **Writes are whole or not at all**: a method that fails has written nothing.
/// - **A dropped future** does not stop a write that has begun: it ends by itself, whole or not at all.
#[async_trait]
pub trait SchoolRepository: Send + Sync + std::fmt::Debug {
    /// The backend that answers.
    fn backend(&self) -> Backend;

    /// The schools that a search finds: one page of them.
    ///
    /// # Errors
    /// A search that contradicts itself is refused before any SQL, by the errors of [`SchoolSearch`].
    async fn find_schools(&self, search: &SchoolSearch) -> Result<Page<SchoolHit>>;

    /// The schools whose catchment holds the search's point, of those that the search finds, in its order: one page of
    /// them, each with its evidence. Where a school has an outline, that alone decides, its boundary included; else its
    /// catchment's radius does, where it has one.
    ///
    /// # Errors
    /// As [`find_schools`](Self::find_schools), and [`InvalidSearch`](crate::Error::InvalidSearch) for a search without
    /// a point.
    async fn find_catchments(&self, search: &SchoolSearch) -> Result<Page<CatchmentHit>>;

    /// The outlines of these schools' catchments, in the order of the ids; schools without one are passed over. To draw
    /// them on a map.
    ///
    /// # Errors
    /// Those of the database.
    async fn catchments(&self, ids: &[SchoolId]) -> Result<Vec<SchoolCatchment>>;

    /// How many of the schools that a search finds have each value. The search's order and page do not matter.
    ///
    /// # Errors
    /// As [`find_schools`](Self::find_schools).
    async fn facets(&self, search: &SchoolSearch) -> Result<Facets>;

    /// Every council with open schools, by name, in the order of its bytes.
    ///
    /// # Errors
    /// Those of the database.
    async fn councils(&self) -> Result<Vec<CouncilCount>>;

    /// The school with this id, whatever its status, or nothing.
    ///
    /// # Errors
    /// Those of the database.
    async fn school(&self, id: SchoolId) -> Result<Option<School>>;

    /// The school with this URN, whatever its status, or nothing.
    ///
    /// # Errors
    /// Those of the database.
    async fn school_by_urn(&self, urn: Urn) -> Result<Option<School>>;

    /// The schools with these ids, in the order of the ids, each once; ids without a school are passed over. One query
    /// for up to 10,000 ids.
    ///
    /// # Errors
    /// Those of the database.
    async fn schools(&self, ids: &[SchoolId]) -> Result<Vec<School>>;

    /// The schools with these URNs, in the order of the URNs, each once; URNs without a school are passed over. One
    /// query for up to 10,000 URNs.
    ///
    /// # Errors
    /// Those of the database.
    async fn schools_by_urn(&self, urns: &[Urn]) -> Result<Vec<School>>;

    /// Inserts schools, all or none, however many, and gives their ids in the order given.
    ///
    /// # Errors
    /// [`DuplicateUrn`](crate::Error::DuplicateUrn) where two share a URN, or one is stored already; the errors of
    /// [`NewSchool::validate`]; one of the constraints' errors.
    async fn insert_schools(&self, schools: Vec<NewSchool>) -> Result<Vec<SchoolId>>;

    /// Inserts the schools that are new and updates those that are stored, by URN, all or none, however many. What a
    /// given school does not know stays as it is stored ([`NewSchool::over`]).
    ///
    /// # Errors
    /// The stream's first error; [`DuplicateUrn`](crate::Error::DuplicateUrn) where it gives one URN twice; the errors
    /// of [`NewSchool::validate`]; one of the constraints' errors.
    async fn upsert_schools(&self, schools: SchoolStream, mode: WriteMode) -> Result<UpsertCounts>;

    /// Stores outlines of catchments by URN, all or none, in place of those that are stored.
    ///
    /// # Errors
    /// [`DuplicateUrn`](crate::Error::DuplicateUrn) where two are of one school, [`UnknownUrn`](crate::Error::UnknownUrn)
    /// where there is no such school; the errors of [`NewCatchment::validate`].
    async fn upsert_catchments(&self, catchments: Vec<NewCatchment>, mode: WriteMode) -> Result<UpsertCounts>;

    /// What [`find_schools`](Self::find_schools) does in the database for this search. Nothing is run.
    ///
    /// # Errors
    /// As [`find_schools`](Self::find_schools).
    async fn explain_find(&self, search: &SchoolSearch) -> Result<Explanation>;

    /// What [`find_catchments`](Self::find_catchments) does in the database for this search. Nothing is run.
    ///
    /// # Errors
    /// As [`find_catchments`](Self::find_catchments).
    async fn explain_catchments(&self, search: &SchoolSearch) -> Result<Explanation>;
}

/// Runs blocking work off the runtime's own threads. A panic in it is passed on.
pub(crate) async fn blocking<T, W>(work: W) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce() -> Result<T> + Send + 'static,
{
    finish(tokio::task::spawn_blocking(work)).await
}

/// Waits for a task. A panic in it is passed on.
pub(crate) async fn finish<T>(task: tokio::task::JoinHandle<Result<T>>) -> Result<T> {
    match task.await {
        Ok(result) => result,
        // Nobody aborts these tasks, so one that did not end well panicked.
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
