//! Writes a database as a new generation.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::super::errors::classify;
use super::super::migrations::{SCRIPTS, open};
use super::super::set_up::{SetUp, file_url};
use super::super::transactions::begin_exclusive;
use super::{Generation, LINK, all, checksum, newest};
use crate::config::{Config, Target};
use crate::error::{Error, Result};
use crate::migrations::{Access, Engine};
use crate::tasks::blocking;

/// What `LINK` is made from.
const PARTIAL_LINK: &str = "current.part";

/// A generation that is not complete.
const PARTIAL: &str = "generation.part";

/// An empty file, which a program that ships has locked. SQLite's locks end with their program, and [`File::lock`] is
/// newer than this crate's oldest Rust.
const LOCK: &str = "ship.lock";

/// How long to wait for another program that ships to the same folder.
const LOCK_TIMEOUT: Duration = Duration::from_secs(120);

/// What [`ship`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shipped {
    /// The number of the generation: one more than the highest before it.
    pub generation: u64,
    /// Its file.
    pub path: PathBuf,
    /// The number of its schools.
    pub schools: u64,
}

/// Writes a database as a new generation to a folder, and returns it. Programs that follow the folder
/// ([`Config::following`]) go on to it within seconds.
///
/// The generation is one snapshot of the database, with a service's own tables; other programs may write meanwhile. Its
/// file is checked (integrity, schema, number of rows) and synced before the link `current` leads to it. The generation
/// before stays, and older ones are removed. A program that is killed leaves the link as it was, and the next `ship`
/// removes what it left. Of two programs that ship to one folder, the second waits.
///
/// The folder is created if it is missing. It has to be on a local disk, because locks of network file systems are
/// unreliable.
///
/// ```
/// # let place = tempfile::tempdir().expect("a folder");
/// # let (path, folder) = (place.path().join("schools.db"), place.path().join("shipped"));
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(async {
/// use school_finder_db::{Config, connect, create, sample, sqlite};
///
/// let config = Config::sqlite_file(path);
/// sample::fill(create(&config).await?.as_ref()).await?;
/// assert_eq!(sqlite::ship(&config, &folder).await?.generation, 1);
///
/// let finder = connect(&Config::following(&folder)).await?;
/// assert_eq!(finder.health().await?.generation, Some(1));
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("a generation");
/// ```
///
/// # Errors
/// [`OnlySqlite`](Error::OnlySqlite) for a database on Postgres; [`CannotShip`](Error::CannotShip) where the database
/// is in memory or has no schools, where the folder has something else under a name that is used here, and where a file
/// cannot be written; [`Busy`](Error::Busy) where another program ships for two minutes; those of
/// [`connect`](crate::connect).
pub async fn ship(config: &Config, folder: impl Into<PathBuf>) -> Result<Shipped> {
    let (config, folder) = (config.clone(), folder.into());
    blocking(move || ship_to(&config, &folder).map_err(classify)).await
}

fn ship_to(config: &Config, folder: &Path) -> Result<Shipped> {
    match &config.target {
        Target::SqliteMemory => return Err(cannot_ship(folder, "a database in memory is new and empty: name a file")),
        Target::SqliteFile { .. } | Target::SqliteGenerations { .. } => {}
        #[cfg(feature = "postgres")]
        Target::Postgres(_) => return Err(Error::OnlySqlite { what: "generations; Postgres has replicas" }),
    }
    let set_up = SetUp { busy_timeout: config.pool.busy_timeout };
    let mut source = open(config, Access::Read)?;
    Engine::new(SCRIPTS).require_usable(&mut source)?;
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let _lock = lock(folder)?;
    let before = clean(folder)?;

    let partial = folder.join(PARTIAL);
    let complete = copy(&mut source, &partial, set_up).and_then(|schools| {
        // All of the file is on the disk before its name says that it is complete.
        File::open(&partial).and_then(|file| file.sync_all()).map_err(failed(&partial))?;
        let highest = all(folder).map_err(failed(folder))?.first().map_or(0, |generation| generation.number);
        let (generation, checksum) = (highest + 1, checksum(&partial).map_err(failed(&partial))?);
        let name = Generation::name(generation, checksum);
        let path = folder.join(&name);
        std::fs::rename(&partial, &path).map_err(failed(&path))?;
        sync(folder)?;
        link(&name, &folder.join(PARTIAL_LINK))?;
        std::fs::rename(folder.join(PARTIAL_LINK), folder.join(LINK)).map_err(failed(&folder.join(LINK)))?;
        sync(folder)?;
        Ok(Shipped { generation, path, schools })
    });
    if complete.is_err() {
        // What is left all the same, the next one removes.
        let _ = std::fs::remove_file(&partial);
    }
    let shipped = complete?;
    for generation in all(folder).map_err(failed(folder))? {
        // The link may have another path to the one before.
        let is_before = before.as_ref().is_some_and(|before| before.path.file_name() == generation.path.file_name());
        let is_kept = is_before || generation.path == shipped.path;
        if !is_kept && let Err(error) = std::fs::remove_file(&generation.path) {
            tracing::warn!(%error, path = %generation.path.display(), "an older generation could not be removed");
        }
    }
    Ok(shipped)
}

fn cannot_ship(path: &Path, reason: impl Into<String>) -> Error {
    Error::CannotShip { path: path.to_owned(), reason: reason.into() }
}

/// Returns what makes the error of a failed operation on a file.
fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |error| cannot_ship(&path, error.to_string())
}

/// Locks a folder against other programs that ship to it, until the connection is closed.
fn lock(folder: &Path) -> Result<SqliteConnection> {
    let path = folder.join(LOCK);
    require_own(&path, |kind| kind.is_file())?;
    let connection = SetUp { busy_timeout: LOCK_TIMEOUT }.connect(&file_url(&path, "rwc")?);
    let mut connection = connection.map_err(|error| match error {
        Error::CannotOpen { reason, .. } => cannot_ship(&path, format!("{reason}: may this program write there?")),
        other => other,
    })?;
    begin_exclusive(&mut connection)?;
    Ok(connection)
}

/// Returns whether there is something of this name, which must be of the kind that is used here.
fn require_own(path: &Path, is_own: impl FnOnce(&std::fs::FileType) -> bool) -> Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if is_own(&metadata.file_type()) => Ok(true),
        Ok(_) => Err(cannot_ship(path, "something else has this name: move it away, or name another folder")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(path)(error)),
    }
}

