//! The implementation of [`SchoolRepository`] and its parts, which runs the queries on a backend's connections through
//! its `calls`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;

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
use crate::observe::observe;
use crate::repository::unit_of_work::{Transaction, UnitOfWork};
use crate::repository::{
    CountSchools, ExportSchools, FillPhases, FindCatchments, FindReach, FindSchools, Health, LocateHomes, PoolStatus,
    Position, ReadSchools, SchoolRepository, SuggestSchools, WritePostcodes, WriteSchools,
};
use crate::request::{
    Page, PhaseGaps, PostcodeStream, RegisterCoverage, RegisterStream, SchoolSearch, SchoolStream, Sort, WriteMode,
};
use crate::search::ValidatedSearch;
use crate::text;

use super::calls::{read, write, write_stream};
use super::dialect::{BACKEND, Repository};
use super::queries;

#[async_trait]
impl SchoolRepository for Repository {
    fn backend(&self) -> Backend {
        BACKEND
    }

    async fn health(&self) -> Result<Health> {
        observe(BACKEND, "health", self.slow_query(), self.check_health()).await
    }

    fn pool_status(&self) -> PoolStatus {
        self.connections.status()
    }

    fn reader_status(&self) -> Option<PoolStatus> {
        self.reader_status()
    }

    async fn position(&self) -> Result<Position> {
        observe(BACKEND, "position", self.slow_query(), self.current_position()).await
    }

    fn at_least(&self, position: &Position) -> Arc<dyn SchoolRepository> {
        Arc::new(self.reading_at_least(*position))
    }

    fn on_writer(&self) -> Arc<dyn SchoolRepository> {
        Arc::new(self.reading_writer())
    }

    async fn begin(&self) -> Result<UnitOfWork> {
        observe(BACKEND, "begin", self.slow_query(), self.begin_unit()).await
    }

    async fn explain(&self, query: ExplainedQuery, search: &SchoolSearch, mode: ExplainMode) -> Result<Explanation> {
        let search = match query {
            ExplainedQuery::Find | ExplainedQuery::Facets => ValidatedSearch::new(search)?,
            ExplainedQuery::Catchments => ValidatedSearch::for_catchments(search)?,
            ExplainedQuery::Reach => ValidatedSearch::for_reach(search)?,
        };
        read!(self, explain_on_conn, query, &search, mode)
    }
}

#[async_trait]
impl Transaction for Repository {
    fn repository(&self) -> &(dyn SchoolRepository + 'static) {
        self
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    async fn execute(&self, statement: String) -> Result<()> {
        write!(self, execute_on_conn, &statement)
    }

    async fn finish(&self, mode: WriteMode) -> Result<()> {
        let operation = if mode == WriteMode::Commit { "commit" } else { "rollback" };
        observe(BACKEND, operation, self.slow_query(), self.finish_unit(mode)).await
    }

    fn end(&self, reason: &'static str) {
        self.connections.end_unit(reason);
    }
}

#[async_trait]
impl FindSchools for Repository {
    async fn find_schools(&self, search: &SchoolSearch) -> Result<Page<SchoolHit>> {
        let search = ValidatedSearch::new(search)?;
        read!(self, find_schools_on_conn, &search)
    }
}

#[async_trait]
impl SuggestSchools for Repository {
    async fn suggest(&self, text: &str, home: Option<LatLng>, limit: u32) -> Result<Vec<Suggestion>> {
        if text::fold(text).is_empty() {
            return Ok(Vec::new());
        }
        let search = home.map_or_else(|| SchoolSearch::open().sort(Sort::Match), SchoolSearch::near);
        let search = ValidatedSearch::new(&search.name(text).limit(limit))?;
        read!(self, suggest_on_conn, &search)
    }
}

#[async_trait]
impl FindCatchments for Repository {
    async fn find_catchments(&self, search: &SchoolSearch) -> Result<Page<CatchmentHit>> {
        let search = ValidatedSearch::for_catchments(search)?;
        read!(self, find_catchments_on_conn, &search)
    }

    async fn catchments(&self, ids: &[SchoolId]) -> Result<Vec<SchoolCatchment>> {
        let ids = ids.to_vec();
        read!(self, catchments_on_conn, &ids)
    }
}

#[async_trait]
impl FindReach for Repository {
    async fn find_reach(&self, search: &SchoolSearch) -> Result<Page<ReachHit>> {
        let search = ValidatedSearch::for_reach(search)?;
        read!(self, find_reach_on_conn, &search)
    }
}

#[async_trait]
impl CountSchools for Repository {
    async fn facets(&self, search: &SchoolSearch) -> Result<Facets> {
        let search = ValidatedSearch::new(search)?;
        read!(self, facets_on_conn, &search)
    }

    async fn councils(&self) -> Result<Vec<CouncilCount>> {
        read!(self, councils_on_conn)
    }
}

#[async_trait]
impl ReadSchools for Repository {
    async fn schools(&self, ids: &[SchoolId]) -> Result<Vec<School>> {
        let ids = ids.to_vec();
        read!(self, schools_on_conn, &ids)
    }

    async fn schools_by_urn(&self, urns: &[Urn]) -> Result<Vec<School>> {
        let urns = urns.to_vec();
        read!(self, schools_by_urn_on_conn, &urns)
    }

