//! The questions that can be asked, and what their answers mean, whatever the database.

mod health;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::NaiveDate;

use crate::config::Backend;
use crate::error::Result;
use crate::explain::Explanation;
use crate::ids::{SchoolId, Urn};
use crate::models::{
    CatchmentHit, Collections, CouncilCount, DeleteCounts, Facets, MergeCounts, NewAdmissions, NewCatchment,
    NewCollections, NewLink, NewSchool, Phase, PhaseGap, ReachHit, Review, School, SchoolCatchment, SchoolDetails,
    SchoolHit, SchoolPatch, UpsertCounts,
};
use crate::request::{Page, PhaseGaps, SchoolSearch, SchoolStream, WriteMode};

pub use health::{Health, PoolStatus};

/// Schools in a database: the one interface to every backend. [`connect`](crate::connect) gives one.
///
/// What callers may count on, on each backend alike:
///
/// - **Distances** are great-circle kilometres on a sphere of 6371.0 km ([`haversine`](crate::geo::haversine)). That
///   function alone decides what lies inside a radius and what is nearer; indexes only fetch candidates. A radius's
///   boundary is inside.
/// - **Orders are total**: every one ends in the id, and has unknown values last.
/// - **Unknown is not zero**: what is not known is `None`. A school without a known place has no distance, lies within
///   no radius, and comes last by distance.
/// - **Writes are whole or not at all**: a method that fails has written nothing.
/// - **A dropped future** does not stop a write that has begun: it ends by itself, whole or not at all.
/// - **A silent server** is given up after `statement_timeout` and `connect_timeout`, the one after the other.
///   Questions are asked once more on another connection; writes that collided are repeated, and those that may have
///   been committed never are.
///
/// Each call that asks the database is a [`tracing`] span with the name of the method, the backend, the rows and how
/// long it took; that of one school is told as the method for many (`school` as `schools`).
///
/// Beside its own, each method has the errors of any database: [`Busy`](crate::Error::Busy),
/// [`Timeout`](crate::Error::Timeout), [`PoolTimeout`](crate::Error::PoolTimeout),
/// [`Unavailable`](crate::Error::Unavailable), and rarer ones. [`is_retryable`](crate::Error::is_retryable) and
/// [`is_invalid_input`](crate::Error::is_invalid_input) sort them for a service.
#[async_trait]
pub trait SchoolRepository: Send + Sync + std::fmt::Debug {
    /// The backend that answers.
    fn backend(&self) -> Backend;

    /// Whether the database can be used, and what is wrong where it cannot: the answer of a service's `/health`. It
    /// makes a connection of its own, as [`connect`](crate::connect) does, except to a database in memory.
    /// Whether all of the pool's are taken is told by [`pool_status`](Self::pool_status).
    ///
    /// # Errors
    /// Those of [`connect`](crate::connect), each of whose two steps ends within the pool's `connect_timeout`
    /// (for each server, where the URL names several).
    async fn health(&self) -> Result<Health>;

    /// How many connections there are just now.
    fn pool_status(&self) -> PoolStatus;

    /// The schools that a search finds: one page of them.
    ///
    /// # Errors
    /// A search that contradicts itself is refused before any SQL, by one of the errors that [`SchoolSearch`] lists.
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

    /// The schools that would have offered a child from the search's point a place by distance in past years, of those
    /// that the search finds, in its order: one page of them, each with its years. What counts is the search's
    /// [`ReachFilter`](crate::request::ReachFilter); without one, any intake of the latest year that is known.
    ///
    /// An estimate: a school of which no last distance is known is never in the answer, other criteria than distance
    /// come first, and councils measure in their own ways, some of them along paths, where this is a great circle.
    ///
    /// # Errors
    /// As [`find_schools`](Self::find_schools), and [`InvalidSearch`](crate::Error::InvalidSearch) for a search without
    /// a point.
    async fn find_reach(&self, search: &SchoolSearch) -> Result<Page<ReachHit>>;

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

    /// These schools, in the order of the ids, with what is asked for of what belongs to them. One query for the
    /// schools and one for each collection, however many schools, up to 10,000; all of one moment.
    ///
    /// # Errors
    /// Those of the database.
    async fn details(&self, ids: &[SchoolId], collections: Collections) -> Result<Vec<SchoolDetails>>;

    /// A school with everything that belongs to it, or nothing.
    ///
    /// # Errors
    /// Those of the database.
    async fn school_details(&self, id: SchoolId) -> Result<Option<SchoolDetails>> {
        Ok(self.details(&[id], Collections::ALL).await?.pop())
    }

    /// The schools of today that a URN leads to: the school itself where it is open, else those that came after it, and
    /// after them, by their links. Where none of them is open, the last ones that are known.
    ///
    /// # Errors
    /// Those of the database.
    async fn schools_of_today(&self, urn: Urn) -> Result<Vec<School>>;

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

