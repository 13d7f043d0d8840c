//! How a schema goes from one version to another, whatever the database.

use std::sync::Arc;
use std::time::Duration;

use diesel::migration::{Migration, MigrationSource};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use super::script::Script;
use super::{Direction, MigrationStatus, OnLoss};
use crate::error::{Error, Result};

/// A migration of this build: Diesel's own value of it, and its text.
pub(crate) struct Known<DB: diesel::backend::Backend> {
    pub(crate) migration: Box<dyn Migration<DB>>,
    pub(crate) script: &'static Script,
    pub(crate) version: String,
}

impl<DB: diesel::backend::Backend> Known<DB> {
    /// All migrations of a backend, by version.
    ///
    /// # Errors
    /// [`Error::MigrationFailed`] where the macro and the build script do not have the same ones.
    pub(crate) fn all(embedded: &'static EmbeddedMigrations, scripts: &'static [Script]) -> Result<Vec<Self>> {
        let broken = |reason: &dyn std::fmt::Display| Error::MigrationFailed {
            version: "?".to_owned(),
            reason: reason.to_string(),
        };
        let migrations = MigrationSource::<DB>::migrations(embedded).map_err(|error| broken(&error))?;
        let mut all = Vec::with_capacity(migrations.len());
        for migration in migrations {
            let name = migration.name().to_string();
            let script = scripts.iter().find(|script| script.name == name);
            let script = script.ok_or_else(|| broken(&format_args!("this build has no text of {name}")))?;
            all.push(Self { version: script.version(), migration, script });
        }
        all.sort_by(|a, b| a.version.cmp(&b.version));
        Ok(all)
    }

    fn runs_in_transaction(&self) -> bool {
        self.migration.metadata().run_in_transaction()
    }
}

/// How long to wait for another program that changes the schema, and whom to tell.
#[derive(Clone)]
pub(crate) struct Patience {
    pub(crate) longest: Duration,
    pub(crate) on_wait: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Patience {
    pub(crate) fn tell(&self) {
        tracing::info!("waiting for another program that changes this database's schema");
        if let Some(on_wait) = &self.on_wait {
            on_wait();
        }
    }
}

/// A connection through which a schema is changed.
pub(crate) trait SchemaConnection: MigrationHarness<Self::DB> + Sized {
    /// Diesel's type for the database.
    type DB: diesel::backend::Backend;

    /// The migrations of this build, by version.
    fn known() -> Result<Vec<Known<Self::DB>>>;

