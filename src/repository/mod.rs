//! The [`SchoolRepository`] trait, implemented by every backend, and the traits that it consists of.
//!
//! A function that takes the smallest trait that it calls, such as `&dyn FindSchools`, is tested with a test double of
//! that trait alone. An `Arc<dyn SchoolRepository>` converts into an `Arc` of each of them.

mod health;
mod pages;
mod position;
pub(crate) mod unit_of_work;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
use futures_util::stream::BoxStream;

use crate::config::Backend;
use crate::error::Result;
use crate::explain::{ExplainMode, ExplainedQuery, Explanation};
use crate::geo::{Catchment, LatLng};
use crate::ids::{Laestab, Postcode, SchoolId, Ukprn, UnknownPostcode, Urn};
use crate::models::{
    CatchmentHit, Collections, CouncilCount, DeleteCounts, Facets, Home, MergeCounts, NewAdmissions,
    NewAdmissionsCriterion, NewCatchment, NewCollections, NewLink, NewSchool, Phase, PhaseGap, PostcodeCounts,
    ReachHit, RegisterCounts, Review, School, SchoolCatchment, SchoolDetails, SchoolHit, SchoolPatch, Suggestion,
    UpsertCounts,
};
use crate::request::{
    Page, PhaseGaps, PostcodeStream, RegisterCoverage, RegisterStream, SchoolSearch, SchoolStream, WriteMode,
};

pub(crate) use health::refuse_older;
pub use health::{Health, PoolStatus, Servers};
use pages::pages;
pub(crate) use position::Point;
pub use position::Position;
pub use unit_of_work::{Savepoint, UnitOfWork};

