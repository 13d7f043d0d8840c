//! Generations of an SQLite database that another process ships: to a reader under load, and killed at any moment.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use school_finder_db::config::Backend;
use school_finder_db::{Config, SchoolRepository, SchoolSearch, connect};

use crate::support::{Place, Random, integrity, program, say, schools, setting, succeeds, until};

async fn count(finder: &dyn SchoolRepository) -> u64 {
    finder.facets(&SchoolSearch::open()).await.expect("an answer").total
}

async fn generation(finder: &dyn SchoolRepository) -> u64 {
    finder.health().await.expect("a database that can be used").generation.expect("a generation")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

/// The file that the link leads to.
fn newest(folder: &Path) -> PathBuf {
    folder.join(std::fs::read_link(folder.join("current")).expect("a link"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_under_load_fails_no_query_over_swaps() {
    const SCHOOLS: u64 = 2_000;
    const SWAPS: u64 = 6;
    let place = Place::new(Backend::Sqlite).await;
    let folder = tempfile::tempdir().expect("a folder");
    let shipped = folder.path().to_str().expect("UTF-8");
    let writer = connect(&place.config()).await.expect("a database");
    writer.insert_schools(schools(1..=i64::try_from(SCHOOLS).expect("small"))).await.expect("schools that fit");
    succeeds(program(&place.url, &["ship", shipped]));

    let finder = connect(&Config::following(folder.path())).await.expect("a generation");
    let (asked, failed, stop) =
        (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let readers = (0..12).map(|_| {
        let (finder, asked, failed, stop) = (Arc::clone(&finder), asked.clone(), failed.clone(), stop.clone());
        tokio::spawn(async move {
            let mut least = SCHOOLS;
            while !stop.load(Ordering::Relaxed) {
                asked.fetch_add(1, Ordering::Relaxed);
                match finder.facets(&SchoolSearch::open()).await {
                    // Each generation has one school more, and none goes back to an earlier one.
                    Ok(facets) if (least..=SCHOOLS + SWAPS).contains(&facets.total) => least = facets.total,
                    other => {
                        say(&format!("failed: {:?}", other.map(|facets| facets.total)));
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            least
        })
    });
    let readers: Vec<_> = readers.collect();
    for swap in 1..=SWAPS {
        let number = i64::try_from(SCHOOLS + swap).expect("small");
        writer.insert_schools(schools(number..=number)).await.expect("a school that fits");
        succeeds(program(&place.url, &["ship", shipped]));
        if swap == 3 {
            // A copy that is cut off, and two swaps within a second, of which the second removes what is being read.
            let cut = newest(folder.path()).with_file_name(format!("generation-{:010}-{:016x}.db", 100, 1));
            std::fs::copy(newest(folder.path()), &cut).expect("a copy");
            std::fs::OpenOptions::new().write(true).open(&cut).expect("a file").set_len(10_000).expect("cut off");
            let whole = std::fs::read_link(folder.path().join("current")).expect("a link");
            std::os::unix::fs::symlink(&cut, folder.path().join("other")).expect("a link");
            std::fs::rename(folder.path().join("other"), folder.path().join("current")).expect("renamed");
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert!(generation(finder.as_ref()).await <= swap + 1);
            std::os::unix::fs::symlink(whole, folder.path().join("other")).expect("a link");
            std::fs::rename(folder.path().join("other"), folder.path().join("current")).expect("renamed");
            std::fs::remove_file(cut).expect("removed");
        } else if swap < 5 {
            until("the newest is in use", async || generation(finder.as_ref()).await == swap + 1).await;
        }
    }
    until("the last is in use", async || generation(finder.as_ref()).await == SWAPS + 1).await;
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.expect("no panic");
    }
    assert_eq!(count(finder.as_ref()).await, SCHOOLS + SWAPS);
    let (asked, failed) = (asked.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
    say(&format!("{SWAPS} swaps: {failed} of {asked} queries failed"));
    assert!(failed == 0 && asked > 2_000, "{failed} of {asked}");
}

#[tokio::test]
async fn a_killed_ship_leaves_the_generation_before() {
    let kills = setting("SCHOOL_FINDER_KILLS", 200) / 2;
    let place = Place::new(Backend::Sqlite).await;
    let folder = tempfile::tempdir_in(crate::support::in_memory()).expect("a folder");
    let shipped = folder.path().to_str().expect("UTF-8");
    let writer = connect(&place.config()).await.expect("a database");
    writer.insert_schools(schools(1..=2_000)).await.expect("schools that fit");
    drop(writer);
    let measured = || {
        let begun = Instant::now();
        succeeds(program(&place.url, &["ship", shipped]));
        begun.elapsed()
    };
    measured();
    let mut whole = measured();
    let (mut killed, mut random) = (0, Random::new(7));
    for _ in 0..kills * 10 {
        if killed == kills {
            break;
        }
        let before = newest(folder.path());
        let mut child = program(&place.url, &["ship", shipped]).spawn().expect("the program runs");
        let part = u32::try_from(random.below(1_000)).expect("small");
        std::thread::sleep(whole.mul_f64(f64::from(part) / 1_000.0));
        child.kill().expect("kill -9");
        if child.wait_with_output().expect("its end").status.success() {
            whole = measured();
            continue;
        }
        killed += 1;
        // The link leads to a whole generation: that before, or the new one where only the removal was left to do.
        let finder = connect(&Config::following(folder.path())).await.expect("a generation");
        assert_eq!(count(finder.as_ref()).await, 2_000);
        let served = newest(folder.path());
        assert_eq!(integrity(&served).await, "ok");
        assert!(served >= before, "{served:?} {before:?}");
        // The next removes what was left.
        succeeds(program(&place.url, &["ship", shipped]));
        let mut left = names(folder.path());
        left.sort();
        assert!(left.len() == 4 && left[0] == "current" && left[3] == "ship.lock", "{left:?}");
        assert!(served.exists(), "the generation before stays");
    }
    assert_eq!(killed, kills, "so many were still at it");
    say(&format!("ship: {killed} killed within {whole:?}"));
}
