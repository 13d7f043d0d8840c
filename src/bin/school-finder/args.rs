//! What can be typed.

use std::path::PathBuf;

use chrono::NaiveTime;
use clap::{Args, Parser, Subcommand, ValueEnum};
use school_finder_db::ids::Urn;
use school_finder_db::models::{ClubKind, Gender, Phase, Status, Weekday};
use school_finder_db::request::{ClubFilter, Cursor, Faith, Ownership, ReachFilter, Unrated};
use school_finder_db::{Kilometres, LatLng, SchoolSearch, Sort};

use crate::Failure;

/// Which schools serve a home, and how far are they?
#[derive(Debug, Parser)]
#[command(name = "school-finder", version, max_term_width = 100)]
pub struct Arguments {
    /// The database: sqlite:PATH, a path, or sqlite::memory:. Otherwise DATABASE_URL with DB_BACKEND, otherwise a file
    /// in your data folder.
    #[arg(long, global = true, value_name = "URL")]
    pub database: Option<String>,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Brings the database's schema up to date, or back.
    Migrate {
        #[command(subcommand)]
        command: MigrateCommand,
    },
    /// Imports published files.
    Import {
        #[command(subcommand)]
        command: ImportCommand,
    },
    /// Finds schools: the nearest to a point, or all by name.
    #[command(
        after_help = "Example: the secondary schools within 5 km of a home\n  school-finder find --lat 52.0406 --lng -0.7594 --within 5 --phase secondary"
    )]
    Find {
        #[command(flatten)]
        find: FindArgs,
        /// How to print them [default: table on a terminal, json otherwise]
        #[arg(long, value_enum)]
        format: Option<Format>,
        /// Write all of them, and not a page, to this Parquet file; nothing is printed.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["format", "limit"])]
        parquet: Option<PathBuf>,
    },
    /// Finds the schools whose catchment holds a point: its outline, or its radius where it has no outline.
    #[command(
        after_help = "Example: the schools that serve a home\n  school-finder catchment --lat 55.9533 --lng -3.1883"
    )]
    Catchment {
        #[command(flatten)]
        find: FindArgs,
        /// How to print them [default: table on a terminal, json otherwise]
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
    /// Finds the schools that would have offered a child from a point a place by distance in past years: an estimate.
    #[command(
        after_help = "Example: in each of the two latest years that are known\n  school-finder reach --lat 52.0406 --lng -0.7594 --intake 'Year R' --years 2"
    )]
    Reach {
        #[command(flatten)]
        find: FindArgs,
        /// How to print them [default: table on a terminal, json otherwise]
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
    /// Shows one school with everything that is known of it.
    #[command(after_help = "Example:\n  school-finder show 110375")]
    Show {
        /// The school's unique reference number.
        #[arg(value_parser = urn)]
        urn: Urn,
        /// How to print it [default: table on a terminal, json otherwise]
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
    /// Lists every council with its number of open schools.
    Councils {
        /// How to print them [default: table on a terminal, json otherwise]
        #[arg(long, value_enum)]
        format: Option<CountFormat>,
    },
    /// Counts the schools that `find` would find, by council, phase, rating, gender, faith and so on.
    #[command(
        after_help = "Example: what there is within 5 km of a home\n  school-finder facets --lat 52.0406 --lng -0.7594 --within 5"
    )]
    Facets {
        #[command(flatten)]
        find: FindArgs,
        /// How to print them [default: table on a terminal, json otherwise]
        #[arg(long, value_enum)]
        format: Option<CountFormat>,
    },
    /// Fills in what follows from what is known. Stopped in the middle, run it again.
    Backfill {
        #[command(subcommand)]
        command: BackfillCommand,
    },
    /// Asks for many homes at once, in memory, and writes the answers as Parquet.
    Batch {
        #[command(subcommand)]
        command: BatchCommand,
    },
    /// Shows a query's SQL and its plan on this database. Runs it only with --analyze.
    Explain {
        #[command(subcommand)]
        command: ExplainCommand,
    },
}

