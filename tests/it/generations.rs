//! Generations of an SQLite database: shipped as files that never change, and followed from one to the next.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use school_finder_db::config::PoolMode;
use school_finder_db::migrate::{self, Migrator};
use school_finder_db::models::SchoolPatch;
use school_finder_db::sqlite::ship;
use school_finder_db::{Config, Error, SchoolRepository, SchoolSearch, connect, create, sample};

use crate::support::{school, until, urn};

/// A database that is written, and a folder to which it is shipped.
struct Place {
    folder: tempfile::TempDir,
    writer: Arc<dyn SchoolRepository>,
}

impl Place {
    /// A database with one school, not shipped.
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let writer = create(&Config::sqlite_file(folder.path().join("schools.db"))).await.expect("a database");
        writer.insert_schools(vec![school(1)]).await.expect("a school that fits");
        Self { folder, writer }
    }

    fn database(&self) -> Config {
        Config::sqlite_file(self.folder.path().join("schools.db"))
    }

    fn shipped(&self) -> PathBuf {
        self.folder.path().join("shipped")
    }

    /// Ships the database, and returns the path of the new generation.
    async fn ship(&self) -> PathBuf {
        ship(&self.database(), self.shipped()).await.expect("a generation").path
    }

    /// Gives the database one more school, and ships it.
    async fn ship_one_more(&self, number: i64) -> PathBuf {
        self.writer.insert_schools(vec![school(number)]).await.expect("a school that fits");
        self.ship().await
    }

    async fn follow(&self) -> Arc<dyn SchoolRepository> {
        connect(&Config::following(self.shipped())).await.expect("a generation")
    }

    /// The names in the folder, sorted.
    fn names(&self) -> Vec<String> {
        names(&self.shipped())
    }

    /// Lets the link lead to a file of these bytes, which is named as a generation. It may be another's bytes.
    fn publish(&self, number: u64, named_for: &[u8], content: &[u8]) -> PathBuf {
        let hash = named_for
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        let name = format!("generation-{number:010}-{hash:016x}.db");
        let path = self.shipped().join(&name);
        std::fs::write(&path, content).expect("a file");
        std::os::unix::fs::symlink(&name, self.shipped().join("other")).expect("a link");
        std::fs::rename(self.shipped().join("other"), self.shipped().join("current")).expect("renamed");
        path
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_str().expect("UTF-8").to_owned()
}

async fn count(finder: &dyn SchoolRepository) -> u64 {
    finder.facets(&SchoolSearch::open()).await.expect("an answer").total
}

async fn generation(finder: &dyn SchoolRepository) -> u64 {
    let health = finder.health().await.expect("a database that can be used");
    let generation = health.generation.expect("a generation");
    assert_eq!(health.position.expect("a position").to_string(), format!("generation-{generation:x}"));
    generation
}

#[tokio::test]
async fn a_follower_goes_on_to_each_generation() {
    let place = Place::new().await;
    let first = place.ship().await;
    let finder = place.follow().await;
    assert_eq!((generation(finder.as_ref()).await, count(finder.as_ref()).await), (1, 1));
    let second = place.ship_one_more(2).await;
    assert_eq!(place.names(), ["current", &name(&first), &name(&second), "ship.lock"]);
    until("the second is in use", async || count(finder.as_ref()).await == 2).await;
    assert_eq!(generation(finder.as_ref()).await, 2);
    // The one before stays, and no other. No program that reads has made a file beside one.
    let third = place.ship_one_more(3).await;
    until("the third is in use", async || count(finder.as_ref()).await == 3).await;
    assert_eq!(place.names(), ["current", &name(&second), &name(&third), "ship.lock"]);
    // The link may lead back.
    std::fs::remove_file(place.shipped().join("current")).expect("removed");
    std::os::unix::fs::symlink(&second, place.shipped().join("current")).expect("a link");
    until("the second is in use", async || count(finder.as_ref()).await == 2).await;
    assert_eq!(generation(finder.as_ref()).await, 2);
    // A number is used once, and the one before is what was in use.
    let fourth = place.ship().await;
    assert!(name(&fourth).starts_with("generation-0000000004-"), "{fourth:?}");
    assert_eq!(place.names(), ["current", &name(&second), &name(&fourth), "ship.lock"]);
}

