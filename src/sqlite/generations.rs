//! Generations: whole databases, shipped to a folder as files that never change, and followed from one to the next.
//!
//! A folder holds the files of at most two generations, the newest and the one before, and the symbolic link `current`
//! to the newest. A file's name has its number and its checksum, `generation-0000000007-1f0c92d3a8b4e657.db`, so that
//! damage is detected wherever the file is copied.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use parking_lot::Mutex;

use super::errors::classify;
use super::migrations::{SCRIPTS, open};
use super::pool::Connections;
use super::set_up::{SetUp, file_url};
use super::transactions::begin_exclusive;
use crate::config::{Config, FileAccess, PoolConfig, Target};
use crate::error::{Error, Result};
use crate::fnv::{OF_NOTHING, fnv1a_after};
use crate::migrations::{Access, Engine};
use crate::tasks::blocking;

/// The symbolic link to the newest generation.
const LINK: &str = "current";

/// What `LINK` is made from.
const PARTIAL_LINK: &str = "current.part";

/// A generation that is not complete.
const PARTIAL: &str = "generation.part";

/// An empty file, which a program that ships has locked. SQLite's locks end with their program, and [`File::lock`] is
/// newer than this crate's oldest Rust.
const LOCK: &str = "ship.lock";

/// How long to wait for another program that ships to the same folder.
const LOCK_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a read waits for the generation of its position, and how often it checks meanwhile.
const MAX_WAIT: Duration = Duration::from_millis(100);
const WAIT: Duration = Duration::from_millis(5);

/// How often the link is read. Once a second is cheaper than at each call, and a call never waits for the disk.
const INTERVAL: Duration = Duration::from_secs(1);

/// When a generation that was refused is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

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

/// The file of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Generation {
    number: u64,
    checksum: u64,
    path: PathBuf,
}

impl Generation {
    fn name(number: u64, checksum: u64) -> String {
        format!("generation-{number:010}-{checksum:016x}.db")
    }

    /// Returns the generation of a path, if its name is that of one.
    fn of_path(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (number, checksum) = name.strip_prefix("generation-")?.strip_suffix(".db")?.split_once('-')?;
        let (number, checksum) = (number.parse().ok()?, u64::from_str_radix(checksum, 16).ok()?);
        (name == Self::name(number, checksum)).then_some(Self { number, checksum, path })
    }

    /// Returns an error for a file that is not what was shipped.
    fn check(&self) -> Result<()> {
        let cannot_open = |error: std::io::Error| self.cannot_open(&error.to_string());
        match std::fs::metadata(&self.path).map_err(cannot_open)?.is_file() {
            false => Err(self.cannot_open("it is not a file")),
            true if checksum(&self.path).map_err(cannot_open)? == self.checksum => Ok(()),
            true => Err(Error::Corrupt),
        }
    }

    fn cannot_open(&self, reason: &str) -> Error {
        Error::CannotOpen { path: self.path.clone(), reason: reason.to_owned() }
    }
}

fn checksum(path: &Path) -> std::io::Result<u64> {
    let (mut file, mut buffer, mut hash) = (File::open(path)?, vec![0; 1 << 16], OF_NOTHING);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hash),
            Ok(read) => hash = fnv1a_after(hash, buffer.iter().take(read).copied()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns the generation that the link leads to.
fn newest(folder: &Path) -> Result<Generation> {
    let refused = |reason: String| Error::CannotOpen { path: folder.to_owned(), reason };
    let target = std::fs::read_link(folder.join(LINK)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => refused("it holds no generation: `school-finder ship` writes one".to_owned()),
        _ => refused(format!("its link {LINK} cannot be read: {error}")),
    })?;
    let not_one = format!("its link {LINK} leads to {target:?}, which has not the name of a generation");
    Generation::of_path(folder.join(target)).ok_or_else(|| refused(not_one))
}

/// Returns the generations whose files are in a folder, the highest number first.
fn all(folder: &Path) -> std::io::Result<Vec<Generation>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        all.extend(Generation::of_path(entry?.path()));
    }
    all.sort_by_key(|generation| std::cmp::Reverse(generation.number));
    Ok(all)
}

/// Returns the path of the newest generation, for a program that opens it once.
pub(super) fn newest_file(folder: &Path, immutable: bool) -> Result<(PathBuf, FileAccess)> {
    Ok((newest(folder)?.path, access(immutable)))
}

fn access(immutable: bool) -> FileAccess {
    if immutable { FileAccess::Immutable } else { FileAccess::Read }
}

// --- shipping -------------------------------------------------------------------------------------------------------

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

// --- following ------------------------------------------------------------------------------------------------------

/// The connections to the newest generation of a folder. A thread replaces them as the link moves. Calls that have
/// begun hold the connections before, which close with the last of them.
pub(super) struct Follower {
    folder: PathBuf,
    access: FileAccess,
    pool: PoolConfig,
    current: Mutex<(Generation, Arc<Connections>)>,
    thread: Thread,
}

/// A generation that was refused, and when it is tried again.
type Refused = Option<(Generation, Instant)>;

