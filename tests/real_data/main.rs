//! The real register, imported and asked. The data is not part of the project: `SCHOOL_FINDER_DATA` names its folder.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on should stop and say so")]

#[cfg(feature = "polars")]
mod readme;
#[cfg(feature = "polars")]
#[allow(dead_code, reason = "some of it is for the sample's commands")]
#[path = "../it/support/transcript.rs"]
mod transcript;
mod words;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use school_finder_db::config::Backend;
use school_finder_db::geo::{Catchment, GridReference};
use school_finder_db::import::{Import, ImportError};
use school_finder_db::models::{CatchmentHit, Phase, Rating, ReachHit, ReachYear};
use school_finder_db::request::ReachFilter;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Config, Error, Kilometres, LatLng, Page, SchoolRepository, SchoolSearch, connect};

fn data(file: &str) -> PathBuf {
    let folder = std::env::var_os("SCHOOL_FINDER_DATA").expect("SCHOOL_FINDER_DATA names the folder of the real data");
    PathBuf::from(folder).join(file)
}

fn register() -> PathBuf {
    data("gias/edubasealldata_open_2026.csv")
}

/// A school as the file has it, read without the importer.
struct Line {
    urn: i32,
    phase: String,
    location: LatLng,
}

fn lines() -> Vec<Line> {
    let bytes = std::fs::read(register()).expect("the register");
    // Every byte is a character in Latin-1; the columns that are read here are ASCII.
    let text: String = bytes.into_iter().map(char::from).collect();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let column = |name: &str| header.iter().position(|column| column == name).expect("the column");
    let (urn, phase) = (column("URN"), column("PhaseOfEducation (name)"));
    let (easting, northing) = (column("Easting"), column("Northing"));
    let number = |text: &str| text.parse::<i32>().expect("a number");
    reader
        .records()
        .map(|record| {
            let record = record.expect("a row");
            let grid = GridReference { easting: number(&record[easting]), northing: number(&record[northing]) };
            Line {
                urn: number(&record[urn]),
                phase: record[phase].to_owned(),
                location: grid.to_lat_lng().expect("in Great Britain"),
            }
        })
        .collect()
}

async fn imported() -> Arc<dyn SchoolRepository> {
    let finder = connect(&Config::in_memory()).await.expect("a database");
    let file = File::open(register()).expect("the register");
    let counts = Import::new().register(finder.as_ref(), file).await.expect("an import");
    assert_eq!((counts.inserted, counts.updated, counts.unchanged, counts.rejected), (26_509, 0, 0, 0));
    finder
}

/// The `count` nearest of the file's schools that pass, by brute force. Ids follow the file's order on an import into
/// an empty database, so ties go to the earlier line.
fn brute_force(lines: &[Line], from: LatLng, count: usize, passes: impl Fn(&Line, f64) -> bool) -> Vec<(i32, f64)> {
    let mut all: Vec<(f64, usize)> = lines
        .iter()
        .enumerate()
        .map(|(at, line)| (from.distance_to(line.location).get(), at))
        .filter(|(km, at)| passes(&lines[*at], *km))
        .collect();
    all.sort_by(|a, b| a.partial_cmp(b).expect("no distance is a NaN"));
    all.into_iter().take(count).map(|(km, at)| (lines[at].urn, km)).collect()
}

async fn found(finder: &dyn SchoolRepository, search: &SchoolSearch) -> Vec<(i32, f64)> {
    let page = finder.find_schools(search).await.expect("a result");
    page.items.iter().map(|hit| (hit.school.urn.get(), hit.distance_km.expect("a distance").get())).collect()
}

