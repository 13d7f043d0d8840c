//! Searches from the query parameters of a request, which are the options of `school-finder find`.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::NaiveTime;
use school_finder_db::models::{ClubKind, Gender, Phase, Rating, Status, Weekday};
use school_finder_db::request::{ClubFilter, Cursor, Faith, MAX_LIMIT, Ownership, ReachFilter, Unrated};
use school_finder_db::{Kilometres, LatLng, SchoolSearch, Sort};
use serde_json::{Value, json};

use super::problem::Problem;
use super::query::{Parameter, flag, number, parsed, read, within};
use super::shapes::words;

/// The search in a request's query string.
pub struct Search(pub SchoolSearch);

impl<S: Sync> FromRequestParts<S> for Search {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(read(PARAMETERS, parts.uri.query())?.search()?))
    }
}

/// The values of the query parameters.
#[derive(Default)]
pub struct Values {
    lat: Option<f64>,
    lng: Option<f64>,
    within: Option<f64>,
    limit: Option<u32>,
    after: Option<Cursor>,
    councils: Vec<String>,
    phases: Vec<Phase>,
    phase_by_ages: bool,
    statuses: Vec<Status>,
    max_rating: Option<Rating>,
    unrated: Option<Unrated>,
    state: bool,
    private: bool,
    age: Option<i16>,
    gender: Option<Gender>,
    faith: Option<Faith>,
    clubs: Vec<ClubKind>,
    club_on: Option<Weekday>,
    club_until: Option<NaiveTime>,
    reached: bool,
    years: Option<u8>,
    intake: Option<String>,
    name: Option<String>,
    sort: Option<Sort>,
}

const MAX_YEARS: u8 = 50;