/// The schools of a database: every query and write, the same on every backend. Returned by
/// [`connect`](crate::connect).
///
/// Every backend guarantees:
///
/// - **Distances** are great-circle kilometres on a sphere of 6371.0 km ([`haversine`](crate::geo::haversine)).
///   That function alone decides what is within a radius and what is nearer; indexes only fetch candidates. A radius
///   includes its boundary.
/// - **Orders are total**: every order ends with the id, and unknown values come last.
/// - **Unknown is not zero**: an unknown value is `None`. A school without a location has no distance, is within no
///   radius, and comes last by distance.
/// - **Writes are atomic**: a method that fails has written nothing.
/// - **Dropping a future** does not cancel a write that has begun: it runs to its end and stays atomic.
/// - **Retries**, on Postgres only: a read whose connection is lost is retried once, on another connection. A write
///   that collided with another is retried, except an upsert from a stream. A write that may have been committed is
///   not.
/// - **Reads of replicas**, on Postgres only: where the configuration has a reader
///   ([`Config::with_reader`](crate::Config::with_reader)), each method that reads runs there, and may miss the newest
///   writes. [`at_least`](Self::at_least) and [`on_writer`](Self::on_writer) return views that do not. Writes, units of
///   work, imports and backfills read from the writer. A read that the reader cannot serve goes to the writer, within
///   [`PoolConfig::reads_on_writer`](crate::config::PoolConfig::reads_on_writer).
/// - **The response timeout** of Postgres is `statement_timeout` plus `connect_timeout`, from
///   [`PoolConfig`](crate::config::PoolConfig).
///
/// Each call that queries the database is a [`tracing`] span with the method's name, the backend, the number of rows
/// and the duration. A method that returns one school is recorded by the name of the method that returns many, such as
/// `schools` for `school`.
///
/// Besides its own errors, each method may return those of the database: [`Busy`](crate::Error::Busy),
/// [`Timeout`](crate::Error::Timeout), [`PoolTimeout`](crate::Error::PoolTimeout),
/// [`Unavailable`](crate::Error::Unavailable), and rarer ones. [`is_retryable`](crate::Error::is_retryable) and
/// [`is_invalid_input`](crate::Error::is_invalid_input) classify them for a service.
#[async_trait]
pub trait SchoolRepository:
    FindSchools
    + SuggestSchools
    + FindCatchments
    + FindReach
    + LocateHomes
    + CountSchools
    + ReadSchools
    + ExportSchools
    + WriteSchools
    + WritePostcodes
    + FillPhases
{
    /// Returns the backend of this repository.
    fn backend(&self) -> Backend;

    /// Returns the state of a usable database, or why it cannot be used, for a service's `/health`. The check opens its
    /// own connection, as [`connect`](crate::connect) does, except to a database in memory or to a generation. It does
    /// not check the pool: see [`pool_status`](Self::pool_status). Where reads have a server of their own, one usable
    /// server is enough, and [`Health::servers`] has the state of both.
    ///
    /// # Errors
    /// Those of [`connect`](crate::connect). On Postgres, opening the connection ends within the pool's
    /// `connect_timeout`, for each server where the URL names several. The check that follows ends within one more
    /// `connect_timeout`.
    async fn health(&self) -> Result<Health>;

    /// Returns the current number of connections: those of the writer, where reads have a server of their own.
    fn pool_status(&self) -> PoolStatus;

    /// Returns the current number of connections to the reader; `None` where reads have no server of their own.
    fn reader_status(&self) -> Option<PoolStatus>;

    /// Returns the point in the history of the database that all writes so far are part of. Call it after a write, and
    /// give it to [`at_least`](Self::at_least), there or in the next request of the same user: a cookie holds it.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
    /// use school_finder_db::ids::Urn;
    /// use school_finder_db::models::NewSchool;
    /// use school_finder_db::repository::Position;
    /// use school_finder_db::{Config, connect};
    ///
    /// let finder = connect(&Config::in_memory()).await?;
    /// let urn = Urn::new(110_533)?;
    /// finder.insert_schools(vec![NewSchool::new(urn, "Hilltop Primary School")]).await?;
    /// let cookie = finder.position().await?.to_string();
    ///
    /// // In the next request:
    /// let position: Position = cookie.parse()?;
    /// assert!(finder.at_least(&position).school_by_urn(urn).await?.is_some());
    /// # Ok::<(), school_finder_db::Error>(())
    /// # }).expect("an answer");
    /// ```
    ///
    /// # Errors
    /// Those of the database: it is the writer that is queried.
    async fn position(&self) -> Result<Position>;

    /// Returns a view whose reads see at least what was written before a position. A replica that has not reached it is
    /// waited for, at most 0.1 s; then the read goes to the writer. Without a reader, and on SQLite, every read sees
    /// all writes before it. A position of a follower of generations is the number of one: one that is not there within
    /// 0.1 s is not waited for longer, and the newest that is there serves.
    fn at_least(&self, position: &Position) -> Arc<dyn SchoolRepository>;

    /// Returns a view that reads from the writer, for reads that a write depends on, such as the one before
    /// [`update_school`](WriteSchools::update_school).
    fn on_writer(&self) -> Arc<dyn SchoolRepository>;

    /// Begins a transaction for several calls.
    ///
    /// # Errors
    /// [`Busy`](crate::Error::Busy) on SQLite, where another connection writes for longer than the lock timeout;
    /// [`UnitOfWorkOpen`](crate::Error::UnitOfWorkOpen) where this repository is itself a unit of work, and on SQLite
    /// where the calling task already has an open one.
    async fn begin(&self) -> Result<UnitOfWork>;

    /// Returns the SQL and the plan of the query that this search runs, or of the first one where it runs several.
    /// [`ExplainMode::Analyze`] also **runs** it, to report its rows and duration.
    ///
    /// # Errors
    /// Those of the explained method.
    async fn explain(&self, query: ExplainedQuery, search: &SchoolSearch, mode: ExplainMode) -> Result<Explanation>;
}