#[tokio::test]
async fn the_schools_near_a_home_are_what_brute_force_finds() {
    let (finder, lines) = (imported().await, lines());
    let mut homes = vec![(52.0406, -0.7594)];
    // Places all over England, a few off its coast, and one at a school.
    homes.extend((0..60).map(|n| (50.2 + f64::from(n * 37 % 60) * 0.09, -4.5 + f64::from(n * 23 % 60) * 0.1)));
    homes.push((lines[7_000].location.lat().degrees(), lines[7_000].location.lng().degrees()));
    for (lat, lng) in homes {
        let home = LatLng::from_lat_lng(lat, lng).expect("a place");
        let near = SchoolSearch::near(home);
        let within = near.clone().within(Kilometres::new(5.0).expect("a distance"));
        assert_eq!(
            found(finder.as_ref(), &near).await,
            brute_force(&lines, home, 20, |_, _| true),
            "nearest to {home:?}"
        );
        assert_eq!(
            found(finder.as_ref(), &within).await,
            brute_force(&lines, home, 20, |_, km| km <= 5.0),
            "within 5 km of {home:?}"
        );
        assert_eq!(
            found(finder.as_ref(), &near.clone().phase(Phase::MiddlePrimary).limit(3)).await,
            brute_force(&lines, home, 3, |line, _| line.phase == "Middle deemed primary"),
            "a rare phase near {home:?}"
        );
        assert_eq!(
            found(finder.as_ref(), &within.phase(Phase::Secondary)).await,
            brute_force(&lines, home, 20, |line, km| km <= 5.0 && line.phase == "Secondary"),
            "secondary schools within 5 km of {home:?}"
        );
    }
}

