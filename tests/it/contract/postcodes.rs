//! Homes by postcode, and postcodes in the database.

use school_finder_db::ids::Postcode;
use school_finder_db::models::{Home, HomeSource, NewSchool, PostcodeCounts, PostcodePlace, UpsertCounts};
use school_finder_db::request::WriteMode;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, Result};

use super::on_every_backend;
use crate::support::{at, school};

on_every_backend! {
    a_postcode_is_located_however_it_is_typed,
    parts_are_the_middle_of_their_live_postcodes,
    ended_and_withdrawn_postcodes_say_so,
    unknown_postcodes_name_what_is_known,
    schools_stand_in_for_postcodes_that_are_missing,
    many_are_located_in_the_order_given,
    an_area_is_replaced_and_others_stay,
    a_stream_that_cannot_be_is_refused,
}

fn postcode(text: &str) -> Postcode {
    text.parse().expect("a postcode")
}

fn place(text: &str, lat: f64, lng: f64) -> PostcodePlace {
    PostcodePlace { postcode: postcode(text), location: at(lat, lng), uncertainty_m: 100, terminated_on: None }
}

fn ended(text: &str, lat: f64, lng: f64) -> PostcodePlace {
    let terminated_on = chrono::NaiveDate::from_ymd_opt(1996, 6, 1);
    PostcodePlace { terminated_on, ..place(text, lat, lng) }
}

async fn replace(database: &TestDatabase, areas: Vec<Vec<PostcodePlace>>, mode: WriteMode) -> Result<PostcodeCounts> {
    database.repository().replace_postcodes(Box::new(areas.into_iter().map(Ok)), mode).await
}

async fn stored(database: &TestDatabase, areas: Vec<Vec<PostcodePlace>>) -> (UpsertCounts, u64) {
    let counts = replace(database, areas, WriteMode::Commit).await.expect("postcodes that fit");
    (counts.postcodes, counts.withdrawn)
}

async fn home(database: &TestDatabase, text: &str) -> Home {
    database.repository().locate(text).await.unwrap_or_else(|error| panic!("{text}: {error}"))
}

async fn unknown(database: &TestDatabase, text: &str) -> String {
    database.repository().locate(text).await.expect_err("an unknown postcode").to_string()
}

/// Milton Keynes and Manchester, whose outcodes M1 and M11 and areas M and MK begin alike.
fn two_areas() -> Vec<Vec<PostcodePlace>> {
    vec![
        vec![
            place("MK9 3EP", 52.04, -0.76),
            place("MK9 3EQ", 52.05, -0.77),
            ended("MK9 3AA", 52.5, -0.9),
            place("MK9 1AA", 52.03, -0.75),
            ended("MK1 1AA", 52.0, -0.72),
        ],
        vec![place("M1 1AE", 53.48, -2.23), place("M11 1AE", 53.47, -2.19)],
    ]
}

async fn a_postcode_is_located_however_it_is_typed(database: &TestDatabase) {
    assert_eq!(stored(database, two_areas()).await, (UpsertCounts::new(7, 0, 0), 0));
    for typed in ["MK9 3EP", "mk93ep", " mk9  3ep", "Mk9-3eP"] {
        let expected = Home {
            postcode: postcode("MK9 3EP"),
            location: at(52.04, -0.76),
            source: HomeSource::Postcode,
            uncertainty_m: 100,
            terminated_on: None,
        };
        assert_eq!(home(database, typed).await, expected, "{typed}");
    }
    assert_eq!(home(database, "m1 iae").await.location, at(53.48, -2.23));
    assert_eq!(home(database, "M111AE").await.location, at(53.47, -2.19));
    let refused = database.repository().locate("Milton Keynes").await.expect_err("no postcode");
    assert!(matches!(&refused, Error::InvalidPostcode(invalid) if invalid.given == "Milton Keynes"), "{refused}");
    assert!(refused.is_invalid_input());
}

async fn parts_are_the_middle_of_their_live_postcodes(database: &TestDatabase) {
    stored(database, two_areas()).await;
    let sector = home(database, "mk9 3").await;
    assert_eq!(
        (sector.postcode, sector.source, sector.location),
        (postcode("MK9 3"), HomeSource::Sector, at(52.045, -0.765))
    );
    // 653 m to each of the two, and 100 m more.
    assert_eq!(sector.uncertainty_m, 753);
    assert_eq!(home(database, "MK93").await, sector, "there is no outcode MK93");
    let outcode = home(database, "MK9").await;
    assert_eq!((outcode.source, outcode.location), (HomeSource::Outcode, at(52.04, -0.76)));
    assert_eq!(home(database, "M1").await.location, at(53.48, -2.23), "and nothing of M11");
    assert_eq!(home(database, "M11").await.location, at(53.47, -2.19), "the outcode comes before the sector M1 1");
    let ended = home(database, "MK1").await;
    assert_eq!(ended.location, at(52.0, -0.72), "all of them have ended");
}