/// Searches for schools by distance, name, rating and filters.
#[async_trait]
pub trait FindSchools: Send + Sync + Debug {
    /// Returns one page of the schools that match a search.
    ///
    /// # Errors
    /// One of the errors that [`SchoolSearch`] lists, before any SQL, for an invalid search.
    async fn find_schools(&self, search: &SchoolSearch) -> Result<Page<SchoolHit>>;

    /// Returns the pages of [`find_schools`](Self::find_schools), from the search's cursor to the last one, as a
    /// stream. Each page is a query of its own. After an error the stream ends.
    fn pages(&self, search: SchoolSearch) -> BoxStream<'_, Result<Page<SchoolHit>>> {
        pages(search, move |search| async move { self.find_schools(&search).await })
    }
}

/// Suggests schools while somebody types.
#[async_trait]
pub trait SuggestSchools: Send + Sync + Debug {
    /// Returns at most `limit` open schools that match a typed text as a search's
    /// [`name`](crate::request::SchoolFilter::name) does, each with its town. They come nearest to `home` first, and
    /// without a home in the order [`Match`](crate::Sort::Match). A text without a letter, digit or sign returns none.
    ///
    /// # Errors
    /// [`TooLong`](crate::Error::TooLong) and [`InvalidText`](crate::Error::InvalidText) for the text,
    /// [`LimitTooLarge`](crate::Error::LimitTooLarge), and those of a swapped home.
    async fn suggest(&self, text: &str, home: Option<LatLng>, limit: u32) -> Result<Vec<Suggestion>>;
}

/// Searches for the schools whose catchment contains a point.
#[async_trait]
pub trait FindCatchments: Send + Sync + Debug {
    /// Returns one page of the schools that match a search and whose catchment contains its point, in the search's
    /// order, each with its evidence: whether the outline or the radius matched. Where a school has an outline, only
    /// the outline counts, boundary included; otherwise its catchment's radius does, where it has one.
    ///
    /// # Errors
    /// As [`find_schools`](FindSchools::find_schools), and [`InvalidSearch`](crate::Error::InvalidSearch) for a search
    /// without a point.
    async fn find_catchments(&self, search: &SchoolSearch) -> Result<Page<CatchmentHit>>;

    /// Returns the pages of [`find_catchments`](Self::find_catchments), as [`FindSchools::pages`] does.
    fn catchment_pages(&self, search: SchoolSearch) -> BoxStream<'_, Result<Page<CatchmentHit>>> {
        pages(search, move |search| async move { self.find_catchments(&search).await })
    }

    /// Returns the outlines of these schools' catchments, in the order of the ids, for drawing on a map. Schools
    /// without an outline are skipped. One query serves up to 10,000 ids.
    ///
    /// # Errors
    /// Those of the database.
    async fn catchments(&self, ids: &[SchoolId]) -> Result<Vec<SchoolCatchment>>;
}

/// Searches for the schools that would have offered a place in past years, by distance or because every applicant was
/// offered one.
#[async_trait]
pub trait FindReach: Send + Sync + Debug {
    /// Returns one page of the schools that match a search and would have offered a child at its point a place in past
    /// years. A school offers a place by distance, or because every applicant was offered one. The hits are in the
    /// search's order, each with its years. The search's [`ReachFilter`](crate::request::ReachFilter) selects the
    /// intake (the year group that admits) and the years; without one, the latest known year of any intake counts.
    ///
    /// The result is an estimate. A school without a known year is never returned. Other criteria come before distance:
    /// a selective school whose places were not filled still refuses a child who does not qualify. Some councils
    /// measure distances along paths; this method measures along a great circle.
    ///
    /// # Errors
    /// As [`find_schools`](FindSchools::find_schools), and [`InvalidSearch`](crate::Error::InvalidSearch) for a search
    /// without a point.
    async fn find_reach(&self, search: &SchoolSearch) -> Result<Page<ReachHit>>;

