//! Backfills: values derived from known ones.
//!
//! A backfill reads in batches, computes each batch with [Polars](polars), and writes in short transactions. An
//! interrupted backfill has written complete chunks, and the next run continues with the rest. A run after a complete
//! one changes nothing.
//!
//! [`Backfill::phase`] fills in this crate's own phases; [`Backfill::column`] a column of any table, a service's own
//! among them.

mod column;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
#[doc(no_inline)]
pub use polars;
use polars::prelude::*;

#[doc(hidden)]
pub use self::column::__private;
use self::column::Columns;
pub use self::column::{Cell, ColumnCounts, FillColumn, Filled};
use crate::error::Result;
use crate::ids::SchoolId;
use crate::models::{Phase, PhaseGap};
use crate::repository::SchoolRepository;
use crate::request::{PhaseGaps, WriteMode};
use crate::tasks::blocking;

/// How many rows are read and processed at a time.
const ROWS_A_BATCH: u32 = 50_000;

/// How many rows one transaction updates.
const ROWS_A_CHUNK: usize = 5_000;

/// A backfill, committed by default.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use school_finder_db::backfill::Backfill;
/// use school_finder_db::ids::Urn;
/// use school_finder_db::models::{NewSchool, Phase};
/// use school_finder_db::{Config, connect};
///
/// let finder = connect(&Config::in_memory()).await?;
/// let ages = NewSchool { age_range_from: Some(7), age_range_to: Some(11), ..NewSchool::new(Urn::new(1)?, "Junior") };
/// finder.insert_schools(vec![ages, NewSchool::new(Urn::new(2)?, "Of unknown ages")]).await?;
/// let counts = Backfill::new().phase(finder.as_ref()).await?;
/// assert_eq!((counts.filled[&Phase::Primary], counts.left), (1, 1));
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("a backfill");
/// ```
pub struct Backfill {
    mode: WriteMode,
    gaps: PhaseGaps,
    on_progress: Box<dyn FnMut(u64, u64) + Send>,
}

impl Default for Backfill {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Backfill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backfill").field("mode", &self.mode).field("gaps", &self.gaps).finish_non_exhaustive()
    }
}

/// The counts of a backfill of phases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhaseCounts {
    /// The number of schools whose phase was filled in, by phase.
    pub filled: BTreeMap<Phase, u64>,
    /// How many remain without a phase, since their ages are unknown or do not determine one.
    pub left: u64,
}

impl PhaseCounts {
    /// Returns the number of schools whose phase was filled in.
    pub fn total(&self) -> u64 {
        self.filled.values().sum()
    }
}

impl Backfill {
    /// Creates a backfill that commits.
    pub fn new() -> Self {
        Self { mode: WriteMode::Commit, gaps: PhaseGaps::Unknown, on_progress: Box::new(|_, _| {}) }
    }

    /// Sets whether the backfill is committed. A dry run reads, computes and counts, but writes nothing.
    #[must_use]
    pub fn mode(self, mode: WriteMode) -> Self {
        Self { mode, ..self }
    }

    /// Sets which schools count as without a phase; by default those whose phase is unknown.
    #[must_use]
    pub fn gaps(self, gaps: PhaseGaps) -> Self {
        Self { gaps, ..self }
    }

    /// Sets a callback for the number of rows processed, and of how many.
    #[must_use]
    pub fn on_progress(self, callback: impl FnMut(u64, u64) + Send + 'static) -> Self {
        Self { on_progress: Box::new(callback), ..self }
    }

    /// Fills in the phase that follows from the ages of schools without one ([`phase_of_ages`]).
    ///
    /// # Errors
    /// Those of the database. Chunks already written remain: run it again.
    pub async fn phase(mut self, finder: &dyn SchoolRepository) -> Result<PhaseCounts> {
        // A replica may not have the phases that this backfill has just written.
        let finder = finder.on_writer();
        let mut steps = Phases { finder: finder.as_ref(), gaps: self.gaps, after: None, filled: BTreeMap::new() };
        let (rows, results) = self.run(&mut steps).await?;
        Ok(PhaseCounts { filled: steps.filled, left: rows - results })
    }

    /// Fills a column of any table in this database, which [`fill_column!`](crate::fill_column) describes. `compute`
    /// takes a frame of the key and the source columns, and returns one of the key and the column to fill, with any of
    /// the rows in any order. A row whose sources changed since they were read, or whose value is null, is left.
    ///
    /// # Errors
    /// Those of the database, and [`Frame`](crate::Error::Frame) for those of `compute` and for a frame with another
    /// key than those that it was given. Chunks already written remain: run it again.
    pub async fn column<C, F>(mut self, column: C, compute: F) -> Result<ColumnCounts>
    where
        C: FillColumn,
        F: Fn(DataFrame) -> PolarsResult<DataFrame> + Send + Sync + 'static,
    {
        let mut steps = Columns { column, compute: Arc::new(compute), after: None, filled: 0 };
        let (rows, _) = self.run(&mut steps).await?;
        Ok(ColumnCounts { filled: steps.filled, left: rows - steps.filled })
    }