async fn ended_and_withdrawn_postcodes_say_so(database: &TestDatabase) {
    stored(database, two_areas()).await;
    let ended = home(database, "MK9 3AA").await;
    assert_eq!(
        (ended.source, ended.terminated_on),
        (HomeSource::Terminated, chrono::NaiveDate::from_ymd_opt(1996, 6, 1))
    );
    assert_eq!(
        ended.to_string(),
        "the last centre of the postcode MK9 3AA, which ended in June 1996, up to 100 m from the home"
    );
    let mut next = two_areas();
    next[0].retain(|place| place.postcode != postcode("MK9 3EP"));
    assert_eq!(stored(database, next).await, (UpsertCounts::new(0, 0, 6), 1));
    let withdrawn = home(database, "MK9 3EP").await;
    assert_eq!((withdrawn.source, withdrawn.location), (HomeSource::Withdrawn, at(52.04, -0.76)));
    assert!(withdrawn.to_string().contains("which the newest postcodes lack"), "{withdrawn}");
    assert_eq!(home(database, "MK9 3").await.location, at(52.05, -0.77), "the others alone are its middle");
    assert_eq!(stored(database, two_areas()).await, (UpsertCounts::new(0, 1, 6), 0));
    assert_eq!(home(database, "MK9 3EP").await.source, HomeSource::Postcode, "it is back");
}

async fn unknown_postcodes_name_what_is_known(database: &TestDatabase) {
    let import = "import the postcodes with `school-finder import postcodes FILE`";
    assert_eq!(
        unknown(database, "mk93zz").await,
        format!("no postcodes of MK are stored, and no school is in MK9 3ZZ: {import}")
    );
    stored(database, two_areas()).await;
    for (typed, error) in [
        ("mk93zz", "there is no postcode MK9 3ZZ, but there is MK9 3: check the rest of it"),
        ("MK9 7ZZ", "there is no postcode MK9 7ZZ, but there is MK9: check the rest of it"),
        ("MK9 7", "there is no postcode MK9 7, but there is MK9: check the rest of it"),
        ("MK99 3EP", "there is no postcode MK99 3EP, nor its outcode MK99: check it"),
        ("MK99", "there is no postcode MK99, nor its outcode MK99: check it"),
    ] {
        assert_eq!(unknown(database, typed).await, error, "{typed}");
    }
    assert!(unknown(database, "BT1 1AA").await.ends_with(import));
    let error = database.repository().locate("MK9 3ZZ").await.expect_err("an unknown postcode");
    assert!(matches!(&error, Error::UnknownPostcode(unknown) if unknown.known == Some(postcode("MK9 3"))), "{error}");
    assert_eq!((error.name(), error.field(), error.is_invalid_input()), ("UnknownPostcode", Some("postcode"), false));
}

async fn schools_stand_in_for_postcodes_that_are_missing(database: &TestDatabase) {
    let at_postcode = |number, text: &str, lat, lng| NewSchool {
        postcode: Some(text.to_owned()),
        location: Some(at(lat, lng)),
        ..school(number)
    };
    let nowhere = NewSchool { postcode: Some("OX1 1AB".to_owned()), ..school(3) };
    let schools = vec![
        at_postcode(1, "OX1 1AA", 51.75, -1.25),
        at_postcode(2, "OX11AA", 51.76, -1.26),
        nowhere,
        at_postcode(4, "OX1 2AA", 51.8, -1.3),
        at_postcode(5, "OX11 1AA", 51.6, -1.2),
    ];
    database.repository().insert_schools(schools).await.expect("schools that fit");
    let unit = home(database, "0x1 1aa").await;
    assert_eq!((unit.source, unit.location), (HomeSource::School, at(51.755, -1.255)));
    // 654 m to each of the two schools.
    assert_eq!(unit.uncertainty_m, 654);
    let outcode = home(database, "OX1").await;
    assert_eq!((outcode.source, outcode.location), (HomeSource::School, at(51.775, -1.275)));
    assert_eq!(outcode.uncertainty_m, 5_000, "and not OX11");
    assert_eq!(home(database, "OX1 2").await.uncertainty_m, 2_000);
    assert_eq!(home(database, "OX1 2AA").await.uncertainty_m, 250);
    let error = unknown(database, "OX1 1AB").await;
    assert!(error.contains("no school is in OX1 1AB, but some are in OX1 1: use that, or import"), "{error}");
    // What was imported comes first.
    stored(database, vec![vec![place("OX1 2AA", 51.81, -1.31)]]).await;
    assert_eq!(home(database, "OX1 2AA").await.source, HomeSource::Postcode);
    assert_eq!(home(database, "OX1 1AA").await.source, HomeSource::School);
}