    async fn schools_by_laestab(&self, laestabs: &[Laestab]) -> Result<Vec<(Laestab, School)>> {
        let laestabs = laestabs.to_vec();
        read!(self, schools_by_laestab_on_conn, &laestabs)
    }

    async fn schools_by_ukprn(&self, ukprns: &[Ukprn]) -> Result<Vec<(Ukprn, School)>> {
        let ukprns = ukprns.to_vec();
        read!(self, schools_by_ukprn_on_conn, &ukprns)
    }

    async fn details(&self, ids: &[SchoolId], collections: Collections) -> Result<Vec<SchoolDetails>> {
        let ids = ids.to_vec();
        read!(self, details_on_conn, &ids, collections)
    }

    async fn schools_of_today(&self, urn: Urn) -> Result<Vec<School>> {
        read!(self, schools_of_today_on_conn, urn)
    }
}

#[async_trait]
impl LocateHomes for Repository {
    async fn locate_all(&self, postcodes: &[Postcode]) -> Result<Vec<Result<Home, UnknownPostcode>>> {
        let postcodes = postcodes.to_vec();
        read!(self, locate_all_on_conn, &postcodes)
    }
}

#[async_trait]
impl WritePostcodes for Repository {
    async fn replace_postcodes(&self, areas: PostcodeStream, mode: WriteMode) -> Result<PostcodeCounts> {
        write_stream!(self, replace_postcodes_on_conn, areas, mode)
    }
}

#[async_trait]
impl ExportSchools for Repository {
    async fn all_schools(&self, search: &SchoolSearch) -> Result<Vec<SchoolHit>> {
        let search = search.clone();
        read!(self, all_schools_on_conn, &search)
    }

    async fn all_catchments(&self, search: &SchoolSearch) -> Result<Vec<(School, Option<Catchment>)>> {
        let search = search.clone();
        read!(self, all_catchments_on_conn, &search)
    }
}

#[async_trait]
impl WriteSchools for Repository {
    async fn insert_schools(&self, schools: Vec<NewSchool>) -> Result<Vec<SchoolId>> {
        write!(self, insert_schools_on_conn, &schools)
    }

    async fn upsert_schools(&self, schools: SchoolStream, mode: WriteMode) -> Result<UpsertCounts> {
        write_stream!(self, upsert_schools_on_conn, schools, mode)
    }

    async fn upsert_register(
        &self,
        schools: RegisterStream,
        coverage: RegisterCoverage,
        mode: WriteMode,
    ) -> Result<RegisterCounts> {
        write_stream!(self, upsert_register_on_conn, schools, &coverage, mode)
    }

    async fn update_school(&self, id: SchoolId, version: i32, patch: SchoolPatch) -> Result<School> {
        write!(self, update_school_on_conn, id, version, &patch)
    }

    async fn replace_collections(&self, id: SchoolId, version: i32, new: NewCollections) -> Result<i32> {
        write!(self, replace_collections_on_conn, id, version, &new)
    }

    async fn insert_reviews(&self, reviews: Vec<Review>) -> Result<()> {
        write!(self, insert_reviews_on_conn, &reviews)
    }

    async fn upsert_admissions(&self, admissions: Vec<NewAdmissions>, mode: WriteMode) -> Result<UpsertCounts> {
        write!(self, upsert_admissions_on_conn, &admissions, &[], mode)
    }

    async fn upsert_admissions_by_criterion(
        &self,
        admissions: Vec<NewAdmissions>,
        others: Vec<NewAdmissionsCriterion>,
        mode: WriteMode,
    ) -> Result<UpsertCounts> {
        write!(self, upsert_admissions_on_conn, &admissions, &others, mode)
    }

    async fn upsert_links(&self, links: Vec<NewLink>, mode: WriteMode) -> Result<UpsertCounts> {
        write!(self, upsert_links_on_conn, &links, mode)
    }

    async fn merge_schools(&self, from: Urn, into: Urn, on: NaiveDate) -> Result<MergeCounts> {
        write!(self, merge_schools_on_conn, from, into, on)
    }

    async fn delete_school(&self, id: SchoolId) -> Result<DeleteCounts> {
        write!(self, delete_school_on_conn, id)
    }

    async fn upsert_catchments(&self, catchments: Vec<NewCatchment>, mode: WriteMode) -> Result<UpsertCounts> {
        write!(self, upsert_catchments_on_conn, &catchments, mode)
    }
}

#[async_trait]
impl FillPhases for Repository {
    async fn count_phase_gaps(&self, gaps: PhaseGaps) -> Result<u64> {
        read!(self, count_phase_gaps_on_conn, gaps)
    }

    async fn phase_gaps(&self, gaps: PhaseGaps, after: Option<SchoolId>, limit: u32) -> Result<Vec<PhaseGap>> {
        read!(self, phase_gaps_on_conn, gaps, after, limit)
    }

    async fn fill_phases(&self, gaps: PhaseGaps, phases: Vec<(PhaseGap, Phase)>) -> Result<BTreeMap<Phase, u64>> {
        write!(self, fill_phases_on_conn, gaps, &phases)
    }
}
