//! Everything that can go wrong, by name.
//!
//! Each variant says when it happens and carries what failed; its message says what to do next. The same mistake
//! gives the same variant on every backend. No message shows a password or the contents of a row that was not part
//! of the call.

#[cfg(feature = "register")]
mod import;

use std::path::PathBuf;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as DieselError};

#[cfg(feature = "register")]
pub use self::import::ImportError;
use crate::ids::{InvalidUrn, Urn};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[non_exhaustive]
pub enum Error {
    // --- what was asked -------------------------------------------------------------------------------------------
    /// A latitude or longitude is out of range or not a number. Found before any SQL is sent.
    #[error("{field} {value} is not on the earth: a latitude runs from -90 to 90, a longitude from -180 to 180")]
    InvalidCoordinate {
        /// `"lat"` or `"lng"`.
        field: &'static str,
        /// What was given, in degrees.
        value: f64,
    },
    /// A school stands outside the British Isles, and would stand inside if its coordinates were swapped.
    #[error("lat {lat}, lng {lng} is far from the United Kingdom, but lat {lng}, lng {lat} is in it: swap the two")]
    SuspectSwapped {
        /// The latitude that was given, in degrees.
        lat: f64,
        /// The longitude that was given, in degrees.
        lng: f64,
    },
    /// A radius is zero, or a distance is negative or not a number.
    #[error("{value} is not a distance in kilometres: give a finite number, for a radius one above zero")]
    InvalidRadius {
        /// What was given, in kilometres.
        value: f64,
    },
    /// A search contradicts itself, such as a radius without a point.
    #[error("this search cannot be answered: {reason}")]
    InvalidSearch {
        /// The field of [`SchoolSearch`](crate::SchoolSearch) or of its filter that cannot stay as it is.
        field: &'static str,
        /// What contradicts what.
        reason: &'static str,
    },
    /// More rows were asked for than one page may hold.
    #[error("a page holds at most {max} schools and {given} were asked for: ask for fewer and follow the cursor")]
    LimitTooLarge {
        /// The limit that was asked for.
        given: u32,
        /// The largest that is allowed.
        max: u32,
    },
    /// A cursor is not one of ours, or was taken from a different search.
    #[error("the cursor cannot be used: {reason}; start again from the first page")]
    InvalidCursor {
        /// Why not.
        reason: &'static str,
    },
    /// The outline of a catchment is broken. Found before any SQL is sent.
    #[error("the outline of a catchment cannot be used: {reason}")]
    InvalidGeometry {
        /// What is wrong with it, and where.
        reason: String,
    },
    /// The outline of a catchment is larger than what is looked at.
    #[error("the outline of a catchment may have at most {max} {what}: simplify it")]
    GeometryTooLarge {
        /// What there is too much of, such as `"vertices"`.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// A text holds a NUL character, is blank where a text is needed, or has nothing to search for.
    #[error("{field} {reason}")]
    InvalidText {
        /// The field at fault.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A text is longer than its column allows.
    #[error("{field} has {length} characters and may have at most {max}")]
    TooLong {
        /// The field at fault.
        field: &'static str,
        /// How many characters were given.
        length: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A date lies before year 1 or after year 9999.
    #[error("{field} must lie from year 1 to year 9999")]
    InvalidDate {
        /// The field at fault.
        field: &'static str,
    },
    /// A time has parts of a second.
    #[error("{field} must be in whole seconds")]
    InvalidTime {
        /// The field at fault.
        field: &'static str,
    },
    /// A text is not a school year.
    #[error("{given:?} is not a school year: write it like 2024/2025")]
    InvalidAcademicYear {
        /// What was given.
        given: String,
    },
    /// An exact number is out of bounds, or has more decimal places than are kept.
    #[error("{given:?} cannot be used: {reason}")]
    InvalidNumber {
        /// What was given.
        given: String,
        /// Why not.
        reason: &'static str,
    },
    /// A word is not one of those the field knows.
    #[error("{given:?} is not a {field}: use one of {expected}")]
    UnknownWord {
        /// What the word should have been, such as `"phase"`.
        field: &'static str,
        /// What was given.
        given: String,
        /// The words that are known.
        expected: String,
    },
    /// A URN is not a number from 1 to 9,999,999.
    #[error("{}", InvalidUrn { given: *given })]
    InvalidUrn {
        /// What was given.
        given: i64,
    },

    // --- what the database refuses -------------------------------------------------------------------------------
    /// Two schools with one URN: within what was given, or with a school that is stored (`schools.urn` is unique).
    #[error("a school with URN {urn} is there already: update it, or leave it out")]
    DuplicateUrn {
        /// The URN that stands twice.
        urn: Urn,
    },
    /// `ck_age_from`: the youngest age is not from 0 to 19.
    #[error("age_range_from must be from 0 to 19 (ck_age_from)")]
    AgeFrom,
    /// `ck_age_range`: the oldest age lies below the youngest, or is not from 0 to 99.
    #[error("age_range_to must be from age_range_from to 99 (ck_age_range)")]
    AgeRange,
    /// `ck_ofsted_rating`: a rating is not from 1 (outstanding) to 4 (inadequate).
    #[error("ofsted_rating must be from 1 (outstanding) to 4 (inadequate), or unknown (ck_ofsted_rating)")]
    OfstedRating,
    /// Two rows of a school are of the same thing, such as one intake in one year.
    #[error("the same thing is there already: constraint {constraint}")]
    DuplicateRow {
        /// The constraint's name; it tells the table.
        constraint: String,
    },
    /// `ck_positive_radius`: a catchment radius is not above zero, or more than half way round the earth.
    #[error("catchment_radius_km must be above zero and at most 20015.1, or unknown (ck_positive_radius)")]
    Radius,
    /// `ck_coordinates`: coordinates out of range, only one of the two, or the point (0, 0).
    #[error("lat and lng must both be known or both unknown, in range, and not 0, 0 (ck_coordinates)")]
    Coordinates,
    /// Another CHECK constraint of the schema refused a value.
    #[error("the database refused a value: constraint {constraint}")]
    CheckViolated {
        /// The constraint's name; it tells the column.
        constraint: String,
    },
    /// A column that must have a value was given none.
    #[error("{column} must have a value")]
    MissingValue {
        /// The column.
        column: String,
    },
    /// Somebody changed the school after it was read. Nothing was written.
    #[error("the school was changed in between: version {given} was edited, and {stored} is stored; read it again")]
    Stale {
        /// The version that the edit was made from.
        given: i32,
        /// The version that is stored.
        stored: i32,
    },
    /// No school has this URN, and something was to be stored with it.
    #[error("no school has URN {urn}: import the school before what belongs to it")]
    UnknownUrn {
        /// The URN.
        urn: Urn,
    },
    /// A school cannot be merged into itself.
    #[error("the school with URN {urn} cannot be merged into itself: name the school that goes on")]
    MergeIntoSelf {
        /// The school.
        urn: Urn,
    },
    /// A school cannot be merged into one that is not open.
    #[error("the school with URN {urn} is not open: merge into the school that goes on")]
    MergeIntoClosed {
        /// The school that was to go on.
        urn: Urn,
    },
    /// A row points at a school that does not exist.
    #[error("there is no such school: insert it before what belongs to it, or look its id up again")]
    UnknownSchool,

    // --- settings --------------------------------------------------------------------------------------------------
    /// `DB_BACKEND` names a backend that does not exist or was not compiled in.
    #[error(
        "backend {given:?} is not in this build, which has: {compiled}; set DB_BACKEND to one of these, or build with the feature"
    )]
    UnknownBackend {
        /// What was asked for.
        given: String,
        /// The backends of this build.
        compiled: &'static str,
    },
    /// `DB_BACKEND` names one backend and the database's URL another.
    #[error("DB_BACKEND is {backend:?} but the database's URL is for {url_is_for}: make the two agree")]
    BackendMismatch {
        /// The backend that was asked for.
        backend: &'static str,
        /// The backend the URL is for.
        url_is_for: &'static str,
    },
    /// A setting is needed and not there, or has a value that cannot be used. The value is not shown.
    #[error("setting {setting}: {reason}")]
    InvalidSetting {
        /// The setting's name, such as `DATABASE_URL`.
        setting: &'static str,
        /// What to do about it.
        reason: &'static str,
    },

    // --- the database itself ------------------------------------------------------------------------------------
    /// The database's file could not be opened.
    #[error("cannot open the database {path:?}: {reason}")]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// Why not, and what to do.
        reason: String,
    },
    /// The file is not an SQLite database.
    #[error("the file is not an SQLite database: is the path right?")]
    NotADatabase,
    /// The database's file is damaged.
    #[error("the database's file is damaged: restore it from a backup")]
    Corrupt,
    /// The database holds no schema of this crate.
    #[error("this database is empty: run `school-finder migrate up`, or call `migrate::up`")]
    SchemaMissing,
    /// The database is older than this build.
    #[error("this database has {pending} pending migration(s): run `school-finder migrate up`, or call `migrate::up`")]
    SchemaPending {
        /// How many migrations have yet to be run.
        pending: usize,
    },
    /// The database was migrated by a newer build. Nothing was written.
    #[error(
        "this database has migration {found}, which this build does not know (its last is {known}): use a newer build"
    )]
    SchemaTooNew {
        /// A migration in the database that this build lacks.
        found: String,
        /// The newest migration that this build knows.
        known: String,
    },
    /// The database was made by a build that was never released. Nothing was written.
    #[error(
        "this database was made by a build from before the first release, whose schema cannot be brought up to date: \
         name another database, or delete this one, then run `school-finder migrate up` and import the data again"
    )]
    SchemaUnreleased,
    /// The database ran a migration that this build does not have, though it has later ones. Nothing was written.
    #[error(
        "this database has migration {found}, which is missing from this build though it has later ones: use the build \
         that has it, or put its folder back"
    )]
    MigrationMissing {
        /// The version of the migration.
        found: String,
    },
    /// The database ran a migration whose text was another then. Nothing was written.
    #[error(
        "migration {migration} was edited after this database ran it: take the edit back and add another migration; in \
         development, `school-finder migrate redo` runs the newest one again"
    )]
    MigrationEdited {
        /// The migration's name.
        migration: String,
    },
    /// Reverting a migration would lose data. Nothing was written.
    #[error("reverting {migration} loses {loses}: add --accept-loss (`Migrator::accept_loss`) to do so all the same")]
    LossyDown {
        /// The migration's name.
        migration: String,
        /// What would be lost.
        loses: String,
    },
    /// Another program changes the schema, and went on doing so for longer than this one was to wait.
    #[error("another program has been changing this database's schema for {waited_s} s: try again when it is done")]
    SchemaLocked {
        /// How long the call waited, in seconds.
        waited_s: u64,
    },
    /// A migration failed. Everything it did was undone, but for one that no transaction may hold.
    #[error("migration {version} failed: {reason}")]
    MigrationFailed {
        /// The migration, or `"?"` where it is not known.
        version: String,
        /// What the database said.
        reason: String,
    },
    /// The database's software is older than what this crate trusts.
    #[error("{software} {found} is too old: {needed} or newer is needed")]
    UnsupportedVersion {
        /// `"SQLite"`, `"PostgreSQL"` or `"PostGIS"`.
        software: &'static str,
        /// The version that was found.
        found: String,
        /// The oldest version that is accepted.
        needed: &'static str,
    },
    /// No connection became free in time.
    #[error(
        "no database connection became free within {waited_ms} ms: allow more connections, or hold them for less long"
    )]
    PoolTimeout {
        /// How long the call waited, in milliseconds.
        waited_ms: u64,
    },
    /// Another program held the database locked for longer than the busy timeout. Nothing was written.
    #[error("the database is locked by another program: try again")]
    Busy,
    /// The database cannot be written to.
    #[error("the database is read-only: check the rights on its file and folder")]
    ReadOnly,
    /// The disk is full. Everything the call did was undone.
    #[error("the disk is full: nothing was written")]
    StorageFull,
    /// Reading or writing the database's file failed. Everything the call did was undone.
    #[error("the disk failed ({reason}): nothing was written")]
    Io {
        /// What SQLite said.
        reason: String,
    },
    /// The server could not be reached, or stopped answering.
    #[error("cannot reach the database server: {reason}")]
    Unavailable {
        /// Why not, without secrets.
        reason: String,
    },
    /// The connection broke while it was in use. Nothing was written.
    #[error("the connection to the database server was lost, and nothing was written: try again")]
    ConnectionLost,
    /// The connection broke while a write was being committed: it is written whole, or not at all.
    #[error(
        "the connection to the database server was lost while a write was being committed: see whether it is there, or \
         repeat it where that does no harm, as with an upsert"
    )]
    CommitUnknown,
    /// Writes of several callers kept undoing each other (a deadlock, or a failure to serialise), also when this one
    /// was repeated. Nothing was written.
    #[error("the write collided with others again and again, and was undone: try again")]
    Conflict,
    /// The schema or an extension was changed or restored under an open connection, which was closed. Nothing was
    /// written.
    #[error("the database's schema was changed under an open connection, which was closed: try again")]
    SchemaChanged,
    /// A statement took longer than it may.
    #[error(
        "the database took too long over a statement, which was stopped and undone: ask for less, or allow a longer statement_timeout"
    )]
    Timeout,
    /// PostGIS is not installed in the database, and this role may not install it.
    #[error("PostGIS is missing ({reason}): an administrator runs `CREATE EXTENSION postgis` in this database")]
    PostgisMissing {
        /// What the server said.
        reason: String,
    },
    /// Something that only Postgres has was asked of SQLite.
    #[error("only Postgres has {what}")]
    OnlyPostgres {
        /// What it is.
        what: &'static str,
    },
    /// There is no such role on the server.
    #[error("there is no role {role:?} on this server: an administrator makes it, as by `createuser`")]
    UnknownRole {
        /// The name that was given.
        role: String,
    },
    /// The role may not do what was asked.
    #[error("this database role may not do that ({reason}): a role that the tables belong to may")]
    PermissionDenied {
        /// What the server said.
        reason: String,
    },
    /// A value in the database cannot be read as its column's type.
    #[error("a stored value cannot be read: {reason}")]
    CorruptValue {
        /// What is wrong with it.
        reason: String,
    },
    /// Something else failed in the database. Code on a connection that is checked out makes its Diesel errors this one
    /// by `?`; as they leave the connection, the backend gives them a type where it knows one.
    #[error("the database failed: {0}")]
    Database(DieselError),

    /// A data frame could not be made or written.
    #[cfg(feature = "polars")]
    #[error(transparent)]
    Frame(#[from] polars::error::PolarsError),

    /// An import stopped. The database is as it was.
    #[cfg(feature = "register")]
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl Error {
    /// The variant's name, such as `"InvalidRadius"`: for logs, metrics and the types of problems in a service's
    /// answers.
    ///
    /// ```
    /// # use school_finder_db::Kilometres;
    /// let error = Kilometres::new(-1.0).expect_err("not a distance");
    /// assert_eq!((error.name(), error.field()), ("InvalidRadius", Some("radius")));
    /// ```
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// The field of what was asked, or of the row that was given, that is at fault, where it is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::InvalidCoordinate { field, .. }
            | Self::InvalidSearch { field, .. }
            | Self::InvalidText { field, .. }
            | Self::TooLong { field, .. }
            | Self::InvalidDate { field }
            | Self::InvalidTime { field }
            | Self::UnknownWord { field, .. } => Some(field),
            Self::MissingValue { column } => Some(column),
            Self::InvalidRadius { .. } => Some("radius"),
            Self::LimitTooLarge { .. } => Some("limit"),
            Self::InvalidCursor { .. } => Some("after"),
            Self::InvalidAcademicYear { .. } => Some("academic_year"),
            Self::InvalidUrn { .. } | Self::DuplicateUrn { .. } | Self::UnknownUrn { .. } => Some("urn"),
            Self::MergeIntoSelf { .. } | Self::MergeIntoClosed { .. } => Some("into"),
            Self::AgeFrom => Some("age_range_from"),
            Self::AgeRange => Some("age_range_to"),
            Self::OfstedRating => Some("ofsted_rating"),
            Self::Radius => Some("catchment_radius_km"),
            Self::InvalidGeometry { .. } | Self::GeometryTooLarge { .. } => Some("catchment_geometry"),
            _ => None,
        }
    }

    /// Whether the same call of a repository may be made again, since it wrote nothing and the cause may pass: the
    /// database was busy, or away. A stream that was given is spent, and what code of your own committed before on a
    /// connection that was lent stays. A loop over it needs an end: a server that refuses a password, or knows no such
    /// database, is `Unavailable` too.
    ///
    /// ```
    /// # use school_finder_db::Error;
    /// assert!(Error::Busy.is_retryable());
    /// // It may have been written.
    /// assert!(!Error::CommitUnknown.is_retryable());
    /// ```
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Busy
                | Self::Conflict
                | Self::ConnectionLost
                | Self::PoolTimeout { .. }
                | Self::SchemaChanged
                | Self::Unavailable { .. }
        )
    }

    /// Whether what was asked, or a row that was given, breaks a rule, whatever else the database holds: the same call
    /// will fail again. A service answers with status 400 and may show the words.
    ///
    /// ```
    /// # use school_finder_db::{Error, LatLng};
    /// let error = LatLng::from_lat_lng(91.0, 0.0).expect_err("north of the pole");
    /// assert!(error.is_invalid_input());
    /// assert!(!Error::Busy.is_invalid_input());
    /// ```
    pub fn is_invalid_input(&self) -> bool {
        matches!(
            self,
            Self::InvalidCoordinate { .. }
                | Self::SuspectSwapped { .. }
                | Self::InvalidRadius { .. }
                | Self::InvalidSearch { .. }
                | Self::LimitTooLarge { .. }
                | Self::InvalidCursor { .. }
                | Self::InvalidGeometry { .. }
                | Self::GeometryTooLarge { .. }
                | Self::InvalidText { .. }
                | Self::TooLong { .. }
                | Self::InvalidDate { .. }
                | Self::InvalidTime { .. }
                | Self::InvalidAcademicYear { .. }
                | Self::InvalidNumber { .. }
                | Self::UnknownWord { .. }
                | Self::InvalidUrn { .. }
                | Self::AgeFrom
                | Self::AgeRange
                | Self::OfstedRating
                | Self::Radius
                | Self::Coordinates
                | Self::CheckViolated { .. }
                | Self::MissingValue { .. }
                | Self::MergeIntoSelf { .. }
        )
    }

    /// Gives a type to what Diesel reports, where `read` knows one for what the database says. Other errors stay as
    /// they are.
    pub(crate) fn typed_by(
        self,
        read: impl FnOnce(&DatabaseErrorKind, &(dyn DatabaseErrorInformation + Send + Sync)) -> Option<Self>,
    ) -> Self {
        let Self::Database(error) = self else { return self };
        match &error {
            DieselError::DatabaseError(kind, information) => {
                read(kind, information.as_ref()).unwrap_or(Self::Database(error))
            }
            DieselError::DeserializationError(reason) => Self::CorruptValue { reason: reason.to_string() },
            _ => Self::Database(error),
        }
    }

    /// The typed error of a named CHECK constraint. Both backends report a violated CHECK by its name.
    pub(crate) fn of_check(constraint: &str) -> Self {
        match constraint {
            "ck_age_from" => Self::AgeFrom,
            "ck_age_range" => Self::AgeRange,
            "ck_ofsted_rating" => Self::OfstedRating,
            "ck_positive_radius" => Self::Radius,
            "ck_coordinates" => Self::Coordinates,
            "ck_catchment_geometry" => {
                Self::InvalidGeometry { reason: "the database refuses it (ck_catchment_geometry)".to_owned() }
            }
            other => Self::CheckViolated { constraint: other.to_owned() },
        }
    }
}

impl From<InvalidUrn> for Error {
    fn from(InvalidUrn { given }: InvalidUrn) -> Self {
        Self::InvalidUrn { given }
    }
}

/// Untyped: what a database says is read by its backend, as the error leaves a connection of it.
impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        Self::Database(error)
    }
}
