//! The server backend: PostgreSQL with PostGIS, through diesel-async and deadpool.
//!
//! [`PostgresRepository`] answers the questions of [`SchoolRepository`]. A service that asks more writes Diesel queries
//! of its own over [`schema`] and [`functions`], on a connection that [`PostgresRepository::with_connection`] lends.

mod catalogue;
pub(crate) mod errors;
pub mod functions;
pub(crate) mod migrations;
mod pool;
mod queries;
mod rows;
#[allow(missing_docs, clippy::wildcard_imports)]
pub mod schema;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::NaiveDate;
use diesel_async::AsyncPgConnection;

use self::pool::Connections;
use crate::config::{Backend, Config};
use crate::error::Result;
use crate::explain::Explanation;
use crate::ids::{SchoolId, Urn};
use crate::models::{
    CatchmentHit, Collections, CouncilCount, DeleteCounts, Facets, MergeCounts, NewAdmissions, NewCatchment,
    NewCollections, NewLink, NewSchool, Phase, PhaseGap, Review, School, SchoolCatchment, SchoolDetails, SchoolHit,
    SchoolPatch, UpsertCounts,
};
use crate::repository::{SchoolRepository, finish};
use crate::request::{Page, PhaseGaps, ReachHit, SchoolSearch, SchoolStream, WriteMode};

/// Schools in a Postgres database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct PostgresRepository {
    connections: Connections,
}

impl PostgresRepository {
    /// Connects to a database that has this build's schema.
    ///
    /// # Errors
    /// As [`connect`](crate::connect).
    pub async fn connect(config: &Config) -> Result<Self> {
        Ok(Self { connections: Connections::open(config).await? })
    }

    /// Lends a connection that is ready for use to Diesel queries of the caller's own.
    ///
    /// ```no_run
    /// # async fn example(config: &school_finder_db::Config) -> school_finder_db::Result<()> {
    /// use diesel::prelude::*;
    /// use diesel_async::RunQueryDsl;
    /// use school_finder_db::postgres::PostgresRepository;
    /// use school_finder_db::postgres::schema::schools;
    ///
    /// let repository = PostgresRepository::connect(config).await?;
    /// let with_website: i64 = repository
    ///     .with_connection(async |connection| {
    ///         let query = schools::table.filter(schools::website_url.is_not_null()).count();
    ///         Ok(query.get_result(connection).await?)
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of `work`, [`PoolTimeout`](crate::Error::PoolTimeout) and [`Unavailable`](crate::Error::Unavailable).
    pub async fn with_connection<T>(&self, work: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T>) -> Result<T> {
        work(&mut *self.connections.get().await?).await
    }
}

#[async_trait]
impl SchoolRepository for PostgresRepository {
    fn backend(&self) -> Backend {
        Backend::Postgres
    }

    async fn find_schools(&self, search: &SchoolSearch) -> Result<Page<SchoolHit>> {
        let search = search.settle()?;
        queries::find_schools_on_conn(&mut *self.connections.get().await?, &search).await
    }

    async fn find_catchments(&self, search: &SchoolSearch) -> Result<Page<CatchmentHit>> {
        let search = search.settle_catchments()?;
        queries::find_catchments_on_conn(&mut *self.connections.get().await?, &search).await
    }

    async fn catchments(&self, ids: &[SchoolId]) -> Result<Vec<SchoolCatchment>> {
        queries::catchments_on_conn(&mut *self.connections.get().await?, ids).await
    }

    async fn find_reach(&self, search: &SchoolSearch) -> Result<Page<ReachHit>> {
        let search = search.settle_reach()?;
        queries::find_reach_on_conn(&mut *self.connections.get().await?, &search).await
    }

    async fn details(&self, ids: &[SchoolId], collections: Collections) -> Result<Vec<SchoolDetails>> {
        queries::details_on_conn(&mut *self.connections.get().await?, ids, collections).await
    }

    async fn schools_of_today(&self, urn: Urn) -> Result<Vec<School>> {
        queries::schools_of_today_on_conn(&mut *self.connections.get().await?, urn).await
    }

    async fn facets(&self, search: &SchoolSearch) -> Result<Facets> {
        let search = search.settle()?;
        queries::facets_on_conn(&mut *self.connections.get().await?, &search).await
    }

    async fn councils(&self) -> Result<Vec<CouncilCount>> {
        queries::councils_on_conn(&mut *self.connections.get().await?).await
    }

    async fn school(&self, id: SchoolId) -> Result<Option<School>> {
        Ok(self.schools(&[id]).await?.pop())
    }

    async fn school_by_urn(&self, urn: Urn) -> Result<Option<School>> {
        Ok(self.schools_by_urn(&[urn]).await?.pop())
    }

    async fn schools(&self, ids: &[SchoolId]) -> Result<Vec<School>> {
        queries::schools_on_conn(&mut *self.connections.get().await?, ids).await
    }