impl Follower {
    /// Opens the newest generation, or the one before it where that cannot be used, and starts the thread.
    pub(super) fn open(folder: &Path, immutable: bool, pool: &PoolConfig) -> Result<Arc<Self>> {
        let (access, mut refused) = (access(immutable), None);
        let current = match open_newest(folder, access, pool) {
            Ok(opened) => opened,
            Err((None, error)) => return Err(error),
            Err((Some(newest), error)) => {
                warn_of(&newest, &error);
                refused = Some((newest.clone(), Instant::now() + RETRY_INTERVAL));
                let others = all(folder).unwrap_or_default().into_iter();
                let mut before = others.filter(|generation| generation.number < newest.number);
                // Of two errors, that of the newest says what to mend.
                before.find_map(|generation| generation.opened(access, pool).ok()).ok_or(error)?
            }
        };
        let (sender, receiver) = std::sync::mpsc::channel::<Weak<Self>>();
        let follow = move || {
            if let Ok(follower) = receiver.recv() {
                follow(&follower, refused);
            }
        };
        let thread = std::thread::Builder::new().name("sqlite-follow".to_owned()).spawn(follow);
        let thread = thread.map_err(|error| Error::CannotOpen {
            path: folder.to_owned(),
            reason: format!("the thread that follows it cannot be started: {error}"),
        })?;
        let follower = Arc::new(Self {
            folder: folder.to_owned(),
            access,
            pool: pool.clone(),
            current: Mutex::new(current),
            thread: thread.thread().clone(),
        });
        // The thread waits for it.
        let _ = sender.send(Arc::downgrade(&follower));
        Ok(follower)
    }

    /// Returns the connections to the newest generation that could be opened.
    pub(super) fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.current.lock().1)
    }

    /// As [`connections`](Self::connections), after a wait for a generation. Where it does not arrive in time, the newest
    /// of the folder serves: nothing else would.
    pub(super) async fn connections_at_least(&self, generation: u64) -> Arc<Connections> {
        let begun = Instant::now();
        loop {
            let (number, connections) = self.generation();
            if number >= generation || begun.elapsed() >= MAX_WAIT {
                return connections;
            }
            // It reads the link at once.
            self.thread.unpark();
            tokio::time::sleep(WAIT).await;
        }
    }

    /// Returns the number of the generation in use, with the connections to it.
    pub(super) fn generation(&self) -> (u64, Arc<Connections>) {
        let current = self.current.lock();
        (current.0.number, Arc::clone(&current.1))
    }

    /// Goes on to the generation that the link leads to, unless it is in use or was refused a moment ago.
    fn refresh(&self, refused: &mut Refused) {
        let known = self.current.lock().0.clone();
        let is_refused = |newest: &Generation| {
            refused.as_ref().is_some_and(|(generation, again)| generation == newest && Instant::now() < *again)
        };
        match newest(&self.folder) {
            Ok(newest) if newest == known => return,
            Ok(newest) if is_refused(&newest) => return,
            // A link that is gone for a moment, or for longer, is no reason to stop.
            Err(error) => return tracing::debug!(%error, "the link to the newest generation cannot be followed"),
            Ok(_) => {}
        }
        match open_newest(&self.folder, self.access, &self.pool) {
            Ok(opened) => {
                tracing::info!(generation = opened.0.number, "the newest generation is in use");
                *refused = None;
                let before = std::mem::replace(&mut *self.current.lock(), opened);
                drop(before);
            }
            Err((Some(newest), error)) => {
                if refused.as_ref().is_none_or(|(generation, _)| *generation != newest) {
                    warn_of(&newest, &error);
                }
                *refused = Some((newest, Instant::now() + RETRY_INTERVAL));
            }
            Err((None, _)) => {}
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It ends at once.
        self.thread.unpark();
    }
}

/// Follows the link until the repository is dropped.
fn follow(follower: &Weak<Follower>, mut refused: Refused) {
    loop {
        std::thread::park_timeout(INTERVAL);
        let Some(follower) = follower.upgrade() else { return };
        follower.refresh(&mut refused);
    }
}

fn warn_of(generation: &Generation, error: &Error) {
    tracing::warn!(
        path = %generation.path.display(),
        %error,
        "the newest generation cannot be used, and the one before it stays in use"
    );
}

impl Generation {
    fn opened(self, access: FileAccess, pool: &PoolConfig) -> Result<(Self, Arc<Connections>)> {
        self.check()?;
        let connections = Connections::open_file(&self.path, access, pool, true)?;
        Ok((self, Arc::new(connections)))
    }
}

/// Opens the generation that the link leads to. An error comes with the generation, unless there is no link to one.
fn open_newest(
    folder: &Path,
    access: FileAccess,
    pool: &PoolConfig,
) -> Result<(Generation, Arc<Connections>), (Option<Generation>, Error)> {
    loop {
        let generation = newest(folder).map_err(|error| (None, error))?;
        match generation.clone().opened(access, pool) {
            Ok(opened) => return Ok(opened),
            // The link moved on meanwhile, and the file may be removed.
            Err(_) if newest(folder).is_ok_and(|now| now != generation) => {}
            Err(error) => return Err((Some(generation), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_number_and_a_checksum() {
        let name = Generation::name(7, 0x1f0c_92d3_a8b4_e657);
        assert_eq!(name, "generation-0000000007-1f0c92d3a8b4e657.db");
        let generation = Generation::of_path(PathBuf::from("/srv").join(&name)).expect("a generation");
        assert_eq!((generation.number, generation.checksum), (7, 0x1f0c_92d3_a8b4_e657));
        for other in ["current", "generation.part", "generation-7-1f0c92d3a8b4e657.db", "generation-0000000007.db", ""]
        {
            assert_eq!(Generation::of_path(other.into()), None, "{other}");
        }
    }
}
