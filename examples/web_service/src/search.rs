//! Searches from the query parameters of a request, which are the options of `school-finder find`.

use axum::extract::FromRequestParts;
use chrono::NaiveTime;
use school_finder_db::models::{ClubKind, Gender, Phase, Rating, Status, Weekday};
use school_finder_db::request::{ClubFilter, Cursor, MAX_LIMIT, Ownership, ReachFilter, Unrated};
use school_finder_db::{Kilometres, LatLng, SchoolSearch, Sort};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::problem::Problem;
use super::query::Query;

const MAX_AGE: i16 = 99;
const MAX_YEARS: u8 = 50;

/// The query parameters of a search: its filters without fees, its order and its page.
#[derive(Debug, Default, Deserialize, FromRequestParts, IntoParams)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[from_request(via(Query), rejection(Problem))]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// Degrees north of the point to measure from (WGS84).
    #[param(minimum = -90, maximum = 90, example = 52.0406)]
    lat: Option<f64>,
    /// Degrees east of the point.
    #[param(minimum = -180, maximum = 180, example = -0.7594)]
    lng: Option<f64>,
    /// Only schools within so many kilometres of the point, its boundary included.
    #[param(exclusive_minimum = 0)]
    within: Option<f64>,
    /// At most so many schools. Without it: 20.
    #[param(minimum = 0, maximum = 1000)]
    limit: Option<u32>,
    /// Go on after this cursor, from the page before of the same search.
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    /// Only in these councils, as /api/facets spells them.
    #[serde(rename = "council")]
    #[param(inline, value_type = Vec<Text>, min_items = 1)]
    councils: Vec<String>,
    /// Only of these phases.
    #[serde(rename = "phase")]
    #[param(inline, min_items = 1)]
    phases: Vec<Phase>,
    /// Schools to which the register gives no phase pass `phase` by the ages they teach.
    phase_by_ages: bool,
    /// Only of these statuses. Without it: open now, which includes those proposed to close.
    #[serde(rename = "status")]
    #[param(inline, min_items = 1)]
    statuses: Vec<Status>,
    /// Only with an Ofsted rating of at most this, from 1 (outstanding) to 4 (inadequate).
    #[param(inline)]
    max_rating: Option<Rating>,
    /// What to do with schools that have no rating. Without it: exclude with max-rating, include otherwise.
    #[param(inline)]
    unrated: Option<Unrated>,
    /// Only state schools.
    state: bool,
    /// Only private schools.
    private: bool,
    /// Only schools that teach children of this age, in years.
    #[param(minimum = 0, maximum = 99)]
    age: Option<i16>,
    /// Only schools open to a child: boys (boys' and mixed schools), girls, or mixed alone.
    #[param(inline)]
    gender: Option<Gender>,
    /// Only schools of a faith: any, none, or one as /api/facets spells it.
    #[param(pattern = "^[^\\u0000]*$")]
    faith: Option<String>,
    /// Only schools with such a club. Given twice: with both.
    #[serde(rename = "has-club")]
    #[param(inline, min_items = 1)]
    clubs: Vec<ClubKind>,
    /// The clubs are held on this day.
    #[param(inline)]
    club_on: Option<Weekday>,
    /// The clubs last until this time or later, such as 17:30.
    #[serde(deserialize_with = "time")]
    #[param(value_type = Option<String>, pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9])?$")]
    club_until: Option<NaiveTime>,
    /// Only schools that would have offered a place in the latest year known, or in each of `years`: by distance, or
    /// because every applicant was offered one.
    reached: bool,
    /// As `reached`, in each of so many of the latest years.
    #[param(minimum = 1, maximum = 50)]
    years: Option<u8>,
    /// As `reached`, for this intake, such as `Year R`. Without it: for any.
    #[param(pattern = "^[^\\u0000]*$")]
    intake: Option<String>,
    /// Only schools that have each word of this text in their name, town, council or postcode, in any order. Case,
    /// accents and punctuation do not matter, and one or two typing errors are corrected.
    #[param(max_length = 200, pattern = "^[^\\u0000]*$")]
    name: Option<String>,
    /// In which order; `margin` needs `reached`, and `match`, the best match first, needs `name`. Without it: by
    /// distance with a point, by name otherwise.
    #[param(inline)]
    sort: Option<Sort>,
}

