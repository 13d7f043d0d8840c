//! A million inputs that nobody meant well with, and a few of each size that is too large. Deterministic: the same ones
//! each time.

use std::io::Write;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use school_finder_db::config::Backend;
use school_finder_db::geo::Catchment;
use school_finder_db::import::Import;
use school_finder_db::models::{Phase, Status};
use school_finder_db::request::{Cursor, WriteMode};
use school_finder_db::sqlite::SqliteRepository;
use school_finder_db::units::{AcademicYear, Money};
use school_finder_db::{Config, Error, SchoolSearch, Sort, connect, sample};

use crate::support::{Place, Random, program, register, say, schools, setting};

/// The memory that the whole program may have, in bytes.
const MEMORY: &str = "1073741824";

/// Runs a test of this program by itself with bounded memory and small stacks. `true` within it.
fn bounded(test: &str) -> bool {
    if std::env::var("SCHOOL_FINDER_BOUNDED").is_ok_and(|bounded| bounded == test) {
        return true;
    }
    let status = Command::new("prlimit")
        .arg(format!("--as={MEMORY}"))
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", &format!("hostile::{test}"), "--nocapture", "--quiet"])
        .env("SCHOOL_FINDER_BOUNDED", test)
        .env("RUST_MIN_STACK", "524288")
        .stdout(std::process::Stdio::null())
        .status()
        .expect("prlimit runs");
    assert!(status.success(), "{test} within its bounds: {status}");
    false
}

/// Makes something of a valid text: bytes changed, cut, doubled, swapped, or replaced by what parsers stumble over.
fn mutated(seed: &str, random: &mut Random) -> Vec<u8> {
    const WORDS: &[&str] = &[
        "",
        "(",
        ")",
        "((",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".",
        "-",
        "--",
        "\"",
        "'",
        "\\",
        "%",
        "%0",
        "%zz",
        "\0",
        "\n",
        "\r\n",
        "NaN",
        "-inf",
        "1e999",
        "1e-999",
        "-0",
        "00",
        "9223372036854775808",
        "99999999999999999999999",
        "0x",
        "null",
        "true",
        "EMPTY",
        "Z",
        "é",
        "🏫",
        "\u{202e}",
        "\u{feff}",
        "://",
        "@",
        ":",
        "?",
        "&",
        "=",
        "#",
        " ",
        "\t",
        "~",
    ];
    let mut bytes = seed.as_bytes().to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(12)).min(bytes.len());
        let word = WORDS[random.below(WORDS.len())].bytes();
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..end, word)),
            2 => drop(bytes.splice(at..at, word)),
            3 => {
                let part = bytes[at..end].to_vec();
                let times = 1 + random.below(30);
                bytes.splice(at..at, part.repeat(times));
            }
            4 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(random.below(256)).expect("a byte");
                }
            }
            _ => {
                bytes.drain(at..end);
            }
        }
    }
    bytes
}

/// Changes, cuts or drops bytes of an archive.
fn damaged(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let at = random.below(bytes.len());
    match random.below(4) {
        0 => bytes.truncate(at),
        1 => bytes[at] = u8::try_from(random.below(256)).expect("a byte"),
        2 => drop(bytes.remove(at)),
        _ => {}
    }
    bytes
}

fn mutated_text(seed: &str, random: &mut Random) -> String {
    String::from_utf8_lossy(&mutated(seed, random)).into_owned()
}

