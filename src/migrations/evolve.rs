//! Applies and reverts migrations over a backend's connection.

use std::sync::Arc;
use std::time::Duration;

use diesel::migration::{Migration, MigrationSource};
use diesel_migrations::MigrationHarness;

#[cfg(feature = "testing")]
use super::script::Folder;
use super::script::Script;
use super::{Direction, MigrationStatus, OnLoss};
use crate::error::{Error, Result};

/// A migration: Diesel's own value of it, and its text.
pub(crate) struct Known<DB: diesel::backend::Backend> {
    pub(crate) migration: Box<dyn Migration<DB>>,
    pub(crate) script: &'static Script,
    pub(crate) version: String,
}

impl<DB: diesel::backend::Backend> Known<DB> {
    /// Pairs the migrations of a source with their texts, in order of version.
    ///
    /// # Errors
    /// [`Error::MigrationFailed`] where the source cannot be read or a migration has no text.
    pub(crate) fn all(source: &impl MigrationSource<DB>, scripts: &'static [Script]) -> Result<Vec<Self>> {
        let broken = |reason: &dyn std::fmt::Display| Error::MigrationFailed {
            version: "?".to_owned(),
            reason: reason.to_string(),
        };
        let migrations = source.migrations().map_err(|error| broken(&error))?;
        let mut all = Vec::with_capacity(migrations.len());
        for migration in migrations {
            let name = migration.name().to_string();
            let script = scripts.iter().find(|script| script.name == name);
            let script = script.ok_or_else(|| broken(&format_args!("there is no text of {name}")))?;
            all.push(Self { version: script.version(), migration, script });
        }
        all.sort_by(|a, b| a.version.cmp(&b.version));
        Ok(all)
    }

    fn runs_in_transaction(&self) -> bool {
        self.migration.metadata().run_in_transaction()
    }
}

/// The source of a schema's migrations.
#[derive(Clone)]
pub(crate) enum Source {
    /// The migrations of this build.
    Embedded,
    /// The migrations of a folder.
    #[cfg(feature = "testing")]
    Folder(Folder),
}

impl Source {
    /// Returns the migrations, in order of version.
    pub(crate) fn known<C: SchemaConnection>(&self) -> Result<Vec<Known<C::DB>>> {
        match self {
            Self::Embedded => C::embedded(),
            #[cfg(feature = "testing")]
            Self::Folder(Folder { migrations, scripts }) => Known::all(migrations, scripts),
        }
    }
}

/// The timeout of the lock on the schema, and a callback for the wait.
#[derive(Clone)]
pub(crate) struct LockTimeout {
    pub(crate) longest: Duration,
    pub(crate) on_wait: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl LockTimeout {
    pub(crate) fn tell(&self) {
        tracing::info!("waiting for another program that changes this database's schema");
        if let Some(on_wait) = &self.on_wait {
            on_wait();
        }
    }
}

/// A connection through which a schema is changed.
pub(crate) trait SchemaConnection: VersionTables + MigrationHarness<Self::DB> + Sized {
    /// Diesel's type for the backend.
    type DB: diesel::backend::Backend;

    /// Returns the migrations of this build, in order of version.
    fn embedded() -> Result<Vec<Known<Self::DB>>>;

