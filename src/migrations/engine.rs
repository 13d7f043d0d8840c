//! Applies and reverts migrations over a backend's connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::MigrationStatus;
use super::script::{Direction, Script};
use crate::error::{Error, Result};

/// The interval at which the lock on the schema is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The timeout of the lock on the schema, and a callback for the wait.
#[derive(Clone)]
pub(crate) struct LockTimeout {
    pub(crate) longest: Duration,
    pub(crate) on_wait: Option<Arc<dyn Fn() + Send + Sync>>,
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
pub(crate) trait SchemaConnection: VersionTables + Sized {
    /// Runs `work` while no other program can change the schema.
    fn exclusively<T>(&mut self, lock_timeout: &LockTimeout, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T>;

    /// Runs `work` in one transaction, unless `is_possible` is false.
    fn in_transaction<T>(&mut self, is_possible: bool, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T>;

    /// Runs a migration by Diesel's harness, which records it.
    fn run_script(&mut self, script: &Script, direction: Direction) -> Result<()>;

    /// Returns whether an applied migration is half done, such as by an interrupted removal of an index.
    fn is_half_done(&mut self, script: &Script) -> Result<bool>;

    /// Returns the drift of this database from a new one that the migrations create, one sentence each.
    fn drift_from(&mut self, scripts: &'static [Script]) -> Result<Vec<String>>;
}

/// The tables of a database in which its migrations are recorded.
pub(crate) trait VersionTables {
    /// Creates Diesel's table of versions where it is missing.
    fn create_version_table(&mut self) -> Result<()>;

    /// Returns the applied versions, in order; none where the table is missing.
    fn applied_versions(&mut self) -> Result<Vec<String>>;

    /// Records a version as not applied.
    fn forget_version(&mut self, version: &str) -> Result<()>;

    /// Returns the versions with recorded checksums; `None` where the table is missing.
    fn checksums(&mut self) -> Result<Option<Vec<(String, String)>>>;

    /// Records the checksum of a migration's text.
    fn record_checksum(&mut self, version: &str, checksum: String) -> Result<()>;
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
        let lock_timeout = LockTimeout { longest: Duration::from_secs(120), on_wait: None };
        Self { scripts, lock_timeout, accepts_loss: false }
    }

    /// Applies every pending migration and returns their names.
    pub(crate) fn up<C: SchemaConnection>(&self, connection: &mut C) -> Result<Vec<String>> {
        connection.exclusively(&self.lock_timeout, |connection| {
            refuse_unknown(self.scripts, &connection.applied_versions()?)?;
            refuse_edited(self.scripts, &connection.checksums()?.unwrap_or_default())?;
            self.up_in_lock(connection)
        })
    }

    fn up_in_lock<C: SchemaConnection>(&self, connection: &mut C) -> Result<Vec<String>> {
        let applied = connection.applied_versions()?;
        let (applied, pending): (Vec<_>, Vec<_>) =
            self.scripts.iter().partition(|script| applied.contains(&script.version()));
        for script in applied {
            if connection.is_half_done(script)? {
                // Pending at first, so that the next program resumes an interrupted repair.
                connection.forget_version(&script.version())?;
                connection.run_script(script, Direction::Up)?;
            }
        }
        self.run_all(connection, &pending, Direction::Up)?;
        if pending.is_empty() {
            // Migrations applied by Diesel's own tool have no checksum yet.
            connection.in_transaction(true, |connection| self.record_checksums(connection))?;
        }
        Ok(names(&pending))
    }

    /// Reverts the newest `steps` migrations, the newest first, and returns their names.
    pub(crate) fn down<C: SchemaConnection>(&self, connection: &mut C, steps: usize) -> Result<Vec<String>> {
        connection.exclusively(&self.lock_timeout, |connection| {
            refuse_unknown(self.scripts, &connection.applied_versions()?)?;
            self.down_in_lock(connection, steps)
        })
    }

    fn down_in_lock<C: SchemaConnection>(&self, connection: &mut C, steps: usize) -> Result<Vec<String>> {
        let applied = connection.applied_versions()?;
        let is_applied = |script: &&Script| applied.contains(&script.version());
        let newest: Vec<_> = self.scripts.iter().rev().filter(is_applied).take(steps).collect();
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
            let applied = connection.applied_versions()?;
            refuse_unknown(self.scripts, &applied)?;
            match pending(self.scripts, &applied) {
                0 => {}
                pending => return Err(Error::SchemaPending { pending }),
            }
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
        let mut applied = connection.applied_versions()?;
        let mut all = Vec::new();
        for script in self.scripts {
            let is_applied = applied.contains(&script.version());
            all.push(MigrationStatus { name: script.name.to_owned(), applied: is_applied, known: true });
        }
        applied.retain(|version| !is_known(self.scripts, version));
        all.extend(applied.into_iter().map(|name| MigrationStatus { name, applied: true, known: false }));
        Ok(all)
    }

    /// Returns the newest migration's name, or an error where the schema is not exactly that of the migrations. Writes
    /// nothing.
    pub(crate) fn require_current<C: SchemaConnection>(&self, connection: &mut C) -> Result<String> {
        require(self.scripts, &connection.applied_versions()?, &connection.checksums()?.unwrap_or_default())
    }

    /// Returns the drift of a database from a new one that the migrations create, one sentence each.
    pub(crate) fn check<C: SchemaConnection>(&self, connection: &mut C) -> Result<Vec<String>> {
        self.require_current(connection)?;
        connection.drift_from(self.scripts)
    }

    /// Runs some of the migrations in one direction. Consecutive ones that may share a transaction do.
    fn run_all<C: SchemaConnection>(&self, connection: &mut C, some: &[&Script], direction: Direction) -> Result<()> {
        for group in some.chunk_by(|a, b| a.run_in_transaction && b.run_in_transaction) {
            let in_transaction = group.iter().all(|script| script.run_in_transaction);
            connection.in_transaction(in_transaction, |connection| {
                connection.create_version_table()?;
                for script in group {
                    connection.run_script(script, direction)?;
                }
                self.record_checksums(connection)
            })?;
        }
        Ok(())
    }

    /// Records the missing checksums of applied migrations.
    fn record_checksums<C: SchemaConnection>(&self, connection: &mut C) -> Result<()> {
        let Some(recorded) = connection.checksums()? else { return Ok(()) };
        let applied = connection.applied_versions()?;
        for script in self.scripts {
            let version = script.version();
            if applied.contains(&version) && !recorded.iter().any(|(recorded, _)| *recorded == version) {
                connection.record_checksum(&version, script.checksum())?;
            }
        }
        Ok(())
    }
}

/// Returns the newest migration's name, or an error where the applied versions, in order, and their checksums are not
/// exactly those of the migrations.
pub(crate) fn require(scripts: &[Script], applied: &[String], checksums: &[(String, String)]) -> Result<String> {
    refuse_unknown(scripts, applied)?;
    refuse_edited(scripts, checksums)?;
    match pending(scripts, applied) {
        0 => Ok(scripts.last().map_or("", |script| script.name).to_owned()),
        pending if pending == scripts.len() => Err(Error::SchemaMissing),
        pending => Err(Error::SchemaPending { pending }),
    }
}

/// The first migration of builds that were never released. Their migrations were merged into this build's, which cannot
/// upgrade their schema.
const UNRELEASED: &str = "20261124060000";

/// Returns an error for a database with a migration that this build does not have.
fn refuse_unknown(scripts: &[Script], applied: &[String]) -> Result<()> {
    let newest = scripts.last().map(Script::version).unwrap_or_default();
    let mut unknown = applied.iter().filter(|version| !is_known(scripts, version));
    if unknown.clone().any(|version| version == UNRELEASED) {
        return Err(Error::SchemaUnreleased);
    }
    match unknown.next_back() {
        Some(found) if *found > newest => Err(Error::SchemaTooNew { found: found.clone(), known: newest }),
        Some(found) => Err(Error::MigrationMissing { found: found.clone() }),
        None => Ok(()),
    }
}

/// Returns an error for a database with a migration whose text differs from this build's.
fn refuse_edited(scripts: &[Script], checksums: &[(String, String)]) -> Result<()> {
    let is_edited = |script: &&Script| {
        checksums.iter().any(|(version, checksum)| *version == script.version() && *checksum != script.checksum())
    };
    match scripts.iter().find(is_edited) {
        Some(script) => Err(Error::MigrationEdited { migration: script.name.to_owned() }),
        None => Ok(()),
    }
}

/// Returns how many migrations are not applied.
fn pending(scripts: &[Script], applied: &[String]) -> usize {
    scripts.iter().filter(|script| !applied.contains(&script.version())).count()
}

fn is_known(scripts: &[Script], version: &str) -> bool {
    scripts.iter().any(|script| script.version() == version)
}

fn names(scripts: &[&Script]) -> Vec<String> {
    scripts.iter().map(|script| script.name.to_owned()).collect()
}
