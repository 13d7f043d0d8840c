//! Applies and reverts migrations over a backend's connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::MigrationStatus;
use super::drift::Drift;
use super::history::{Applied, History, Records};
use super::script::{Direction, Script};
use crate::error::{Error, Result};

/// The interval at which the lock on the schema is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The end of the name of the migration after which the words of the stored schools are computed: SQL cannot.
const FILLED_WITH_WORDS: &str = "_create_school_words";

/// The timeout of the lock on the schema, and a callback for the wait.
#[derive(Clone)]
pub(crate) struct LockTimeout {
    pub(crate) longest: Duration,
    pub(crate) on_wait: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Default for LockTimeout {
    fn default() -> Self {
        Self { longest: Duration::from_secs(120), on_wait: None }
    }
}

impl LockTimeout {
    /// Polls until `attempt` returns a value, and reports the wait once.
    ///
    /// # Errors
    /// Those of `attempt`, and [`Error::SchemaLocked`] after the timeout.
    pub(crate) fn poll<T>(&self, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let begun = Instant::now();
        let mut is_reported = false;
        loop {
            if let Some(value) = attempt()? {
                return Ok(value);
            }
            if begun.elapsed() >= self.longest {
                return Err(Error::SchemaLocked { waited_s: begun.elapsed().as_secs() });
            }
            if !std::mem::replace(&mut is_reported, true) {
                tracing::info!("waiting for another program that changes this database's schema");
                if let Some(on_wait) = &self.on_wait {
                    on_wait();
                }
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// To change the schema, after creating a missing SQLite file.
    Create,
    /// To change the schema of an existing database.
    Change,
    /// To read the schema, without waiting for a program that is changing it.
    Read,
}

/// A connection through which a schema is changed.
pub(crate) trait SchemaConnection: HistoryTable + Sized {
    /// Runs `work` while no other program can change the schema.
    fn exclusively<T>(&mut self, lock_timeout: &LockTimeout, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T>;

    /// Runs `work` in one transaction, unless `is_possible` is false.
    fn in_transaction<T>(&mut self, is_possible: bool, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T>;

    /// Runs a migration after the `applied` ones. What another program has on this crate's tables stays.
    fn run_script(&mut self, applied: &[Script], script: &Script, direction: Direction) -> Result<()>;

    /// Returns whether an applied migration is half done, such as by an interrupted removal of an index.
    fn is_half_done(&mut self, script: &Script) -> Result<bool>;

    /// Returns the rows of stored copies that disagree with what they are copied from, one sentence each.
    fn stale_copies(&mut self) -> Result<Vec<String>>;

    /// Computes the words of the schools that have none.
    fn fill_words(&mut self) -> Result<()>;

    /// Repairs the rows of stored copies in an open transaction, and returns them as they were.
    fn repair_copies(&mut self) -> Result<Vec<String>>;

    /// Returns the drift of this database from a new one that the migrations create.
    fn drift_from(&mut self, scripts: &[Script]) -> Result<Drift>;
}

/// The tables of a database in which its migrations are recorded.
pub(crate) trait HistoryTable {
    /// Returns what the database records.
    fn records(&mut self) -> Result<Records>;

    /// Records an applied migration.
    fn record(&mut self, applied: Applied) -> Result<()>;

    /// Records a version as not applied.
    fn forget(&mut self, version: &str) -> Result<()>;

    /// Deletes a version from Diesel's table.
    fn forget_in_diesels_table(&mut self, version: &str) -> Result<()>;
}

/// Runs migrations on any backend's connection.
#[derive(Clone)]
pub(crate) struct Engine {
    /// The migrations, in order of version.
    pub(crate) scripts: &'static [Script],
    pub(crate) lock_timeout: LockTimeout,
    /// Whether a migration may be reverted that loses data.
    pub(crate) accepts_loss: bool,
}

impl Engine {
    pub(crate) fn new(scripts: &'static [Script]) -> Self {
        Self { scripts, lock_timeout: LockTimeout::default(), accepts_loss: false }
    }

    fn history<C: HistoryTable>(&self, connection: &mut C) -> Result<History> {
        Ok(History::new(self.scripts, connection.records()?))
    }

    /// Applies every pending migration and returns their names. None is pending where a newer build's schema serves
    /// this build.
    pub(crate) fn up<C: SchemaConnection>(&self, connection: &mut C) -> Result<Vec<String>> {
        connection.exclusively(&self.lock_timeout, |connection| {
            let history = self.history(connection)?;
            if history.newer()?.is_some() && history.pending() == 0 {
                return Ok(Vec::new());
            }
            history.refuse_newer()?;
            history.refuse_edited()?;
            self.adopt(connection, &history)?;
            self.up_in_lock(connection)
        })
    }

    fn up_in_lock<C: SchemaConnection>(&self, connection: &mut C) -> Result<Vec<String>> {
        let history = self.history(connection)?;
        let (applied, pending): (Vec<_>, Vec<_>) = self.scripts.iter().partition(|script| history.has(script));
        for script in applied {
            if connection.is_half_done(script)? {
                // Pending at first, so that the next program resumes an interrupted repair.
                connection.forget(&script.version())?;
                self.run(connection, script, Direction::Up)?;
            }
        }
        self.run_all(connection, &pending, Direction::Up)?;
        Ok(names(&pending))
    }

    /// Reverts the newest `steps` migrations, the newest first, and returns their names.
    pub(crate) fn down<C: SchemaConnection>(&self, connection: &mut C, steps: usize) -> Result<Vec<String>> {
        connection.exclusively(&self.lock_timeout, |connection| {
            let history = self.history(connection)?;
            history.refuse_newer()?;
            self.adopt(connection, &history)?;
            self.down_in_lock(connection, steps)
        })
    }

    fn down_in_lock<C: SchemaConnection>(&self, connection: &mut C, steps: usize) -> Result<Vec<String>> {
        let history = self.history(connection)?;
        let newest: Vec<_> = self.scripts.iter().rev().filter(|script| history.has(script)).take(steps).collect();
        for script in &newest {
            if let Some(loses) = script.loses().filter(|_| !self.accepts_loss) {
                return Err(Error::LossyDown { migration: script.name.to_owned(), loses: loses.to_owned() });
            }
        }
        self.run_all(connection, &newest, Direction::Down)?;
        Ok(names(&newest))
    }

    /// Reverts the newest migration and applies it again, and returns the names of what was reverted.
    pub(crate) fn redo<C: SchemaConnection>(&self, connection: &mut C) -> Result<Vec<String>> {
        connection.exclusively(&self.lock_timeout, |connection| {
            let history = self.history(connection)?;
            history.refuse_newer()?;
            match history.pending() {
                0 => {}
                pending => return Err(Error::SchemaPending { pending }),
            }
            self.adopt(connection, &history)?;
            let in_transaction = self.scripts.last().is_none_or(|script| script.run_in_transaction);
            connection.in_transaction(in_transaction, |connection| {
                let reverted = self.down_in_lock(connection, 1)?;
                self.up_in_lock(connection)?;
                Ok(reverted)
            })
        })
    }

    /// Returns every migration, in order of version, and then the database's other applied migrations.
    pub(crate) fn status<C: SchemaConnection>(&self, connection: &mut C) -> Result<Vec<MigrationStatus>> {
        let history = self.history(connection)?;
        let of_build = self.scripts.iter().map(|script| MigrationStatus {
            name: script.name.to_owned(),
            applied: history.has(script),
            known: true,
        });
        let others = history.unknown().map(|applied| MigrationStatus {
            name: applied.version.clone(),
            applied: true,
            known: false,
        });
        Ok(of_build.chain(others).collect())
    }

    /// Returns the newest applied migration, or an error where this build may not use the schema. Writes nothing.
    pub(crate) fn require_usable<C: SchemaConnection>(&self, connection: &mut C) -> Result<String> {
        self.history(connection)?.require_usable()
    }

    /// Returns the drift of a database from a new one that the migrations create.
    pub(crate) fn check<C: SchemaConnection>(&self, connection: &mut C) -> Result<Drift> {
        self.refuse_other_schema(connection)?;
        connection.drift_from(self.scripts)
    }

    /// Returns the rows of stored copies that disagree, one sentence each.
    pub(crate) fn check_data<C: SchemaConnection>(&self, connection: &mut C) -> Result<Vec<String>> {
        self.refuse_other_schema(connection)?;
        connection.stale_copies()
    }

    /// Repairs the rows of stored copies that disagree, and returns a sentence for each.
    pub(crate) fn repair_data<C: SchemaConnection>(&self, connection: &mut C) -> Result<Vec<String>> {
        connection.exclusively(&self.lock_timeout, |connection| {
            self.refuse_other_schema(connection)?;
            connection.in_transaction(true, C::repair_copies)
        })
    }

    /// Returns an error unless the schema is exactly this build's.
    fn refuse_other_schema<C: SchemaConnection>(&self, connection: &mut C) -> Result<()> {
        let history = self.history(connection)?;
        history.refuse_newer()?;
        history.require_usable().map(drop)
    }

    /// Moves the rows of this crate's migrations from Diesel's table into the crate's own. The versions alone may be
    /// another program's, so the schema has to be theirs too.
    fn adopt<C: SchemaConnection>(&self, connection: &mut C, history: &History) -> Result<()> {
        let rows = history.to_adopt();
        if rows.is_empty() {
            return Ok(());
        }
        if let Some(drift) = connection.drift_from(&history.scripts())?.differences.into_iter().next() {
            return Err(Error::CannotAdopt { drift });
        }
        connection.in_transaction(true, |connection| {
            for applied in rows {
                connection.record(applied.clone())?;
                connection.forget_in_diesels_table(&applied.version)?;
            }
            Ok(())
        })
    }

    /// Runs some of the migrations in one direction. Consecutive ones that may share a transaction do.
    fn run_all<C: SchemaConnection>(&self, connection: &mut C, some: &[&Script], direction: Direction) -> Result<()> {
        for group in some.chunk_by(|a, b| a.run_in_transaction && b.run_in_transaction) {
            let in_transaction = group.iter().all(|script| script.run_in_transaction);
            connection.in_transaction(in_transaction, |connection| {
                group.iter().try_for_each(|script| self.run(connection, script, direction))
            })?;
        }
        Ok(())
    }

    /// Runs a migration and records it.
    fn run<C: SchemaConnection>(&self, connection: &mut C, script: &Script, direction: Direction) -> Result<()> {
        let applied = self.history(connection)?.scripts();
        connection.run_script(&applied, script, direction)?;
        match direction {
            Direction::Up => {
                if script.name.ends_with(FILLED_WITH_WORDS) {
                    connection.fill_words()?;
                }
                connection.record(script.into())
            }
            Direction::Down => connection.forget(&script.version()),
        }
    }
}

fn names(scripts: &[&Script]) -> Vec<String> {
    scripts.iter().map(|script| script.name.to_owned()).collect()
}
