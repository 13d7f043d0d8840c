//! Backfills, and searches as data frames.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use polars::prelude::*;
use school_finder_db::backfill::{Backfill, FillColumn};
use school_finder_db::config::Backend;
use school_finder_db::models::{NewSchool, Phase, School, SchoolPatch};
#[cfg(feature = "postgres")]
use school_finder_db::postgres::PostgresRepository;
use school_finder_db::request::{PhaseGaps, WriteMode};
#[cfg(feature = "sqlite")]
use school_finder_db::sqlite::SqliteRepository;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, Kilometres, SchoolSearch, fill_column, frame, sample};

use super::on_every_backend;
use crate::support::raw::{Raw, url_of};
use crate::support::{km, school, urn};

on_every_backend!(
    phases_follow_from_ages_and_nothing_else_changes,
    an_interrupted_backfill_resumes,
    a_school_updated_meanwhile_is_not_filled,
    a_column_of_a_service_is_filled_from_others,
    a_search_is_a_data_frame_with_all_its_pages,
);

/// Schools of every status with ages from nowhere to 99, and with and without a phase.
fn schools(count: i64) -> Vec<NewSchool> {
    (1..=count)
        .map(|number| {
            let (from, to) = (i16::try_from(number % 18).expect("small"), i16::try_from(number % 23).expect("small"));
            NewSchool {
                status: school_finder_db::models::Status::ALL[usize::try_from(number % 4).expect("small")],
                phase: [None, Some(Phase::NotApplicable), None, Some(Phase::Nursery)]
                    [usize::try_from(number % 4).expect("small")],
                age_range_from: (number % 7 > 0).then_some(from),
                age_range_to: (number % 11 > 0 && to >= from).then_some(to),
                ..school(number)
            }
        })
        .collect()
}

async fn stored(database: &TestDatabase, count: i64) -> Vec<School> {
    let urns: Vec<_> = (1..=count).map(urn).collect();
    database.repository().schools_by_urn(&urns).await.expect("schools")
}

async fn phases_follow_from_ages_and_nothing_else_changes(database: &TestDatabase) {
    let finder = database.repository();
    finder.insert_schools(schools(2_000)).await.expect("schools that fit");
    let before = stored(database, 2_000).await;
    let lacking = before.iter().filter(|school| school.phase.is_none()).count() as u64;
    assert_eq!(finder.count_phase_gaps(PhaseGaps::Unknown).await.expect("a count"), lacking);

    let dry = Backfill::new().mode(WriteMode::DryRun).phase(finder).await.expect("counts");
    assert_eq!(stored(database, 2_000).await, before, "a dry run writes nothing");
    let reported = Arc::new(Mutex::new(Vec::new()));
    let on_progress = {
        let reported = Arc::clone(&reported);
        move |done, total| reported.lock().expect("no panic").push((done, total))
    };
    let counts = Backfill::new().on_progress(on_progress).phase(finder).await.expect("a backfill");
    assert_eq!(dry, counts);
    assert_eq!(counts.total() + counts.left, lacking);
    assert_eq!(*reported.lock().expect("no panic"), [(lacking, lacking)]);

    let after = stored(database, 2_000).await;
    let mut filled = BTreeMap::<Phase, u64>::new();
    for (before, after) in before.iter().zip(&after) {
        match (before.phase, after.phase) {
            (None, Some(phase)) => {
                *filled.entry(phase).or_default() += 1;
                assert_eq!(after.version, before.version + 1);
                let mut expected = before.clone();
                (expected.phase, expected.version) = (Some(phase), after.version);
                assert_eq!(*after, expected);
                let (Some(from), Some(to)) = (after.age_range_from, after.age_range_to) else {
                    panic!("{after:?} has a phase from nowhere")
                };
                assert!(to > from);
            }
            _ => assert_eq!(before, after),
        }
    }
    assert_eq!(filled, counts.filled);
    assert!(filled.len() >= 5, "{filled:?}");

    // Again, there is nothing to do; those that are "not applicable" only where they are asked for.
    let again = Backfill::new().phase(finder).await.expect("counts");
    assert_eq!((again.total(), again.left), (0, counts.left));
    assert!(after.iter().any(|school| school.phase == Some(Phase::NotApplicable)));
    let others = Backfill::new().gaps(PhaseGaps::UnknownOrNotApplicable).phase(finder).await.expect("counts");
    assert!(others.total() > 100);
    let left = stored(database, 2_000).await;
    let lacks = |school: &&School| matches!(school.phase, None | Some(Phase::NotApplicable));
    assert_eq!(left.iter().filter(lacks).count() as u64, others.left);
}