const WKT: &[&str] = &[
    "POLYGON((-0.8 52, -0.7 52, -0.7 52.1, -0.8 52.1, -0.8 52))",
    "MULTIPOLYGON(((0 0,4 0,4 4,0 4,0 0),(1 1,1 2,2 2,2 1,1 1)),((5 5,6 5,6 6,5 5)))",
];
const GEOJSON: &[&str] = &[
    r#"{"type":"Polygon","coordinates":[[[-0.8,52],[-0.7,52],[-0.7,52.1],[-0.8,52]]]}"#,
    r#"{"type":"MultiPolygon","coordinates":[[[[0,0],[4,0],[4,4],[0,0]]],[[[5,5],[6,5],[6,6],[5,5]]]]}"#,
];
/// Files of outlines: a collection, a text sequence, and outlines with what importers mend.
const FEATURES: &[&str] = &[
    r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"urn":1,"name":"A"},
    "geometry":{"type":"Polygon","coordinates":[[[-0.8,52],[-0.7,52],[-0.7,52.1],[-0.8,52]]]}}]}"#,
    "\u{1e}{\"type\":\"Feature\",\"id\":2,\"properties\":{\"URN\":\"School 2\"},\"geometry\":{\"type\":\"Polygon\",\
     \"coordinates\":[[[-0.8,52,7],[-0.7,52,7],[-0.7,52.1,7]]]}}\n\u{1e}{\"type\":\"Feature\",\"geometry\":null}\n",
    r#"{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"EPSG:27700"}},"numberMatched":1,
    "features":[{"type":"Feature","properties":{"urn":3},"geometry":{"type":"GeometryCollection","geometries":[
    {"type":"Polygon","coordinates":[[[485000,238000],[486000,238000],[489000,238500],[486000,238000],
    [486000,239000],[485000,239000],[485000,238000]]]},{"type":"Point","coordinates":[0,0]}]}}]}"#,
    r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"urn":1},"geometry":{"type":
    "MultiPolygon","coordinates":[[[[0,50],[4,50],[4,54],[0,50]],[[3,51],[3.000001,51.000001],[3.000001,51],
    [3,51.000001],[3,51]]],[[[2,50],[6,50],[6,54],[2,50]]]]}},{"type":"Feature","properties":{"urn":1},
    "geometry":{"type":"Polygon","coordinates":[[[4,50],[8,50],[8,54],[6,53],[9,52],[6,53],[4,54]]]}}]}"#,
];
const ADMISSIONS: &str = "urn,academic_year,intake_year,places_offered,last_distance_offered_miles,had_vacancies\n\
    1,2024/2025,Year R,\"1,030\",0.482,no\n2,2024-25,Year R,30.0,482m,yes\n1,2023/24,,n/a,All applicants offered,\n";
const ADMISSIONS_BY_CRITERION: &str = "sep=;\nlaestab;Academic Year;criterion;places offered;last distance offered (m)\n\
    826/2001;2024/2025;Siblings;40;1,482\n826/2001;2024/2025;Distance;20;0,5 km\n";
const LINKS: &str = "URN,LinkURN,LinkName,LinkType,LinkEstablishedDate\r\n1,2,A,Successor,01/09/2020\r\n\
    3,4,B,Predecessor,2020-09-01";
const URLS: &[&str] = &[
    "postgres://finder:s3cr3t%21@localhost:5432/schools?sslmode=verify-full&connect_timeout=3",
    "postgresql://finder@[::1]:5433,other.example/schools?options=-c%20geqo%3Doff",
    "sqlite:data/schools.db",
    "sqlite::memory:",
    "host=db.example user=finder password=s3cr3t%21",
];
const CURSORS: &[&str] =
    &["3ff0000000000000._..12.", "bff0000000000000._..12.", "_._.416263.12.", "_.2.416263.12.", "_._..12."];
const SMALL: &[&str] =
    &["2025/2026", "2025-26", "12345678.90", "-0.01", "middle_primary", "proposed_to_close", "52.0406,-0.7594"];
/// Messages of databases, which are classified by their text.
const SENTENCES: &[&str] = &[
    "CHECK constraint failed: ck_age_from",
    "NOT NULL constraint failed: schools.name",
    "UNIQUE constraint failed: schools.urn",
    "UNIQUE constraint failed: index 'uq_school_clubs'",
    "FOREIGN KEY constraint failed",
    "database is locked",
    "canceling statement due to statement timeout",
    "deadlock detected",
    "could not extend file \"base/1/2\": No space left on device",
    "permission denied for table schools",
    "cached plan must not change result type",
];

/// Hands out inputs to a parser, and notes how long the slowest took.
fn each(what: &str, seeds: &[&str], count: u64, mut take: impl FnMut(&mut Random, &str)) -> u64 {
    let (mut random, begun, mut slowest) = (Random::new(count), Instant::now(), Duration::ZERO);
    for _ in 0..count {
        let seed = seeds[random.below(seeds.len())];
        let one = Instant::now();
        take(&mut random, seed);
        slowest = slowest.max(one.elapsed());
    }
    say(&format!("{count} of {what} in {:.0?}, the slowest {slowest:.1?}", begun.elapsed()));
    assert!(slowest < Duration::from_secs(10), "{what}: {slowest:?}");
    count
}