#[derive(Debug, Subcommand)]
pub enum MigrateCommand {
    /// Runs every pending migration. Creates the database where there is none.
    Up,
    /// Reverts the newest migrations.
    Down {
        /// How many.
        #[arg(long, default_value_t = 1)]
        steps: usize,
        /// Revert them also where that loses data.
        #[arg(long)]
        accept_loss: bool,
    },
    /// Reverts the newest migration and runs it again.
    Redo {
        /// Revert it also where that loses data.
        #[arg(long)]
        accept_loss: bool,
    },
    /// Lists the migrations, and whether the database has each.
    Status,
    /// Compares the database with what this build expects. Exits with 1 and names each difference.
    Check,
    /// Lets a role of Postgres read and write the rows, and nothing more: that of a service.
    #[command(
        after_help = "Example: a role of its own for the service, which may not change the schema\n  createuser finder\n  school-finder migrate grant finder"
    )]
    Grant {
        /// The role's name.
        role: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Imports the official register (GIAS, `edubasealldata`): new schools are added, known ones brought up to date.
    #[command(
        after_help = "Example: look first, then import\n  school-finder import register edubasealldata.csv --dry-run\n  school-finder import register edubasealldata.csv"
    )]
    Register {
        #[command(flatten)]
        import: ImportArgs,
    },
    /// Imports the register's links between schools (`links_edubasealldata`): predecessors, successors, mergers.
    #[command(after_help = "Example:\n  school-finder import links links_edubasealldata.csv")]
    Links {
        #[command(flatten)]
        import: ImportArgs,
    },
    /// Imports admissions of past years (CSV in UTF-8), for schools that are there already.
    #[command(
        after_help = "Its columns: urn, academic_year, intake_year, places_offered, applications_received,\nlast_distance_offered_km, had_vacancies, ... A blank is unknown.\n\nExample:\n  school-finder import admissions admissions_history.csv"
    )]
    Admissions {
        #[command(flatten)]
        import: ImportArgs,
    },
    /// Imports outlines of catchments (GeoJSON in WGS84), for schools that are there already.
    #[command(
        after_help = "Example: polygons whose property `school_urn` says whose they are\n  school-finder import catchments catchments.geojson --key school_urn"
    )]
    Catchments {
        #[command(flatten)]
        import: ImportArgs,
        /// The property that holds the school's unique reference number.
        #[arg(long, value_name = "PROPERTY", default_value = "urn")]
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum BackfillCommand {
    /// Gives schools without a phase the one that follows from their ages.
    #[command(
        after_help = "Example: look first, then fill\n  school-finder backfill phase --dry-run\n  school-finder backfill phase"
    )]
    Phase {
        /// Count, and write nothing.
        #[arg(long)]
        dry_run: bool,
        /// Those as well of which the register says "not applicable": most special and independent schools. The next
        /// import of the register writes over them.
        #[arg(long)]
        not_applicable: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum BatchCommand {
    /// The nearest open schools of each home.
    #[command(
        after_help = "Example: homes.csv has the columns lat and lng\n  school-finder batch nearest homes.csv nearest.parquet --count 5"
    )]
    Nearest {
        #[command(flatten)]
        batch: BatchArgs,
        /// How many schools for each home.
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
    },
    /// The open schools whose catchment holds each home.
    #[command(after_help = "Example:\n  school-finder batch catchment homes.csv serving.parquet")]
    Catchment {
        #[command(flatten)]
        batch: BatchArgs,
    },
}

