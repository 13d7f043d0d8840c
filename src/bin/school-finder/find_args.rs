//! The options of a search.

use std::str::FromStr;

use chrono::NaiveTime;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use school_finder_db::geo::{Latitude, Longitude};
use school_finder_db::ids::Postcode;
use school_finder_db::models::{ClubKind, Gender, Home, Phase, Rating, Status, Suggestion, Weekday};
use school_finder_db::repository::LocateHomes;
use school_finder_db::request::{
    ClubFilter, Cursor, Faith, NoPhase, Ownership, RatingFilter, ReachFilter, SchoolFilter, Unrated,
};
use school_finder_db::units::kilometres_of;
use school_finder_db::{Error, Kilometres, LatLng, SchoolRepository, SchoolSearch, Sort};

/// A point, as options.
#[derive(Debug, Args)]
#[group(id = POINT, multiple = true)]
pub struct PointArgs {
    /// Degrees north of the point to measure from, such as 52.0406.
    #[arg(long, requires = "lng", allow_hyphen_values = true, value_parser = degrees::<Latitude>)]
    lat: Option<Latitude>,
    /// Degrees east of the point, such as -0.7594.
    #[arg(
        long,
        visible_alias = "lon",
        alias = "long",
        requires = "lat",
        allow_hyphen_values = true,
        value_parser = degrees::<Longitude>
    )]
    lng: Option<Longitude>,
    /// A postcode to measure from in their place, such as 'MK9 3EP', or the first part of one, such as MK9.
    #[arg(long, value_name = "POSTCODE", conflicts_with_all = ["lat", "lng"])]
    postcode: Option<Postcode>,
}

/// The group of the options of a point.
const POINT: &str = "point";

impl PointArgs {
    /// Returns the point that these options describe, if they do, and the home if a postcode places it.
    pub async fn located(&self, finder: &dyn LocateHomes) -> Result<(Option<LatLng>, Option<Home>), Error> {
        match self.postcode {
            Some(postcode) => {
                let home = finder.locate(&postcode.to_string()).await?;
                Ok((Some(home.location), Some(home)))
            }
            None => Ok((self.lat.zip(self.lng).map(|(lat, lng)| LatLng::new(lat, lng)), None)),
        }
    }
}

/// A search, as options.
#[derive(Debug, Args)]
pub struct FindArgs {
    #[command(flatten)]
    pub point: PointArgs,
    /// Only schools within this distance of the point: kilometres, or with a unit, such as 3mi.
    #[arg(long, value_name = "KM", requires = POINT, allow_negative_numbers = true, value_parser = radius)]
    within: Option<Kilometres>,
    /// At most this many schools, up to 1,000.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Continue after this cursor, which the previous page printed.
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    after: Option<Cursor>,
    /// Only in this council. Repeat it for more.
    #[arg(long, value_name = "NAME")]
    council: Vec<String>,
    /// Only of this phase: nursery, primary, middle_primary, middle_secondary, secondary, all_through, 16_plus,
    /// not_applicable. Repeat it for more.
    #[arg(long)]
    phase: Vec<Phase>,
    /// Only of this status: open, closed, proposed_to_open, proposed_to_close. Repeat it for more [default: open now]
    #[arg(long)]
    status: Vec<Status>,
    /// Only with an Ofsted rating of at most this, from 1 (outstanding) to 4 (inadequate).
    #[arg(long, value_name = "N")]
    max_rating: Option<Rating>,
    /// How to treat schools that have no rating [default: exclude with --max-rating, include otherwise]
    #[arg(long, value_parser = word(Unrated::ALL, Unrated::as_str))]
    unrated: Option<Unrated>,
    /// Only state schools.
    #[arg(long, conflicts_with = "private")]
    state: bool,
    /// Only private schools.
    #[arg(long)]
    private: bool,
    /// Only schools that teach children of this age.
    #[arg(long, value_name = "YEARS", value_parser = clap::value_parser!(i16).range(0..=99))]
    age: Option<i16>,
    /// Only schools open to a child: boys (boys' and mixed schools), girls, or mixed only.
    #[arg(long)]
    gender: Option<Gender>,
    /// Only schools of a faith: any, none, or one as `facets` spells it.
    #[arg(long)]
    faith: Option<Faith>,
    /// Only schools with such a club: breakfast, after_school. Repeat it for both.
    #[arg(long, value_name = "KIND")]
    has_club: Vec<ClubKind>,
    /// The clubs are held on this day.
    #[arg(long, value_name = "DAY", requires = "has_club", value_parser = word(Weekday::ALL, Weekday::as_str))]
    club_on: Option<Weekday>,
    /// The clubs last until this time or later, such as 17:30.
    #[arg(long, value_name = "TIME", requires = "has_club", value_parser = time)]
    club_until: Option<NaiveTime>,
    /// Only schools that would have offered a place in the latest year that is known, or in the latest --years: by
    /// distance, or because every applicant was offered one.
    #[arg(long, requires = POINT)]
    reached: bool,
    /// The number of latest years, in each of which it must hold [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=50))]
    years: Option<u8>,
    /// For this intake, such as 'Year R' [default: any]
    #[arg(long, value_name = "NAME")]
    intake: Option<String>,
    /// Schools without a phase in the register match --phase by the ages they teach.
    #[arg(long, requires = "phase")]
    phase_by_ages: bool,
    /// Only schools with each of these words in the name, town, council or postcode. Case, accents, punctuation and
    /// usual spellings do not matter; typing errors are corrected where no school matches.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// The order; margin needs --reached, and match --name [default: distance with a point, otherwise match with
    /// --name, otherwise name]
    #[arg(long, value_parser = word(Sort::ALL, Sort::as_str))]
    sort: Option<Sort>,
}

