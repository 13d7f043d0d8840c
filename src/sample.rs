//! A small town with invented schools, for examples and tests.
//!
//! Brackenford does not exist: its names are invented, its postcode area is unused, and its URNs are far above the
//! register's. It is located where Milton Keynes is, so that searches near one also find the other.

use chrono::{NaiveDate, NaiveTime};

use crate::error::Result;
use crate::geo::{LatLng, Latitude, Longitude};
use crate::ids::Urn;
use crate::models::{
    Admissions, ClubKind, CostPer, Gender, NewAdmissions, NewCatchment, NewCollections, NewSchool, Phase, PrivateFee,
    SchoolClub, Status, Weekdays,
};
use crate::repository::SchoolRepository;
use crate::request::WriteMode;
use crate::units::AcademicYear;

/// Returns a home in the middle of the town.
///
/// # Panics
/// Never: the point is a constant.
pub fn home() -> LatLng {
    place(52.0406, -0.7594)
}

/// Returns the town's schools: 25 open ones, of which one is proposed to close and another has no location; one closed,
/// and one proposed to open.
///
/// ```
/// use school_finder_db::sample;
///
/// assert_eq!(sample::schools().len(), 27);
/// assert!(sample::schools().iter().all(|school| school.validate().is_ok()));
/// ```
pub fn schools() -> Vec<NewSchool> {
    use Phase::{AllThrough, MiddlePrimary, MiddleSecondary, NotApplicable, Nursery, Primary, Secondary, SixteenPlus};

    const CHURCH: &str = "Church of England";
    const CATHOLIC: &str = "Roman Catholic";
    let state = |name, phase, (from, to), rating, (lat, lng)| NewSchool {
        phase: Some(phase),
        school_type: Some("Community School".to_owned()),
        is_private: Some(false),
        age_range_from: Some(from),
        age_range_to: Some(to),
        ofsted_rating: rating,
        location: Some(place(lat, lng)),
        ..unplaced(name)
    };
    let private = |name, phase, ages, (lat, lng)| NewSchool {
        school_type: Some("Other Independent School".to_owned()),
        is_private: Some(true),
        ..state(name, phase, ages, None, (lat, lng))
    };
    let of_faith = |faith: &str, school| NewSchool {
        faith: Some(faith.to_owned()),
        school_type: Some("Voluntary Aided School".to_owned()),
        ..school
    };
    let for_only = |gender, school| NewSchool { gender: Some(gender), ..school };

    let mut schools = vec![
        NewSchool {
            catchment_radius_km: Some(1.2),
            website_url: Some("https://millpond.brackenford.example".to_owned()),
            ..state("Millpond Primary School", Primary, (4, 11), Some(1), (52.0431, -0.7562))
        },
        state("Weavers Row Infant School", Primary, (4, 7), Some(2), (52.0389, -0.7651)),
        state("Weavers Row Junior School", Primary, (7, 11), Some(2), (52.0389, -0.7651)),
        of_faith(CHURCH, state("St Osyth's CE Primary School", Primary, (3, 11), Some(2), (52.0467, -0.7498))),
        of_faith(
            CATHOLIC,
            state("Saint Brannoc Catholic Primary School", Primary, (4, 11), Some(1), (52.0352, -0.7433)),
        ),
        state("Quarry Bank Primary Academy", Primary, (4, 11), Some(3), (52.0298, -0.7702)),
        state("Larkspur First School", Primary, (4, 9), Some(2), (52.0541, -0.7741)),
        state("Ferrygate Middle School", MiddlePrimary, (8, 12), Some(2), (52.0583, -0.7689)),
        state("Tollhouse Middle School", MiddleSecondary, (9, 13), None, (52.0611, -0.7427)),
        state("Little Acorns Nursery School", Nursery, (2, 5), Some(1), (52.0412, -0.7613)),
        state("Canal Street Nursery School", Nursery, (3, 5), Some(2), (52.0337, -0.7548)),
        state("Brackenford Academy", Secondary, (11, 18), Some(2), (52.0445, -0.7688)),
        state("The Ropewalk School", Secondary, (11, 16), Some(4), (52.0259, -0.7531)),
        for_only(
            Gender::Girls,
            state("Ashworth High School for Girls", Secondary, (11, 18), Some(1), (52.0502, -0.7394)),
        ),
        for_only(Gender::Boys, state("Ashworth School for Boys", Secondary, (11, 18), Some(2), (52.0509, -0.7371))),
        of_faith(CATHOLIC, state("St Piran's Catholic School", Secondary, (11, 18), Some(2), (52.0331, -0.7818))),
        state("Brackenford Sixth Form College", SixteenPlus, (16, 19), Some(2), (52.0418, -0.7569)),
        state("Harrow Lane All-through School", AllThrough, (4, 18), None, (52.0226, -0.7664)),
        state("The Willows Special School", NotApplicable, (3, 19), Some(1), (52.0369, -0.7327)),
        private("Greyfriars Preparatory School", NotApplicable, (4, 13), (52.0479, -0.7591)),
        for_only(Gender::Girls, private("Lady Margery's School", NotApplicable, (11, 18), (52.0394, -0.7478))),
        private("École du Canal", NotApplicable, (3, 11), (52.0321, -0.7622)),
        state("Upper Bracken Primary School", Primary, (4, 11), None, (52.0734, -0.7915)),
        NewSchool {
            status: Status::ProposedToClose,
            ..state("Priory Meadow Primary School", Primary, (4, 11), Some(3), (52.0372, -0.7729))
        },
        NewSchool {
            status: Status::Closed,
            closed_on: NaiveDate::from_ymd_opt(2019, 8, 31),
            ..state("Old Mill Lane Primary School", Primary, (4, 11), Some(2), (52.0401, -0.7588))
        },
        NewSchool {
            status: Status::ProposedToOpen,
            opened_on: NaiveDate::from_ymd_opt(2027, 9, 1),
            ..state("Northfield Primary School", Primary, (4, 11), None, (52.0688, -0.7602))
        },
        NewSchool { phase: Some(Nursery), is_private: Some(true), ..unplaced("Brackenford Forest Nursery") },
    ];
    for (school, number) in schools.iter_mut().zip(9_990_001..) {
        school.urn = urn(number);
        school.postcode = Some(format!("ZZ{} {}QX", 1 + number % 7, number % 9));
    }
    schools
}