    /// Returns the pages of [`find_reach`](Self::find_reach), as [`FindSchools::pages`] does.
    fn reach_pages(&self, search: SchoolSearch) -> BoxStream<'_, Result<Page<ReachHit>>> {
        pages(search, move |search| async move { self.find_reach(&search).await })
    }
}

/// Places homes by their postcode.
#[async_trait]
pub trait LocateHomes: Send + Sync + Debug {
    /// Returns the home that a postcode places, as people type it ([`Postcode`]), with what places it and how far off
    /// it may be. Of a sector or an outcode it is the middle of its postcodes that have not ended, or of all if all
    /// have.
    ///
    /// What was imported comes first ([`WritePostcodes`]). Where it lacks the postcode, the schools that have it place
    /// the home: 250 m off for a whole postcode; for a sector 2 km, for an outcode 5 km, or farther where its schools
    /// are farther from their middle.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
    /// use school_finder_db::models::HomeSource;
    /// use school_finder_db::{Config, SchoolSearch, connect, sample};
    ///
    /// let finder = connect(&Config::in_memory()).await?;
    /// sample::fill(finder.as_ref()).await?;
    /// # let nearest = finder.find_schools(&SchoolSearch::near(sample::home())).await?.items.remove(0).school;
    /// # let postcode = &nearest.postcode.expect("a postcode");
    /// let home = finder.locate(postcode).await?; // such as "mk9 3ep"
    /// assert_eq!(home.source, HomeSource::School); // no postcodes were imported
    /// let page = finder.find_schools(&SchoolSearch::near(home.location)).await?;
    /// # assert!(!page.items.is_empty());
    /// # Ok::<(), school_finder_db::Error>(())
    /// # }).expect("a home");
    /// ```
    ///
    /// # Errors
    /// [`InvalidPostcode`](crate::Error::InvalidPostcode), before any SQL;
    /// [`UnknownPostcode`](crate::Error::UnknownPostcode), which names the sector or the outcode that is known. Both
    /// contain the postcode, which is somebody's home: keep them out of logs.
    async fn locate(&self, postcode: &str) -> Result<Home> {
        let postcode: Postcode = postcode.parse()?;
        let found = self.locate_all(&[postcode]).await?.pop();
        let none = UnknownPostcode { postcode, known: None, is_imported: false };
        Ok(found.unwrap_or(Err(none))?)
    }

    /// Returns the homes that these postcodes place, as [`locate`](Self::locate) does, in the given order.
    ///
    /// # Errors
    /// Those of the database. An unknown postcode is an error in its place.
    async fn locate_all(&self, postcodes: &[Postcode]) -> Result<Vec<Result<Home, UnknownPostcode>>>;
}

/// Counts of schools.
#[async_trait]
pub trait CountSchools: Send + Sync + Debug {
    /// Returns how many of the schools that match a search have each value. The search's order and page are ignored.
    ///
    /// # Errors
    /// As [`find_schools`](FindSchools::find_schools).
    async fn facets(&self, search: &SchoolSearch) -> Result<Facets>;

    /// Returns every council with open schools, in the byte order of their names.
    ///
    /// # Errors
    /// Those of the database.
    async fn councils(&self) -> Result<Vec<CouncilCount>>;
}

/// Schools by id or URN, with what belongs to them.
#[async_trait]
pub trait ReadSchools: Send + Sync + Debug {
    /// Returns the school with this id, whatever its status, or `None`.
    ///
    /// # Errors
    /// Those of the database.
    async fn school(&self, id: SchoolId) -> Result<Option<School>> {
        Ok(self.schools(&[id]).await?.pop())
    }

    /// Returns the school with this URN, whatever its status, or `None`.
    ///
    /// # Errors
    /// Those of the database.
    async fn school_by_urn(&self, urn: Urn) -> Result<Option<School>> {
        Ok(self.schools_by_urn(&[urn]).await?.pop())
    }

