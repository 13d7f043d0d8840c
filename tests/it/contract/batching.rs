//! The results for many homes are those of a search for each.

use polars::prelude::*;
use school_finder_db::batch::{self, Batch, BatchFile, BatchHit, BatchHome, Nearest, Part, Serving};
use school_finder_db::models::{NewSchool, Phase, Status};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, LatLng, SchoolRepository, SchoolSearch, sample};

use super::on_every_backend;
use crate::support::{at, km, school};

on_every_backend!(
    nearest_returns_the_schools_of_a_search,
    serving_returns_the_schools_of_a_search,
    results_are_written_in_the_order_of_the_homes,
    parts_together_are_the_whole,
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
    let all = homes.iter().map(|home| Ok::<_, Error>(BatchHome::from(*home)));
    let on_progress = |done| reported.push(done);
    let done =
        batch::write_parquet(&nearest, all, file.as_file(), &BatchFile::default(), on_progress).expect("written");
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
    let broken = [Ok(sample::home()), LatLng::from_lat_lng(91.0, 0.0)].map(|home| home.map(BatchHome::from));
    let stopped = batch::write_parquet(&nearest, broken, Vec::new(), &BatchFile::default(), |_| {});
    assert!(matches!(stopped, Err(Error::InvalidCoordinate { .. })));
    // One thread finds what many find.
    let rows = batch::rows(&nearest, 7, &homes[..100]);
    let expected = batch::find_all(&nearest, &homes[..100]);
    assert_eq!(rows.iter().map(|row| row.hit).collect::<Vec<_>>(), expected.concat());
    assert_eq!((rows[0].home, rows[0].rank, rows[299].home, rows[299].rank), (7, 1, 106, 3));
}

async fn parts_together_are_the_whole(database: &TestDatabase) {
    let finder = database.repository();
    finder.insert_schools(schools()).await.expect("schools that fit");
    let nearest = Nearest::load(finder, &SchoolSearch::open(), 3).await.expect("loaded");
    let serving = Serving::load(finder, &SchoolSearch::open()).await.expect("loaded");
    let number = |index: usize| u64::try_from(index).expect("small");
    let homes: Vec<BatchHome> = homes()
        .into_iter()
        .enumerate()
        .map(|(index, location)| BatchHome { id: (index % 3 > 0).then(|| format!("home {index}")), location })
        .collect();
    for (batch, has_rows) in [(&nearest as &dyn Batch, true), (&serving, false)] {
        let written = |part: Part| {
            let range = part.range(number(homes.len()));
            let range = usize::try_from(range.start).expect("small")..usize::try_from(range.end).expect("small");
            let mut bytes = Vec::new();
            let file = BatchFile { first: number(range.start), has_ids: true, generation: Some("7".to_owned()) };
            let some = homes[range.clone()].iter().map(|home| Ok::<_, Error>(home.clone()));
            let done = batch::write_parquet(batch, some, &mut bytes, &file, |_| {}).expect("written");
            assert_eq!(done, number(range.len()));
            bytes
        };
        let read = |bytes: Vec<u8>| {
            let mut reader = ParquetReader::new(std::io::Cursor::new(bytes));
            let metadata = reader.get_metadata().expect("metadata").key_value_metadata.clone().expect("some");
            let generation = metadata.iter().find(|pair| pair.key == "generation").expect("a generation");
            assert_eq!(generation.value.as_deref(), Some("7"));
            reader.finish().expect("Parquet")
        };
        let part = |number, of| Part::new(number, of).expect("a part");
        let whole = read(written(part(1, 1)));
        let columns: Vec<&str> = whole.get_column_names().into_iter().map(|name| name.as_str()).collect();
        assert_eq!(columns, ["home", "id", "rank", "school_id", "urn", "distance_km", "evidence"]);
        assert!(whole.height() > if has_rows { 1_000 } else { 100 });
        for of in [2, 3, 7, 16, 500] {
            let mut all = read(written(part(1, of)));
            for number in 2..=of {
                all.vstack_mut(&read(written(part(number, of)))).expect("the same columns");
            }
            assert!(all.equals_missing(&whole), "{of} parts");
        }
        assert_eq!(written(part(2, 3)), written(part(2, 3)), "the same bytes");
    }
}