    async fn schools_by_urn(&self, urns: &[Urn]) -> Result<Vec<School>> {
        queries::schools_by_urn_on_conn(&mut *self.connections.get().await?, urns).await
    }

    // A write is a task of its own, which a dropped future does not stop: it ends whole, as it does on SQLite.

    async fn insert_schools(&self, schools: Vec<NewSchool>) -> Result<Vec<SchoolId>> {
        let mut connection = self.connections.get().await?;
        finish(tokio::spawn(async move { queries::insert_schools_on_conn(&mut connection, &schools).await })).await
    }

    async fn upsert_schools(&self, schools: SchoolStream, mode: WriteMode) -> Result<UpsertCounts> {
        let mut connection = self.connections.get().await?;
        finish(tokio::spawn(async move { queries::upsert_schools_on_conn(&mut connection, schools, mode).await })).await
    }

    async fn update_school(&self, id: SchoolId, version: i32, patch: SchoolPatch) -> Result<School> {
        let mut connection = self.connections.get().await?;
        finish(tokio::spawn(async move { queries::update_school_on_conn(&mut connection, id, version, &patch).await }))
            .await
    }

    async fn replace_collections(&self, id: SchoolId, new: NewCollections) -> Result<()> {
        let mut connection = self.connections.get().await?;
        finish(tokio::spawn(async move { queries::replace_collections_on_conn(&mut connection, id, &new).await })).await
    }

    async fn insert_reviews(&self, reviews: Vec<Review>) -> Result<()> {
        let mut connection = self.connections.get().await?;
        finish(tokio::spawn(async move { queries::insert_reviews_on_conn(&mut connection, &reviews).await })).await
    }

    async fn upsert_admissions(&self, admissions: Vec<NewAdmissions>, mode: WriteMode) -> Result<UpsertCounts> {
        let mut connection = self.connections.get().await?;
        finish(tokio::spawn(
            async move { queries::upsert_admissions_on_conn(&mut connection, &admissions, mode).await },
        ))
        .await
    }

    async fn upsert_links(&self, links: Vec<NewLink>, mode: WriteMode) -> Result<UpsertCounts> {
        let mut connection = self.connections.get().await?;
        finish(tokio::spawn(async move { queries::upsert_links_on_conn(&mut connection, &links, mode).await })).await
    }

    async fn merge_schools(&self, from: Urn, into: Urn, on: NaiveDate) -> Result<MergeCounts> {
        let mut connection = self.connections.get().await?;
        finish(tokio::spawn(async move { queries::merge_schools_on_conn(&mut connection, from, into, on).await })).await
    }

    async fn delete_school(&self, id: SchoolId) -> Result<DeleteCounts> {
        let mut connection = self.connections.get().await?;
        finish(tokio::spawn(async move { queries::delete_school_on_conn(&mut connection, id).await })).await
    }

    async fn upsert_catchments(&self, catchments: Vec<NewCatchment>, mode: WriteMode) -> Result<UpsertCounts> {
        let mut connection = self.connections.get().await?;
        let work = async move { queries::upsert_catchments_on_conn(&mut connection, &catchments, mode).await };
        finish(tokio::spawn(work)).await
    }

    async fn count_phase_gaps(&self, gaps: PhaseGaps) -> Result<u64> {
        queries::count_phase_gaps_on_conn(&mut *self.connections.get().await?, gaps).await
    }

    async fn phase_gaps(&self, gaps: PhaseGaps, after: Option<SchoolId>, limit: u32) -> Result<Vec<PhaseGap>> {
        queries::phase_gaps_on_conn(&mut *self.connections.get().await?, gaps, after, limit).await
    }

    async fn fill_phases(&self, gaps: PhaseGaps, phases: Vec<(PhaseGap, Phase)>) -> Result<BTreeMap<Phase, u64>> {
        let mut connection = self.connections.get().await?;
        finish(tokio::spawn(async move { queries::fill_phases_on_conn(&mut connection, gaps, phases).await })).await
    }

    async fn explain_find(&self, search: &SchoolSearch) -> Result<Explanation> {
        let search = search.settle()?;
        queries::explain_find_on_conn(&mut *self.connections.get().await?, &search).await
    }

    async fn explain_catchments(&self, search: &SchoolSearch) -> Result<Explanation> {
        let search = search.settle_catchments()?;
        queries::explain_catchments_on_conn(&mut *self.connections.get().await?, &search).await
    }

    async fn analyze_find(&self, search: &SchoolSearch) -> Result<Explanation> {
        let search = search.settle()?;
        queries::analyze_find_on_conn(&mut *self.connections.get().await?, &search).await
    }

    async fn analyze_catchments(&self, search: &SchoolSearch) -> Result<Explanation> {
        let search = search.settle_catchments()?;
        queries::analyze_catchments_on_conn(&mut *self.connections.get().await?, &search).await
    }
}