/// Writes the town to an empty database: schools, catchments, admissions, clubs and fees.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use school_finder_db::{Config, SchoolSearch, connect, sample};
///
/// let finder = connect(&Config::in_memory()).await?;
/// sample::fill(finder.as_ref()).await?;
/// // Which schools would have offered a child from this home a place last year?
/// let page = finder.find_reach(&SchoolSearch::near(sample::home())).await?;
/// assert_eq!(page.items.len(), 3);
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("an answer");
/// ```
///
/// # Errors
/// [`DuplicateUrn`](crate::Error::DuplicateUrn) where the town is already stored; those of the database.
pub async fn fill(repository: &dyn SchoolRepository) -> Result<()> {
    let ids = repository.insert_schools(schools()).await?;
    repository.upsert_catchments(catchments(), WriteMode::Commit).await?;
    repository.upsert_admissions(admissions(), WriteMode::Commit).await?;
    let club = |kind, ends_at| SchoolClub {
        kind,
        name: None,
        days: Some(Weekdays::EVERY),
        starts_at: None,
        ends_at,
        cost: "6.50".parse().ok(),
        cost_per: CostPer::Day,
    };
    let evening = NaiveTime::from_hms_opt(18, 0, 0);
    let both = vec![club(ClubKind::Breakfast, None), club(ClubKind::AfterSchool, evening)];
    let fees = |per_term: &str, per_year: &str| {
        Some(vec![PrivateFee {
            academic_year: academic_year(2026),
            age_from: 4,
            age_to: 13,
            per_term: per_term.parse().ok(),
            per_year: per_year.parse().ok(),
        }])
    };
    // By their indexes in the list of schools.
    for (at, new) in [
        (0, NewCollections { clubs: Some(both.clone()), ..NewCollections::default() }),
        (3, NewCollections { clubs: Some(both), ..NewCollections::default() }),
        (5, NewCollections { clubs: Some(vec![club(ClubKind::Breakfast, None)]), ..NewCollections::default() }),
        (19, NewCollections { fees: fees("4250.00", "12750.00"), ..NewCollections::default() }),
        (21, NewCollections { fees: fees("3980.00", "11940.00"), ..NewCollections::default() }),
    ] {
        repository.replace_collections(ids[at], new).await?;
    }
    Ok(())
}