async fn many_are_located_in_the_order_given(database: &TestDatabase) {
    stored(database, two_areas()).await;
    let asked = ["M1 1AE", "MK9", "MK9 3ZZ", "M1 1AE"].map(postcode);
    let found = database.repository().locate_all(&asked).await.expect("homes");
    let places: Vec<_> = found.iter().map(|home| home.as_ref().ok().map(|home| home.location)).collect();
    assert_eq!(places, [Some(at(53.48, -2.23)), Some(at(52.04, -0.76)), None, Some(at(53.48, -2.23))]);
    assert!(database.repository().locate_all(&[]).await.expect("none").is_empty());
}

async fn an_area_is_replaced_and_others_stay(database: &TestDatabase) {
    stored(database, two_areas()).await;
    let moved = || vec![vec![place("MK9 3EP", 52.06, -0.76), place("MK10 0AA", 52.04, -0.7)]];
    let dry = replace(database, moved(), WriteMode::DryRun).await.expect("postcodes that fit");
    assert_eq!((dry.postcodes, dry.withdrawn), (UpsertCounts::new(1, 1, 0), 4));
    assert_eq!(home(database, "MK9 3EP").await.location, at(52.04, -0.76), "a dry run wrote nothing");
    assert_eq!(stored(database, moved()).await, (UpsertCounts::new(1, 1, 0), 4));
    assert_eq!(stored(database, moved()).await, (UpsertCounts::new(0, 0, 2), 0), "withdrawn ones are counted once");
    assert_eq!(home(database, "MK9 3EP").await.location, at(52.06, -0.76));
    assert_eq!(home(database, "M1 1AE").await.source, HomeSource::Postcode, "of another area");
}

async fn a_stream_that_cannot_be_is_refused(database: &TestDatabase) {
    let twice = vec![vec![place("MK9 3EP", 52.0, -0.7), place("MK9 3EP", 52.1, -0.7)]];
    let refused = replace(database, twice, WriteMode::Commit).await;
    assert!(matches!(refused, Err(Error::DuplicateRow { .. })), "{refused:?}");
    for area in [
        vec![place("MK9 3", 52.0, -0.7)],
        vec![place("M1 1AE", 52.0, -0.7), place("MK9 3EP", 52.0, -0.7)],
        vec![place("MK9 3EP", 0.0, 0.0)],
        vec![PostcodePlace { uncertainty_m: 0, ..place("MK9 3EP", 52.0, -0.7) }],
    ] {
        let areas = vec![vec![place("AB1 0AA", 57.0, -2.0)], area];
        let refused = replace(database, areas, WriteMode::Commit).await;
        assert!(matches!(refused, Err(Error::InvalidText { field: "postcode", .. })), "{refused:?}");
    }
    assert!(database.repository().locate("AB1 0AA").await.is_err(), "nothing was written");
}

/// Asserts that a part of a postcode is a range of the primary key.
macro_rules! is_a_range_of_the_key {
    ($module:ident, $repository:ty, $database:expr, $key:literal $(, $async:tt, $await:tt)?) => {{
        use diesel::prelude::*;
        use school_finder_db::explain::ExplainMode;
        use school_finder_db::$module::{explain, schema::postcodes};
        let units = ('A'..='Z').flat_map(|one| ('A'..='Z').map(move |two| format!("{one}{two}")));
        let area = (0..10).flat_map(|sector| units.clone().map(move |unit| format!("MK9 {sector}{unit}")));
        stored($database, vec![area.map(|text| place(&text, 52.0, -0.7)).collect()]).await;
        let repository = <$repository>::connect($database.config()).await.expect("the database");
        let query = postcodes::table
            .filter(postcodes::postcode.ge("MK9 3"))
            .filter(postcodes::postcode.lt("MK9 3~"))
            .select(postcodes::lat);
        let plan = repository
            .with_connection($($async)? move |c| explain(c, query, ExplainMode::Plan)$(.$await)?)
            .await
            .expect("a plan");
        assert!(plan.scans.is_empty() && plan.plan.join(" ").contains($key), "{plan}");
    }};
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_part_is_a_range_of_the_key_on_sqlite() {
    let database = TestDatabase::new(school_finder_db::config::Backend::Sqlite).await.expect("a database");
    is_a_range_of_the_key!(sqlite, school_finder_db::sqlite::SqliteRepository, &database, "USING PRIMARY KEY");
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_part_is_a_range_of_the_key_on_postgres() {
    let database = TestDatabase::new(school_finder_db::config::Backend::Postgres).await.expect("a database");
    is_a_range_of_the_key!(
        postgres,
        school_finder_db::postgres::PostgresRepository,
        &database,
        "postcodes_pkey",
        async,
        await
    );
}
