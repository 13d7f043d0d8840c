//! What is measured on: the real register, and a country that is made.

use std::fs::File;
use std::path::PathBuf;

use school_finder_db::config::Backend;
use school_finder_db::geo::Catchment;
use school_finder_db::ids::Urn;
use school_finder_db::import::Import;
use school_finder_db::models::{NewCatchment, NewSchool, Phase};
use school_finder_db::request::WriteMode;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{LatLng, SchoolSearch, Sort};

/// How many schools the made country has.
const SCHOOLS: u32 = 250_000;

/// How many of each set's schools have an outline, at most.
const OUTLINES: usize = 30_000;

/// How many corners an outline has.
const CORNERS: u32 = 64;

/// A database to ask, and places in it.
pub struct Set {
    /// Backend and data.
    pub name: String,
    pub database: TestDatabase,
    /// Where questions are asked from.
    pub places: Vec<LatLng>,
}

/// Every data set on every backend. The real register takes part where `SCHOOL_FINDER_DATA` names its folder.
pub async fn sets() -> Vec<Set> {
    let mut sets = Vec::new();
    let register = std::env::var_os("SCHOOL_FINDER_DATA")
        .map(|folder| PathBuf::from(folder).join("gias/edubasealldata_open_2026.csv"));
    if register.is_none() {
        eprintln!("left out: the real register (SCHOOL_FINDER_DATA names its folder)");
    }
    for backend in [Backend::Sqlite, Backend::Postgres] {
        if let Some(register) = &register {
            let database = TestDatabase::new(backend).await.expect("a database");
            let file = File::open(register).expect("the register");
            Import::new().register(database.repository(), file).await.expect("an import");
            sets.push(set(database, "register").await);
        }
        let database = TestDatabase::new(backend).await.expect("a database");
        let schools = Box::new(made_schools().map(Ok));
        database.repository().upsert_schools(schools, WriteMode::Commit).await.expect("schools that fit");
        sets.push(set(database, "made").await);
    }
    sets
}

/// A database with outlines, and what the server or file has to know to plan well.
async fn set(database: TestDatabase, data: &str) -> Set {
    let finder = database.repository();
    let mut search = SchoolSearch::all().sort(Sort::Name).limit(1_000);
    let (mut schools, mut count) = (Vec::new(), 0);
    loop {
        let page = finder.find_schools(&search).await.expect("an answer");
        count += page.items.len();
        schools.extend(page.items.into_iter().filter_map(|hit| Some((hit.school.urn, hit.school.location()?))));
        match page.next {
            Some(cursor) => search = search.after(cursor),
            None => break,
        }
    }
    let mut random = Random(7);
    let step = schools.len().div_ceil(OUTLINES);
    let outlines = schools
        .iter()
        .step_by(step)
        .map(|(urn, centre)| NewCatchment { urn: *urn, outline: Some(outline(*centre, &mut random)) });
    finder.upsert_catchments(outlines.collect(), WriteMode::Commit).await.expect("outlines that fit");
    database.execute("ANALYZE").await.expect("analysed");
    // Half of the places lie near a school, which is to say in towns, the others anywhere in England's box.
    let places = (0..200_usize)
        .map(|n| {
            let (_, near) = schools[n * 7_919 % schools.len()];
            let (lat, lng) = if n % 2 == 0 {
                (near.lat().degrees() + random.between(-0.01, 0.01), near.lng().degrees() + random.between(-0.01, 0.01))
            } else {
                (random.between(50.2, 55.5), random.between(-5.0, 1.5))
            };
            LatLng::from_lat_lng(lat, lng).expect("a place")
        })
        .collect();
    let name = format!("{} {data} {count}", database.config().backend().as_str());
    Set { name, database, places }
}

/// A country of towns, with as many schools as they are large.
fn made_schools() -> impl Iterator<Item = NewSchool> + Send + 'static {
    const TOWNS: u32 = 2_000;
    let mut random = Random(1);
    let towns: Vec<(f64, f64)> = (0..TOWNS).map(|_| (random.between(50.2, 55.5), random.between(-5.0, 1.5))).collect();
    (0..SCHOOLS).map(move |number| {
        // The cube of a number between 0 and 1 is small more often than not: few towns are large.
        let part = random.between(0.0, 1.0);
        let town = index(part * part * part, towns.len());
        let (lat, lng) = towns[town];
        // Three numbers' sum is small more often than not: most schools lie in the middle of their town.
        let mut away = || random.between(-0.05, 0.05) + random.between(-0.05, 0.05) + random.between(-0.05, 0.05);
        let (lat, lng) = (lat + away() * 0.5, lng + away());
        let kind = index(random.between(0.0, 1.0), Phase::ALL.len());
        NewSchool {
            council: Some(format!("Council {}", town % 150)),
            phase: Some(if kind < 4 { Phase::Primary } else { Phase::ALL[kind] }),
            is_private: Some(number % 10 == 0),
            age_range_from: Some(4),
            age_range_to: Some(11),
            ofsted_rating: (number % 5 != 0).then(|| i16::try_from(1 + number % 4).expect("small")),
            location: Some(LatLng::from_lat_lng(lat, lng).expect("a place")),
            address: Some(format!("{number} High Street, Town {town}")),
            postcode: Some(format!("ZZ{} {}AB", number % 99, number % 9)),
            ..NewSchool::new(Urn::new(i64::from(number) + 1).expect("a URN"), format!("School {number} of town {town}"))
        }
    })
}

/// An uneven ring of about a kilometre.
fn outline(centre: LatLng, random: &mut Random) -> Catchment {
    let corner = |step: u32| {
        let angle = std::f64::consts::TAU * f64::from(step) / f64::from(CORNERS);
        let reach = random.between(0.006, 0.014);
        let (lat, lng) =
            (centre.lat().degrees() + reach * angle.sin(), centre.lng().degrees() + reach * 1.6 * angle.cos());
        format!("{lng:.7} {lat:.7}")
    };
    let mut corners: Vec<String> = (0..CORNERS).map(corner).collect();
    corners.push(corners[0].clone());
    format!("POLYGON(({}))", corners.join(",")).parse().expect("an outline")
}

/// Numbers that look random and are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let part = f64::from(u32::try_from(bits >> 32).expect("32 bits")) / f64::from(u32::MAX);
        low + part * (high - low)
    }
}

/// A place in a list, by a part of its length.
fn index(part: f64, length: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
    let at = (part * length as f64) as usize;
    at.min(length - 1)
}