/// A typed text, as options.
#[derive(Debug, Args)]
pub struct SuggestArgs {
    /// What was typed so far: words of the name, the town, the council or the postcode; a URN or a LAESTAB.
    text: String,
    #[command(flatten)]
    pub point: PointArgs,
    /// At most this many schools, up to 1,000.
    #[arg(long, default_value_t = 10)]
    limit: u32,
}

impl SuggestArgs {
    /// Returns the suggested schools, and the home if a postcode places it.
    pub async fn suggestions(&self, finder: &dyn SchoolRepository) -> Result<(Vec<Suggestion>, Option<Home>), Error> {
        let (near, home) = self.point.located(finder).await?;
        Ok((finder.suggest(&self.text, near, self.limit).await?, home))
    }
}

impl FindArgs {
    /// Returns the search from a point that these options describe.
    pub fn search(&self, near: Option<LatLng>) -> SchoolSearch {
        let rating = match (self.max_rating, self.unrated) {
            (None, None | Some(Unrated::Include)) => None,
            (at_least, unrated) => Some(RatingFilter {
                at_least: at_least.unwrap_or(Rating::Inadequate),
                unrated: unrated.unwrap_or(Unrated::Exclude),
            }),
        };
        let club = |kind: &ClubKind| ClubFilter { kind: *kind, on: self.club_on, until: self.club_until };
        let reach = ReachFilter { intake: self.intake.clone(), years: self.years.unwrap_or(1) };
        let filter = SchoolFilter {
            councils: self.council.clone(),
            phases: self.phase.clone(),
            no_phase: if self.phase_by_ages { NoPhase::ByAges } else { NoPhase::Exclude },
            statuses: self.status.clone(),
            rating,
            ownership: self.state.then_some(Ownership::State).or(self.private.then_some(Ownership::Private)),
            age: self.age,
            gender: self.gender,
            faith: self.faith.clone(),
            clubs: self.has_club.iter().map(club).collect(),
            fees: None,
            reach: (self.reached || self.years.is_some() || self.intake.is_some()).then_some(reach),
            name: self.name.clone(),
        };
        SchoolSearch {
            near,
            within: self.within,
            filter,
            sort: self.sort.unwrap_or(match (near, &self.name) {
                (Some(_), _) => Sort::Distance,
                (None, Some(_)) => Sort::Match,
                (None, None) => Sort::Name,
            }),
            limit: self.limit,
            after: self.after.clone(),
        }
    }
}

/// Returns a parser of one of the words of a vocabulary, which help and completions list.
fn word<T>(words: &'static [T], as_str: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = Error> + Copy + Send + Sync,
{
    PossibleValuesParser::new(words.iter().map(|word| as_str(*word))).try_map(|word| word.parse())
}

/// Reads a coordinate, also with a decimal comma.
fn degrees<T: FromStr<Err = Error>>(text: &str) -> Result<T, Error> {
    match text.split_once(',') {
        Some((whole, fraction)) if !text.contains('.') => format!("{whole}.{fraction}").parse(),
        _ => text.parse(),
    }
}

/// Reads a radius in kilometres, or in the unit after the number.
fn radius(text: &str) -> Result<Kilometres, Error> {
    let begins = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(begins);
    match kilometres_of(unit) {
        Some(km) => Kilometres::new(degrees::<Kilometres>(number.trim_end())?.get() * km),
        None => degrees(text),
    }
}

fn time(text: &str) -> Result<NaiveTime, String> {
    NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| "a time is written like 17:30".to_owned())
}