    /// Runs a backfill, and returns the number of rows without a value and of computed values.
    async fn run<S: Steps>(&mut self, steps: &mut S) -> Result<(u64, u64)> {
        let total = steps.count().await?;
        let (mut rows, mut results) = (0, 0);
        loop {
            let batch = steps.read(ROWS_A_BATCH).await?;
            if batch.is_empty() {
                return Ok((rows, results));
            }
            rows += batch.len() as u64;
            // Polars blocks its thread, and panics where that thread is a runtime's only one.
            let compute = steps.compute();
            let mut chunk = blocking(move || compute(batch)).await?;
            results += chunk.len() as u64;
            while !chunk.is_empty() {
                let rest = chunk.split_off(chunk.len().min(ROWS_A_CHUNK));
                steps.write(self.mode, chunk).await?;
                chunk = rest;
            }
            // Rows may be added in the meantime.
            (self.on_progress)(rows, total.max(rows));
        }
    }
}

/// Computes the values of rows.
type Compute<Row, Value> = Box<dyn FnOnce(Vec<Row>) -> Result<Vec<Value>> + Send>;

/// The steps of one kind of backfill.
#[async_trait]
trait Steps: Send {
    type Row: Send + 'static;
    type Value: Send + 'static;

    /// Returns how many rows lack a value.
    async fn count(&self) -> Result<u64>;

    /// Returns the next rows that lack a value, in the order of their key.
    async fn read(&mut self, limit: u32) -> Result<Vec<Self::Row>>;

    /// Returns what computes the values of rows, omitting rows without one.
    fn compute(&self) -> Compute<Self::Row, Self::Value>;

    /// Writes values to the rows that have not changed, in one transaction.
    async fn write(&mut self, mode: WriteMode, values: Vec<Self::Value>) -> Result<()>;
}

/// The backfill of phases.
struct Phases<'a> {
    finder: &'a dyn SchoolRepository,
    gaps: PhaseGaps,
    after: Option<SchoolId>,
    filled: BTreeMap<Phase, u64>,
}

#[async_trait]
impl Steps for Phases<'_> {
    type Row = PhaseGap;
    type Value = (PhaseGap, Phase);

    async fn count(&self) -> Result<u64> {
        self.finder.count_phase_gaps(self.gaps).await
    }

    async fn read(&mut self, limit: u32) -> Result<Vec<PhaseGap>> {
        let rows = self.finder.phase_gaps(self.gaps, self.after, limit).await?;
        self.after = rows.last().map(|gap| gap.id).or(self.after);
        Ok(rows)
    }

    fn compute(&self) -> Compute<PhaseGap, (PhaseGap, Phase)> {
        Box::new(|gaps| phases_of(&gaps))
    }

    async fn write(&mut self, mode: WriteMode, values: Vec<(PhaseGap, Phase)>) -> Result<()> {
        let filled = match mode {
            WriteMode::DryRun => values.iter().map(|(_, phase)| (*phase, 1)).collect::<Vec<_>>(),
            WriteMode::Commit => self.finder.fill_phases(self.gaps, values).await?.into_iter().collect(),
        };
        for (phase, count) in filled {
            *self.filled.entry(phase).or_default() += count;
        }
        Ok(())
    }
}

/// Returns the phases that follow from the ages of these schools, omitting schools without a result.
fn phases_of(gaps: &[PhaseGap]) -> Result<Vec<(PhaseGap, Phase)>> {
    let ages = |age: fn(&PhaseGap) -> Option<i16>| gaps.iter().map(move |gap| age(gap).map(i32::from));
    let frame = df!(
        "age_range_from" => ages(|gap| gap.age_range_from).collect::<Vec<_>>(),
        "age_range_to" => ages(|gap| gap.age_range_to).collect::<Vec<_>>(),
    )?;
    let phase = phase_of_ages(col("age_range_from"), col("age_range_to")).alias("phase");
    let found = frame.lazy().select([phase]).collect()?;
    let phases = gaps.iter().zip(found.column("phase")?.str()?.iter());
    phases.filter_map(|(gap, phase)| Some((gap, phase?))).map(|(gap, phase)| Ok((*gap, phase.parse()?))).collect()
}