#[test]
fn a_million_inputs_are_parsed_or_refused() {
    if !bounded("a_million_inputs_are_parsed_or_refused") {
        return;
    }
    let share = setting("SCHOOL_FINDER_INPUTS", 1_000_000) / 100;
    let mut total = 0;
    total += each("outlines in WKT", WKT, share * 23, |random, seed| {
        if let Ok(outline) = Catchment::from_str(&mutated_text(seed, random)) {
            assert_eq!(outline.to_string().parse::<Catchment>().expect("what it writes it reads"), outline);
        }
    });
    total += each("outlines in GeoJSON", GEOJSON, share * 20, |random, seed| {
        if let Ok(outline) = serde_json::from_slice::<Catchment>(&mutated(seed, random)) {
            assert!(outline.vertices() >= 4);
        }
    });
    total += each("addresses of databases", URLS, share * 20, |random, seed| {
        let text = mutated_text(seed, random);
        let shown = match Config::from_url(&text) {
            Ok(config) => format!("{config} {config:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        // Where it still is the password, and nothing else.
        let is_password = ["postgres://finder:s3cr3t%21@", "password=s3cr3t"].iter().any(|part| text.contains(part));
        assert!(!is_password || text.matches("s3cr3t").count() > 1 || !shown.contains("s3cr3t"), "{text}: {shown}");
    });
    total += each("years, money and words", SMALL, share * 10, |random, seed| {
        let text = mutated_text(seed, random);
        if let Ok(year) = text.parse::<AcademicYear>() {
            assert_eq!(year.to_string().parse::<AcademicYear>().expect("what it writes it reads"), year);
        }
        if let Ok(money) = text.parse::<Money>() {
            assert_eq!(money.to_string().parse::<Money>().expect("what it writes it reads"), money);
        }
        let _ = (text.parse::<Phase>(), text.parse::<Status>());
    });

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let finder = runtime.block_on(connect(&Config::in_memory())).expect("a database");
    runtime.block_on(sample::fill(finder.as_ref())).expect("schools that fit");
    // What a connection reports is read as it leaves the connection.
    let repository = runtime.block_on(SqliteRepository::connect(&Config::in_memory())).expect("a database");
    total += each("sentences of databases", SENTENCES, share * 18, |random, seed| {
        const KINDS: [fn() -> DatabaseErrorKind; 5] = [
            || DatabaseErrorKind::Unknown,
            || DatabaseErrorKind::CheckViolation,
            || DatabaseErrorKind::NotNullViolation,
            || DatabaseErrorKind::UniqueViolation,
            || DatabaseErrorKind::ForeignKeyViolation,
        ];
        let kind = KINDS[random.below(KINDS.len())]();
        let reported = DieselError::DatabaseError(kind, Box::new(mutated_text(seed, random)));
        let failed = runtime.block_on(repository.with_connection(|_| Ok(Err::<(), _>(reported)?)));
        assert!(!failed.expect_err("it fails").to_string().is_empty());
    });
    let before = runtime.block_on(finder.facets(&SchoolSearch::open())).expect("a result");
    // An honest one of each order, whose end says which search it belongs to.
    let searches = [Sort::Name, Sort::Rating].map(|sort| SchoolSearch::open().sort(sort).limit(1));
    let honest: Vec<String> = searches
        .iter()
        .map(|search| runtime.block_on(finder.find_schools(search)).expect("a page").next.expect("more").to_string())
        .collect();
    total += each("cursors", CURSORS, share * 3, |random, seed| {
        let which = random.below(2);
        let print = honest[which].rsplit_once('.').expect("two parts").1;
        let text = match random.below(3) {
            0 => mutated_text(seed, random) + print,
            1 => mutated_text(&honest[which], random),
            _ => mutated_text(honest[which].rsplit_once('.').expect("two parts").0, random) + "." + print,
        };
        let Ok(cursor) = text.parse::<Cursor>() else { return };
        match runtime.block_on(finder.find_schools(&searches[which].clone().after(cursor))) {
            Ok(page) => assert!(page.items.len() <= 1),
            Err(error) => assert!(matches!(error, Error::InvalidCursor { .. }), "{error:?}"),
        }
    });
    let register = register(1..=5, "School");
    // Plain, and packed: bytes of an archive are damaged too.
    total += each("registers", &[&register], share * 2, |random, seed| {
        let bytes = match random.below(4) {
            0 => {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                packed.write_all(&mutated(seed, random)).expect("bytes");
                damaged(packed.finish().expect("a file"), random)
            }
            1 => {
                let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
                archive.start_file("edubasealldata.csv", zip::write::SimpleFileOptions::default()).expect("a member");
                archive.write_all(&mutated(seed, random)).expect("bytes");
                damaged(archive.finish().expect("an archive").into_inner(), random)
            }
            _ => mutated(seed, random),
        };
        let import = Import::new().mode(WriteMode::DryRun).register(finder.as_ref(), std::io::Cursor::new(bytes));
        if let Err(error) = runtime.block_on(import) {
            assert!(matches!(error, Error::Import(_)), "{error:?}");
        }
    });
    total += each("admissions", &[ADMISSIONS, ADMISSIONS_BY_CRITERION], share, |random, seed| {
        let bytes = mutated(seed, random);
        let import = Import::new().mode(WriteMode::DryRun).admissions(finder.as_ref(), std::io::Cursor::new(bytes));
        if let Err(error) = runtime.block_on(import) {
            assert!(matches!(error, Error::Import(_)), "{error:?}");
        }
    });
    total += each("links", &[LINKS], share, |random, seed| {
        let bytes = mutated(seed, random);
        let import = Import::new().mode(WriteMode::DryRun).links(finder.as_ref(), std::io::Cursor::new(bytes));
        if let Err(error) = runtime.block_on(import) {
            assert!(matches!(error, Error::Import(_)), "{error:?}");
        }
    });
    total += each("files of catchments", FEATURES, share * 2, |random, seed| {
        let bytes = mutated(seed, random);
        let import = Import::new().mode(WriteMode::DryRun);
        let import = import.catchments(finder.as_ref(), std::io::Cursor::new(bytes), "urn");
        if let Err(error) = runtime.block_on(import) {
            assert!(matches!(error, Error::Import(_)), "{error:?}");
        }
    });
    let after = runtime.block_on(finder.facets(&SchoolSearch::open())).expect("a result");
    assert_eq!(after, before, "and nothing was written");
    say(&format!("{total} inputs in all"));
}

/// A ring with so many corners.
fn ring(corners: usize, radius: f64) -> String {
    let steps = f64::from(u32::try_from(corners).expect("small"));
    let corner = |at: usize| {
        let angle = std::f64::consts::TAU * f64::from(u32::try_from(at % corners).expect("small")) / steps;
        format!("{} {}", angle.cos() * radius, 52.0 + angle.sin() * radius)
    };
    (0..=corners).map(corner).collect::<Vec<_>>().join(",")
}

#[test]
fn what_is_too_large_is_refused_in_seconds() {
    if !bounded("what_is_too_large_is_refused_in_seconds") {
        return;
    }
    let hole = |at: usize| {
        let (x, y) =
            (f64::from(u32::try_from(at % 100).expect("small")), f64::from(u32::try_from(at / 100).expect("small")));
        let (x, y) = (0.1 + x * 0.03, 50.1 + y * 0.03);
        format!("({x} {y},{} {y},{} {},{x} {y})", x + 0.01, x + 0.01, y + 0.01)
    };
    let holes = |count| {
        let holes: Vec<_> = (0..count).map(hole).collect();
        format!("POLYGON((0 50,4 50,4 54,0 54,0 50),{})", holes.join(","))
    };
    let nested = |open: &str, close: &str, count| open.repeat(count) + &close.repeat(count);
    let wkt: Vec<(&str, String, bool)> = vec![
        ("99,999 corners", format!("POLYGON(({}))", ring(99_999, 1.0)), true),
        ("100,001 corners", format!("POLYGON(({}))", ring(100_001, 1.0)), false),
        ("2,000,000 corners", format!("POLYGON(({}))", "0 0,".repeat(2_000_000) + "0 0"), false),
        ("9,999 holes", holes(9_999), true),
        ("10,001 holes", holes(10_001), false),
        ("a million brackets", nested("(", ")", 1_000_000), false),
        ("a polygon of a million brackets", format!("POLYGON{}", nested("(", ")", 1_000_000)), false),
        ("100,000 collections in each other", nested("GEOMETRYCOLLECTION(", ")", 100_000), false),
        ("a star whose edges all cross", star(3_001), false),
    ];
    for (what, text, is_taken) in &wkt {
        let begun = Instant::now();
        let read = text.parse::<Catchment>();
        say(&format!(
            "{what}: {} in {:.1?}",
            read.as_ref().map_or_else(ToString::to_string, |_| "read".to_owned()).chars().take(90).collect::<String>(),
            begun.elapsed()
        ));
        assert_eq!(read.is_ok(), *is_taken, "{what}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:?}", begun.elapsed());
    }
    for open in ["[", "{\"a\":", "{\"type\":\"Polygon\",\"coordinates\":"] {
        let begun = Instant::now();
        assert!(serde_json::from_str::<Catchment>(&open.repeat(100_000)).is_err());
        assert!(begun.elapsed() < Duration::from_secs(20), "{open}: {:?}", begun.elapsed());
    }
}

/// A ring that goes from every corner to the one opposite.
fn star(corners: usize) -> String {
    let steps = f64::from(u32::try_from(corners).expect("small"));
    let corner = |at: usize| {
        let angle =
            std::f64::consts::TAU * f64::from(u32::try_from(at * (corners / 2) % corners).expect("small")) / steps;
        format!("{} {}", angle.cos(), 52.0 + angle.sin())
    };
    format!("POLYGON(({}))", (0..=corners).map(corner).collect::<Vec<_>>().join(","))
}

/// The same to the program, with a stack of 1 MB and 1 GB of memory.
#[tokio::test]
async fn the_program_refuses_files_that_are_too_deep() {
    let place = Place::new(Backend::Sqlite).await;
    let finder = connect(&place.config()).await.expect("the database");
    finder.insert_schools(schools(1..=3)).await.expect("schools that fit");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("catchments.geojson");
    let feature = |geometry: &str, properties: &str| {
        format!(
            r#"{{"type":"FeatureCollection","features":[{{"type":"Feature","properties":{properties},"geometry":{geometry}}}]}}"#
        )
    };
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for (what, text) in [
        ("a deep geometry", feature(&format!(r#"{{"type":"Polygon","coordinates":{deep}}}"#), r#"{"urn":1}"#)),
        ("deep properties", feature("null", &format!(r#"{{"urn":1,"x":{deep}}}"#))),
        ("a deep URN", feature("null", &format!(r#"{{"urn":{deep}}}"#))),
        ("a deep file", deep.clone()),
        ("a million brackets", "(".repeat(1_000_000)),
        ("an endless name", format!(r#"{{"type":"{}"#, "a".repeat(20_000_000))),
    ] {
        std::fs::write(&file, text).expect("a file");
        let inner = program(&place.url, &["import", "catchments", file.to_str().expect("UTF-8"), "--key", "urn"]);
        let mut command = Command::new("prlimit");
        command.arg(format!("--as={MEMORY}")).arg("--stack=1048576").arg(inner.get_program()).args(inner.get_args());
        let begun = Instant::now();
        let output = command.output().expect("prlimit runs");
        let reported = String::from_utf8_lossy(&output.stderr);
        assert!(
            matches!(output.status.code(), Some(0 | 1)) && !reported.contains("panicked"),
            "{what}: {:?} {reported}",
            output.status
        );
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:?}", begun.elapsed());
        assert!(finder.catchments(&[]).await.expect("a result").is_empty());
    }
    assert_eq!(
        place.raw().await.texts("SELECT urn || '' FROM schools WHERE catchment_geometry IS NOT NULL").await.len(),
        0
    );
}
