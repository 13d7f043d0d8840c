//! The program's arguments.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use school_finder_db::Error;
use school_finder_db::batch::Part;
use school_finder_db::ids::{Laestab, Postcode, Urn};
use school_finder_db::import::KeyKind;
use school_finder_db::models::Phase;

pub use crate::find_args::{FindArgs, SuggestArgs};

/// Which schools serve a home, and how far are they?
#[derive(Debug, Parser)]
#[command(
    name = "school-finder",
    version,
    max_term_width = 100,
    after_help = "Examples: on a sample at first, then on the official register\n  school-finder find --lat 52.0406 --lng -0.7594 --within 5\n  school-finder import register edubasealldata.csv\n\nEach command has an example of its own: school-finder find --help"
)]
pub struct Arguments {
    #[command(flatten)]
    pub options: Options,

    #[command(subcommand)]
    pub command: Command,
}

/// The options of every command.
#[derive(Debug, Args)]
pub struct Options {
    /// The database: sqlite:PATH, a path, sqlite::memory:, or postgres://... Otherwise DATABASE_URL with DB_BACKEND,
    /// otherwise a file in your data folder.
    #[arg(long, global = true, value_name = "URL")]
    pub database: Option<String>,
    /// In CSV, write no apostrophe before texts that a spreadsheet would run as formulas.
    #[arg(long, global = true)]
    pub raw: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Applies, reverts and checks the migrations of the database's schema.
    #[command(after_help = "Example: a new database, or an old one brought up to date\n  school-finder migrate up")]
    Migrate {
        #[command(subcommand)]
        command: MigrateCommand,
    },
    /// Imports published files.
    #[command(after_help = "Example: the register comes first\n  school-finder import register edubasealldata.csv")]
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
        page: PageArgs,
        /// Write all of them, and not a page, to this Parquet file; nothing is printed.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["format", "limit"])]
        parquet: Option<PathBuf>,
    },
    /// Suggests schools for a text that is not finished: the best match first, or the nearest to a home.
    #[command(after_help = "Example:\n  school-finder suggest 'st marys prim'")]
    Suggest {
        #[command(flatten)]
        suggest: SuggestArgs,
        /// How to print them [default: table on a terminal, json otherwise]
        #[arg(long, value_enum, default_value_t, hide_default_value = true)]
        format: Format,
    },
    /// Finds the schools whose catchment holds a point: its outline, or its radius where it has no outline.
    #[command(
        after_help = "Example: the schools that serve a home\n  school-finder catchment --lat 55.9533 --lng -3.1883"
    )]
    Catchment(PageArgs),
    /// Finds the schools that would have offered a child at a point a place in past years: an estimate.
    #[command(
        after_help = "Example: in each of the two latest years that are known\n  school-finder reach --lat 52.0406 --lng -0.7594 --intake 'Year R' --years 2"
    )]
    Reach(PageArgs),
    /// Places a home by its postcode, or by the first part of one.
    #[command(
        after_help = "Examples: of a postcode, its sector and its outcode; import them first by `import postcodes`\n  school-finder locate 'MK9 3EP'\n  school-finder locate 'MK9 3'\n  school-finder locate MK9 --format json"
    )]
    Locate {
        /// The postcode, in any case and with or without its space: MK9 3EP, MK9 3 or MK9.
        postcode: Postcode,
        /// How to print it [default: table on a terminal, json otherwise]
        #[arg(long, value_enum, default_value_t, hide_default_value = true)]
        format: CountFormat,
    },
    /// Shows one school with all its details.
    #[command(after_help = "Example:\n  school-finder show 110375")]
    Show {
        /// The school's unique reference number (URN), or its LAESTAB as 826/4004.
        #[arg(value_name = "URN")]
        school: SchoolNumber,
        /// How to print it [default: table on a terminal, json otherwise]
        #[arg(long, value_enum, default_value_t, hide_default_value = true)]
        format: Format,
    },
    /// Lists every council with its number of open schools.
    #[command(after_help = "Example:\n  school-finder councils --format csv")]
    Councils {
        /// How to print them [default: table on a terminal, json otherwise]
        #[arg(long, value_enum, default_value_t, hide_default_value = true)]
        format: CountFormat,
    },
    /// Counts the schools that `find` would find, by council, phase, rating, gender, faith and so on.
    #[command(
        after_help = "Example: what there is within 5 km of a home\n  school-finder facets --lat 52.0406 --lng -0.7594 --within 5"
    )]
    Facets {
        #[command(flatten)]
        find: FindArgs,
        /// How to print them [default: table on a terminal, json otherwise]
        #[arg(long, value_enum, default_value_t, hide_default_value = true)]
        format: CountFormat,
    },
    /// Fills in unknown values that follow from known ones. If it is interrupted, run it again.
    #[command(after_help = "Example:\n  school-finder backfill phase --dry-run")]
    Backfill {
        #[command(subcommand)]
        command: BackfillCommand,
    },
    /// Searches for many homes, in memory, and writes the results as Parquet or CSV.
    #[command(
        after_help = "Examples: all homes, and the first of sixteen parts\n  school-finder batch nearest homes.csv nearest.parquet\n  school-finder batch nearest homes.csv nearest-01.parquet --part 1/16"
    )]
    Batch {
        #[command(subcommand)]
        command: BatchCommand,
    },
    /// Ships an SQLite database to a folder, as a new generation: a checked copy of it, to which the programs that
    /// follow the folder (sqlite:DIR?follow=true) go on. The copy before it stays, and older ones are removed.
    #[command(
        after_help = "Example: to a folder that a service follows by DATABASE_URL='sqlite:shipped?follow=true'\n  school-finder ship shipped"
    )]
    Ship {
        /// The folder to write to, which is created if it is missing.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Shows a query's SQL and its plan on this database. Runs it only with --analyze.
    #[command(after_help = "Example:\n  school-finder explain find --lat 52.0406 --lng -0.7594 --within 5")]
    Explain {
        #[command(subcommand)]
        command: ExplainCommand,
    },
    /// Prints a script with which a shell completes this program's commands and options.
    #[command(
        after_help = "Example: for bash, from the next shell on\n  school-finder completions bash > ~/.local/share/bash-completion/completions/school-finder"
    )]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Prints the manual page, or writes one for each command.
    #[command(
        after_help = "Example: for `man school-finder-find` and the others\n  school-finder man ~/.local/share/man/man1"
    )]
    Man {
        /// The folder to write them to, which is created if it is missing.
        folder: Option<PathBuf>,
    },
}