async fn an_interrupted_backfill_resumes(database: &TestDatabase) {
    let finder = database.repository();
    let schools =
        (1..=60_000).map(|number| NewSchool { age_range_from: Some(4), age_range_to: Some(11), ..school(number) });
    finder.insert_schools(schools.collect()).await.expect("schools that fit");
    // Dropped after the first batch, in the middle of the second.
    let (reported, heard) = tokio::sync::oneshot::channel();
    let mut reported = Some(reported);
    let backfill = Backfill::new().on_progress(move |_, _| {
        let _ = reported.take().map(|reported| reported.send(()));
    });
    tokio::select! {
        biased;
        _ = heard => {}
        counts = backfill.phase(finder) => panic!("it ended by itself: {counts:?}"),
    }
    // The write that had begun ends by itself.
    let mut left = finder.count_phase_gaps(PhaseGaps::Unknown).await.expect("a count");
    assert!((1..=10_000).contains(&left) && left.is_multiple_of(5_000), "{left} are left: whole chunks were written");
    let rest = Backfill::new().phase(finder).await.expect("the rest").total();
    left -= rest;
    assert!(left == 0 || left == 5_000, "{left} were written by the call that was dropped");
    assert_eq!(finder.count_phase_gaps(PhaseGaps::Unknown).await.expect("a count"), 0);
}

async fn a_school_updated_meanwhile_is_not_filled(database: &TestDatabase) {
    let finder = database.repository();
    let ids = finder.insert_schools(vec![school(1), school(2)]).await.expect("schools that fit");
    let read = finder.phase_gaps(PhaseGaps::Unknown, None, 10).await.expect("gaps");
    let patch = SchoolPatch { pupils: Some(Some(5)), ..SchoolPatch::default() };
    finder.update_school(ids[1], 1, patch).await.expect("changed");
    let phases = read.into_iter().map(|gap| (gap, Phase::Primary)).collect();
    let filled = finder.fill_phases(PhaseGaps::Unknown, phases).await.expect("filled");
    assert_eq!(filled, BTreeMap::from([(Phase::Primary, 1)]), "what was read of the second is no longer true");
    assert_eq!(finder.count_phase_gaps(PhaseGaps::Unknown).await.expect("a count"), 1);
}

diesel::table! {
    buses (code) {
        code -> Text,
        seats -> Integer,
        taken -> Nullable<Integer>,
        free -> Nullable<Integer>,
    }
}

async fn a_column_of_a_service_is_filled_from_others(database: &TestDatabase) {
    let mut raw = Raw::open(&url_of(database).await).await;
    raw.execute("CREATE TABLE buses (code TEXT PRIMARY KEY, seats INTEGER NOT NULL, taken INTEGER, free INTEGER)")
        .await;
    raw.execute(
        "INSERT INTO buses (code, seats, taken)
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 12000)
         SELECT 'bus ' || n, 50, CASE WHEN n % 100 > 0 THEN n % 50 END FROM numbers",
    )
    .await;
    raw.execute("UPDATE buses SET free = 0 WHERE code = 'bus 1'").await;
    match database.config().backend() {
        #[cfg(feature = "sqlite")]
        Backend::Sqlite => {
            let repository = SqliteRepository::connect(database.owner()).await.expect("the database");
            fill_buses(&mut raw, || {
                fill_column!(sqlite(repository): buses { code: String, seats: i32, taken: Option<i32> => free: i32 })
            })
            .await;
        }
        #[cfg(feature = "postgres")]
        Backend::Postgres => {
            let repository = PostgresRepository::connect(database.owner()).await.expect("the database");
            fill_buses(&mut raw, || {
                fill_column!(postgres(repository): buses { code: String, seats: i32, taken: Option<i32> => free: i32 })
            })
            .await;
        }
        other => panic!("{other:?} has no buses"),
    }
}