    /// Returns the schools with these ids, in the order of the ids, each once. Ids without a school are skipped. One
    /// query serves up to 10,000 ids.
    ///
    /// # Errors
    /// Those of the database.
    async fn schools(&self, ids: &[SchoolId]) -> Result<Vec<School>>;

    /// Returns the schools with these URNs, in the order of the URNs, each once. URNs without a school are skipped. One
    /// query serves up to 10,000 URNs.
    ///
    /// # Errors
    /// Those of the database.
    async fn schools_by_urn(&self, urns: &[Urn]) -> Result<Vec<School>>;

    /// Returns the schools with these LAESTABs, each with its LAESTAB, in the order of the LAESTABs. A [`Laestab`] is
    /// the code of a local authority and the number of an establishment in it, also called a DfE number. A closed
    /// school and the academy that replaced it share one: where a school with a LAESTAB is open, the closed ones are
    /// skipped. LAESTABs without a school are skipped.
    ///
    /// # Errors
    /// Those of the database.
    async fn schools_by_laestab(&self, laestabs: &[Laestab]) -> Result<Vec<(Laestab, School)>>;

    /// Returns the schools with these UKPRNs (UK Provider Reference Numbers), as
    /// [`schools_by_laestab`](Self::schools_by_laestab) does.
    ///
    /// # Errors
    /// Those of the database.
    async fn schools_by_ukprn(&self, ukprns: &[Ukprn]) -> Result<Vec<(Ukprn, School)>>;

    /// Returns these schools, in the order of the ids, with the requested [`Collections`]. A collection is the rows of
    /// another table that belong to a school, such as its clubs. All are from one snapshot. Up to 10,000 schools take
    /// one query, plus one for each collection.
    ///
    /// # Errors
    /// Those of the database.
    async fn details(&self, ids: &[SchoolId], collections: Collections) -> Result<Vec<SchoolDetails>>;

    /// Returns a school with all its collections, or `None`.
    ///
    /// # Errors
    /// Those of the database.
    async fn school_details(&self, id: SchoolId) -> Result<Option<SchoolDetails>> {
        Ok(self.details(&[id], Collections::ALL).await?.pop())
    }

    /// Returns the school with this URN and all its collections, or `None`.
    ///
    /// # Errors
    /// Those of the database.
    async fn school_details_by_urn(&self, urn: Urn) -> Result<Option<SchoolDetails>> {
        let Some(school) = self.school_by_urn(urn).await? else { return Ok(None) };
        self.school_details(school.id).await
    }

    /// Returns the current schools of a URN: the school itself where it is open, else its open successors, found by
    /// following links. Where none is open, returns the last known ones.
    ///
    /// # Errors
    /// Those of the database.
    async fn schools_of_today(&self, urn: Urn) -> Result<Vec<School>>;
}

/// Reads of all schools that a search finds, each from one snapshot, for analysis and batches.
#[async_trait]
pub trait ExportSchools: Send + Sync + Debug {
    /// Returns every school that a search finds, in its order, from one snapshot. The search's limit is ignored; its
    /// cursor is not.
    ///
    /// # Errors
    /// As [`find_schools`](FindSchools::find_schools).
    async fn all_schools(&self, search: &SchoolSearch) -> Result<Vec<SchoolHit>>;

    /// Returns every school that a search finds with the outline of its catchment, if it has one, in the order of the
    /// ids, from one snapshot.
    ///
    /// # Errors
    /// As [`find_schools`](FindSchools::find_schools).
    async fn all_catchments(&self, search: &SchoolSearch) -> Result<Vec<(School, Option<Catchment>)>>;
}

/// Writes. Each method is one transaction.
#[async_trait]
pub trait WriteSchools: Send + Sync + Debug {
    /// Inserts any number of schools in one transaction, and returns their ids in the order given.
    ///
    /// # Errors
    /// [`DuplicateUrn`](crate::Error::DuplicateUrn) where two share a URN, or one is already stored; the errors of
    /// [`NewSchool::validate`]; those of the constraints.
    async fn insert_schools(&self, schools: Vec<NewSchool>) -> Result<Vec<SchoolId>>;