/// Returns the phase of these ages as text, as an expression: NULL where either age is unknown, otherwise what
/// [`Phase::of_ages`] returns.
pub fn phase_of_ages(from: Expr, to: Expr) -> Expr {
    let word = |phase: Phase| lit(phase.as_str());
    let primary_years = lit(11) - from.clone();
    let secondary_years = to.clone() - lit(11);
    when(from.clone().is_null().or(to.clone().is_null()).or(to.clone().lt_eq(from.clone())))
        .then(lit(NULL).cast(DataType::String))
        .when(from.clone().gt_eq(lit(16)))
        .then(word(Phase::SixteenPlus))
        .when(to.clone().lt_eq(lit(5)))
        .then(word(Phase::Nursery))
        .when(to.clone().lt_eq(lit(11)))
        .then(word(Phase::Primary))
        .when(from.clone().gt_eq(lit(11)))
        .then(word(Phase::Secondary))
        .when(to.gt_eq(lit(16)).and(from.clone().lt_eq(lit(7))))
        .then(word(Phase::AllThrough))
        .when(from.clone().lt(lit(7)))
        .then(word(Phase::Primary))
        .when(secondary_years.clone().gt_eq(lit(5)))
        .then(word(Phase::Secondary))
        .when(primary_years.gt(secondary_years))
        .then(word(Phase::MiddlePrimary))
        .otherwise(word(Phase::MiddleSecondary))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(from: Option<i16>, to: Option<i16>) -> Option<Phase> {
        let gap = PhaseGap { id: SchoolId::new(1), age_range_from: from, age_range_to: to, version: 1 };
        phases_of(&[gap]).expect("a frame").pop().map(|(_, phase)| phase)
    }

    #[test]
    fn the_expression_agrees_with_the_rule() {
        for (from, to) in (0..=19).flat_map(|from| (0..=25).map(move |to| (from, to))) {
            assert_eq!(phase(Some(from), Some(to)), Phase::of_ages(from, to), "{from} to {to}");
        }
    }

    /// Ages of schools in the register, with the phase that it records for most of them.
    #[test]
    fn phase_follows_from_ages() {
        for (from, to, expected) in [
            (2, 4, Phase::Nursery),
            (2, 5, Phase::Nursery),
            (3, 5, Phase::Nursery),
            (0, 5, Phase::Nursery),
            // Infant, first and junior schools, and full primary schools.
            (4, 7, Phase::Primary),
            (5, 8, Phase::Primary),
            (3, 9, Phase::Primary),
            (4, 10, Phase::Primary),
            (7, 11, Phase::Primary),
            (3, 11, Phase::Primary),
            (4, 11, Phase::Primary),
            (2, 11, Phase::Primary),
            // Preparatory schools continue for some years.
            (4, 13, Phase::Primary),
            (2, 13, Phase::Primary),
            // Middle schools.
            (8, 12, Phase::MiddlePrimary),
            (7, 12, Phase::MiddlePrimary),
            (9, 13, Phase::MiddleSecondary),
            (10, 13, Phase::MiddleSecondary),
            (10, 14, Phase::MiddleSecondary),
            (11, 14, Phase::Secondary),
            (11, 16, Phase::Secondary),
            (11, 18, Phase::Secondary),
            (13, 18, Phase::Secondary),
            // University technical colleges and studio schools.
            (14, 19, Phase::Secondary),
            (9, 18, Phase::Secondary),
            (10, 18, Phase::Secondary),
            (4, 16, Phase::AllThrough),
            (4, 18, Phase::AllThrough),
            (3, 19, Phase::AllThrough),
            (2, 18, Phase::AllThrough),
            (7, 18, Phase::AllThrough),
            (16, 18, Phase::SixteenPlus),
            (16, 19, Phase::SixteenPlus),
            (16, 99, Phase::SixteenPlus),
            (18, 99, Phase::SixteenPlus),
        ] {
            assert_eq!(phase(Some(from), Some(to)), Some(expected), "{from} to {to}");
        }
    }

    #[test]
    fn phase_stays_unknown_where_ages_do_not_determine_it() {
        for (from, to) in [(None, None), (Some(4), None), (None, Some(11)), (Some(0), Some(0)), (Some(16), Some(16))] {
            assert_eq!(phase(from, to), None, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn every_age_range_has_a_known_phase_or_none() {
        let ages = (0..=19).flat_map(|from| (from..=99).map(move |to| (from, to)));
        let gaps: Vec<_> = (1..)
            .zip(ages)
            .map(|(id, (from, to))| PhaseGap {
                id: SchoolId::new(id),
                age_range_from: Some(from),
                age_range_to: Some(to),
                version: 1,
            })
            .collect();
        let without_a_year = gaps.iter().filter(|gap| gap.age_range_from == gap.age_range_to).count();
        let phases = phases_of(&gaps).expect("a frame");
        assert_eq!(phases.len(), gaps.len() - without_a_year);
    }
}