/// A number that names a school.
#[derive(Debug, Clone, Copy)]
pub enum SchoolNumber {
    Urn(Urn),
    Laestab(Laestab),
}

impl FromStr for SchoolNumber {
    type Err = Error;

    /// Parses a URN, or a LAESTAB with its slash: seven digits alone are a URN.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text.contains('/') {
            true => Ok(Self::Laestab(text.parse()?)),
            false => Ok(Self::Urn(text.parse()?)),
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum MigrateCommand {
    /// Runs every pending migration. Creates the database where there is none. If a newer build migrated the database,
    /// only reports that.
    #[command(after_help = "Example:\n  school-finder migrate up --database sqlite:schools.db")]
    Up,
    /// Reverts the newest migrations.
    #[command(after_help = "Example: the newest two\n  school-finder migrate down --steps 2")]
    Down {
        /// How many.
        #[arg(long, default_value_t = 1)]
        steps: usize,
        /// Revert them also where that loses data.
        #[arg(long)]
        accept_loss: bool,
    },
    /// Reverts the newest migration and runs it again.
    #[command(after_help = "Example:\n  school-finder migrate redo")]
    Redo {
        /// Revert it also where that loses data.
        #[arg(long)]
        accept_loss: bool,
    },
    /// Lists the migrations, and whether the database has each.
    #[command(after_help = "Example:\n  school-finder migrate status")]
    Status,
    /// Compares the database's schema with this build's. Exits with 1 and lists the drift.
    #[command(
        after_help = "Examples: with what a service has in the database, and with stored copies that went stale\n  school-finder migrate check\n  school-finder migrate check --all\n  school-finder migrate check --data --repair"
    )]
    Check {
        /// Also list what other programs added, which is not drift.
        #[arg(long)]
        all: bool,
        /// Also compare the rows of stored copies, such as folded names, with what they are copied from.
        #[arg(long)]
        data: bool,
        /// Repair the rows that disagree.
        #[arg(long, requires = "data")]
        repair: bool,
    },
    /// Grants a role of Postgres the rights of a service: to read and write rows, and to change no table.
    #[command(
        after_help = "Example: a role of its own for the service, which may not change the schema\n  createuser finder\n  school-finder migrate grant finder"
    )]
    Grant {
        /// The role's name.
        role: String,
        /// Also store the settings of connections with the role, for a service behind a pooler such as pgbouncer.
        #[arg(long)]
        settings: bool,
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
        #[command(flatten)]
        csv: CsvArgs,
        #[command(flatten)]
        register: RegisterArgs,
    },
    /// Imports the register's links between schools (`links_edubasealldata`): predecessors, successors, mergers.
    #[command(after_help = "Example:\n  school-finder import links links_edubasealldata.csv")]
    Links {
        #[command(flatten)]
        import: ImportArgs,
        #[command(flatten)]
        csv: CsvArgs,
    },
    /// Imports admissions of past years (CSV), for schools in the database.
    #[command(
        after_help = "Its columns: urn (or laestab, or ukprn), academic_year, intake_year, places_offered,\napplications_received, last_distance_offered_km (or _miles, _m, _yards), had_vacancies, criterion, ...\nA blank is unknown.\n\nExample:\n  school-finder import admissions admissions_history.csv"
    )]
    Admissions {
        #[command(flatten)]
        import: ImportArgs,
        #[command(flatten)]
        csv: CsvArgs,
        /// A value of the column `criterion` that means distance alone. Repeat it for more; "Distance" and the like are
        /// recognised.
        #[arg(long, value_name = "NAME")]
        distance_criterion: Vec<String>,
    },
    /// Imports postcodes with their places: NSPL or ONSPD (ONS Geoportal), or Code-Point Open (Ordnance Survey).
    #[command(
        after_help = "A release replaces the one before it: what changed is written, and postcodes that it lacks are marked as\nwithdrawn. Only areas that the file has are touched.\n\nExample:\n  school-finder import postcodes NSPL_AUG_2026_UK.csv"
    )]
    Postcodes {
        #[command(flatten)]
        import: ImportArgs,
        /// Also read the postcodes of Northern Ireland, which have a licence of their own.
        #[arg(long)]
        with_northern_ireland: bool,
    },
    /// Imports outlines of catchments (GeoJSON in degrees, or on the National Grid), for schools in the database.
    #[command(
        after_help = "Example: polygons with the URN in their property `school_urn`\n  school-finder import catchments catchments.geojson --key school_urn\n\nExample: polygons with the name of the school\n  school-finder import catchments catchments.geojson --key SCHOOL_NAME --council 'Milton Keynes'"
    )]
    Catchments {
        #[command(flatten)]
        import: ImportArgs,
        /// The property that names the school, in any case. `id` is also the feature's own id.
        #[arg(long, value_name = "PROPERTY", default_value = "urn")]
        key: String,
        /// The kind of the key: urn, laestab, ukprn or name. Otherwise it is recognised.
        #[arg(long, value_name = "KIND")]
        key_is: Option<KeyKind>,
        /// The council of the schools, where the key is their name.
        #[arg(long, value_name = "NAME")]
        council: Option<String>,
        /// Import a file that declares itself incomplete.
        #[arg(long)]
        partial: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum BackfillCommand {
    /// Fills in the phase that follows from the ages of schools without one.
    #[command(
        after_help = "Example: look first, then fill\n  school-finder backfill phase --dry-run\n  school-finder backfill phase"
    )]
    Phase {
        /// Count, and write nothing.
        #[arg(long)]
        dry_run: bool,
        /// Also fill in schools whose phase is "not applicable" in the register: most special and independent ones. The
        /// next import of the register overwrites them.
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
    Catchment(BatchArgs),
}