/// Returns admissions of past years of some of the town's schools.
pub fn admissions() -> Vec<NewAdmissions> {
    let rows = [
        (9_990_001, "Year R", 2025, 60, 142, 0.92),
        (9_990_001, "Year R", 2024, 60, 131, 1.08),
        (9_990_004, "Year R", 2025, 45, 98, 0.81),
        (9_990_004, "Year R", 2024, 45, 77, 1.34),
        (9_990_006, "Year R", 2025, 30, 41, 2.10),
        (9_990_012, "Year 7", 2025, 210, 388, 1.75),
        (9_990_012, "Year 7", 2024, 210, 301, 2.63),
    ];
    let year = |(number, intake, starts_in, places, applications, km): (i64, &str, i16, i32, i32, f64)| NewAdmissions {
        urn: urn(number),
        admissions: Admissions {
            places_offered: Some(places),
            applications_received: Some(applications),
            last_distance_offered_km: Some(km),
            had_vacancies: Some(false),
            ..Admissions::new(academic_year(starts_in), Some(intake.to_owned()))
        },
    };
    rows.into_iter().map(year).collect()
}

fn academic_year(starts_in: i16) -> AcademicYear {
    AcademicYear::starting(starts_in).unwrap_or_else(|_| unreachable!("a constant of this century"))
}

/// Returns the outlines of the catchments of some of the town's schools; another has a catchment radius.
///
/// ```
/// use school_finder_db::sample;
///
/// assert!(sample::catchments().iter().all(|catchment| catchment.validate().is_ok()));
/// ```
pub fn catchments() -> Vec<NewCatchment> {
    // West and east of the canal. The academy serves the town without a village that has its own school.
    const WEST: &str = "POLYGON((-0.785 52.03,-0.762 52.031,-0.7575 52.0395,-0.759 52.05,-0.784 52.05,-0.785 52.03))";
    const EAST: &str = "POLYGON((-0.759 52.05,-0.7575 52.0395,-0.762 52.031,-0.735 52.03,-0.733 52.051,-0.759 52.05))";
    const TOWN: &str = "MULTIPOLYGON(((-0.81 52.02,-0.72 52.02,-0.72 52.08,-0.81 52.08,-0.81 52.02),\
                        (-0.8 52.068,-0.785 52.068,-0.785 52.078,-0.8 52.078,-0.8 52.068)))";
    let schools = [(9_990_002, WEST), (9_990_003, WEST), (9_990_004, EAST), (9_990_012, TOWN)];
    let catchment = |(number, outline): (i64, &str)| NewCatchment {
        urn: urn(number),
        outline: Some(outline.parse().unwrap_or_else(|_| unreachable!("a constant that the tests parse"))),
    };
    schools.into_iter().map(catchment).collect()
}

/// Returns a school with the values that all schools of the town share.
fn unplaced(name: &str) -> NewSchool {
    NewSchool {
        council: Some("Brackenford".to_owned()),
        gender: Some(Gender::Mixed),
        faith: Some("None".to_owned()),
        address: Some("Brackenford".to_owned()),
        ..NewSchool::new(urn(9_990_000), name)
    }
}

fn urn(number: i64) -> Urn {
    Urn::new(number).unwrap_or_else(|_| unreachable!("a constant below ten million"))
}

fn place(lat: f64, lng: f64) -> LatLng {
    match (Latitude::new(lat), Longitude::new(lng)) {
        (Ok(lat), Ok(lng)) => LatLng::new(lat, lng),
        _ => unreachable!("a constant on the earth"),
    }
}