#[derive(Debug, Args)]
pub struct BatchArgs {
    /// A CSV file with a header and the columns lat and lng, in degrees (WGS84).
    pub homes: PathBuf,
    /// The Parquet file to write: home (its row, from 0), rank, school_id, urn, distance_km, evidence.
    pub parquet: PathBuf,
    /// Only schools of this phase. Repeat it for more.
    #[arg(long)]
    pub phase: Vec<Phase>,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file, as published.
    pub file: PathBuf,
    /// Do everything, count, and undo it.
    #[arg(long)]
    pub dry_run: bool,
    /// Write what could not be imported, and why, to this CSV file.
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum ExplainCommand {
    /// The query that `find` begins with.
    Find {
        #[command(flatten)]
        find: FindArgs,
        /// Run it, and tell how many rows it gives and how long it takes.
        #[arg(long)]
        analyze: bool,
    },
    /// The query of `catchment`.
    Catchment {
        #[command(flatten)]
        find: FindArgs,
        /// Run it, and tell how many rows it gives and how long it takes.
        #[arg(long)]
        analyze: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Geojson,
    Csv,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum CountFormat {
    Table,
    Json,
    Csv,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SortArg {
    Distance,
    Name,
    Rating,
    Margin,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DayArg {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
}

impl From<DayArg> for Weekday {
    fn from(day: DayArg) -> Self {
        match day {
            DayArg::Monday => Self::Monday,
            DayArg::Tuesday => Self::Tuesday,
            DayArg::Wednesday => Self::Wednesday,
            DayArg::Thursday => Self::Thursday,
            DayArg::Friday => Self::Friday,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum UnratedArg {
    Include,
    Exclude,
}

/// A search, as options.
#[derive(Debug, Args)]
pub struct FindArgs {
    /// Degrees north of the point to measure from, such as 52.0406.
    #[arg(long, requires = "lng", allow_negative_numbers = true)]
    lat: Option<f64>,
    /// Degrees east of the point, such as -0.7594.
    #[arg(long, requires = "lat", allow_negative_numbers = true)]
    lng: Option<f64>,
    /// Only schools within so many kilometres of the point.
    #[arg(long, value_name = "KM", requires = "lat", allow_negative_numbers = true)]
    within: Option<f64>,
    /// At most so many schools, up to 1,000.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Go on after this cursor, from the page before.
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
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..=4))]
    max_rating: Option<i16>,
    /// What to do with schools that have no rating [default: exclude with --max-rating, include otherwise]
    #[arg(long, value_enum)]
    unrated: Option<UnratedArg>,
    /// Only state schools.
    #[arg(long, conflicts_with = "private")]
    state: bool,
    /// Only private schools.
    #[arg(long)]
    private: bool,
    /// Only schools that teach children of this age.
    #[arg(long, value_name = "YEARS", value_parser = clap::value_parser!(i16).range(0..=99))]
    age: Option<i16>,
    /// Only schools open to a child: boys (boys' and mixed schools), girls, or mixed alone.
    #[arg(long)]
    gender: Option<Gender>,
    /// Only schools of a faith: any, none, or one as `facets` spells it.
    #[arg(long)]
    faith: Option<String>,
    /// Only schools with such a club: breakfast, after_school. Repeat it for both.
    #[arg(long, value_name = "KIND")]
    has_club: Vec<ClubKind>,
    /// The clubs are held on this day.
    #[arg(long, value_enum, value_name = "DAY", requires = "has_club")]
    club_on: Option<DayArg>,
    /// The clubs last until this time or later, such as 17:30.
    #[arg(long, value_name = "TIME", requires = "has_club", value_parser = time)]
    club_until: Option<NaiveTime>,
    /// Only schools that would have offered a place by distance in the latest year that is known, or in the latest --years.
    #[arg(long, requires = "lat")]
    reached: bool,
    /// In each of so many of the latest years [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=50))]
    years: Option<u8>,
    /// For this intake, such as 'Year R' [default: any]
    #[arg(long, value_name = "NAME")]
    intake: Option<String>,
    /// Schools to which the register gives no phase pass --phase by the ages they teach.
    #[arg(long, requires = "phase")]
    phase_by_ages: bool,
    /// Only schools with this text in their name. Case, accents and punctuation do not matter.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// In which order; margin needs --reached [default: distance with a point, name otherwise]
    #[arg(long, value_enum)]
    sort: Option<SortArg>,
}

impl FindArgs {
    /// The search that was typed.
    pub fn search(&self) -> Result<SchoolSearch, Failure> {
        let mut search = match (self.lat, self.lng) {
            (Some(lat), Some(lng)) => SchoolSearch::near(LatLng::from_lat_lng(lat, lng)?),
            _ => SchoolSearch::all(),
        };
        search.within = self.within.map(Kilometres::new).transpose()?;
        search.limit = self.limit;
        search.after.clone_from(&self.after);
        search.filter.councils.clone_from(&self.council);
        search.filter.phases.clone_from(&self.phase);
        search.filter.statuses.clone_from(&self.status);
        search.filter.age = self.age;
        search.filter.gender = self.gender;
        search.filter.name.clone_from(&self.name);
        if self.phase_by_ages {
            search = search.phase_by_ages();
        }
        search.filter.clubs = self
            .has_club
            .iter()
            .map(|kind| ClubFilter { kind: *kind, on: self.club_on.map(Weekday::from), until: self.club_until })
            .collect();
        if self.reached || self.years.is_some() || self.intake.is_some() {
            search = search.reached(ReachFilter { intake: self.intake.clone(), years: self.years.unwrap_or(1) });
        }
        search.filter.ownership = match (self.state, self.private) {
            (true, _) => Some(Ownership::State),
            (_, true) => Some(Ownership::Private),
            _ => None,
        };
        search.filter.faith = self.faith.as_deref().map(|faith| match faith {
            "any" => Faith::Any,
            "none" => Faith::None,
            _ => Faith::Is(faith.to_owned()),
        });
        search = match (self.max_rating, self.unrated) {
            (None, None | Some(UnratedArg::Include)) => search,
            (None, Some(UnratedArg::Exclude)) => search.rated(4, Unrated::Exclude),
            (Some(at_most), None | Some(UnratedArg::Exclude)) => search.rated(at_most, Unrated::Exclude),
            (Some(at_most), Some(UnratedArg::Include)) => search.rated(at_most, Unrated::Include),
        };
        Ok(match self.sort {
            None => search,
            Some(SortArg::Distance) => search.sort(Sort::Distance),
            Some(SortArg::Name) => search.sort(Sort::Name),
            Some(SortArg::Rating) => search.sort(Sort::Rating),
            Some(SortArg::Margin) => search.sort(Sort::Margin),
        })
    }
}

fn time(text: &str) -> Result<NaiveTime, String> {
    NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| "a time is written like 17:30".to_owned())
}

fn urn(text: &str) -> Result<Urn, String> {
    let number = text.parse().map_err(|_| "a URN is a number of up to seven digits".to_owned())?;
    Urn::new(number).map_err(|error| error.to_string())
}
