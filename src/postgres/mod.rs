//! The server backend: PostgreSQL with PostGIS, through diesel-async and deadpool.
//!
//! [`PostgresRepository`] answers the questions of [`SchoolRepository`]. A service that asks more writes Diesel queries
//! of its own over [`schema`] and [`functions`], on a connection that [`PostgresRepository::with_connection`] checks out.

mod catalogue;
pub(crate) mod errors;
pub mod functions;
pub(crate) mod grants;
mod health;
pub(crate) mod migrations;
mod pool;
mod queries;
mod rows;
mod run;
#[allow(missing_docs, clippy::wildcard_imports)]
pub mod schema;
mod set_up;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;
use diesel_async::AsyncPgConnection;
use tracing::Instrument;

use self::pool::Connections;
use self::watch::{Intent, watch};
use crate::config::{Backend, Config};
use crate::error::{Error, Result};
use crate::explain::Explanation;
use crate::ids::{SchoolId, Urn};
use crate::models::{
    CatchmentHit, Collections, CouncilCount, DeleteCounts, Facets, MergeCounts, NewAdmissions, NewCatchment,
    NewCollections, NewLink, NewSchool, Phase, PhaseGap, Review, School, SchoolCatchment, SchoolDetails, SchoolHit,
    SchoolPatch, UpsertCounts,
};
use crate::observe::observe;
use crate::repository::{Health, PoolStatus, SchoolRepository, finish};
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
    /// Those of `work`, [`PoolTimeout`](crate::Error::PoolTimeout) and [`Unavailable`](crate::Error::Unavailable);
    /// [`CommitUnknown`](crate::Error::CommitUnknown) where the connection was lost after something may have been
    /// committed. A connection on which a transaction was begun in plain SQL is closed afterwards.
    pub async fn with_connection<T>(&self, work: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T>) -> Result<T> {
        let mut connection = self.connections.check_out(Intent::Lend).await?;
        let call = Arc::clone(&connection.call);
        let answer = watch(&call, self.connections.response_timeout(), work(connection.get()?)).await;
        self.connections.check_in(&answer, connection);
        answer
    }
}

/// Asks one of the queries on a connection of the pool; where that one was lost, once more on another.
macro_rules! ask {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let connections = &$repository.connections;
        let call = async {
            let mut again = true;
            loop {
                let mut connection = connections.check_out(Intent::Ask).await?;
                let call = Arc::clone(&connection.call);
                let work = queries::$query(connection.get()? $(, $argument)*);
                let answer = watch(&call, connections.response_timeout(), work).await;
                connections.check_in(&answer, connection);
                match answer {
                    Err(Error::ConnectionLost | Error::SchemaChanged) if again => again = false,
                    answer => return answer,
                }
            }
        };
        observe(Backend::Postgres, stringify!($query), connections.slow_query, call).await
    }};
}

/// Runs a query that writes, and repeats it where it collided with another. It is a task of its own, which a dropped
/// future does not stop: it ends whole, as it does on SQLite.
macro_rules! change {
    ($repository:ident, $query:ident $(, $argument:expr)*) => {{
        let connections = $repository.connections.clone();
        let slow_query = connections.slow_query;
        let call = async move {
            let mut pauses = PAUSES.iter();
            loop {
                match change_once!(connections, $query $(, $argument)*) {
                    Err(Error::Conflict) => match pauses.next() {
                        Some(pause) => tokio::time::sleep(jittered(*pause)).await,
                        None => return Err(Error::Conflict),
                    },
                    answer => return answer,
                }
            }
        };
        let call = async { finish(tokio::spawn(call.in_current_span())).await };
        observe(Backend::Postgres, stringify!($query), slow_query, call).await
    }};
}

macro_rules! change_once {
    ($connections:ident, $query:ident $(, $argument:expr)*) => {{
        let mut connection = $connections.check_out(Intent::Change).await?;
        let call = Arc::clone(&connection.call);
        let work = queries::$query(connection.get()? $(, $argument)*);
        let answer = watch(&call, $connections.response_timeout(), work).await;
        $connections.check_in(&answer, connection);
        answer
    }};
}

/// How long a write that collided waits, about, before it is repeated.
const PAUSES: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(250)];

/// Half as long or up to half as long again, so that two that collided do not meet again.
fn jittered(pause: Duration) -> Duration {
    // The standard library's only source of chance.
    let chance = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), ());
    pause / 2 + pause * u32::try_from(chance % 1_000).unwrap_or_default() / 1_000
}

#[async_trait]
impl SchoolRepository for PostgresRepository {
    fn backend(&self) -> Backend {
        Backend::Postgres
    }

    async fn health(&self) -> Result<Health> {
        observe(Backend::Postgres, "health", self.connections.slow_query, self.connections.health()).await
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
        ask!(self, catchments_on_conn, ids)
    }

    async fn find_reach(&self, search: &SchoolSearch) -> Result<Page<ReachHit>> {
        let search = search.validate_reach()?;
        ask!(self, find_reach_on_conn, &search)
    }

    async fn details(&self, ids: &[SchoolId], collections: Collections) -> Result<Vec<SchoolDetails>> {
        ask!(self, details_on_conn, ids, collections)
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
        ask!(self, schools_on_conn, ids)
    }

    async fn schools_by_urn(&self, urns: &[Urn]) -> Result<Vec<School>> {
        ask!(self, schools_by_urn_on_conn, urns)
    }

    async fn insert_schools(&self, schools: Vec<NewSchool>) -> Result<Vec<SchoolId>> {
        change!(self, insert_schools_on_conn, &schools)
    }

    async fn upsert_schools(&self, schools: SchoolStream, mode: WriteMode) -> Result<UpsertCounts> {
        let connections = self.connections.clone();
        // Not repeated: the stream is spent.
        let call = async move { change_once!(connections, upsert_schools_on_conn, schools, mode) };
        let call = async { finish(tokio::spawn(call.in_current_span())).await };
        // As slow as its source is.
        observe(Backend::Postgres, "upsert_schools", Duration::MAX, call).await
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