    /// Takes the schema for this program alone while `work` runs.
    fn exclusively<T>(&mut self, patience: &Patience, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T>;

    /// Runs `work` whole or not at all, where `in_transaction` allows it.
    fn together<T>(&mut self, in_transaction: bool, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T>;

    /// Runs a migration one way, and records it.
    fn run(&mut self, known: &Known<Self::DB>, direction: Direction) -> Result<()>;

    /// Finishes what a migration that was run has left half done since, such as an index whose removal was stopped.
    fn repair(&mut self, known: &Known<Self::DB>) -> Result<()>;

    /// Makes Diesel's table of versions where it is not there.
    fn make_version_table(&mut self) -> Result<()>;

    /// The versions that were run, in order; none where there is no table of them.
    fn applied_versions(&mut self) -> Result<Vec<String>>;

    /// The versions whose text is known, with its number; nothing where there is no table of them.
    fn checksums(&mut self) -> Result<Option<Vec<(String, String)>>>;

    /// Notes the number of a migration's text.
    fn record_checksum(&mut self, version: &str, checksum: String) -> Result<()>;
}

/// Runs every pending migration and gives their names.
pub(crate) fn up<C: SchemaConnection>(connection: &mut C, patience: &Patience) -> Result<Vec<String>> {
    connection.exclusively(patience, |connection| {
        let known = C::known()?;
        refuse_unknown(&known, &connection.applied_versions()?)?;
        refuse_edited(&known, &connection.checksums()?.unwrap_or_default())?;
        up_in_lock(connection)
    })
}

fn up_in_lock<C: SchemaConnection>(connection: &mut C) -> Result<Vec<String>> {
    let applied = connection.applied_versions()?;
    let (done, pending): (Vec<_>, Vec<_>) = C::known()?.into_iter().partition(|known| applied.contains(&known.version));
    for known in &done {
        connection.repair(known)?;
    }
    run_all(connection, &pending, Direction::Up)?;
    if pending.is_empty() {
        // What Diesel's own tool ran has no checksum yet.
        connection.together(true, record_checksums)?;
    }
    Ok(names(&pending))
}

/// Reverts the newest `steps` migrations, the newest first, and gives their names.
pub(crate) fn down<C: SchemaConnection>(
    connection: &mut C,
    patience: &Patience,
    steps: usize,
    on_loss: OnLoss,
) -> Result<Vec<String>> {
    connection.exclusively(patience, |connection| {
        refuse_unknown(&C::known()?, &connection.applied_versions()?)?;
        down_in_lock(connection, steps, on_loss)
    })
}

fn down_in_lock<C: SchemaConnection>(connection: &mut C, steps: usize, on_loss: OnLoss) -> Result<Vec<String>> {
    let applied = connection.applied_versions()?;
    let mut newest: Vec<_> = C::known()?.into_iter().filter(|known| applied.contains(&known.version)).collect();
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
    run_all(connection, &newest, Direction::Down)?;
    Ok(names(&newest))
}

/// Reverts the newest migration and runs it again, and gives the names of what was reverted.
pub(crate) fn redo<C: SchemaConnection>(
    connection: &mut C,
    patience: &Patience,
    on_loss: OnLoss,
) -> Result<Vec<String>> {
    connection.exclusively(patience, |connection| {
        refuse_unknown(&C::known()?, &connection.applied_versions()?)?;
        let applied = connection.applied_versions()?;
        let pending = C::known()?.iter().filter(|known| !applied.contains(&known.version)).count();
        if pending > 0 {
            return Err(Error::SchemaPending { pending });
        }
        let newest = C::known()?.pop();
        let in_transaction = newest.is_none_or(|newest| newest.runs_in_transaction());
        connection.together(in_transaction, |connection| {
            let reverted = down_in_lock(connection, 1, on_loss)?;
            up_in_lock(connection)?;
            Ok(reverted)
        })
    })
}

/// Every migration that this build knows, or the database has run, by version.
pub(crate) fn status<C: SchemaConnection>(connection: &mut C) -> Result<Vec<MigrationStatus>> {
    let applied = connection.applied_versions()?;
    let known = C::known()?;
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

/// Refuses a database whose schema is not exactly this build's, and gives the newest migration's name. Writes nothing.
pub(crate) fn require_current<C: SchemaConnection>(connection: &mut C) -> Result<String> {
    refuse_other(&C::known()?, &connection.applied_versions()?, &connection.checksums()?.unwrap_or_default())
}

/// As [`require_current`], from what a database has: its versions in order, and the numbers of their texts.
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

/// Refuses a database that ran a migration which this build does not have.
fn refuse_unknown<DB: diesel::backend::Backend>(known: &[Known<DB>], applied: &[String]) -> Result<()> {
    let newest = known.last().map_or("", |known| &known.version);
    let is_unknown = |version: &&String| !known.iter().any(|known| known.version == **version);
    match applied.iter().rfind(is_unknown) {
        Some(found) if found.as_str() > newest => {
            Err(Error::SchemaTooNew { found: found.clone(), known: newest.to_owned() })
        }
        Some(found) => Err(Error::MigrationMissing { found: found.clone() }),
        None => Ok(()),
    }
}

/// Refuses a database that ran a migration whose text was another than this build's.
fn refuse_edited<DB: diesel::backend::Backend>(known: &[Known<DB>], checksums: &[(String, String)]) -> Result<()> {
    for (version, checksum) in checksums {
        let known = known.iter().find(|known| known.version == *version);
        if let Some(Known { script, .. }) = known.filter(|known| known.script.checksum() != *checksum) {
            return Err(Error::MigrationEdited { migration: script.name.to_owned() });
        }
    }
    Ok(())
}

/// Runs migrations one way: neighbours that may share a transaction do.
fn run_all<C: SchemaConnection>(connection: &mut C, all: &[Known<C::DB>], direction: Direction) -> Result<()> {
    for group in all.chunk_by(|a, b| a.runs_in_transaction() && b.runs_in_transaction()) {
        let in_transaction = group.iter().all(Known::runs_in_transaction);
        connection.together(in_transaction, |connection| {
            connection.make_version_table()?;
            for known in group {
                connection.run(known, direction)?;
            }
            record_checksums(connection)
        })?;
    }
    Ok(())
}

/// Notes the numbers of the texts that were run and have none yet.
fn record_checksums<C: SchemaConnection>(connection: &mut C) -> Result<()> {
    let Some(recorded) = connection.checksums()? else { return Ok(()) };
    let applied = connection.applied_versions()?;
    for Known { version, script, .. } in C::known()? {
        if applied.contains(&version) && !recorded.iter().any(|(recorded, _)| *recorded == version) {
            connection.record_checksum(&version, script.checksum())?;
        }
    }
    Ok(())
}

fn names<DB: diesel::backend::Backend>(all: &[Known<DB>]) -> Vec<String> {
    all.iter().map(|known| known.script.name.to_owned()).collect()
}
