//! Eight writers and sixteen readers at once. `SCHOOL_FINDER_SOAK_S` says for how long; a minute by default.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use school_finder_db::config::Backend;
use school_finder_db::ids::SchoolId;
use school_finder_db::models::{NewSchool, SchoolPatch};
use school_finder_db::request::WriteMode;
use school_finder_db::{Error, SchoolRepository, SchoolSearch, connect};

use crate::support::{BACKENDS, Place, Random, program, register, say, setting, urn};

const WRITERS: u64 = 8;
const READERS: u64 = 16;
/// Schools whose pupils are counted up, by whoever read the newest version.
const COUNTERS: std::ops::RangeInclusive<i64> = 1..=4;
/// Schools of which two and two together always have this capacity.
const SUM: i32 = 1_000;
/// As [`SUM`], of their ratings, which a search gives too.
const RATINGS: i16 = 5;
const PAIRS: std::ops::RangeInclusive<i64> = 11..=14;
/// What every search finds: nothing else in the database has this council.
const COUNCIL: &str = "Soak";

fn school(number: i64) -> NewSchool {
    NewSchool { council: Some(COUNCIL.to_owned()), ..NewSchool::new(urn(number), format!("School {number}")) }
}

fn pair(number: i64, capacity: i32) -> [NewSchool; 2] {
    let rating = i16::try_from(capacity % 4).expect("small") + 1;
    let [one, other] = [(number, capacity, rating), (number + 100, SUM - capacity, RATINGS - rating)];
    [one, other].map(|(number, capacity, rating)| NewSchool {
        capacity: Some(capacity),
        ofsted_rating: Some(rating.try_into().expect("a rating")),
        ..school(number)
    })
}

#[derive(Default)]
struct Counts {
    added: AtomicU64,
    paired: AtomicU64,
    read: AtomicU64,
    refused: AtomicU64,
}

/// What may happen when many write at once, and means that nothing was written.
fn may_happen(error: &Error) -> bool {
    matches!(error, Error::Busy | Error::Stale { .. } | Error::Conflict)
}

/// Adds one to a school's pupils, and counts it.
async fn add(finder: &dyn SchoolRepository, id: SchoolId, counts: &Counts) {
    let school = finder.school(id).await.expect("a read").expect("a school");
    let pupils = school.pupils.expect("a number") + 1;
    let patch = SchoolPatch { pupils: Some(Some(pupils)), ..SchoolPatch::default() };
    match finder.update_school(id, school.version, patch).await {
        Ok(_) => &counts.added,
        Err(error) if may_happen(&error) => &counts.refused,
        Err(error) => panic!("{error:?}"),
    }
    .fetch_add(1, Ordering::Relaxed);
}

async fn share_out(finder: &dyn SchoolRepository, random: &mut Random, counts: &Counts) {
    let number = 11 + i64::try_from(random.below(4)).expect("small");
    let schools = pair(number, i32::try_from(random.below(1_001)).expect("small"));
    let stream = Box::new(schools.into_iter().map(Ok));
    match finder.upsert_schools(stream, WriteMode::Commit).await {
        Ok(_) => &counts.paired,
        Err(error) if may_happen(&error) => &counts.refused,
        Err(error) => panic!("{error:?}"),
    }
    .fetch_add(1, Ordering::Relaxed);
}

/// Reads pairs in one call, by URN or by a search, and adds them up.
async fn check(finder: &dyn SchoolRepository, random: &mut Random, counts: &Counts) {
    if random.below(2) == 0 {
        let number = 11 + i64::try_from(random.below(4)).expect("small");
        let found = finder.schools_by_urn(&[urn(number), urn(number + 100)]).await.expect("a read");
        let capacities: Vec<i32> = found.iter().filter_map(|school| school.capacity).collect();
        assert_eq!((capacities.len(), capacities.iter().sum()), (2, SUM), "a half of somebody's write");
    } else {
        let page = finder.find_schools(&SchoolSearch::open().council(COUNCIL).limit(100)).await.expect("a read");
        let ratings: Vec<i16> = page.items.iter().filter_map(|hit| hit.school.ofsted_rating.map(i16::from)).collect();
        assert_eq!((ratings.len(), ratings.iter().sum()), (8, 4 * RATINGS), "a half of somebody's write");
    }
    counts.read.fetch_add(1, Ordering::Relaxed);
}

async fn soak(backend: Backend) {
    let place = Place::new(backend).await;
    let finder = connect(&place.config()).await.expect("the database");
    let counters = COUNTERS.map(|number| NewSchool { pupils: Some(0), ..school(number) }).collect();
    let ids = finder.insert_schools(counters).await.expect("schools that fit");
    finder.insert_schools(PAIRS.flat_map(|number| pair(number, 0)).collect()).await.expect("schools that fit");

    let (counts, stop) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
    let tasks: Vec<_> = (0..WRITERS + READERS)
        .map(|task| {
            let (finder, ids) = (Arc::clone(&finder), ids.clone());
            let (counts, stop) = (Arc::clone(&counts), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut random = Random::new(task);
                while !stop.load(Ordering::Relaxed) {
                    match task {
                        0..4 => add(finder.as_ref(), ids[random.below(ids.len())], &counts).await,
                        4..WRITERS => share_out(finder.as_ref(), &mut random, &counts).await,
                        _ => {
                            check(finder.as_ref(), &mut random, &counts).await;
                            // Two cores are shared by all: writers should get a turn.
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                }
            })
        })
        .collect();
    // Another process writes into the same database all the while.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("register.csv");
    let begun = Instant::now();
    let mut imports = 0;
    while begun.elapsed() < Duration::from_secs(setting("SCHOOL_FINDER_SOAK_S", 60)) {
        std::fs::write(&file, register(1_001..=1_200, &format!("Round {imports}"))).expect("a register");
        let url = place.url.clone();
        let file = file.to_str().expect("UTF-8").to_owned();
        let import = move || program(&url, &["import", "register", &file]).output().expect("the program runs");
        let output = tokio::task::spawn_blocking(import).await.expect("no panic");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || stderr.contains("the database is locked by another connection"), "{stderr}");
        imports += 1;
        assert!(tasks.iter().all(|task| !task.is_finished()), "one of them found something wrong");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("no panic");
    }
    let schools = finder.schools(&ids).await.expect("the counters");
    let pupils: i32 = schools.iter().map(|school| school.pupils.expect("a number")).sum();
    let versions: i32 = schools.iter().map(|school| school.version - 1).sum();
    let [added, paired, read, refused] =
        [&counts.added, &counts.paired, &counts.read, &counts.refused].map(|count| count.load(Ordering::Relaxed));
    assert_eq!((u64::try_from(pupils), u64::try_from(versions)), (Ok(added), Ok(added)), "no update was lost");
    assert!(added > 0 && paired > 0 && read > 0);
    say(&format!(
        "{backend}: {added} + {paired} writes, {refused} refused, {read} reads, {imports} imports by another process in {:?}",
        begun.elapsed()
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_callers_see_no_partial_write_on_sqlite() {
    soak(BACKENDS[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_callers_see_no_partial_write_on_postgres() {
    soak(BACKENDS[1]).await;
}