/// Filters, orders and pages of a search: all but fees.
pub const PARAMETERS: &[Parameter<Values>] = &[
    Parameter {
        name: "lat",
        about: "Degrees north of the point to measure from (WGS84).",
        schema: || json!({ "type": "number", "minimum": -90, "maximum": 90, "examples": [52.0406] }),
        repeats: false,
        set: |values, text| put(&mut values.lat, number(text).map(Some)),
    },
    Parameter {
        name: "lng",
        about: "Degrees east of the point.",
        schema: || json!({ "type": "number", "minimum": -180, "maximum": 180, "examples": [-0.7594] }),
        repeats: false,
        set: |values, text| put(&mut values.lng, number(text).map(Some)),
    },
    Parameter {
        name: "within",
        about: "Only schools within so many kilometres of the point, its boundary included.",
        schema: || json!({ "type": "number", "exclusiveMinimum": 0 }),
        repeats: false,
        set: |values, text| put(&mut values.within, number(text).map(Some)),
    },
    Parameter {
        name: "limit",
        about: "At most so many schools.",
        schema: || json!({ "type": "integer", "minimum": 0, "maximum": MAX_LIMIT, "default": 20 }),
        repeats: false,
        set: |values, text| put(&mut values.limit, within(text, (0, MAX_LIMIT)).map(Some)),
    },
    Parameter {
        name: "after",
        about: "Go on after this cursor, from the page before of the same search.",
        schema: || json!({ "type": "string", "minLength": 1 }),
        repeats: false,
        set: |values, text| put(&mut values.after, parsed(text).map(Some)),
    },
    Parameter {
        name: "council",
        about: "Only in these councils, as /api/facets spells them.",
        schema: text,
        repeats: true,
        set: |values, text| add(&mut values.councils, Ok(text.to_owned())),
    },
    Parameter {
        name: "phase",
        about: "Only of these phases.",
        schema: || words(Phase::ALL),
        repeats: true,
        set: |values, text| add(&mut values.phases, parsed(text)),
    },
    Parameter {
        name: "phase-by-ages",
        about: "Schools to which the register gives no phase pass `phase` by the ages they teach.",
        schema: boolean,
        repeats: false,
        set: |values, text| put(&mut values.phase_by_ages, flag(text)),
    },
    Parameter {
        name: "status",
        about: "Only of these statuses. Without it: open now, which includes those proposed to close.",
        schema: || words(Status::ALL),
        repeats: true,
        set: |values, text| add(&mut values.statuses, parsed(text)),
    },
    Parameter {
        name: "max-rating",
        about: "Only with an Ofsted rating of at most this, from 1 (outstanding) to 4 (inadequate).",
        schema: || json!({ "type": "integer", "minimum": 1, "maximum": 4 }),
        repeats: false,
        set: |values, text| put(&mut values.max_rating, parsed(text).map(Some)),
    },
    Parameter {
        name: "unrated",
        about: "What to do with schools that have no rating. Without it: exclude with max-rating, include otherwise.",
        schema: || words(Unrated::ALL),
        repeats: false,
        set: |values, text| put(&mut values.unrated, parsed(text).map(Some)),
    },
    Parameter {
        name: "state",
        about: "Only state schools.",
        schema: boolean,
        repeats: false,
        set: |values, text| put(&mut values.state, flag(text)),
    },
    Parameter {
        name: "private",
        about: "Only private schools.",
        schema: boolean,
        repeats: false,
        set: |values, text| put(&mut values.private, flag(text)),
    },
    Parameter {
        name: "age",
        about: "Only schools that teach children of this age, in years.",
        schema: || json!({ "type": "integer", "minimum": 0, "maximum": 99 }),
        repeats: false,
        set: |values, text| put(&mut values.age, within(text, (0, 99)).map(Some)),
    },
    Parameter {
        name: "gender",
        about: "Only schools open to a child: boys (boys' and mixed schools), girls, or mixed alone.",
        schema: || words(Gender::ALL),
        repeats: false,
        set: |values, text| put(&mut values.gender, parsed(text).map(Some)),
    },
    Parameter {
        name: "faith",
        about: "Only schools of a faith: any, none, or one as /api/facets spells it.",
        schema: text,
        repeats: false,
        set: |values, text| put(&mut values.faith, parsed(text).map(Some)),
    },
    Parameter {
        name: "has-club",
        about: "Only schools with such a club. Given twice: with both.",
        schema: || words(ClubKind::ALL),
        repeats: true,
        set: |values, text| add(&mut values.clubs, parsed(text)),
    },
    Parameter {
        name: "club-on",
        about: "The clubs are held on this day.",
        schema: || words(Weekday::ALL),
        repeats: false,
        set: |values, text| put(&mut values.club_on, parsed(text).map(Some)),
    },
    Parameter {
        name: "club-until",
        about: "The clubs last until this time or later, such as 17:30.",
        schema: || json!({ "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$" }),
        repeats: false,
        set: |values, text| {
            let time = NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| text.len() == 5);
            put(&mut values.club_until, time.map(Some).ok_or_else(|| "a time is written like 17:30".to_owned()))
        },
    },
    Parameter {
        name: "reached",
        about: "Only schools that would have offered a place by distance in the latest year known, or in each of `years`.",
        schema: boolean,
        repeats: false,
        set: |values, text| put(&mut values.reached, flag(text)),
    },
    Parameter {
        name: "years",
        about: "As `reached`, in each of so many of the latest years.",
        schema: || json!({ "type": "integer", "minimum": 1, "maximum": MAX_YEARS }),
        repeats: false,
        set: |values, text| put(&mut values.years, within(text, (1, MAX_YEARS)).map(Some)),
    },
    Parameter {
        name: "intake",
        about: "As `reached`, for this intake, such as `Year R`. Without it: for any.",
        schema: text,
        repeats: false,
        set: |values, text| put(&mut values.intake, Ok(Some(text.to_owned()))),
    },
    Parameter {
        name: "name",
        about: "Only schools with this text in their name. Case, accents and punctuation do not matter.",
        schema: || json!({ "type": "string", "minLength": 1, "maxLength": 200, "pattern": NO_NUL }),
        repeats: false,
        set: |values, text| put(&mut values.name, Ok(Some(text.to_owned()))),
    },
    Parameter {
        name: "sort",
        about: "In which order; margin needs `reached`. Without it: by distance with a point, by name otherwise.",
        schema: || words(Sort::ALL),
        repeats: false,
        set: |values, text| put(&mut values.sort, parsed(text).map(Some)),
    },
];