    /// Changes a school, and gives it as it is then. `version` is the [`School::version`] that the change was made
    /// from: where somebody else was quicker, nothing is written.
    ///
    /// # Errors
    /// [`Stale`](crate::Error::Stale), [`UnknownSchool`](crate::Error::UnknownSchool); the errors of
    /// [`NewSchool::validate`]; one of the constraints' errors.
    async fn update_school(&self, id: SchoolId, version: i32, patch: SchoolPatch) -> Result<School>;

    /// Replaces the collections of a school that are given; the others stay. All or nothing.
    ///
    /// # Errors
    /// [`UnknownSchool`](crate::Error::UnknownSchool); [`DuplicateRow`](crate::Error::DuplicateRow) where two rows are
    /// of the same thing; one of the constraints' errors.
    async fn replace_collections(&self, id: SchoolId, new: NewCollections) -> Result<()>;

    /// Adds reviews, all or none. Each belongs to the school with its URN, if there is one.
    ///
    /// # Errors
    /// One of the constraints' errors; [`Busy`](crate::Error::Busy) where a school is not known yet, and an import of
    /// schools goes on for longer than the `busy_timeout`.
    async fn insert_reviews(&self, reviews: Vec<Review>) -> Result<()>;

    /// Stores years of admissions by URN, year and intake, all or none. What a given year does not know stays as it is
    /// stored.
    ///
    /// # Errors
    /// [`UnknownUrn`](crate::Error::UnknownUrn), [`DuplicateRow`](crate::Error::DuplicateRow) where one is given twice;
    /// one of the constraints' errors.
    async fn upsert_admissions(&self, admissions: Vec<NewAdmissions>, mode: WriteMode) -> Result<UpsertCounts>;

    /// Stores links between schools by both URNs and kind, all or none. Neither school need be in this database. What a
    /// given link does not know stays as it is stored.
    ///
    /// # Errors
    /// [`DuplicateRow`](crate::Error::DuplicateRow) where one is given twice; one of the constraints' errors.
    async fn upsert_links(&self, links: Vec<NewLink>, mode: WriteMode) -> Result<UpsertCounts>;

    /// Closes a school on a day in favour of another: its reviews belong to that one from now on, and links say so on
    /// both sides. All or nothing.
    ///
    /// # Errors
    /// [`UnknownUrn`](crate::Error::UnknownUrn) where one of the two is not there,
    /// [`MergeIntoClosed`](crate::Error::MergeIntoClosed) where the second is not open.
    async fn merge_schools(&self, from: Urn, into: Urn, on: NaiveDate) -> Result<MergeCounts>;

    /// Deletes a school with all that belongs to it but its reviews, and tells how much that was. A school that has
    /// closed is better kept, or merged into the one that came after it.
    ///
    /// # Errors
    /// [`UnknownSchool`](crate::Error::UnknownSchool).
    async fn delete_school(&self, id: SchoolId) -> Result<DeleteCounts>;

    /// Stores outlines of catchments by URN, all or none, in place of those that are stored.
    ///
    /// # Errors
    /// [`DuplicateUrn`](crate::Error::DuplicateUrn) where two are of one school,
    /// [`UnknownUrn`](crate::Error::UnknownUrn) where there is no such school; the errors of
    /// [`NewCatchment::validate`].
    async fn upsert_catchments(&self, catchments: Vec<NewCatchment>, mode: WriteMode) -> Result<UpsertCounts>;

    /// How many schools lack a phase, whatever their status.
    ///
    /// # Errors
    /// Those of the database.
    async fn count_phase_gaps(&self, gaps: PhaseGaps) -> Result<u64>;

    /// The schools that lack a phase, in the order of their ids, from after the one that is given: at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    async fn phase_gaps(&self, gaps: PhaseGaps, after: Option<SchoolId>, limit: u32) -> Result<Vec<PhaseGap>>;

    /// Gives schools their phase, all or none, and tells how many got which: one that has a phase by now, or was
    /// changed since it was read, stays as it is.
    ///
    /// # Errors
    /// Those of the database.
    async fn fill_phases(&self, gaps: PhaseGaps, phases: Vec<(PhaseGap, Phase)>) -> Result<BTreeMap<Phase, u64>>;

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

    /// As [`explain_find`](Self::explain_find), and **runs** the query to tell how many rows it gives and how long it
    /// takes.
    ///
    /// # Errors
    /// As [`find_schools`](Self::find_schools).
    async fn analyze_find(&self, search: &SchoolSearch) -> Result<Explanation>;

    /// As [`explain_catchments`](Self::explain_catchments), and **runs** the query to tell how many rows it gives and
    /// how long it takes.
    ///
    /// # Errors
    /// As [`find_catchments`](Self::find_catchments).
    async fn analyze_catchments(&self, search: &SchoolSearch) -> Result<Explanation>;
}