/// Removes what a killed program left, and returns the generation that is the newest so far. Refuses a folder in which
/// something else has a name that is used here.
fn clean(folder: &Path) -> Result<Option<Generation>> {
    let has_link = require_own(&folder.join(LINK), |kind| kind.is_symlink())?;
    let before = match has_link {
        true => Some(newest(folder).map_err(|error| cannot_ship(&folder.join(LINK), error.to_string()))?),
        false => None,
    };
    for generation in all(folder).map_err(failed(folder))? {
        require_own(&generation.path, |kind| kind.is_file())?;
    }
    let leftovers = [
        (folder.join(PARTIAL), require_own(&folder.join(PARTIAL), |kind| kind.is_file())?),
        (folder.join(PARTIAL_LINK), require_own(&folder.join(PARTIAL_LINK), |kind| kind.is_symlink())?),
    ];
    for (path, _) in leftovers.iter().filter(|(_, is_there)| *is_there) {
        std::fs::remove_file(path).map_err(failed(path))?;
    }
    Ok(before)
}

/// Copies a database into a new file, checks the copy, and returns the number of its schools.
fn copy(source: &mut SqliteConnection, to: &Path, set_up: SetUp) -> Result<u64> {
    let (written_before, counts) = (data_version(source)?, row_counts(source)?);
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(file_url(to, "rwc")?).execute(source)?;
    let is_same = data_version(source)? == written_before;

    let mut copy = set_up.connect(&file_url(to, "ro")?)?;
    let problem = diesel::dsl::sql::<Text>("SELECT integrity_check FROM pragma_integrity_check LIMIT 1");
    let problem: String = problem.get_result(&mut copy)?;
    if problem != "ok" {
        return Err(cannot_ship(to, format!("the copy is damaged, as the database may be: {problem}")));
    }
    Engine::new(SCRIPTS).require_usable(&mut copy)?;
    let copied = row_counts(&mut copy)?;
    // A snapshot of VACUUM cannot be counted. Where no program wrote meanwhile, there is one.
    if is_same && copied != counts {
        return Err(cannot_ship(to, "the copy has not the rows of the database"));
    }
    let schools = copied.iter().find(|(table, _)| table == "schools").map_or(0, |(_, count)| *count);
    match u64::try_from(schools) {
        Ok(schools) if schools > 0 => Ok(schools),
        _ => Err(cannot_ship(to, "the database has no schools: import them first")),
    }
}

/// Returns a number that changes as another connection writes.
fn data_version(connection: &mut SqliteConnection) -> QueryResult<i64> {
    diesel::dsl::sql::<BigInt>("SELECT data_version FROM pragma_data_version").get_result(connection)
}

/// Returns every table with the number of its rows.
fn row_counts(connection: &mut SqliteConnection) -> QueryResult<Vec<(String, i64)>> {
    let tables = "SELECT name FROM pragma_table_list WHERE type = 'table' AND schema = 'main' ORDER BY name";
    let tables: Vec<String> = diesel::dsl::sql::<Text>(tables).load(connection)?;
    let count = |table: String| {
        let query = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
        let count = diesel::dsl::sql::<BigInt>(&query).get_result(connection)?;
        Ok((table, count))
    };
    tables.into_iter().map(count).collect()
}

#[cfg(unix)]
fn link(name: &str, at: &Path) -> Result<()> {
    std::os::unix::fs::symlink(name, at).map_err(failed(at))
}

#[cfg(not(unix))]
fn link(_name: &str, at: &Path) -> Result<()> {
    Err(cannot_ship(at, "this system has no symbolic link that can be replaced atomically"))
}

/// Syncs a folder, so that what it names outlives a power cut.
fn sync(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