    /// Inserts new schools and updates stored ones, by URN, any number in one transaction. A value that is `None` in a
    /// given school leaves the stored one unchanged ([`NewSchool::or_stored`]).
    ///
    /// # Errors
    /// The stream's first error; [`DuplicateUrn`](crate::Error::DuplicateUrn) where it repeats a URN; the errors of
    /// [`NewSchool::validate`]; those of the constraints.
    async fn upsert_schools(&self, schools: SchoolStream, mode: WriteMode) -> Result<UpsertCounts>;

    /// Inserts and updates the schools of a register, as [`upsert_schools`](Self::upsert_schools) does, together with
    /// their other identifiers, such as the UKPRN. Returns the open schools that the register lacks. Where `coverage`
    /// requests it, they are closed in the same transaction.
    ///
    /// # Errors
    /// As [`upsert_schools`](Self::upsert_schools), and [`TooManyMissing`](crate::Error::TooManyMissing).
    async fn upsert_register(
        &self,
        schools: RegisterStream,
        coverage: RegisterCoverage,
        mode: WriteMode,
    ) -> Result<RegisterCounts>;

    /// Updates a school, and returns it as stored. `version` is the [`School::version`] that the patch was made from:
    /// where another write came first, nothing is written.
    ///
    /// # Errors
    /// [`Stale`](crate::Error::Stale), [`UnknownSchool`](crate::Error::UnknownSchool); the errors of
    /// [`NewSchool::validate`]; those of the constraints.
    async fn update_school(&self, id: SchoolId, version: i32, patch: SchoolPatch) -> Result<School>;

    /// Replaces the given collections of a school in one transaction, and returns the school's new version. Other
    /// collections are left unchanged. `version` is the [`School::version`] that the collections were read with: where
    /// another write of the school or of its collections came first, nothing is written.
    ///
    /// # Errors
    /// [`Stale`](crate::Error::Stale), [`UnknownSchool`](crate::Error::UnknownSchool);
    /// [`DuplicateRow`](crate::Error::DuplicateRow) where two rows have the same key; those of the constraints.
    async fn replace_collections(&self, id: SchoolId, version: i32, new: NewCollections) -> Result<i32>;

    /// Inserts reviews in one transaction. Each belongs to the school that has the review's URN, if that school is
    /// stored.
    ///
    /// # Errors
    /// Those of the constraints; [`Busy`](crate::Error::Busy) where a school is not stored yet and an import of schools
    /// runs for longer than the `busy_timeout`.
    async fn insert_reviews(&self, reviews: Vec<Review>) -> Result<()>;

    /// Inserts or updates admissions by URN, year and intake, in one transaction. A value that is `None` in a given
    /// year leaves the stored one unchanged, with one exception: a last distance without `had_vacancies` makes a stored
    /// `had_vacancies` of `true` unknown, because the two contradict each other.
    ///
    /// # Errors
    /// [`UnknownUrn`](crate::Error::UnknownUrn); [`DuplicateRow`](crate::Error::DuplicateRow) where a row is given
    /// twice; those of the constraints.
    async fn upsert_admissions(&self, admissions: Vec<NewAdmissions>, mode: WriteMode) -> Result<UpsertCounts>;

    /// Upserts admissions as [`upsert_admissions`](Self::upsert_admissions) does, together with offers by other
    /// criteria than distance, in one transaction. The counts are of both.
    ///
    /// # Errors
    /// As [`upsert_admissions`](Self::upsert_admissions).
    async fn upsert_admissions_by_criterion(
        &self,
        admissions: Vec<NewAdmissions>,
        others: Vec<NewAdmissionsCriterion>,
        mode: WriteMode,
    ) -> Result<UpsertCounts>;

