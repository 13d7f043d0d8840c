//! A generated country: towns, schools in proportion to their size, and outlines around three schools in five.

use school_finder_db::LatLng;
use school_finder_db::geo::Catchment;
use school_finder_db::ids::Urn;
use school_finder_db::models::{NewCatchment, NewSchool, Phase, Rating};

use super::Case;

/// The number of corners of an outline.
const CORNERS: u32 = 32;

/// The number of locations to search from.
const CASES: usize = 200;

/// Schools, and the outlines of some.
pub struct Country {
    /// Ordered by URN, from 1.
    pub schools: Vec<NewSchool>,
    pub catchments: Vec<NewCatchment>,
    pub cases: Vec<Case>,
}

impl Country {
    /// Generates the country for a number of schools; the same one in every run.
    pub fn of(schools: u32) -> Self {
        let schools: Vec<NewSchool> = made_schools(schools).collect();
        let mut random = Random(7);
        let catchments = schools
            .iter()
            .enumerate()
            .filter(|(number, _)| number % 5 < 3)
            .map(|(_, school)| NewCatchment {
                urn: school.urn,
                outline: Some(outline(school.location.expect("a location"), &mut random)),
            })
            .collect();
        // Half of the locations are near a school, so mostly in towns; the others are anywhere in England's bounding
        // box.
        let cases = (0..CASES)
            .map(|n| {
                let school = &schools[n * 7_919 % schools.len()];
                let near = school.location.expect("a location");
                let (lat, lng) = if n % 2 == 0 {
                    (
                        near.lat().degrees() + random.between(-0.01, 0.01),
                        near.lng().degrees() + random.between(-0.01, 0.01),
                    )
                } else {
                    (random.between(50.2, 55.5), random.between(-5.0, 1.5))
                };
                Case {
                    home: LatLng::from_lat_lng(lat, lng).expect("a location"),
                    council: school.council.clone().expect("a council"),
                }
            })
            .collect();
        Self { schools, catchments, cases }
    }
}

fn made_schools(count: u32) -> impl Iterator<Item = NewSchool> {
    const TOWNS: u32 = 2_000;
    let mut random = Random(1);
    let towns: Vec<(f64, f64)> = (0..TOWNS).map(|_| (random.between(50.2, 55.5), random.between(-5.0, 1.5))).collect();
    (0..count).map(move |number| {
        // The cube of a number between 0 and 1 is usually small: few towns are large.
        let part = random.between(0.0, 1.0);
        let town = index(part * part * part, towns.len());
        let (lat, lng) = towns[town];
        // The sum of three numbers is usually small: most schools are near the centre of their town.
        let mut away = || random.between(-0.05, 0.05) + random.between(-0.05, 0.05) + random.between(-0.05, 0.05);
        let (lat, lng) = (lat + away() * 0.5, lng + away());
        let kind = index(random.between(0.0, 1.0), Phase::ALL.len());
        NewSchool {
            council: Some(format!("Council {}", town % 150)),
            phase: Some(if kind < 4 { Phase::Primary } else { Phase::ALL[kind] }),
            school_type: Some("Community school".to_owned()),
            faith: Some("None".to_owned()),
            is_private: Some(number % 10 == 0),
            age_range_from: Some(4),
            age_range_to: Some(11),
            ofsted_rating: (number % 5 != 0).then(|| Rating::ALL[usize::try_from(number % 4).expect("small")]),
            location: Some(LatLng::from_lat_lng(lat, lng).expect("a location")),
            address: Some(format!("{number} High Street, Town {town}")),
            postcode: Some(format!("ZZ{} {}AB", number % 99, number % 9)),
            website_url: Some(format!("https://www.school{number}.example")),
            ..NewSchool::new(Urn::new(i64::from(number) + 1).expect("a URN"), format!("School {number} of town {town}"))
        }
    })
}

/// Returns an uneven ring of about two kilometres.
fn outline(centre: LatLng, random: &mut Random) -> Catchment {
    let corner = |step: u32| {
        let angle = std::f64::consts::TAU * f64::from(step) / f64::from(CORNERS);
        let reach = random.between(0.012, 0.028);
        let (lat, lng) =
            (centre.lat().degrees() + reach * angle.sin(), centre.lng().degrees() + reach * 1.6 * angle.cos());
        format!("{lng:.7} {lat:.7}")
    };
    let mut corners: Vec<String> = (0..CORNERS).map(corner).collect();
    corners.push(corners[0].clone());
    format!("POLYGON(({}))", corners.join(",")).parse().expect("an outline")
}

/// Pseudorandom numbers that are the same in every run (splitmix64).
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

/// Returns an index into a list, by a fraction of its length.
fn index(part: f64, length: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
    let at = (part * length as f64) as usize;
    at.min(length - 1)
}
