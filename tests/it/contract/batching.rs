//! The results for many homes are those of a search for each.

use polars::prelude::*;
use school_finder_db::batch::{self, Batch, BatchHit, Nearest, Serving};
use school_finder_db::models::{NewSchool, Phase, Status};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, LatLng, SchoolRepository, SchoolSearch, sample};

use super::on_every_backend;
use crate::support::{at, km, school};

on_every_backend!(
    nearest_returns_the_schools_of_a_search,
    serving_returns_the_schools_of_a_search,
    results_are_written_in_the_order_of_the_homes,
);

/// Homes everywhere in Britain, on schools, and at the ends of the earth.
fn homes() -> Vec<LatLng> {
    let mut homes: Vec<LatLng> = (0..300_u32)
        .map(|n| at(50.0 + f64::from(n * 613 % 1_009) / 200.0, -4.0 + f64::from(n * 317 % 1_009) / 200.0))
        .collect();
    homes.extend([at(90.0, 0.0), at(-90.0, 10.0), at(0.0, 180.0), at(0.0, -180.0), at(-52.0, 179.3)]);
    homes.extend((0..40_u32).map(|n| at(52.03 + f64::from(n) / 2_000.0, -0.76)));
    homes.push(sample::home());
    homes
}

/// A grid of schools, four in each place, so that ties at the last place are ordinary.
fn schools() -> Vec<NewSchool> {
    let mut schools = sample::schools();
    schools.extend((1..=1_200_i64).map(|number| {
        let (north, east) =
            (i32::try_from(number / 4 % 20).expect("small"), i32::try_from(number / 80).expect("small"));
        NewSchool {
            location: (number % 97 != 0).then(|| at(51.5 + f64::from(north) * 0.05, -1.5 + f64::from(east) * 0.1)),
            phase: Some(if number % 3 == 0 { Phase::Secondary } else { Phase::Primary }),
            status: if number % 10 == 0 { Status::Closed } else { Status::Open },
            catchment_radius_km: (number % 5 == 0).then_some(km(7.5)),
            ..school(number)
        }
    }));
    schools
}

fn ids(hits: &[BatchHit]) -> Vec<i64> {
    hits.iter().map(|hit| hit.id.get()).collect()
}

async fn nearest_returns_the_schools_of_a_search(database: &TestDatabase) {
    let finder = database.repository();
    finder.insert_schools(schools()).await.expect("schools that fit");
    for (search, count) in [
        (SchoolSearch::open(), 5),
        (SchoolSearch::open(), 1),
        (SchoolSearch::open().phase(Phase::Secondary), 7),
        (SchoolSearch::open().status(Status::Closed), 130),
    ] {
        let nearest = Nearest::load(finder, &search, count).await.expect("loaded");
        for home in homes() {
            let mut one = SchoolSearch::near(home).limit(u32::try_from(count).expect("small"));
            one.filter = search.filter.clone();
            let page = finder.find_schools(&one).await.expect("a page");
            // A school without a location is last in a search, and in no batch.
            let hits: Vec<_> = page.items.iter().filter(|hit| hit.distance_km.is_some()).collect();
            let found = nearest.find(home);
            assert_eq!(ids(&found), hits.iter().map(|hit| hit.school.id.get()).collect::<Vec<_>>(), "{home:?}");
            for (found, hit) in found.iter().zip(hits) {
                let (ours, theirs) = (found.distance_km.expect("known").get(), hit.distance_km.expect("known").get());
                assert!((ours - theirs).abs() <= 1e-9, "{ours} {theirs}");
                assert_eq!((found.urn, found.evidence), (hit.school.urn, None));
            }
        }
    }
    let refused = Nearest::load(finder, &SchoolSearch::near(sample::home()), 5).await.expect_err("a point of its own");
    assert!(matches!(refused, Error::InvalidSearch { .. }));
}

async fn serving(finder: &dyn SchoolRepository, home: LatLng) -> Vec<(i64, &'static str)> {
    let page = finder.find_catchments(&SchoolSearch::near(home).limit(1_000)).await.expect("a page");
    page.items.iter().map(|hit| (hit.hit.school.id.get(), hit.evidence.as_str())).collect()
}

async fn serving_returns_the_schools_of_a_search(database: &TestDatabase) {
    let finder = database.repository();
    sample::fill(finder).await.expect("the sample");
    finder.insert_schools(schools().split_off(sample::schools().len())).await.expect("schools that fit");
    let map = Serving::load(finder, &SchoolSearch::open()).await.expect("loaded");
    let mut served = [0; 2];
    for home in homes() {
        let hits = map.find(home);
        let found: Vec<_> = hits.iter().map(|hit| (hit.id.get(), hit.evidence.expect("evidence").as_str())).collect();
        assert_eq!(found, serving(finder, home).await, "{home:?}");
        for (_, evidence) in found {
            served[usize::from(evidence == "radius")] += 1;
        }
    }
    assert!(served[0] > 10 && served[1] > 100, "{served:?}");
}

async fn results_are_written_in_the_order_of_the_homes(database: &TestDatabase) {
    let finder = database.repository();
    finder.insert_schools(schools()).await.expect("schools that fit");
    let nearest = Nearest::load(finder, &SchoolSearch::open(), 3).await.expect("loaded");
    // More than one chunk.
    let homes: Vec<LatLng> = homes().into_iter().cycle().take(70_000).collect();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut reported = Vec::new();
    let all = homes.iter().map(|home| Ok::<_, Error>(*home));
    let done = batch::write_parquet(&nearest, all, file.as_file(), |done| reported.push(done)).expect("written");
    assert_eq!((done, reported), (70_000, vec![65_536, 70_000]));
    let read = ParquetReader::new(file.reopen().expect("the file")).finish().expect("Parquet");
    assert_eq!(read.shape(), (210_000, 6));
    let expected: Vec<Option<i64>> = batch::find_all(&nearest, &homes)
        .iter()
        .flat_map(|hits| ids(hits).into_iter().map(Some).collect::<Vec<_>>())
        .collect();
    assert_eq!(
        read.column("school_id").expect("a column").i64().expect("numbers").iter().collect::<Vec<_>>(),
        expected
    );
    let of = |row: usize| {
        (
            read.column("home").and_then(|home| home.get(row)).expect("a row"),
            read.column("rank").and_then(|rank| rank.get(row)).expect("a row"),
        )
    };
    assert_eq!(of(209_999), (AnyValue::UInt64(69_999), AnyValue::UInt32(3)));
    // A home that cannot be read stops it.
    let broken = [Ok(sample::home()), LatLng::from_lat_lng(91.0, 0.0)];
    let stopped = batch::write_parquet(&nearest, broken, Vec::new(), |_| {});
    assert!(matches!(stopped, Err(Error::InvalidCoordinate { .. })));
}