#[tokio::test]
async fn the_whole_country_is_paged_without_loss() {
    let (finder, lines) = (imported().await, lines());
    let home = LatLng::from_lat_lng(52.0406, -0.7594).expect("a place");
    let mut search = SchoolSearch::near(home).limit(1_000);
    let mut all = Vec::new();
    loop {
        let page = finder.find_schools(&search).await.expect("a result");
        all.extend(page.items.iter().map(|hit| hit.school.urn.get()));
        match page.next {
            Some(cursor) => search = search.after(cursor),
            None => break,
        }
    }
    let expected: Vec<i32> =
        brute_force(&lines, home, usize::MAX, |_, _| true).into_iter().map(|(urn, _)| urn).collect();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn a_second_import_changes_nothing() {
    let finder = imported().await;
    let file = File::open(register()).expect("the register");
    let counts = Import::new().register(finder.as_ref(), file).await.expect("an import");
    assert_eq!((counts.inserted, counts.updated, counts.unchanged, counts.rejected), (0, 0, 26_509, 0));
    let school =
        finder.school_by_urn(school_finder_db::ids::Urn::new(100_007).expect("a URN")).await.expect("a result");
    assert!(school.is_none_or(|school| school.status == school_finder_db::models::Status::Open));
    let accents = finder.find_schools(&SchoolSearch::open().name("jacques prevert")).await.expect("a result");
    assert_eq!(accents.items[0].school.name, "Ecole Française de Londres Jacques Prévert");
}

#[tokio::test]
async fn the_scottish_file_is_a_register_too() {
    let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
    let file = File::open(data("edinburgh/register.csv")).expect("the file");
    let counts = Import::new().register(database.repository(), file).await.expect("an import");
    assert_eq!((counts.inserted, counts.rejected), (111, 0));
}

#[tokio::test]
async fn every_years_header_is_understood() {
    for columns in [120, 133, 135, 139] {
        let header = std::fs::read_to_string(data(&format!("gias/headers/{columns}_columns.txt"))).expect("the header");
        let header: Vec<&str> = header.lines().collect();
        assert_eq!(header.len(), columns);
        let values = |name: &&str| match *name {
            "URN" => "110533",
            "EstablishmentName" => "Hilltop School",
            "EstablishmentStatus (name)" => "Open",
            "PhaseOfEducation (name)" => "Primary",
            "OfstedRating (name)" => "Good",
            "Easting" => "485280",
            "Northing" => "238480",
            _ => "",
        };
        let quoted =
            |fields: Vec<&str>| fields.iter().map(|field| format!("\"{field}\"")).collect::<Vec<_>>().join(",");
        let file = format!("{}\r\n{}\r\n", quoted(header.clone()), quoted(header.iter().map(values).collect()));
        let finder = connect(&Config::in_memory()).await.expect("a database");
        let counts = Import::new().register(finder.as_ref(), std::io::Cursor::new(file)).await.expect("an import");
        assert_eq!((counts.inserted, counts.rejected), (1, 0), "{columns} columns");
        let page = finder.find_schools(&SchoolSearch::open()).await.expect("a result");
        let rating = if columns == 135 { None } else { Some(Rating::Good) };
        assert_eq!(page.items[0].school.ofsted_rating, rating, "{columns} columns");
    }
}

#[tokio::test]
async fn the_register_cut_off_anywhere_is_refused() {
    let whole = std::fs::read(register()).expect("the register");
    let finder = connect(&Config::in_memory()).await.expect("a database");
    for kilobytes in (1..200).chain((200..14_000).step_by(1_777)) {
        let cut = whole[..kilobytes * 1_000].to_vec();
        if cut.ends_with(b"\n") {
            continue;
        }
        let error = Import::new().register(finder.as_ref(), std::io::Cursor::new(cut)).await.expect_err("cut off");
        // Within the header, a column is missing first.
        let reported = matches!(
            &error,
            Error::Import(ImportError::Truncated { .. } | ImportError::MissingColumn { .. } | ImportError::Empty)
        );
        assert!(reported, "at {kilobytes} kB: {error}");
    }
    assert_eq!(finder.facets(&SchoolSearch::open()).await.expect("counts").total, 0);
}

/// The same register on both backends, asked from a thousand places: the same schools in the same order, at distances
/// that are the same to the last bit but for the libraries' own sine, which is to say to a billionth of a kilometre.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn both_backends_return_the_same_results() {
    use school_finder_db::models::SchoolHit;
    use school_finder_db::request::Unrated;

    let lite = imported().await;
    let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
    let server = database.repository();
    let file = File::open(register()).expect("the register");
    let counts = Import::new().register(server, file).await.expect("an import");
    assert_eq!((counts.inserted, counts.rejected), (26_509, 0));
    assert_eq!(server.councils().await.expect("counts"), lite.councils().await.expect("counts"));

    let same = |search: &SchoolSearch, a: &Page<SchoolHit>, b: &Page<SchoolHit>| {
        let schools = |page: &Page<SchoolHit>| page.items.iter().map(|hit| hit.school.clone()).collect::<Vec<_>>();
        assert_eq!(schools(a), schools(b), "{search:?}");
        for (a, b) in a.items.iter().zip(&b.items) {
            let km = |hit: &SchoolHit| hit.distance_km.map_or(f64::NAN, Kilometres::get);
            assert!((km(a) - km(b)).abs() <= 1e-9, "{} and {} km: {search:?}", km(a), km(b));
        }
        assert_eq!(a.next.is_some(), b.next.is_some());
    };
    let lines = lines();
    for n in 0..1_000_usize {
        // Half of the places are near a school somewhere, the others anywhere in the country's box.
        let (lat, lng) = if n % 2 == 0 {
            let school = lines[n * 7_919 % lines.len()].location;
            let away = |step: usize| f64::from(u32::try_from(n * step % 200).expect("small")) * 0.000_1 - 0.01;
            (school.lat().degrees() + away(31), school.lng().degrees() + away(47))
        } else {
            let part = |step: usize| f64::from(u32::try_from(n * step % 1_009).expect("small")) / 1_009.0;
            (49.9 + part(613) * 5.9, -5.7 + part(317) * 7.4)
        };
        let near = SchoolSearch::near(LatLng::from_lat_lng(lat, lng).expect("a place"));
        let within = near.clone().within(Kilometres::new(5.0).expect("a distance"));
        let searches = [
            near.clone(),
            within.clone(),
            within.clone().phase(Phase::Primary).rated(Rating::Good, Unrated::Include),
            near.limit(5).phase(Phase::MiddleSecondary),
        ];
        for search in searches {
            let ours = lite.find_schools(&search).await.expect("a result");
            same(&search, &ours, &server.find_schools(&search).await.expect("a result"));
            // A cursor of one backend serves the other.
            if let (0, Some(cursor)) = (n % 10, ours.next) {
                let next = search.after(cursor);
                let (a, b) = (lite.find_schools(&next).await, server.find_schools(&next).await);
                same(&next, &a.expect("a result"), &b.expect("a result"));
            }
        }
        if n % 50 == 0 {
            let counts = lite.facets(&within).await.expect("counts");
            assert_eq!(counts, server.facets(&within).await.expect("counts"));
        }
    }
}