async fn fill_buses<C>(raw: &mut Raw, free: impl Fn() -> C)
where
    C: FillColumn<Key = String, Value = i32> + 'static,
{
    let compute = |buses: DataFrame| {
        let free = (col("seats") - col("taken")).alias("free");
        // Any order, and not each row.
        let buses = buses.lazy().filter(col("code").neq(lit("bus 2"))).sort(["code"], SortMultipleOptions::default());
        buses.select([free, col("code")]).collect()
    };
    let dry = Backfill::new().mode(WriteMode::DryRun).column(free(), compute).await.expect("counts");
    assert_eq!((dry.filled, dry.left), (11_878, 121), "no result for one in a hundred and for bus 2");
    assert_eq!(raw.texts("SELECT CAST(count(free) AS TEXT) FROM buses").await, ["1"], "a dry run writes nothing");

    // A row that changes after it was read is left, and filled by the next run.
    let column = free();
    let mut read = column.read(None, 2).await.expect("rows");
    let keys: Vec<_> = read.iter().map(|(code, _)| code.clone()).collect();
    assert_eq!(keys, ["bus 10", "bus 100"], "in the order of keys");
    let (code, sources) = read.remove(0);
    raw.execute("UPDATE buses SET taken = 1 WHERE code = 'bus 10'").await;
    assert_eq!(column.write(vec![(code, sources, 40)]).await.expect("a write"), 0);

    let progress = Arc::new(Mutex::new(Vec::new()));
    let reported = Arc::clone(&progress);
    let backfill = Backfill::new().on_progress(move |done, of| reported.lock().expect("no panic").push((done, of)));
    let counts = backfill.column(free(), compute).await.expect("a backfill");
    assert_eq!(counts, dry);
    assert_eq!(*progress.lock().expect("no panic"), [(11_999, 11_999)]);
    let wrong = "SELECT code FROM buses WHERE free <> seats - taken AND code <> 'bus 1'";
    assert_eq!(raw.texts(wrong).await, [""; 0]);
    assert_eq!(
        raw.texts("SELECT CAST(free AS TEXT) FROM buses WHERE code IN ('bus 1', 'bus 10') ORDER BY code").await,
        ["0", "49"]
    );
    let twice =
        Backfill::new().column(free(), |buses| buses.lazy().select([col("code"), lit(1).alias("free")]).collect());
    assert_eq!(twice.await.expect("a backfill").filled, 121);
    let again = Backfill::new().column(free(), compute).await.expect("a backfill");
    assert_eq!((again.filled, again.left), (0, 0));

    raw.execute("UPDATE buses SET free = NULL WHERE code = 'bus 3'").await;
    let unknown = |buses: DataFrame| {
        let code = lit("bus 0").alias("code");
        buses.lazy().select([code, lit(1).alias("free")]).collect()
    };
    let refused = Backfill::new().column(free(), unknown).await.expect_err("no such row was read");
    assert!(matches!(refused, Error::Frame(_)), "{refused}");
    assert!(refused.to_string().contains("the frame has a code twice"), "{refused}");
}

async fn a_search_is_a_data_frame_with_all_its_pages(database: &TestDatabase) {
    let finder = database.repository();
    let mut schools = sample::schools();
    schools.extend((1..=2_500).map(school));
    finder.insert_schools(schools).await.expect("schools that fit");
    let all = frame::of_search(finder, &SchoolSearch::open()).await.expect("a frame");
    assert_eq!(all.shape(), (2_525, 17), "every page, every column");
    let mut names: Vec<_> = all.column("urn").expect("a column").i64().expect("numbers").iter().collect();
    names.dedup();
    assert_eq!(names.len(), 2_525, "none twice");

    let near = SchoolSearch::near(sample::home()).within(km(5.0));
    let mut found = frame::of_search(finder, &near).await.expect("a frame");
    let page = finder.find_schools(&near.clone().limit(1_000)).await.expect("a page");
    let distances: Vec<_> = found.column("distance_km").expect("a column").f64().expect("numbers").iter().collect();
    assert_eq!(distances, page.items.iter().map(|hit| hit.distance_km.map(Kilometres::get)).collect::<Vec<_>>());
    let phases: Vec<_> = found.column("phase").expect("a column").str().expect("texts").iter().collect();
    assert_eq!(phases, page.items.iter().map(|hit| hit.school.phase.map(Phase::as_str)).collect::<Vec<_>>());

    let file = tempfile::NamedTempFile::new().expect("a file");
    frame::write_parquet(&mut found, file.as_file()).expect("written");
    let read = ParquetReader::new(file.reopen().expect("the file")).finish().expect("Parquet");
    assert!(read.equals_missing(&found));
    let none = SchoolSearch::open().name("no such school");
    assert_eq!(frame::of_search(finder, &none).await.expect("a frame").shape(), (0, 17));
}