impl Parameters {
    /// Returns the search, which the repository validates further.
    pub fn search(self) -> Result<SchoolSearch, Problem> {
        let mut search = point(self.lat, self.lng)?.map_or_else(SchoolSearch::open, SchoolSearch::near);
        if (self.club_on.is_some() || self.club_until.is_some()) && self.clubs.is_empty() {
            return Err(needs("has-club", "a day or time of clubs needs has-club beside it"));
        }
        if self.phase_by_ages && self.phases.is_empty() {
            return Err(needs("phase", "phase-by-ages needs phase beside it"));
        }
        search.within = self.within.map(Kilometres::new).transpose()?;
        search.limit = within("limit", self.limit, 0, MAX_LIMIT)?.unwrap_or(search.limit);
        search.after = self.after;
        search.sort = self.sort.unwrap_or(search.sort);
        search.filter.councils = self.councils;
        search.filter.phases = self.phases;
        search.filter.statuses = self.statuses;
        search.filter.age = within("age", self.age, 0, MAX_AGE)?;
        search.filter.gender = self.gender;
        search.filter.name = self.name;
        if self.phase_by_ages {
            search = search.phase_by_ages();
        }
        let club = |kind| ClubFilter { kind, on: self.club_on, until: self.club_until };
        search.filter.clubs = self.clubs.into_iter().map(club).collect();
        let years = within("years", self.years, 1, MAX_YEARS)?;
        if self.reached || years.is_some() || self.intake.is_some() {
            search = search.reached(ReachFilter { intake: self.intake, years: years.unwrap_or(1) });
        }
        search.filter.ownership = match (self.state, self.private) {
            (true, true) => return Err(needs("private", "no school is both state and private: give one of them")),
            (true, false) => Some(Ownership::State),
            (false, true) => Some(Ownership::Private),
            (false, false) => None,
        };
        search.filter.faith = self.faith.map(|faith| match faith.parse() {
            Ok(faith) => faith,
            Err(never) => match never {},
        });
        Ok(match (self.max_rating, self.unrated) {
            (None, None | Some(Unrated::Include)) => search,
            (None, Some(Unrated::Exclude)) => search.rated(Rating::Inadequate, Unrated::Exclude),
            (Some(at_least), unrated) => search.rated(at_least, unrated.unwrap_or(Unrated::Exclude)),
        })
    }
}

/// Returns the point of these parameters.
pub fn point(lat: Option<f64>, lng: Option<f64>) -> Result<Option<LatLng>, Problem> {
    match (lat, lng) {
        (Some(lat), Some(lng)) => Ok(Some(LatLng::from_lat_lng(lat, lng)?)),
        (Some(_), None) => Err(needs("lng", "lat needs lng beside it")),
        (None, Some(_)) => Err(needs("lat", "lng needs lat beside it")),
        (None, None) => Ok(None),
    }
}

/// Refuses a number that is not within bounds, both included.
pub fn within<N>(field: &'static str, value: Option<N>, from: N, to: N) -> Result<Option<N>, Problem>
where
    N: PartialOrd + std::fmt::Display + Copy,
{
    match value {
        Some(value) if value < from || value > to => {
            Err(Problem::in_field(field, "InvalidParameter", format!("{field} {value} is not from {from} to {to}")))
        }
        fits => Ok(fits),
    }
}

fn needs(field: &'static str, detail: &str) -> Problem {
    Problem::in_field(field, "InvalidSearch", detail.to_owned())
}

/// Reads a time of two digits, a colon and two digits.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NaiveTime>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = NaiveTime::parse_from_str(&text, "%H:%M").ok().filter(|_| text.len() == 5);
    time.map(Some).ok_or_else(|| serde::de::Error::custom("a time is written like 17:30"))
}

/// A text without NUL, which no database searches for, for the description.
struct Text;

impl PartialSchema for Text {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[^\\u0000]*$")).into()
    }
}

impl ToSchema for Text {}