/// The file's outlines, read without the importer.
fn edinburgh() -> Vec<(i64, Catchment)> {
    let text = std::fs::read_to_string(data("edinburgh/catchments.geojson")).expect("the catchments");
    let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let features = file["features"].as_array().expect("features").iter();
    features
        .map(|feature| {
            let outline = serde_json::from_value(feature["geometry"].clone()).expect("an outline");
            (feature["properties"]["urn"].as_i64().expect("a URN"), outline)
        })
        .collect()
}

/// The city's 111 catchments in four layers, asked from over a thousand places, corners of the outlines among them:
/// every backend says what the outlines themselves say.
#[tokio::test]
async fn catchments_cover_what_their_outlines_cover() {
    let mut databases = Vec::new();
    for backend in [
        #[cfg(feature = "sqlite")]
        Backend::Sqlite,
        #[cfg(feature = "postgres")]
        Backend::Postgres,
    ] {
        let database = TestDatabase::new(backend).await.expect("a database");
        let file = File::open(data("edinburgh/register.csv")).expect("the register");
        let counts = Import::new().register(database.repository(), file).await.expect("an import");
        assert_eq!((counts.inserted, counts.rejected), (111, 0));
        for (inserted, unchanged) in [(111, 0), (0, 111)] {
            let file = File::open(data("edinburgh/catchments.geojson")).expect("the catchments");
            let counts = Import::new().catchments(database.repository(), file, "urn").await.expect("an import");
            assert_eq!((counts.inserted, counts.unchanged, counts.rejected), (inserted, unchanged, 0));
        }
        databases.push(database);
    }
    let outlines = edinburgh();
    let mut places: Vec<(f64, f64)> = (0..1_000_u32)
        .map(|n| {
            (55.82 + f64::from(n * 613 % 1_009) / 1_009.0 * 0.18, -3.45 + f64::from(n * 317 % 1_013) / 1_013.0 * 0.4)
        })
        .collect();
    // Corners are shared by neighbours, and are inside both.
    places.extend(
        outlines
            .iter()
            .filter_map(|(_, outline)| outline.corner().map(|corner| (corner.lat().degrees(), corner.lng().degrees()))),
    );
    let mut served = 0;
    for (lat, lng) in places {
        let home = LatLng::from_lat_lng(lat, lng).expect("a place");
        let mut expected: Vec<i64> =
            outlines.iter().filter(|(_, outline)| outline.covers(home)).map(|(urn, _)| *urn).collect();
        expected.sort_unstable();
        served += usize::from(!expected.is_empty());
        let search = SchoolSearch::near(home).limit(1_000);
        let mut answers = Vec::new();
        for database in &databases {
            let page = database.repository().find_catchments(&search).await.expect("a result");
            let mut found: Vec<i64> = page.items.iter().map(|item| i64::from(item.hit.school.urn.get())).collect();
            answers.push(page.items);
            found.sort_unstable();
            assert_eq!(found, expected, "{home:?}");
        }
        for pair in answers.windows(2) {
            let ids = |answer: &[CatchmentHit]| {
                answer.iter().map(|item| (item.hit.school.clone(), item.evidence)).collect::<Vec<_>>()
            };
            assert_eq!(ids(&pair[0]), ids(&pair[1]), "the same schools in the same order: {home:?}");
            for (a, b) in pair[0].iter().zip(&pair[1]) {
                let km = |item: &CatchmentHit| item.hit.distance_km.map_or(f64::NAN, Kilometres::get);
                assert!((km(a) - km(b)).abs() <= 1e-9, "{home:?}");
            }
        }
    }
    assert!(served > 500, "{served} places are served");
}

