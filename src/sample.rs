//! A small town with invented schools, to try things out on.
//!
//! Brackenford is not on any map: its names are invented, its postcodes are of an area that does not exist, and its URNs
//! lie far above the register's. It lies where Milton Keynes does, so that a search of one also finds the other.

use chrono::NaiveDate;

use crate::geo::{LatLng, Latitude, Longitude};
use crate::ids::Urn;
use crate::models::{Gender, NewCatchment, NewSchool, Phase, Status};

/// A home in the middle of the town.
///
/// # Panics
/// Never: the place is a constant.
pub fn home() -> LatLng {
    place(52.0406, -0.7594)
}

/// The town's schools: 24 open ones, one of which is about to close, one closed, one to come, and one of which it is
/// not known where it stands.
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

/// The catchments of some of the town's schools; another has a radius of its own.
///
/// ```
/// use school_finder_db::sample;
///
/// assert!(sample::catchments().iter().all(|catchment| catchment.validate().is_ok()));
/// ```
pub fn catchments() -> Vec<NewCatchment> {
    // West and east of the canal; the academy serves the town but for a village that has its own school.
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

/// A school of the town, of which nothing else is known.
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