#[tokio::test]
async fn a_position_is_a_generation() {
    let place = Place::new().await;
    place.ship().await;
    let finder = place.follow().await;
    let position = finder.position().await.expect("a position");
    assert_eq!(position.to_string(), "generation-1");
    assert_eq!(count(finder.at_least(&position).as_ref()).await, 1);
    place.ship_one_more(2).await;
    let second = finder.at_least(&"generation-2".parse().expect("a position"));
    until("the second is in use", async || count(second.as_ref()).await == 2).await;
    // One that does not arrive costs the read its wait.
    let begun = std::time::Instant::now();
    assert_eq!(count(finder.at_least(&"generation-9".parse().expect("a position")).as_ref()).await, 2);
    assert!(begun.elapsed() >= std::time::Duration::from_millis(100));
}

#[tokio::test]
async fn a_generation_is_only_read() {
    let place = Place::new().await;
    place.ship().await;
    for immutable in ["", "&immutable=true"] {
        let url = format!("sqlite:{}?follow=true{immutable}", place.shipped().display());
        for mode in [PoolMode::Pooled, PoolMode::Single, PoolMode::PerCall] {
            let config = Config::from_url(&url).expect("a URL").with_mode(mode);
            let finder = connect(&config).await.expect("a generation");
            let refused = finder.insert_schools(vec![school(2)]).await.expect_err("only read");
            assert!(matches!(refused, Error::ReadOnly), "{refused:?}");
            let refused = finder.update_school(sample_id(finder.as_ref()).await, 1, SchoolPatch::default()).await;
            assert!(matches!(refused, Err(Error::ReadOnly)), "{refused:?}");
            let refused = finder.begin().await.expect_err("only read");
            assert!(matches!(refused, Error::ReadOnly), "{refused:?}");
            let refused = migrate::up(&config).await.expect_err("only read");
            assert!(matches!(refused, Error::ReadOnly), "{refused:?}");
            assert_eq!(migrate::check(&config).await.expect("a check"), Vec::<String>::new());
            assert_eq!(count(finder.as_ref()).await, 1);
        }
    }
    let before = place.names();
    assert_eq!(before.len(), 3, "nothing was made beside a generation: {before:?}");
    // One folder can be shipped on to another.
    let next = place.folder.path().join("next");
    let shipped = ship(&Config::following(place.shipped()), &next).await.expect("a generation");
    assert_eq!((shipped.generation, shipped.schools), (1, 1));
}

async fn sample_id(finder: &dyn SchoolRepository) -> school_finder_db::ids::SchoolId {
    finder.school_by_urn(urn(1)).await.expect("an answer").expect("a school").id
}