/// For three homes: how many schools reach it, how many of these because their latest year had vacancies, and the
/// years, last distances and margins (km) of schools with a limit. A separate calculation from the two files gives
/// them: grid references by the textbook formulas and a seven-parameter shift, which is right to some 5 m.
#[tokio::test]
async fn reach_equals_a_separate_calculation() {
    type Year = (i32, Option<&'static str>, &'static str, f64, f64);
    type Home = ((f64, f64), (usize, usize), Vec<Year>);
    let (r, seven) = (Some("Year R"), Some("Year 7"));
    let separate: [Home; 3] = [
        (
            (52.0406, -0.7594),
            (65, 60),
            vec![
                (136_468, None, "2025/2026", 4.348, 1.625),
                (137_061, None, "2025/2026", 4.754, 1.882),
                (110_330, None, "2025/2026", 3.887, 0.822),
                (147_380, r, "2024/2025", 3.138, 0.028),
                (152_058, r, "2025/2026", 8.28, 3.748),
            ],
        ),
        (
            (52.0020, -0.7330),
            (55, 51),
            vec![
                (145_736, None, "2025/2026", 2.335, 1.05),
                (145_736, seven, "2022/2023", 1.588, 0.303),
                (138_933, None, "2025/2026", 3.146, 1.765),
                (148_229, None, "2025/2026", 2.548, 0.947),
                (152_058, r, "2025/2026", 8.28, 2.203),
            ],
        ),
        (
            (52.0560, -0.8120),
            (59, 52),
            vec![
                (110_532, None, "2025/2026", 2.166, 1.322),
                (110_330, None, "2025/2026", 3.887, 1.909),
                (147_380, r, "2024/2025", 3.138, 1.092),
                (137_061, None, "2025/2026", 4.754, 2.686),
                (147_860, None, "2025/2026", 3.203, 0.579),
                (147_860, seven, "2022/2023", 5.782, 3.158),
                (136_468, None, "2025/2026", 4.348, 0.598),
                (152_058, r, "2025/2026", 8.28, 0.304),
            ],
        ),
    ];
    for backend in [
        #[cfg(feature = "sqlite")]
        Backend::Sqlite,
        #[cfg(feature = "postgres")]
        Backend::Postgres,
    ] {
        let database = TestDatabase::new(backend).await.expect("a database");
        let finder = database.repository();
        let file = File::open(register()).expect("the register");
        Import::new().register(finder, file).await.expect("an import");
        for (inserted, unchanged) in [(210, 0), (0, 210)] {
            let file = File::open(data("milton_keynes/admissions_history.csv")).expect("the admissions");
            let counts = Import::new().admissions(finder, file).await.expect("an import");
            assert_eq!((counts.inserted, counts.unchanged, counts.rejected), (inserted, unchanged, 0));
        }
        for ((lat, lng), counts, expected) in &separate {
            let home = LatLng::from_lat_lng(*lat, *lng).expect("a location");
            let page = finder.find_reach(&SchoolSearch::near(home).limit(1_000)).await.expect("a result");
            let vacancies = page.items.iter().filter(|hit| hit.years[0].all_offered).count();
            assert_eq!((page.items.len(), vacancies), *counts, "{home:?}");
            for (urn, intake, year, last, margin) in expected {
                let hit = page.items.iter().find(|hit| hit.hit.school.urn.get() == *urn).expect("the school");
                let is_year =
                    |found: &&ReachYear| found.intake.as_deref() == *intake && found.academic_year.to_string() == *year;
                let found = hit.years.iter().find(is_year).expect("the year");
                assert_eq!(found.last_distance_km.map(Kilometres::get), Some(*last));
                let found_margin = found.margin_km.expect("a margin").get();
                assert!((found_margin - margin).abs() < 0.008, "{urn}: {found_margin} and {margin} km");
            }
            assert!(page.items.iter().all(|hit| hit.estimate) && page.next.is_none());
        }
        // Three schools have two known years of an intake. This home is 0.92 km from one that reached 2.018 and 1.234
        // km, and 1.15 km from one that reached 0.983 and 1.627 km.
        let home = LatLng::from_lat_lng(52.024, -0.785).expect("a place");
        let years = |years| SchoolSearch::near(home).reached(ReachFilter { intake: r.map(str::to_owned), years });
        let urns = |page: &Page<ReachHit>| page.items.iter().map(|hit| hit.hit.school.urn.get()).collect::<Vec<_>>();
        let both = finder.find_reach(&years(2)).await.expect("a result");
        assert_eq!(both.items.len(), 2);
        let found = both.items.iter().find(|hit| hit.hit.school.urn.get() == 131_348).expect("the school");
        assert_eq!((found.years_of_evidence, found.years.len()), (2, 2));
        for (year, margin) in found.years.iter().zip([1.098, 0.314]) {
            assert!((year.margin_km.expect("a margin").get() - margin).abs() < 0.008, "{year:?} and {margin} km");
        }
        assert!((found.years[0].change_km.expect("a trend").get() - (2.018 - 1.234)).abs() < 1e-9);
        assert!(!urns(&finder.find_reach(&years(1)).await.expect("a result")).contains(&110_394));
    }
}