    /// Runs `work` while no other program can change the schema.
    fn exclusively<T>(&mut self, lock_timeout: &LockTimeout, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T>;

    /// Runs `work` in one transaction, where `in_transaction` allows it.
    fn together<T>(&mut self, in_transaction: bool, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T>;

    /// Runs a migration in one direction, and records it.
    fn run(&mut self, known: &Known<Self::DB>, direction: Direction) -> Result<()>;

    /// Completes an applied migration that was left half done, such as by an interrupted removal of an index.
    fn repair(&mut self, known: &Known<Self::DB>) -> Result<()>;
}

/// The tables of a database in which its migrations are recorded.
pub(crate) trait VersionTables {
    /// Creates Diesel's table of versions where it is missing.
    fn make_version_table(&mut self) -> Result<()>;

    /// Returns the applied versions, in order; none where the table is missing.
    fn applied_versions(&mut self) -> Result<Vec<String>>;

    /// Returns the versions with recorded checksums; `None` where the table is missing.
    fn checksums(&mut self) -> Result<Option<Vec<(String, String)>>>;

    /// Records the checksum of a migration's text.
    fn record_checksum(&mut self, version: &str, checksum: String) -> Result<()>;
}

/// Applies every pending migration and returns their names.
pub(crate) fn up<C: SchemaConnection>(
    connection: &mut C,
    source: &Source,
    lock_timeout: &LockTimeout,
) -> Result<Vec<String>> {
    let known = source.known::<C>()?;
    connection.exclusively(lock_timeout, |connection| {
        refuse_unknown(&known, &connection.applied_versions()?)?;
        refuse_edited(&known, &connection.checksums()?.unwrap_or_default())?;
        up_in_lock(connection, &known)
    })
}

fn up_in_lock<C: SchemaConnection>(connection: &mut C, known: &[Known<C::DB>]) -> Result<Vec<String>> {
    let applied = connection.applied_versions()?;
    let (done, pending): (Vec<_>, Vec<_>) = known.iter().partition(|known| applied.contains(&known.version));
    for known in done {
        connection.repair(known)?;
    }
    run_all(connection, known, &pending, Direction::Up)?;
    if pending.is_empty() {
        // Migrations applied by Diesel's own tool have no checksum yet.
        connection.together(true, |connection| record_checksums(connection, known))?;
    }
    Ok(names(&pending))
}

/// Reverts the newest `steps` migrations, the newest first, and returns their names.
pub(crate) fn down<C: SchemaConnection>(
    connection: &mut C,
    source: &Source,
    lock_timeout: &LockTimeout,
    steps: usize,
    on_loss: OnLoss,
) -> Result<Vec<String>> {
    let known = source.known::<C>()?;
    connection.exclusively(lock_timeout, |connection| {
        refuse_unknown(&known, &connection.applied_versions()?)?;
        down_in_lock(connection, &known, steps, on_loss)
    })
}

fn down_in_lock<C: SchemaConnection>(
    connection: &mut C,
    known: &[Known<C::DB>],
    steps: usize,
    on_loss: OnLoss,
) -> Result<Vec<String>> {
    let applied = connection.applied_versions()?;
    let mut newest: Vec<_> = known.iter().filter(|known| applied.contains(&known.version)).collect();
    newest.reverse();
    newest.truncate(steps);
    for Known { script, .. } in &newest {
        match (script.loses(), on_loss) {
            (None, _) | (Some(_), OnLoss::Accept) => {}
            (Some(loses), OnLoss::Refuse) => {
                return Err(Error::LossyDown { migration: script.name.to_owned(), loses: loses.to_owned() });
            }
        }
    }
    run_all(connection, known, &newest, Direction::Down)?;
    Ok(names(&newest))
}

/// Reverts the newest migration and applies it again, and returns the names of what was reverted.
pub(crate) fn redo<C: SchemaConnection>(
    connection: &mut C,
    source: &Source,
    lock_timeout: &LockTimeout,
    on_loss: OnLoss,
) -> Result<Vec<String>> {
    let known = source.known::<C>()?;
    connection.exclusively(lock_timeout, |connection| {
        let applied = connection.applied_versions()?;
        refuse_unknown(&known, &applied)?;
        let pending = known.iter().filter(|known| !applied.contains(&known.version)).count();
        if pending > 0 {
            return Err(Error::SchemaPending { pending });
        }
        let in_transaction = known.last().is_none_or(Known::runs_in_transaction);
        connection.together(in_transaction, |connection| {
            let reverted = down_in_lock(connection, &known, 1, on_loss)?;
            up_in_lock(connection, &known)?;
            Ok(reverted)
        })
    })
}

/// Returns every migration of the source, in order of version, and then the database's other applied migrations.
pub(crate) fn status<C: SchemaConnection>(connection: &mut C, source: &Source) -> Result<Vec<MigrationStatus>> {
    let applied = connection.applied_versions()?;
    let known = source.known::<C>()?;
    let mut all: Vec<_> = known
        .iter()
        .map(|known| MigrationStatus {
            name: known.script.name.to_owned(),
            applied: applied.contains(&known.version),
            known: true,
        })
        .collect();
    let unknown = applied.into_iter().filter(|version| !known.iter().any(|known| known.version == *version));
    all.extend(unknown.map(|name| MigrationStatus { name, applied: true, known: false }));
    Ok(all)
}

/// Returns the newest migration's name, or an error where the schema is not exactly this build's. Writes nothing.
pub(crate) fn require_current<C: SchemaConnection>(connection: &mut C) -> Result<String> {
    require(connection, &Source::Embedded)
}

/// Does the same as [`require_current`] for the migrations of a source.
pub(crate) fn require<C: SchemaConnection>(connection: &mut C, source: &Source) -> Result<String> {
    let known = source.known::<C>()?;
    refuse_other(&known, &connection.applied_versions()?, &connection.checksums()?.unwrap_or_default())
}

/// Does the same as [`require_current`] for the given applied versions, in order, and their checksums.
pub(crate) fn refuse_other<DB: diesel::backend::Backend>(
    known: &[Known<DB>],
    applied: &[String],
    checksums: &[(String, String)],
) -> Result<String> {
    refuse_unknown(known, applied)?;
    refuse_edited(known, checksums)?;
    match known.iter().filter(|known| !applied.contains(&known.version)).count() {
        0 => Ok(known.last().map_or("", |known| known.script.name).to_owned()),
        pending if pending == known.len() => Err(Error::SchemaMissing),
        pending => Err(Error::SchemaPending { pending }),
    }
}

/// The first migration of builds that were never released. Their migrations were merged into this build's, which cannot
/// upgrade their schema.
const UNRELEASED: &str = "20261124060000";

/// Returns an error for a database with a migration that this build does not have.
fn refuse_unknown<DB: diesel::backend::Backend>(known: &[Known<DB>], applied: &[String]) -> Result<()> {
    let newest = known.last().map_or("", |known| &known.version);
    let is_unknown = |version: &&String| !known.iter().any(|known| known.version == **version);
    if applied.iter().filter(is_unknown).any(|version| version == UNRELEASED) {
        return Err(Error::SchemaUnreleased);
    }
    match applied.iter().rfind(is_unknown) {
        Some(found) if found.as_str() > newest => {
            Err(Error::SchemaTooNew { found: found.clone(), known: newest.to_owned() })
        }
        Some(found) => Err(Error::MigrationMissing { found: found.clone() }),
        None => Ok(()),
    }
}

/// Returns an error for a database with a migration whose text differs from this build's.
fn refuse_edited<DB: diesel::backend::Backend>(known: &[Known<DB>], checksums: &[(String, String)]) -> Result<()> {
    for (version, checksum) in checksums {
        let known = known.iter().find(|known| known.version == *version);
        if let Some(Known { script, .. }) = known.filter(|known| known.script.checksum() != *checksum) {
            return Err(Error::MigrationEdited { migration: script.name.to_owned() });
        }
    }
    Ok(())
}

/// Runs some of the known migrations in one direction. Consecutive ones that may share a transaction do.
fn run_all<C: SchemaConnection>(
    connection: &mut C,
    known: &[Known<C::DB>],
    some: &[&Known<C::DB>],
    direction: Direction,
) -> Result<()> {
    for group in some.chunk_by(|a, b| a.runs_in_transaction() && b.runs_in_transaction()) {
        let in_transaction = group.iter().all(|migration| migration.runs_in_transaction());
        connection.together(in_transaction, |connection| {
            connection.make_version_table()?;
            for migration in group {
                connection.run(migration, direction)?;
            }
            record_checksums(connection, known)
        })?;
    }
    Ok(())
}

/// Records the missing checksums of applied migrations.
fn record_checksums<C: SchemaConnection>(connection: &mut C, known: &[Known<C::DB>]) -> Result<()> {
    let Some(recorded) = connection.checksums()? else { return Ok(()) };
    let applied = connection.applied_versions()?;
    for Known { version, script, .. } in known {
        if applied.contains(version) && !recorded.iter().any(|(recorded, _)| recorded == version) {
            connection.record_checksum(version, script.checksum())?;
        }
    }
    Ok(())
}

fn names<DB: diesel::backend::Backend>(all: &[&Known<DB>]) -> Vec<String> {
    all.iter().map(|known| known.script.name.to_owned()).collect()
}
