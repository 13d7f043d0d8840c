//! Disks that are full or read-only, files that are left behind, and programs that hold a lock.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use school_finder_db::config::{Backend, PoolMode};
use school_finder_db::request::WriteMode;
use school_finder_db::{Config, Error, SchoolSearch, connect, migrate};

use crate::support::{Place, integrity, is_root, left_out, program, register, schools, succeeds, until, with_ending};

/// A small disk in memory.
pub struct Disk(tempfile::TempDir);

impl Disk {
    /// Only where mounts cannot be seen by anybody else: scripts/test says so, in a namespace of its own.
    pub fn new(megabytes: u32, what: &str) -> Option<Self> {
        if !is_root() || std::env::var_os("SCHOOL_FINDER_MOUNTS").is_none() {
            left_out(what, "root, and a mount namespace of its own, which `scripts/test --faults` makes");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("disk.").tempdir_in("/tmp").expect("a folder");
        mount(&["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=755"), "none"], folder.path());
        Some(Self(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes it `ro` or `rw`, once nobody has a file on it open.
    pub async fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        until("nobody has a file open", async || {
            let mut command = Command::new("mount");
            command.args(["-o", &options]).arg(self.path()).stderr(Stdio::null());
            command.status().expect("mount runs").success()
        })
        .await;
    }

    /// Takes up all that is free but for so many kilobytes.
    pub fn fill(&self, but_kilobytes: usize) -> PathBuf {
        let ballast = self.path().join("ballast");
        let mut file = std::fs::File::create(&ballast).expect("a file");
        while file.write_all(&[0; 4_096]).is_ok() {}
        let length = file.metadata().expect("its size").len();
        file.set_len(length.saturating_sub(u64::try_from(but_kilobytes).expect("small") * 1_024)).expect("cut");
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: what is on it may still be open where a test failed.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

fn mount(options: &[&str], folder: &Path) {
    let status = Command::new("mount").args(options).arg(folder).status().expect("mount runs");
    assert!(status.success(), "mount {options:?}");
}

#[tokio::test]
async fn a_full_disk_rolls_back_only_the_write() {
    let Some(disk) = Disk::new(16, "SQLite on a full disk") else { return };
    let path = disk.path().join("schools.db");
    let config = Config::sqlite_file(&path);
    migrate::up(&config).await.expect("a schema");
    let finder = connect(&config).await.expect("the database");
    finder.insert_schools(schools(1..=100)).await.expect("schools that fit");
    for but in [0, 8, 64, 300, 1_000] {
        let ballast = disk.fill(but);
        let begun = Instant::now();
        let error = finder.insert_schools(schools(1_001..=20_000)).await.expect_err("the disk is full");
        assert!(matches!(error, Error::StorageFull), "{but} KB free: {error:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert_eq!(finder.facets(&SchoolSearch::open()).await.expect("readable").total, 100, "{but} KB free");
        std::fs::remove_file(ballast).expect("free again");
        assert_eq!(integrity(&path).await, "ok", "{but} KB free");
        let more = i64::try_from(but).expect("small") + 30_000;
        let id = finder.insert_schools(schools(more..=more)).await.expect("it fits now")[0];
        finder.delete_school(id).await.expect("as before");
    }
}

/// A write that is larger than the cache is written before its end, and SQLite undoes it itself when that fails.
#[tokio::test]
async fn a_full_disk_during_a_large_write_is_reported() {
    let Some(disk) = Disk::new(16, "a large write of SQLite on a full disk") else { return };
    let path = disk.path().join("schools.db");
    for mode in [PoolMode::Pooled, PoolMode::Single] {
        let mut config = Config::sqlite_file(&path).with_mode(mode);
        config.pool.max_size = 1;
        migrate::up(&config).await.expect("a schema");
        let finder = connect(&config).await.expect("the database");
        for _ in 0..2 {
            let mut many = schools(1..=120_000);
            many.iter_mut().for_each(|school| school.address = Some("a".repeat(400)));
            let many = Box::new(many.into_iter().map(Ok));
            let error = finder.upsert_schools(many, WriteMode::Commit).await.expect_err("the disk is full");
            assert!(matches!(error, Error::StorageFull), "{mode:?}: {error:?}");
            assert_eq!(finder.facets(&SchoolSearch::open()).await.expect("readable").total, 0, "{mode:?}");
        }
        let id = finder.insert_schools(schools(1..=1)).await.expect("a small one fits")[0];
        finder.delete_school(id).await.expect("as before");
        drop(finder);
        assert_eq!(integrity(&path).await, "ok", "{mode:?}");
    }
}

#[tokio::test]
async fn a_migration_on_a_full_disk_leaves_the_old_schema() {
    let Some(disk) = Disk::new(16, "a migration of SQLite on a full disk") else { return };
    let path = disk.path().join("schools.db");
    let config = Config::sqlite_file(&path);
    for but in [0, 16, 64, 128] {
        let ballast = disk.fill(but);
        let error = migrate::up(&config).await.expect_err("the disk is full");
        let reported = error.to_string();
        let is_typed = matches!(error, Error::StorageFull)
            || matches!(error, Error::MigrationFailed { .. } | Error::CannotOpen { .. }) && reported.contains("full");
        assert!(is_typed, "{but} KB free: {error:?}");
        std::fs::remove_file(ballast).expect("free again");
        if path.exists() {
            assert_eq!(integrity(&path).await, "ok", "{but} KB free");
            let status = migrate::status(&config).await.expect("a status");
            assert!(status.iter().all(|migration| !migration.applied), "{but} KB free: {status:?}");
        }
    }
    migrate::up(&config).await.expect("it fits now");
    assert_eq!(migrate::check(&config).await.expect("a check"), Vec::<String>::new());
}

#[tokio::test]
async fn a_read_only_disk_can_be_read() {
    let Some(disk) = Disk::new(8, "SQLite on a read-only disk") else { return };
    let config = Config::sqlite_file(disk.path().join("schools.db"));
    migrate::up(&config).await.expect("a schema");
    // A database to which nobody has connected is not in write-ahead mode, and can be read from anywhere.
    disk.remount("ro").await;
    let finder = connect(&config).await.expect("the database");
    assert_eq!(finder.facets(&SchoolSearch::open()).await.expect("readable").total, 0);
    let error = finder.insert_schools(schools(1..=1)).await.expect_err("read-only");
    assert!(matches!(error, Error::ReadOnly), "{error:?}");
    drop(finder);
    disk.remount("rw").await;
    let finder = connect(&config).await.expect("the database");
    finder.insert_schools(schools(1..=1)).await.expect("writable again");
    drop(finder);
    // One in write-ahead mode needs its `-shm` beside it.
    disk.remount("ro").await;
    let error = connect(&config).await.expect_err("it cannot be made");
    assert!(matches!(&error, Error::ReadOnly | Error::CannotOpen { .. }), "{error:?}");
    disk.remount("rw").await;
    connect(&config).await.expect("and then it can");
}

#[tokio::test]
async fn a_file_of_another_user_is_read_only() {
    if !is_root() {
        left_out("a database that belongs to somebody else", "root");
        return;
    }
    let folder = tempfile::Builder::new().prefix("others.").tempdir_in("/tmp").expect("a folder");
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("open to all");
    let (path, binary) = (folder.path().join("schools.db"), folder.path().join("school-finder"));
    std::fs::copy(env!("CARGO_BIN_EXE_school-finder"), &binary).expect("a copy that anybody may run");
    let file = folder.path().join("register.csv");
    std::fs::write(&file, register(1..=10, "School")).expect("a register");
    migrate::up(&Config::sqlite_file(&path)).await.expect("a schema");
    let as_another_user = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary);
        command.args(["--database", path.to_str().expect("UTF-8")]).args(arguments).output().expect("setpriv runs")
    };
    let found = as_another_user(&["councils"]);
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let refused = as_another_user(&["import", "register", file.to_str().expect("UTF-8")]);
    let reported = String::from_utf8(refused.stderr).expect("UTF-8");
    assert_eq!(
        (refused.status.code(), reported.trim_end()),
        (
            Some(1),
            "school-finder: the database is read-only: check the rights on its file and folder, and the mode in its URL; \
             on Postgres, `default_transaction_read_only`"
        )
    );
}

/// What a crash leaves: the file with its `-wal`, both, one, or a part of it.
#[tokio::test]
async fn journals_left_by_a_crash_are_recovered() {
    let place = Place::new(Backend::Sqlite).await;
    let path = place.path().expect("a file");
    let finder = connect(&place.config()).await.expect("the database");
    finder.insert_schools(schools(1..=100)).await.expect("a first commit");
    finder.insert_schools(schools(101..=300)).await.expect("a second commit");
    // Nobody writes: the files are as a killed process would leave them.
    let (file, log) =
        (std::fs::read(&path).expect("the file"), std::fs::read(with_ending(&path, "-wal")).expect("its log"));
    let total = async |log: Option<&[u8]>| {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join("copy.db");
        std::fs::write(&copy, &file).expect("a copy");
        if let Some(log) = log {
            std::fs::write(with_ending(&copy, "-wal"), log).expect("a copy");
        }
        let finder = connect(&Config::sqlite_file(&copy)).await.expect("a database");
        let total = finder.facets(&SchoolSearch::open()).await.expect("readable").total;
        drop(finder);
        assert_eq!(integrity(&copy).await, "ok");
        total
    };
    assert_eq!(total(Some(&log)).await, 300, "with its log it is whole");
    assert_eq!(total(None).await, 0, "without it, what was not in the file yet is lost, and nothing else");
    let mut found = std::collections::BTreeSet::new();
    for end in (0..log.len()).step_by(log.len() / 60) {
        found.insert(total(Some(&log[..end])).await);
    }
    assert_eq!(
        found,
        [0, 100, 300].into_iter().filter(|total| *total < 300 || found.contains(&300)).collect(),
        "whole commits alone"
    );
    let mut damaged = log.clone();
    damaged[log.len() / 3] ^= 0xFF;
    assert!([0, 100].contains(&total(Some(&damaged)).await), "what is damaged is not taken for a commit");
}

/// A reader that never ends keeps nobody from writing. The log grows meanwhile, and is used anew afterwards.
#[tokio::test]
async fn a_reader_that_stays_does_not_stop_writers() {
    let place = Place::new(Backend::Sqlite).await;
    let log = with_ending(&place.path().expect("a file"), "-wal");
    let size = || std::fs::metadata(&log).expect("a log").len();
    let finder = connect(&place.config()).await.expect("the database");
    finder.insert_schools(schools(1..=100)).await.expect("schools that fit");
    let mut reader = place.raw().await;
    reader.execute("BEGIN").await;
    let count = "SELECT CAST(count(*) AS TEXT) FROM schools";
    assert_eq!(reader.texts(count).await, ["100"]);
    let mut next = 1_000;
    let mut write = async || {
        for _ in 0..40 {
            finder.insert_schools(schools(next..=next + 499)).await.expect("nobody waits for a reader");
            next += 500;
        }
    };
    write().await;
    assert_eq!(reader.texts(count).await, ["100"], "what it saw it goes on seeing");
    let size_before = size();
    reader.execute("COMMIT").await;
    write().await;
    write().await;
    let (size_before, after) = (size_before >> 20, size() >> 20);
    crate::support::say(&format!(
        "the log had {size_before} MiB with a reader held, and {after} MiB after twice as much without one"
    ));
    assert!(after <= size_before + 16, "{size_before} MiB, then {after} MiB");
}

/// A program that is stopped in the middle of an import holds the lock.
#[tokio::test]
async fn a_stopped_program_keeps_its_lock_until_it_exits() {
    let place = Place::new(Backend::Sqlite).await;
    let mut config = place.config();
    config.pool.busy_timeout = Duration::from_millis(300);
    let finder = connect(&config).await.expect("the database");
    finder.insert_schools(schools(9_001..=9_002)).await.expect("schools that fit");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("register.csv");
    // It is read to its end first, and then takes a while to write.
    std::fs::write(&file, register(10_001..=110_000, "School")).expect("a register");
    let mut child =
        program(&place.url, &["import", "register", file.to_str().expect("UTF-8")]).spawn().expect("it runs");
    let id = finder.school_by_urn(crate::support::urn(9_001)).await.expect("a result").expect("the school").id;
    until("it holds the lock", async || {
        let begun = Instant::now();
        // A write that needs the lock before it reads.
        let written = finder.replace_collections(id, 0, Default::default()).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert!(matches!(written, Err(Error::Stale { .. } | Error::Busy)), "{written:?}");
        matches!(written, Err(Error::Busy))
    })
    .await;
    let stopped = Command::new("kill").args(["-STOP", &child.id().to_string()]).status().expect("kill runs");
    assert!(stopped.success());
    let written = finder.replace_collections(id, 0, Default::default()).await;
    assert!(matches!(written, Err(Error::Busy)), "{written:?}");
    assert_eq!(finder.facets(&SchoolSearch::open()).await.expect("readers do not wait").total, 2);
    child.kill().expect("kill -9");
    child.wait().expect("its end");
    finder.insert_schools(schools(9_003..=9_003)).await.expect("free again");
    assert_eq!(finder.facets(&SchoolSearch::open()).await.expect("readable").total, 3, "and nothing of the import");
    succeeds(program(&place.url, &["migrate", "check"]));
}