/// The register's links: every one is stored, and old numbers lead to schools that are open.
#[tokio::test]
async fn old_urns_lead_to_their_successors() {
    for backend in [
        #[cfg(feature = "sqlite")]
        Backend::Sqlite,
        #[cfg(feature = "postgres")]
        Backend::Postgres,
    ] {
        let database = TestDatabase::new(backend).await.expect("a database");
        let finder = database.repository();
        for (inserted, unchanged) in [(33_801, 0), (0, 33_801)] {
            let file = File::open(data("gias/links_edubasealldata_20250422.csv")).expect("the links");
            let counts = Import::new().links(finder, file).await.expect("an import");
            assert_eq!((counts.inserted, counts.unchanged, counts.rejected), (inserted, unchanged, 0));
        }
        // The schools come after their links.
        let file = File::open(register()).expect("the register");
        Import::new().register(finder, file).await.expect("an import");
        let known = "SELECT count(*) FROM school_links WHERE school_id IS NOT NULL OR linked_school_id IS NOT NULL";
        assert_eq!(database.number(known).await.expect("a count"), 26_771, "as many as a look at both files finds");
        for (old, new) in [(100_012, vec![100_021]), (100_021, vec![100_021]), (1, vec![])] {
            let old = school_finder_db::ids::Urn::new(old).expect("a URN");
            let today = finder.schools_of_today(old).await.expect("a result");
            assert_eq!(today.iter().map(|school| school.urn.get()).collect::<Vec<_>>(), new);
        }
    }
}

/// What a backfill would say of the schools whose phase and ages the register gives, beside what the register says.
#[cfg(feature = "polars")]
#[tokio::test]
async fn ages_give_the_registers_phase() {
    use polars::prelude::*;
    use school_finder_db::backfill::{Backfill, phase_of_ages};
    use school_finder_db::frame;
    use school_finder_db::request::PhaseGaps;

    let finder = imported().await;
    let all = frame::of_search(finder.as_ref(), &SchoolSearch::open()).await.expect("a frame");
    assert_eq!(all.height(), 26_509);
    let by_ages = phase_of_ages(col("age_range_from").cast(DataType::Int32), col("age_range_to").cast(DataType::Int32));
    let known = col("by_ages").is_not_null().and(col("phase").neq(lit("not_applicable")));
    let others = col("phase").neq(col("by_ages"));
    // Polars blocks its thread.
    let compare = move || {
        let known = all.lazy().with_column(by_ages.alias("by_ages")).filter(known);
        let others = known.clone().filter(others);
        (known.collect().expect("a frame").height(), others.collect().expect("a frame"))
    };
    let (known, others) = tokio::task::spawn_blocking(compare).await.expect("no panic");
    println!("{others}");
    assert_eq!((known, others.height()), (3_946, 12));

    // No school of the register lacks a phase; special and independent schools have one by their ages, if they are
    // known.
    let counts = Backfill::new().phase(finder.as_ref()).await.expect("counts");
    assert_eq!((counts.total(), counts.left), (0, 0));
    let counts = Backfill::new().gaps(PhaseGaps::UnknownOrNotApplicable).phase(finder.as_ref()).await.expect("counts");
    assert_eq!(counts.total() + counts.left, 5_732);
    assert_eq!(counts.total(), 724);
}

