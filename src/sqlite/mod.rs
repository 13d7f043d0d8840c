//! The embedded backend: SQLite in a file or in memory, through r2d2.
//!
//! [`SqliteRepository`] answers the questions of [`SchoolRepository`]. A service that asks more writes Diesel queries
//! of its own over [`schema`] and [`functions`], on a connection that [`SqliteRepository::with_connection`] checks out.

mod catalogue;
pub(crate) mod errors;
pub mod functions;
pub(crate) mod migrations;
mod pool;
mod queries;
mod rebuild;
mod rows;
#[allow(missing_docs)]
pub mod schema;
mod set_up;
mod threads;
mod transactions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;
use diesel::SqliteConnection;

use self::pool::Connections;
pub use self::rebuild::TableRebuild;
use crate::config::{Backend, Config};
use crate::error::Result;
use crate::explain::Explanation;
use crate::ids::{SchoolId, Urn};
use crate::models::{
    CatchmentHit, Collections, CouncilCount, DeleteCounts, Facets, MergeCounts, NewAdmissions, NewCatchment,
    NewCollections, NewLink, NewSchool, Phase, PhaseGap, Review, School, SchoolCatchment, SchoolDetails, SchoolHit,
    SchoolPatch, UpsertCounts,
};
use crate::observe::observe;
use crate::repository::{Health, PoolStatus, SchoolRepository, blocking};
use crate::request::{Page, PhaseGaps, ReachHit, SchoolSearch, SchoolStream, WriteMode};

/// Schools in an SQLite database. Clones share its connections.
///
/// Each call is one task on a thread that may block, however many statements it makes. That is a blocking one of the
/// surrounding tokio runtime, but for questions that find a connection of a pool idle: the pool has threads of its own
/// for them.
#[derive(Debug, Clone)]
pub struct SqliteRepository {
    connections: Arc<Connections>,
    slow_query: Duration,
}

impl SqliteRepository {
    /// Opens an existing database that has this build's schema, or a new one in memory.
    ///
    /// # Errors
    /// As [`connect`](crate::connect).
    pub async fn connect(config: &Config) -> Result<Self> {
        let slow_query = config.pool.slow_query;
        let config = config.clone();
        let connections = blocking(move || Connections::open(&config)).await?;
        Ok(Self { connections: Arc::new(connections), slow_query })
    }

    /// Lends a connection that is ready for use (foreign keys on, `haversine` registered) to Diesel queries of the
    /// caller's own, on a blocking task.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
    /// use diesel::prelude::*;
    /// use school_finder_db::sqlite::SqliteRepository;
    /// use school_finder_db::sqlite::schema::schools;
    /// use school_finder_db::{Config, SchoolRepository, sample};
    ///
    /// let repository = SqliteRepository::connect(&Config::in_memory()).await?;
    /// repository.insert_schools(sample::schools()).await?;
    /// let with_website: i64 = repository
    ///     .with_connection(|connection| {
    ///         let query = schools::table.filter(schools::website_url.is_not_null()).count();
    ///         Ok(query.get_result(connection)?)
    ///     })
    ///     .await?;
    /// assert_eq!(with_website, 1);
    /// # Ok::<(), school_finder_db::Error>(())
    /// # }).expect("an answer");
    /// ```
    ///
    /// # Errors
    /// Those of `work`, and [`PoolTimeout`](crate::Error::PoolTimeout).
    pub async fn with_connection<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        self.run(|connection| {
            let result = work(connection);
            // Whoever changed these for a while, or began a transaction by hand, does not do so for the next call.
            set_up::restore(connection)?;
            result
        })
        .await
    }

    async fn run<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        let connections = Arc::clone(&self.connections);
        blocking(move || connections.with(work)).await
    }
}

/// Asks one of the queries on a connection of the pool.
macro_rules! ask {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let call = $repository.connections.ask(move |connection| queries::$query(connection $(, $argument)*));
        observe(Backend::Sqlite, stringify!($query), $repository.slow_query, call).await
    }};
}

/// Runs a query that writes.
macro_rules! change {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let call = $repository.run(move |connection| queries::$query(connection $(, $argument)*));
        observe(Backend::Sqlite, stringify!($query), $repository.slow_query, call).await
    }};
}

#[async_trait]
impl SchoolRepository for SqliteRepository {
    fn backend(&self) -> Backend {
        Backend::Sqlite
    }

    async fn health(&self) -> Result<Health> {
        let connections = Arc::clone(&self.connections);
        observe(Backend::Sqlite, "health", self.slow_query, blocking(move || connections.health())).await
    }

    fn pool_status(&self) -> PoolStatus {
        self.connections.status()
    }

    async fn find_schools(&self, search: &SchoolSearch) -> Result<Page<SchoolHit>> {
        let search = search.validate()?;
        ask!(self, find_schools_on_conn, &search)
    }

    async fn find_catchments(&self, search: &SchoolSearch) -> Result<Page<CatchmentHit>> {
        let search = search.validate_catchments()?;
        ask!(self, find_catchments_on_conn, &search)
    }