#[tokio::test]
async fn what_cannot_be_shipped_changes_nothing() {
    let place = Place::new().await;
    place.ship().await;
    let before = place.names();
    let refused = ship(&Config::in_memory(), place.shipped()).await.expect_err("empty");
    assert!(matches!(refused, Error::CannotShip { .. }), "{refused:?}");
    let empty = Config::sqlite_file(place.folder.path().join("empty.db"));
    migrate::up(&empty).await.expect("a schema");
    let refused = ship(&empty, place.shipped()).await.expect_err("no schools");
    assert!(refused.to_string().contains("no schools"), "{refused}");
    Migrator::new(&empty).accept_loss().down(1).await.expect("a step back");
    let refused = ship(&empty, place.shipped()).await.expect_err("an older schema");
    assert!(matches!(refused, Error::SchemaPending { .. }), "{refused:?}");
    let missing = Config::sqlite_file(place.folder.path().join("missing.db"));
    let refused = ship(&missing, place.shipped()).await.expect_err("no file");
    assert!(matches!(refused, Error::CannotOpen { .. }), "{refused:?}");
    assert_eq!(place.names(), before);
    let file = place.folder.path().join("schools.db");
    let refused = ship(&place.database(), &file).await.expect_err("no folder");
    assert!(matches!(&refused, Error::CannotShip { path, .. } if *path == file), "{refused:?}");
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn only_sqlite_has_generations() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = school_finder_db::testing::TestDatabase::new(school_finder_db::config::Backend::Postgres)
        .await
        .expect("a database");
    let refused = ship(database.config(), folder.path()).await.expect_err("not SQLite");
    assert!(matches!(refused, Error::OnlySqlite { .. }), "{refused:?}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_folder_with_foreign_things_is_refused() {
    let place = Place::new().await;
    let foreign = place.folder.path().join("foreign");
    let generation = format!("generation-{:010}-{:016x}.db", 7, 7);
    for name in ["current", "current.part", "generation.part", "ship.lock", &generation] {
        let at = place.shipped().join(name);
        // The lock of the one before.
        let _ = std::fs::remove_file(&at);
        std::fs::create_dir_all(&at).expect("a folder");
        let refused = ship(&place.database(), place.shipped()).await.expect_err(name);
        assert!(matches!(&refused, Error::CannotShip { path, .. } if *path == at), "{name}: {refused:?}");
        std::fs::remove_dir(&at).expect("as it was");
        // A file or a link where the other belongs, which leads out of the folder.
        std::fs::write(&foreign, "somebody's").expect("a file");
        match name {
            "current.part" => std::fs::write(&at, "somebody's").expect("a file"),
            _ => std::os::unix::fs::symlink(&foreign, &at).expect("a link"),
        }
        let refused = ship(&place.database(), place.shipped()).await.expect_err(name);
        assert!(matches!(&refused, Error::CannotShip { path, .. } if *path == at), "{name}: {refused:?}");
        assert_eq!(std::fs::read_to_string(&foreign).expect("still there"), "somebody's");
        std::fs::remove_file(&at).expect("as it was");
    }
    place.ship().await;
    let nowhere = connect(&Config::following(place.folder.path())).await.map(drop).expect_err("no generation");
    assert!(nowhere.to_string().contains("school-finder ship"), "{nowhere}");
}

#[tokio::test]
async fn the_next_ship_removes_what_a_killed_one_left() {
    let place = Place::new().await;
    place.ship().await;
    let second = place.ship().await;
    // Killed while it wrote, and before the link was renamed.
    std::fs::write(place.shipped().join("generation.part"), "half").expect("a file");
    std::os::unix::fs::symlink("generation.part", place.shipped().join("current.part")).expect("a link");
    std::fs::copy(&second, place.shipped().join(format!("generation-{:010}-{:016x}.db", 3, 3))).expect("a copy");
    assert_eq!(generation(place.follow().await.as_ref()).await, 2);
    let fourth = place.ship().await;
    assert!(name(&fourth).starts_with("generation-0000000004-"), "{fourth:?}");
    assert_eq!(place.names(), ["current", &name(&second), &name(&fourth), "ship.lock"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_ship_at_once_take_turns() {
    let place = Place::new().await;
    let ships = (0..4).map(|_| {
        let (database, folder) = (place.database(), place.shipped());
        tokio::spawn(async move { ship(&database, folder).await.expect("a generation").generation })
    });
    let mut numbers = Vec::new();
    for shipped in ships.collect::<Vec<_>>() {
        numbers.push(shipped.await.expect("no panic"));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(generation(place.follow().await.as_ref()).await, 4);
    assert_eq!(place.names().len(), 4);
}

/// Generations that cannot be used: cut off, with random bytes in it, of another schema, no database at all.
async fn damaged(place: &Place, intact: &Path) -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let intact = std::fs::read(intact).expect("a file");
    let mut noisy = intact.clone();
    for (at, byte) in noisy.iter_mut().skip(intact.len() / 2).take(100).enumerate() {
        *byte = byte.wrapping_add(u8::try_from(at).expect("small") | 1);
    }
    let older = Config::sqlite_file(place.folder.path().join("older.db"));
    migrate::up(&older).await.expect("a schema");
    Migrator::new(&older).accept_loss().down(1).await.expect("a step back");
    let older = std::fs::read(place.folder.path().join("older.db")).expect("a file");
    vec![
        ("truncated", intact.clone(), intact[..intact.len() - 4096].to_vec()),
        ("random bytes", intact.clone(), noisy),
        ("empty", intact, Vec::new()),
        ("other schema", older.clone(), older),
        ("no database", b"text".to_vec(), b"text".to_vec()),
    ]
}

#[tokio::test]
async fn a_damaged_generation_is_refused_and_the_one_before_stays() {
    let place = Place::new().await;
    let first = place.ship().await;
    let finder = place.follow().await;
    for (number, (what, named_for, content)) in (2..).zip(damaged(&place, &first).await) {
        let path = place.publish(number, &named_for, &content);
        // It is tried within a second.
        tokio::time::sleep(std::time::Duration::from_millis(1_300)).await;
        assert_eq!((generation(finder.as_ref()).await, count(finder.as_ref()).await), (1, 1), "{what}");
        // So does a program that starts.
        let started = place.follow().await;
        assert_eq!((generation(started.as_ref()).await, count(started.as_ref()).await), (1, 1), "{what}");
        std::fs::remove_file(path).expect("removed");
    }
    // The next whole one is used.
    std::fs::remove_file(place.shipped().join("current")).expect("removed");
    std::os::unix::fs::symlink(name(&first), place.shipped().join("current")).expect("a link");
    place.ship_one_more(2).await;
    until("the whole one is in use", async || count(finder.as_ref()).await == 2).await;
    // Where there is no other, a program that starts says what is wrong with it.
    std::fs::remove_dir_all(place.shipped()).expect("removed");
    std::fs::create_dir(place.shipped()).expect("a folder");
    place.publish(9, b"text", b"text");
    let error = connect(&Config::following(place.shipped())).await.map(drop).expect_err("none can be used");
    assert!(matches!(error, Error::NotADatabase), "{error:?}");
    // A program that had the last good one open still has it.
    assert_eq!(count(finder.as_ref()).await, 2);
}

#[tokio::test]
#[ignore = "run by `a_refused_generation_is_reported_once`, in a process of its own"]
async fn refuses_a_generation() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let place = Place::new().await;
    place.ship().await;
    let finder = place.follow().await;
    place.publish(2, b"text", b"other text");
    tokio::time::sleep(std::time::Duration::from_millis(3_500)).await;
    assert_eq!(generation(finder.as_ref()).await, 1);
}

#[test]
fn a_refused_generation_is_reported_once() {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "generations::refuses_a_generation", "--ignored", "--nocapture"])
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    let warnings: Vec<&str> = text.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{text}");
    assert!(warnings[0].contains("generation-0000000002-") && warnings[0].contains("damaged"), "{text}");
}

/// The generations that this process has open.
#[cfg(target_os = "linux")]
fn open_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("this process");
    let targets = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.starts_with(folder)).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_of_earlier_generations_are_closed() {
    let place = Place::new().await;
    place.writer.insert_schools(sample::schools()).await.expect("schools that fit");
    place.ship().await;
    let mut config = Config::following(place.shipped());
    config.pool.max_size = 3;
    let finder = connect(&config).await.expect("a generation");
    assert_eq!(open_files(&place.shipped()).len(), 3, "all connections are open from the start");
    for number in 2..=5 {
        let newest = place.ship_one_more(number).await;
        until("only the newest is open", async || {
            let open = open_files(&place.shipped());
            open.len() == 3 && open.iter().all(|path| *path == newest)
        })
        .await;
        assert_eq!(finder.pool_status().open, 3);
    }
    drop(finder);
    until("none is open", async || open_files(&place.shipped()).is_empty()).await;
}