    /// Inserts or updates links between schools by both URNs and kind, in one transaction. Neither school need be
    /// stored. A value that is `None` in a given link leaves the stored one unchanged.
    ///
    /// # Errors
    /// [`DuplicateRow`](crate::Error::DuplicateRow) where a link is given twice; those of the constraints.
    async fn upsert_links(&self, links: Vec<NewLink>, mode: WriteMode) -> Result<UpsertCounts>;

    /// Closes the school `from` on the day `on` and merges it into the school `into`, in one transaction. Its reviews
    /// move to `into`, and links record the merger on both sides.
    ///
    /// # Errors
    /// [`UnknownUrn`](crate::Error::UnknownUrn) where one of the two is not stored,
    /// [`MergeIntoSelf`](crate::Error::MergeIntoSelf) where they are the same,
    /// [`MergeIntoClosed`](crate::Error::MergeIntoClosed) where `into` is not open.
    async fn merge_schools(&self, from: Urn, into: Urn, on: NaiveDate) -> Result<MergeCounts>;

    /// Deletes a school with all its collections but the reviews, and returns how many rows were deleted and kept.
    /// Reviews that a merger moved to it return to the school that they were written about, if it is stored. Keep a
    /// closed school, or merge it into its successor, instead of deleting it.
    ///
    /// # Errors
    /// [`UnknownSchool`](crate::Error::UnknownSchool).
    async fn delete_school(&self, id: SchoolId) -> Result<DeleteCounts>;

    /// Inserts, replaces or removes outlines of catchments by URN, in one transaction.
    ///
    /// # Errors
    /// [`DuplicateUrn`](crate::Error::DuplicateUrn) where two belong to one school,
    /// [`UnknownUrn`](crate::Error::UnknownUrn) where there is no such school; the errors of
    /// [`NewCatchment::validate`].
    async fn upsert_catchments(&self, catchments: Vec<NewCatchment>, mode: WriteMode) -> Result<UpsertCounts>;
}

/// Writes the places of postcodes, for [`LocateHomes`].
#[async_trait]
pub trait WritePostcodes: Send + Sync + Debug {
    /// Replaces the postcodes of each area of the stream in one transaction, and writes only those that changed. A
    /// stored postcode of an area that is not given is kept, and marked as withdrawn. Areas that are not in the stream
    /// are left unchanged. Memory holds one area at a time: the largest of the country have some 100,000 postcodes.
    ///
    /// Readers never wait. On SQLite every other write waits until the stream's end, as for any write; on Postgres only
    /// another write of postcodes does.
    ///
    /// # Errors
    /// The stream's first error; [`InvalidText`](crate::Error::InvalidText) for a part of a postcode, a postcode of
    /// another area, or one without a place; [`DuplicateRow`](crate::Error::DuplicateRow) for one that is given twice.
    async fn replace_postcodes(&self, areas: PostcodeStream, mode: WriteMode) -> Result<PostcodeCounts>;
}

/// The backfill of phases: the schools that lack one, and their new phases.
#[async_trait]
pub trait FillPhases: Send + Sync + Debug {
    /// Returns how many schools lack a phase, whatever their status.
    ///
    /// # Errors
    /// Those of the database.
    async fn count_phase_gaps(&self, gaps: PhaseGaps) -> Result<u64>;

    /// Returns at most `limit` schools that lack a phase, in the order of their ids, which are greater than `after`.
    ///
    /// # Errors
    /// Those of the database.
    async fn phase_gaps(&self, gaps: PhaseGaps, after: Option<SchoolId>, limit: u32) -> Result<Vec<PhaseGap>>;

    /// Sets the phases of schools in one transaction, and returns how many schools were given each. A school that
    /// already has a phase, or was updated since it was read, is left unchanged.
    ///
    /// # Errors
    /// Those of the database.
    async fn fill_phases(&self, gaps: PhaseGaps, phases: Vec<(PhaseGap, Phase)>) -> Result<BTreeMap<Phase, u64>>;
}
