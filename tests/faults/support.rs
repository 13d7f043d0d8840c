//! What the tests of faults share.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use school_finder_db::config::Backend;
use school_finder_db::ids::Urn;
use school_finder_db::models::NewSchool;
use school_finder_db::{Config, migrate};

use crate::raw::Raw;

pub const BACKENDS: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

/// Says something past the test harness, which swallows what a test that passes prints.
pub fn say(what: &str) {
    // A test does not fail for what it could not say.
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Says that a part of the tests is not run.
pub fn left_out(what: &str, needs: &str) {
    say(&format!("LEFT OUT: {what}: needs {needs}"));
}

/// Whether this is root, by the owner of the process.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A number of the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Numbers that look random and are the same ones each time (xorshift).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).expect("small")).expect("small")
    }
}

pub fn urn(number: i64) -> Urn {
    Urn::new(number).expect("a URN")
}

pub fn schools(numbers: std::ops::RangeInclusive<i64>) -> Vec<NewSchool> {
    numbers.map(|number| NewSchool::new(urn(number), format!("School {number}"))).collect()
}

/// A register of these schools, each with its number after its name.
pub fn register(numbers: std::ops::RangeInclusive<i64>, name: &str) -> String {
    let mut text = String::from(
        "URN,LA (name),EstablishmentName,EstablishmentStatus (name),PhaseOfEducation (name),Easting,Northing\r\n",
    );
    for number in numbers {
        let (east, north) = (400_000 + number % 97 * 1_000, 200_000 + number % 89 * 1_000);
        writeln!(text, "{number},Council {},{name} {number},Open,Primary,{east},{north}\r", number % 50).expect("text");
    }
    text
}

/// The program, on a database.
pub fn program(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_school-finder"));
    command.args(["--database", url]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a run that must succeed gave.
pub fn succeeds(mut command: Command) -> Output {
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Waits for something to be so, for half a minute at most.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

/// Where small files lie in memory, if there is such a place: thousands of databases are made, and a disk that is busy
/// would make minutes of what takes seconds. What a killed program wrote is kept there as it is on a disk.
pub fn in_memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// A database of the tests, gone when it is dropped, of which copies can be made.
pub struct Place {
    pub url: String,
    folder: Option<tempfile::TempDir>,
}

impl Place {
    /// Nothing yet.
    pub fn empty(backend: Backend) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        match backend {
            Backend::Sqlite => {
                let folder = tempfile::tempdir_in(in_memory()).expect("a folder");
                Self { url: format!("sqlite:{}", folder.path().join("schools.db").display()), folder: Some(folder) }
            }
            _ => {
                Self { url: on_server(&format!("school_finder_faults_{}_{number}", std::process::id())), folder: None }
            }
        }
    }

    /// A database with this build's schema, to which nobody is connected.
    pub async fn new(backend: Backend) -> Self {
        let place = Self::empty(backend);
        if place.folder.is_none() {
            server().await.execute(&format!("CREATE DATABASE {}", place.name())).await;
        }
        migrate::up(&place.config()).await.expect("a schema");
        place
    }

    /// A copy of a database to which nobody is connected any more.
    pub async fn copy(&self) -> Self {
        let Some(path) = self.path() else {
            let copy = Self::empty(Backend::Postgres);
            let sql = format!("CREATE DATABASE {} TEMPLATE {}", copy.name(), self.name());
            let mut server = server().await;
            // The process of a connection that was closed may take a moment to go.
            until("nobody is connected", async || server.try_execute(&sql).await.is_ok()).await;
            return copy;
        };
        let copy = Self::empty(Backend::Sqlite);
        assert!(!with_ending(&path, "-wal").exists(), "nobody is connected");
        std::fs::copy(path, copy.path().expect("a file")).expect("a copy");
        copy
    }

    /// Waits until nobody else is connected: a server goes on for a moment after its client was killed.
    pub async fn alone(&self) {
        if self.path().is_none() {
            let mut server = server().await;
            let others = format!("SELECT pid::text FROM pg_stat_activity WHERE datname = '{}'", self.name());
            until("the server's process ends", async || server.texts(&others).await.is_empty()).await;
        }
    }

    pub fn config(&self) -> Config {
        Config::from_url(&self.url).expect("a database")
    }

    /// Its file, on SQLite.
    pub fn path(&self) -> Option<PathBuf> {
        self.url.strip_prefix("sqlite:").map(PathBuf::from)
    }

    pub async fn raw(&self) -> Raw {
        Raw::open(&self.url).await
    }

    fn name(&self) -> &str {
        let name = self.url.rsplit_once('/').expect("a database").1;
        name.split('?').next().expect("a name")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.folder.is_some() {
            return;
        }
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name());
        // A thread with a runtime of its own: this may run inside one, which may not be blocked.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { server().await.execute(&drop).await });
        });
        if dropping.join().is_err() {
            say(&format!("{} could not be dropped", self.url));
        }
    }
}

/// The file beside a database's that has this ending.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The test server, and a database on it.
fn on_server(name: &str) -> String {
    let server = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL names a server; scripts/test starts one");
    let (address, parameters) = server.split_once('?').map_or((server.as_str(), ""), |(a, p)| (a, p));
    let (host, _) = address.rsplit_once('/').expect("a database");
    format!("{host}/{name}?{parameters}").trim_end_matches('?').to_owned()
}

async fn server() -> Raw {
    Raw::open(&std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL names a server")).await
}

/// What SQLite finds wrong with a file.
pub async fn integrity(path: &Path) -> String {
    let mut raw = Raw::open(&format!("sqlite:{}", path.display())).await;
    // A pool that was dropped closes its connections a moment later, and the last one locks the file.
    raw.execute("PRAGMA busy_timeout = 10000").await;
    raw.texts("PRAGMA integrity_check").await.join("; ")
}