    async fn catchments(&self, ids: &[SchoolId]) -> Result<Vec<SchoolCatchment>> {
        let ids = ids.to_vec();
        ask!(self, catchments_on_conn, &ids)
    }

    async fn find_reach(&self, search: &SchoolSearch) -> Result<Page<ReachHit>> {
        let search = search.validate_reach()?;
        ask!(self, find_reach_on_conn, &search)
    }

    async fn details(&self, ids: &[SchoolId], collections: Collections) -> Result<Vec<SchoolDetails>> {
        let ids = ids.to_vec();
        ask!(self, details_on_conn, &ids, collections)
    }

    async fn schools_of_today(&self, urn: Urn) -> Result<Vec<School>> {
        ask!(self, schools_of_today_on_conn, urn)
    }

    async fn facets(&self, search: &SchoolSearch) -> Result<Facets> {
        let search = search.validate()?;
        ask!(self, facets_on_conn, &search)
    }

    async fn councils(&self) -> Result<Vec<CouncilCount>> {
        ask!(self, councils_on_conn)
    }

    async fn school(&self, id: SchoolId) -> Result<Option<School>> {
        Ok(self.schools(&[id]).await?.pop())
    }

    async fn school_by_urn(&self, urn: Urn) -> Result<Option<School>> {
        Ok(self.schools_by_urn(&[urn]).await?.pop())
    }

    async fn schools(&self, ids: &[SchoolId]) -> Result<Vec<School>> {
        let ids = ids.to_vec();
        ask!(self, schools_on_conn, &ids)
    }

    async fn schools_by_urn(&self, urns: &[Urn]) -> Result<Vec<School>> {
        let urns = urns.to_vec();
        ask!(self, schools_by_urn_on_conn, &urns)
    }

    async fn insert_schools(&self, schools: Vec<NewSchool>) -> Result<Vec<SchoolId>> {
        change!(self, insert_schools_on_conn, &schools)
    }

    async fn upsert_schools(&self, schools: SchoolStream, mode: WriteMode) -> Result<UpsertCounts> {
        let call = self.run(move |connection| queries::upsert_schools_on_conn(connection, schools, mode));
        // As slow as its source is.
        observe(Backend::Sqlite, "upsert_schools", Duration::MAX, call).await
    }

    async fn update_school(&self, id: SchoolId, version: i32, patch: SchoolPatch) -> Result<School> {
        change!(self, update_school_on_conn, id, version, &patch)
    }

    async fn replace_collections(&self, id: SchoolId, new: NewCollections) -> Result<()> {
        change!(self, replace_collections_on_conn, id, &new)
    }

    async fn insert_reviews(&self, reviews: Vec<Review>) -> Result<()> {
        change!(self, insert_reviews_on_conn, &reviews)
    }

    async fn upsert_admissions(&self, admissions: Vec<NewAdmissions>, mode: WriteMode) -> Result<UpsertCounts> {
        change!(self, upsert_admissions_on_conn, &admissions, mode)
    }

    async fn upsert_links(&self, links: Vec<NewLink>, mode: WriteMode) -> Result<UpsertCounts> {
        change!(self, upsert_links_on_conn, &links, mode)
    }

    async fn merge_schools(&self, from: Urn, into: Urn, on: NaiveDate) -> Result<MergeCounts> {
        change!(self, merge_schools_on_conn, from, into, on)
    }

    async fn delete_school(&self, id: SchoolId) -> Result<DeleteCounts> {
        change!(self, delete_school_on_conn, id)
    }

    async fn upsert_catchments(&self, catchments: Vec<NewCatchment>, mode: WriteMode) -> Result<UpsertCounts> {
        change!(self, upsert_catchments_on_conn, &catchments, mode)
    }

    async fn count_phase_gaps(&self, gaps: PhaseGaps) -> Result<u64> {
        ask!(self, count_phase_gaps_on_conn, gaps)
    }

    async fn phase_gaps(&self, gaps: PhaseGaps, after: Option<SchoolId>, limit: u32) -> Result<Vec<PhaseGap>> {
        ask!(self, phase_gaps_on_conn, gaps, after, limit)
    }

    async fn fill_phases(&self, gaps: PhaseGaps, phases: Vec<(PhaseGap, Phase)>) -> Result<BTreeMap<Phase, u64>> {
        change!(self, fill_phases_on_conn, gaps, &phases)
    }

    async fn explain_find(&self, search: &SchoolSearch) -> Result<Explanation> {
        let search = search.validate()?;
        ask!(self, explain_find_on_conn, &search)
    }

    async fn explain_catchments(&self, search: &SchoolSearch) -> Result<Explanation> {
        let search = search.validate_catchments()?;
        ask!(self, explain_catchments_on_conn, &search)
    }

    async fn analyze_find(&self, search: &SchoolSearch) -> Result<Explanation> {
        let search = search.validate()?;
        ask!(self, analyze_find_on_conn, &search)
    }

    async fn analyze_catchments(&self, search: &SchoolSearch) -> Result<Explanation> {
        let search = search.validate_catchments()?;
        ask!(self, analyze_catchments_on_conn, &search)
    }
}
