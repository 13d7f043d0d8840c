//! Backfills, and searches as data frames.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use polars::prelude::*;
use school_finder_db::backfill::Backfill;
use school_finder_db::models::{NewSchool, Phase, School, SchoolPatch};
use school_finder_db::request::{PhaseGaps, WriteMode};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Kilometres, SchoolSearch, frame, sample};

use super::on_every_backend;
use crate::support::{km, school, urn};

on_every_backend!(
    phases_follow_from_ages_and_nothing_else_changes,
    an_interrupted_backfill_resumes,
    a_school_updated_meanwhile_is_not_filled,
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
