//! What the tests share.

pub mod diesel_tool;
pub mod evolution;
pub mod oracle;
pub mod raw;
#[cfg(feature = "postgres")]
pub mod relay;
pub mod rows;
#[cfg(feature = "postgres")]
pub mod server;
#[cfg(all(feature = "cli", feature = "postgres", feature = "sqlite"))]
pub mod transcript;
pub mod world;

use proptest::prelude::*;
use school_finder_db::ids::Urn;
use school_finder_db::models::{Gender, NewSchool, Phase, Rating, Status};
use school_finder_db::{Kilometres, LatLng};

pub fn urn(number: i64) -> Urn {
    Urn::new(number).expect("a URN")
}

pub fn at(lat: f64, lng: f64) -> LatLng {
    LatLng::from_lat_lng(lat, lng).expect("a place")
}

pub fn km(km: f64) -> Kilometres {
    Kilometres::new(km).expect("a distance")
}

/// An open school with a number for a name.
pub fn school(number: i64) -> NewSchool {
    NewSchool::new(urn(number), format!("School {number}"))
}

/// A school with a value in every field, each unlike all others, so that no two columns can be mixed up unseen.
pub fn full_school(number: i64) -> NewSchool {
    let day = |day| chrono::NaiveDate::from_ymd_opt(2001, 2, day);
    NewSchool {
        urn: urn(number),
        name: "Ŵyn's \"Name\" 100% \\ a_b 🏫 مدرسة".to_owned(),
        council: Some("Council".to_owned()),
        status: Status::ProposedToClose,
        phase: Some(Phase::MiddleSecondary),
        school_type: Some("Type".to_owned()),
        gender: Some(Gender::Girls),
        faith: Some("Faith".to_owned()),
        address: Some("Address".to_owned()),
        postcode: Some("AB1 2CD".to_owned()),
        website_url: Some("https://school.example".to_owned()),
        is_private: Some(true),
        is_selective: Some(false),
        age_range_from: Some(3),
        age_range_to: Some(19),
        ofsted_rating: Some(Rating::Inadequate),
        location: Some(at(51.123_456_789_012_3, -1.987_654_321_098_7)),
        easting: Some(400_001),
        northing: Some(200_002),
        catchment_radius_km: Some(km(1.25)),
        opened_on: day(3),
        closed_on: day(4),
        capacity: Some(505),
        pupils: Some(404),
        source_date: day(28),
    }
}

prop_compose! {
    /// A school of a small world: few names, places and councils, so that ties and unknown values are ordinary.
    fn any_school()(
        name in prop::sample::select(vec!["Ash", "ash", "Áśh", "St. Ash", "Saint Ash", "Bay 100%", "Bay 100", "École"]),
        council in prop::option::of(prop::sample::select(vec!["North", "South"])),
        status in prop::sample::select(vec![
            Status::Open, Status::Open, Status::Open, Status::Closed, Status::ProposedToOpen, Status::ProposedToClose,
        ]),
        phase in prop::option::of(prop::sample::select(Phase::ALL)),
        gender in prop::option::of(prop::sample::select(Gender::ALL)),
        faith in prop::option::of(prop::sample::select(vec!["None", "Quaker", "Sikh"])),
        is_private in any::<Option<bool>>(),
        ages in prop::option::of((0i16..=19, 0i16..=30)),
        ofsted_rating in prop::option::of(prop::sample::select(Rating::ALL)),
        place in prop::option::of((0u8..6, 0u8..6, 0u8..4)),
    ) -> NewSchool {
        NewSchool {
            council: council.map(str::to_owned),
            status,
            phase,
            gender,
            faith: faith.map(str::to_owned),
            is_private,
            age_range_from: ages.map(|(from, _)| from),
            age_range_to: ages.map(|(from, years)| from + years),
            ofsted_rating,
            // A grid of about 1 km, a few of whose points are far away.
            location: place.map(|(north, east, far)| {
                let away = if far == 0 { 3.0 } else { 0.0 };
                at(52.0 + f64::from(north) * 0.01 + away, -0.7 + f64::from(east) * 0.015 - away)
            }),
            ..NewSchool::new(urn(1), name)
        }
    }
}

/// So many cases of the tests of a file. Those that fail are kept in `tests/proptest-regressions`, under its name, and
/// are tried first from then on.
pub fn cases(cases: u32, file: &'static str) -> ProptestConfig {
    ProptestConfig { cases, source_file: Some(file), ..ProptestConfig::default() }
}

/// Up to so many schools of a small world.
pub fn any_schools(count: usize) -> impl Strategy<Value = Vec<NewSchool>> {
    prop::collection::vec(any_school(), 0..count).prop_map(|mut schools| {
        for (school, number) in schools.iter_mut().zip(100_001..) {
            school.urn = urn(number);
        }
        schools
    })
}

/// Waits for something to be so, for half a minute at most.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{what}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// How many statements that read or write a table some work makes.
pub async fn count_statements(
    database: &school_finder_db::testing::TestDatabase,
    work: impl AsyncFnOnce(&dyn school_finder_db::SchoolRepository),
) -> usize {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[cfg(feature = "sqlite")]
    use diesel::connection::Connection as _;
    use diesel::connection::InstrumentationEvent;
    use school_finder_db::config::{Backend, PoolMode};

    let count = Arc::new(AtomicUsize::new(0));
    let counter = {
        let count = Arc::clone(&count);
        move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { query, .. } = event
                && query.to_string().contains(" FROM ")
            {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    // One connection for all, which counts.
    let mut config = database.config().clone().with_mode(PoolMode::Single);
    config.pool.max_size = 1;
    match config.backend() {
        #[cfg(feature = "sqlite")]
        Backend::Sqlite => {
            let repository = school_finder_db::sqlite::SqliteRepository::connect(&config).await.expect("a database");
            let set = move |connection: &mut diesel::SqliteConnection| {
                connection.set_instrumentation(counter);
                Ok(())
            };
            repository.with_connection(set).await.expect("a counter");
            work(&repository).await;
        }
        #[cfg(feature = "postgres")]
        Backend::Postgres => {
            use diesel_async::AsyncConnection as _;
            let repository =
                school_finder_db::postgres::PostgresRepository::connect(&config).await.expect("a database");
            let set = async |connection: &mut diesel_async::AsyncPgConnection| {
                connection.set_instrumentation(counter);
                Ok(())
            };
            repository.with_connection(set).await.expect("a counter");
            work(&repository).await;
        }
        other => panic!("{other:?} has no counter"),
    }
    count.load(Ordering::SeqCst)
}