/// Removes the order by margin from the descriptions of parameters.
pub fn without_margin(mut described: Vec<Value>) -> Vec<Value> {
    for parameter in described.iter_mut().filter(|parameter| parameter["name"] == "sort") {
        if let Some(words) = parameter["schema"]["enum"].as_array_mut() {
            words.retain(|word| word != "margin");
        }
    }
    described
}

impl Values {
    fn search(self) -> Result<SchoolSearch, Problem> {
        let mut search = match (self.lat, self.lng) {
            (Some(lat), Some(lng)) => SchoolSearch::near(LatLng::from_lat_lng(lat, lng)?),
            (Some(_), None) => return Err(needs("lng", "lat needs lng beside it")),
            (None, Some(_)) => return Err(needs("lat", "lng needs lat beside it")),
            (None, None) => SchoolSearch::open(),
        };
        if (self.club_on.is_some() || self.club_until.is_some()) && self.clubs.is_empty() {
            return Err(needs("has-club", "a day or time of clubs needs has-club beside it"));
        }
        if self.phase_by_ages && self.phases.is_empty() {
            return Err(needs("phase", "phase-by-ages needs phase beside it"));
        }
        search.within = self.within.map(Kilometres::new).transpose()?;
        search.limit = self.limit.unwrap_or(search.limit);
        search.after = self.after;
        search.sort = self.sort.unwrap_or(search.sort);
        search.filter.councils = self.councils;
        search.filter.phases = self.phases;
        search.filter.statuses = self.statuses;
        search.filter.age = self.age;
        search.filter.gender = self.gender;
        search.filter.name = self.name;
        if self.phase_by_ages {
            search = search.phase_by_ages();
        }
        let club = |kind| ClubFilter { kind, on: self.club_on, until: self.club_until };
        search.filter.clubs = self.clubs.into_iter().map(club).collect();
        if self.reached || self.years.is_some() || self.intake.is_some() {
            search = search.reached(ReachFilter { intake: self.intake, years: self.years.unwrap_or(1) });
        }
        search.filter.ownership = match (self.state, self.private) {
            (true, true) => return Err(needs("private", "no school is both state and private: give one of them")),
            (true, false) => Some(Ownership::State),
            (false, true) => Some(Ownership::Private),
            (false, false) => None,
        };
        search.filter.faith = self.faith;
        Ok(match (self.max_rating, self.unrated) {
            (None, None | Some(Unrated::Include)) => search,
            (None, Some(Unrated::Exclude)) => search.rated(Rating::Inadequate, Unrated::Exclude),
            (Some(at_least), unrated) => search.rated(at_least, unrated.unwrap_or(Unrated::Exclude)),
        })
    }
}

fn put<T>(target: &mut T, value: Result<T, String>) -> Result<(), String> {
    *target = value?;
    Ok(())
}

fn add<T>(list: &mut Vec<T>, value: Result<T, String>) -> Result<(), String> {
    list.push(value?);
    Ok(())
}

fn needs(field: &'static str, detail: &str) -> Problem {
    Problem::in_field(field, "InvalidSearch", detail.to_owned())
}

/// A pattern without NUL, which no database searches for.
const NO_NUL: &str = "^[^\\u0000]*$";

fn text() -> Value {
    json!({ "type": "string", "pattern": NO_NUL })
}

fn boolean() -> Value {
    json!({ "type": "boolean", "default": false })
}