#[derive(Debug, Args)]
pub struct BatchArgs {
    /// A CSV file with a header and the columns lat and lng, in degrees (WGS84), or postcode.
    pub homes: PathBuf,
    /// The file to write: home (its row, from 0), id, rank, school_id, urn, distance_km, evidence. It is CSV if its name
    /// ends in .csv, and Parquet otherwise.
    pub answers: PathBuf,
    /// Only this part of the homes, such as 3/16, the third of sixteen. The rows of all parts are those of the whole.
    #[arg(long, value_name = "I/N")]
    pub part: Option<Part>,
    /// The column with the homes' own ids, which the answers repeat as `id` [default: id, where there is one]
    #[arg(long, value_name = "COLUMN")]
    pub id: Option<String>,
    /// Only schools of this phase. Repeat it for more.
    #[arg(long)]
    pub phase: Vec<Phase>,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file, as published; also as a ZIP archive or compressed by gzip. Of postcodes also a folder of such files.
    pub file: PathBuf,
    /// Run the import and count, then roll it back.
    #[arg(long)]
    pub dry_run: bool,
    /// Write what could not be imported or read, and why, to this CSV file.
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CsvArgs {
    /// The file's encoding, such as windows-1252 [default: UTF-8 if all of it is valid, windows-1252 otherwise]
    #[arg(long, value_name = "LABEL")]
    pub encoding: Option<String>,
}

#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// Close open schools that the file lacks: those of its councils that this register stored.
    #[arg(long)]
    pub close_missing: bool,
    /// Close them even if they are more than a twentieth of the councils' open schools.
    #[arg(long, requires = "close_missing")]
    pub force: bool,
    /// Columns whose blanks mean that a value no longer holds, such as 'Gender (name),SchoolWebsite'. Otherwise a blank
    /// keeps what is stored.
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    pub clear: Vec<String>,
    /// The register that the file is from. Schools of another one are never closed [default: gias]
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ExplainCommand {
    /// The query that `find` begins with.
    #[command(
        after_help = "Example: the plan, and how long it takes\n  school-finder explain find --lat 52.0406 --lng -0.7594 --within 5 --analyze"
    )]
    Find(ExplainArgs),
    /// The query of `catchment`.
    #[command(after_help = "Example:\n  school-finder explain catchment --lat 52.0406 --lng -0.7594 --analyze")]
    Catchment(ExplainArgs),
    /// The query that `reach` begins with.
    #[command(after_help = "Example:\n  school-finder explain reach --lat 52.0406 --lng -0.7594 --years 2 --analyze")]
    Reach(ExplainArgs),
    /// The query that `facets` begins with.
    #[command(after_help = "Example:\n  school-finder explain facets --council 'Milton Keynes' --analyze")]
    Facets(ExplainArgs),
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    pub find: FindArgs,
    /// Run it, and report its number of rows and its duration.
    #[arg(long)]
    pub analyze: bool,
}

#[derive(Debug, Args)]
pub struct PageArgs {
    #[command(flatten)]
    pub find: FindArgs,
    /// How to print them [default: table on a terminal, json otherwise]
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    pub format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Geojson,
    Csv,
}

impl Default for Format {
    fn default() -> Self {
        if io::stdout().is_terminal() { Self::Table } else { Self::Json }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum CountFormat {
    Table,
    Json,
    Csv,
}

impl Default for CountFormat {
    fn default() -> Self {
        if io::stdout().is_terminal() { Self::Table } else { Self::Json }
    }
}