/// The published rows of every kind of file that has some, with their numbers of postcodes that have a place.
#[tokio::test]
async fn published_postcodes_of_every_year_are_read() {
    let files = [
        ("ONSPD_MAY_2018.4_rows.csv", 2),
        ("ONSPD_JUN_2023_UK.10_rows.csv", 10),
        ("ONSPD_AUG_2024.4_rows.csv", 2),
        ("ONSPD_NOV_2025.4_rows.csv", 3),
        ("NSPL_2025_header.14_rows.csv", 14),
        ("NSPL_2025_quoted.rows.csv", 3),
        ("codepoint_open_xx.csv", 10),
        ("codepoint_open_xy.csv", 10),
    ];
    for (name, postcodes) in files {
        let finder = connect(&Config::in_memory()).await.expect("a database");
        let file = File::open(data("published/4_postcodes").join(name)).expect("the file");
        let import = Import::new().northern_ireland(true);
        let counts =
            import.postcodes(finder.as_ref(), vec![file]).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((counts.inserted, counts.rejected), (postcodes, 0), "{name}");
    }
    // The same places by the grid as the ONS has by degrees.
    let finder = connect(&Config::in_memory()).await.expect("a database");
    for name in ["NSPL_2025_quoted.rows.csv", "codepoint_open_xx.csv"] {
        let file = File::open(data("published/4_postcodes").join(name)).expect("the file");
        Import::new().postcodes(finder.as_ref(), vec![file]).await.expect("an import");
    }
    let carlisle = finder.locate("ca87jg").await.expect("a home");
    let by_grid = GridReference { easting: 366_033, northing: 564_878 }.to_lat_lng().expect("in Great Britain");
    assert!(carlisle.location.distance_to(by_grid).get() < 0.001, "{carlisle:?}");
    assert_eq!(carlisle.uncertainty_m, 100);
    // Aberdeen, whose area's letters were changed.
    let aberdeen = finder.locate("XX10 1AA").await.expect("a home");
    let near = LatLng::from_lat_lng(57.148, -2.096).expect("a place");
    assert!(aberdeen.location.distance_to(near).get() < 1.0, "{aberdeen:?}");
}

#[tokio::test]
async fn every_header_of_postcodes_is_understood() {
    let mut reader = csv::Reader::from_path(data("published/4_postcodes/headers.csv")).expect("the headers");
    let mut read = 0;
    for record in reader.records() {
        let record = record.expect("a row");
        let columns: Vec<&str> = record[2].split(',').collect();
        let value = |column: &&str| match column.to_lowercase().as_str() {
            "pcd" | "pcd7" => "MK9 3EP",
            "pcd2" | "pcd8" => "MK9  3EP",
            "pcds" | "postcode" => "MK9 3EP",
            "doterm" => "202306",
            "oseast1m" | "east1m" | "eastings" => "485200",
            "osnrth1m" | "north1m" | "northings" => "238500",
            "osgrdind" | "gridind" => "1",
            "positional_quality_indicator" => "10",
            "lat" => "52.038",
            "long" => "-0.76",
            _ => "",
        };
        let is_placed = columns.iter().any(|column| ["oseast1m", "east1m", "Eastings"].contains(column));
        let file = format!("{}\n{}\n", record[2].to_owned(), columns.iter().map(value).collect::<Vec<_>>().join(","));
        let finder = connect(&Config::in_memory()).await.expect("a database");
        let imported = Import::new().postcodes(finder.as_ref(), vec![std::io::Cursor::new(file)]).await;
        if !is_placed {
            imported.expect_err("no list of postcodes with places");
            continue;
        }
        let counts = imported.unwrap_or_else(|error| panic!("{record:?}: {error}"));
        assert_eq!((counts.inserted, counts.rejected), (1, 0), "{record:?}");
        let home = finder.locate("MK9 3EP").await.expect("a home");
        let grid = GridReference { easting: 485_200, northing: 238_500 }.to_lat_lng().expect("in Great Britain");
        assert!(home.location.distance_to(grid).get() < 0.1 && home.uncertainty_m == 100, "{record:?}: {home:?}");
        assert_eq!(home.terminated_on.is_some(), columns.contains(&"doterm"), "{record:?}");
        read += 1;
    }
    assert!(read >= 14, "{read}");
}
