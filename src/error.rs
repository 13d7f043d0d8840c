//! Every error, by name.
//!
//! Each variant states when it occurs and carries what failed; its message states what to do next. The same mistake
//! returns the same variant on every backend. No message shows a password, or the contents of a row that was not part
//! of the call.

#[cfg(feature = "postgres")]
mod connect;
#[cfg(feature = "register")]
mod import;

use std::path::PathBuf;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as DieselError};

#[cfg(feature = "postgres")]
pub use self::connect::ConnectError;
#[cfg(feature = "register")]
pub use self::import::ImportError;
use crate::ids::{InvalidIdentifier, InvalidPostcode, InvalidUrn, UnknownPostcode, Urn};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Returns the error for a service's own pool that cannot be used.
pub(crate) const fn wrong_pool(reason: &'static str) -> Error {
    Error::InvalidSetting { setting: "pool", reason }
}

/// An error, and what to do about it.
#[derive(thiserror::Error, strum::IntoStaticStr)]
#[non_exhaustive]
pub enum Error {
    // --- requests --------------------------------------------------------------------------------------------------
    /// A latitude or longitude is out of range or NaN. Returned before any SQL.
    #[error("{field} {value} is not on the earth: a latitude runs from -90 to 90, a longitude from -180 to 180")]
    InvalidCoordinate {
        /// `"lat"` or `"lng"`.
        field: &'static str,
        /// The given value, in degrees.
        value: f64,
    },
    /// A home, or a school or an outline to write, is outside the United Kingdom, and would be inside with its
    /// coordinates swapped.
    #[error("lat {lat}, lng {lng} is far from the United Kingdom, but lat {lng}, lng {lat} is in it: swap the two")]
    SuspectSwapped {
        /// The given latitude, in degrees.
        lat: f64,
        /// The given longitude, in degrees.
        lng: f64,
    },
    /// A radius is zero, or a distance is negative, infinite or NaN.
    #[error("{value} km cannot be used: a radius is a finite number above 0, and a distance one of at least 0")]
    InvalidRadius {
        /// The given value, in kilometres.
        value: f64,
    },
    /// A search contradicts itself, such as a radius without a point, or a filter lists too many values.
    #[error("this search is invalid: {reason}")]
    InvalidSearch {
        /// The field of [`SchoolSearch`](crate::SchoolSearch) or of its filter at fault.
        field: &'static str,
        /// The fault.
        reason: &'static str,
    },
    /// The limit exceeds the largest page.
    #[error("a page holds at most {max} schools, not {given}: lower the limit and follow the cursor")]
    LimitTooLarge {
        /// The given limit.
        given: u32,
        /// The largest allowed limit.
        max: u32,
    },
    /// A cursor is malformed, or belongs to another search.
    #[error("the cursor cannot be used: {reason}; start again from the first page")]
    InvalidCursor {
        /// The reason.
        reason: &'static str,
    },
    /// A text is not that of a [`Position`](crate::repository::Position).
    #[error("the position cannot be used: it is not the text that a `Position` was written as; read without it")]
    InvalidPosition,
    /// The outline of a catchment is invalid. Returned before any SQL.
    #[error("the outline of a catchment cannot be used: {reason}")]
    InvalidGeometry {
        /// The fault, and where it is.
        reason: String,
    },
    /// The outline of a catchment is too large.
    #[error("the outline of a catchment may have at most {max} {what}: simplify it")]
    GeometryTooLarge {
        /// The parts that are too many, such as `"vertices"`.
        what: &'static str,
        /// The largest allowed number.
        max: usize,
    },
    /// A text holds a NUL character, is blank where a value is required, or has nothing to search for.
    #[error("{field} {reason}")]
    InvalidText {
        /// The field at fault.
        field: &'static str,
        /// The fault.
        reason: &'static str,
    },
    /// A text is longer than its column or its filter allows.
    #[error("{field} has {length} characters and may have at most {max}")]
    TooLong {
        /// The field at fault.
        field: &'static str,
        /// The number of given characters.
        length: usize,
        /// The largest allowed number.
        max: usize,
    },
    /// A date is before year 1 or after year 9999.
    #[error("{field} must be from year 1 to year 9999")]
    InvalidDate {
        /// The field at fault.
        field: &'static str,
    },
    /// A time has fractions of a second.
    #[error("{field} must be in whole seconds")]
    InvalidTime {
        /// The field at fault.
        field: &'static str,
    },
    /// A text is not a school year.
    #[error("{given:?} is not a school year: write it like 2024/2025")]
    InvalidAcademicYear {
        /// The given text.
        given: String,
    },
    /// A text is not a number, or a number is out of bounds or has too many decimal places.
    #[error("{given:?} cannot be used: {reason}")]
    InvalidNumber {
        /// The given text.
        given: String,
        /// The reason.
        reason: &'static str,
    },
    /// A word is not in the field's vocabulary.
    #[error("{given:?} is not a known {field}: use one of {expected}")]
    UnknownWord {
        /// The kind of word, such as `"phase"`.
        field: &'static str,
        /// The given word.
        given: String,
        /// The allowed words.
        expected: String,
    },
    /// A URN is not a number from 1 to 9,999,999.
    #[error(transparent)]
    InvalidUrn(#[from] InvalidUrn),
    /// A LAESTAB or UKPRN is invalid.
    #[error(transparent)]
    InvalidIdentifier(#[from] InvalidIdentifier),
    /// A text is no postcode and no part of one.
    #[error(transparent)]
    InvalidPostcode(#[from] InvalidPostcode),

    // --- constraints of the database -------------------------------------------------------------------------------
    /// A register lacks so many open schools that it may be incomplete. Nothing was written.
    #[error(
        "{missing} of the {open} open schools of its councils are not in the file, which is more than a twentieth: \
         check that the file is complete, then close them with --force"
    )]
    TooManyMissing {
        /// The number of open schools that are missing.
        missing: usize,
        /// The number of open schools of the register's councils.
        open: usize,
    },
    /// Two schools or outlines of the call have the same URN, or a new school has the URN of a stored one
    /// (`schools.urn` is unique).
    #[error("a school with URN {urn} is already stored, or given twice: update the stored one, or give it once")]
    DuplicateUrn {
        /// The duplicate URN.
        urn: Urn,
    },
    /// `ck_age_from`: the youngest age is not from 0 to 19.
    #[error("age_range_from must be from 0 to 19 (ck_age_from)")]
    AgeFrom,
    /// `ck_age_range`: the oldest age is below the youngest, or is not from 0 to 99.
    #[error("age_range_to must be from age_range_from to 99 (ck_age_range)")]
    AgeRange,
    /// `ck_ofsted_rating`: a rating is not from 1 (outstanding) to 4 (inadequate).
    #[error("ofsted_rating must be from 1 (outstanding) to 4 (inadequate), or unknown (ck_ofsted_rating)")]
    OfstedRating,
    /// Two rows of a school have the same key, such as one intake in one year.
    #[error("a row with the same key is already stored, or given twice (constraint {constraint}): keep one of the two")]
    DuplicateRow {
        /// The constraint's name, which identifies its table.
        constraint: String,
    },
    /// `ck_positive_radius`: a catchment radius is not above zero, or exceeds half the earth's circumference.
    #[error("catchment_radius_km must be above zero and at most 20015.1, or unknown (ck_positive_radius)")]
    Radius,
    /// `ck_coordinates`: coordinates are out of range, only one is given, or both are 0.
    #[error("lat and lng must both be known or both unknown, in range, and not 0, 0 (ck_coordinates)")]
    Coordinates,
    /// A value violates another CHECK constraint of the schema.
    #[error("a value violates the constraint {constraint}: the migration of its table has the condition")]
    CheckViolated {
        /// The constraint's name, which identifies its column.
        constraint: String,
    },
    /// A statement of another program, or on a checked-out connection, wrote a school's name without its
    /// [folded](crate::text::fold) form, which searches read. The methods of a repository write both.
    #[error(
        "name_folded is not the fold of name: write schools through the repository, or first store the name with its \
         `text::fold` in folded_names"
    )]
    NotFolded,
    /// A statement of another program, or on a checked-out connection, changed a school's name, council or postcode,
    /// and not the words that searches read. The methods of a repository write both.
    #[error(
        "school_words has other words than the school's: write schools through the repository, or first update \
         school_towns, and then run `school-finder migrate check --data --repair`"
    )]
    OtherWords,
    /// A required column has no value.
    #[error("{column} must have a value")]
    MissingValue {
        /// The column.
        column: String,
    },
    /// The school or one of its collections was updated after it was read. Nothing was written.
    #[error("the school was updated since it was read as version {given}: read it again, now as version {stored}")]
    Stale {
        /// The version that the update was made from.
        given: i32,
        /// The stored version.
        stored: i32,
    },
    /// A write refers to a URN that no school has.
    #[error("no school has URN {urn}: check the number or import the school first")]
    UnknownUrn {
        /// The URN.
        urn: Urn,
    },
    /// A postcode is neither stored nor that of a school with a location.
    #[error(transparent)]
    UnknownPostcode(#[from] UnknownPostcode),
    /// A school was to be merged into itself.
    #[error("the school with URN {urn} cannot be merged into itself: name the school that goes on")]
    MergeIntoSelf {
        /// The school.
        urn: Urn,
    },
    /// The school to merge into is not open.
    #[error("the school with URN {urn} is not open: merge into the school that goes on")]
    MergeIntoClosed {
        /// The school to merge into.
        urn: Urn,
    },
    /// A row refers to a row that does not exist, or a row to delete is referred to by another. The methods of a
    /// repository report a missing school as [`UnknownSchool`](Self::UnknownSchool) or
    /// [`UnknownUrn`](Self::UnknownUrn). This variant is for your own statements, and for your own tables that refer to
    /// schools.
    #[error(
        "a row refers to one that does not exist (constraint {constraint}): insert that one first, or delete what \
         refers to it"
    )]
    ForeignKey {
        /// The constraint's name. SQLite names none: `FOREIGN KEY`.
        constraint: String,
    },
    /// There is no school with this id.
    #[error("no school has this id: it was deleted, or the id is of another database; look the school up by its URN")]
    UnknownSchool,

    // --- settings --------------------------------------------------------------------------------------------------
    /// `DB_BACKEND` names a backend that does not exist or is not compiled in.
    #[error(
        "this build has no backend {given:?}, only {compiled}: change the URL or DB_BACKEND, or build with its feature"
    )]
    UnknownBackend {
        /// The given backend.
        given: String,
        /// The backends of this build.
        compiled: &'static str,
    },
    /// `DB_BACKEND` names one backend and the database's URL another.
    #[error("DB_BACKEND is {backend:?} but the database's URL is for {url_is_for}: make the two agree")]
    BackendMismatch {
        /// The given backend.
        backend: &'static str,
        /// The backend of the URL.
        url_is_for: &'static str,
    },
    /// A setting or a parameter of the database's URL is missing or invalid. Its value is not shown.
    #[error("{setting} {reason}")]
    InvalidSetting {
        /// The setting's name, such as `DATABASE_URL`.
        setting: &'static str,
        /// The fault, and what to do about it.
        reason: &'static str,
    },
    /// The database's URL has a parameter that is not known.
    #[error("the database's URL has the parameter {given:?}, which is not known: the known ones are {known}")]
    UnknownParameter {
        /// The name of the parameter.
        given: String,
        /// The names of the known ones.
        known: String,
    },
    /// The database's URL is in the form of another program.
    #[error("a database's URL that begins with {given:?} is for another program: write {write}")]
    ForeignUrl {
        /// The beginning of the URL.
        given: String,
        /// How to write it.
        write: String,
    },

    // --- the database itself ------------------------------------------------------------------------------------
    /// The database's file could not be opened.
    #[error("cannot open the database {path:?}: {reason}")]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// The reason, and what to do.
        reason: String,
    },
    /// A database could not be shipped as a new generation. The generation before it is still the newest.
    #[error("cannot ship to {path:?}: {reason}")]
    CannotShip {
        /// The folder, or the file in it that is at fault.
        path: PathBuf,
        /// The reason, and what to do.
        reason: String,
    },
    /// The file is not an SQLite database.
    #[error("the file is not an SQLite database: is the path right?")]
    NotADatabase,
    /// The database's file is corrupt.
    #[error("the database's file is damaged: restore it from a backup")]
    Corrupt,
    /// The database has no schema of this crate.
    #[error(
        "this database has no tables of this crate: check that it is the right one, then run \
         `school-finder migrate up`, or call `migrate::up`"
    )]
    SchemaMissing,
    /// The database has pending migrations.
    #[error("this database has {pending} pending migration(s): run `school-finder migrate up`, or call `migrate::up`")]
    SchemaPending {
        /// The number of pending migrations.
        pending: usize,
    },
    /// The database was migrated by a newer build, and no longer serves this one. Nothing was written.
    #[error(
        "this database has migration {found}, newer than this build's last ({known}), and serves builds from {floor} \
         on: use a newer build"
    )]
    SchemaTooNew {
        /// The newest migration of the database.
        found: String,
        /// The newest migration of this build.
        known: String,
        /// The oldest version whose builds may use the database.
        floor: String,
    },
    /// The database was migrated by a newer build. This one may use it, but may neither change nor check its schema.
    /// Nothing was written.
    #[error(
        "this database has migration {found}, newer than this build's last ({known}): this build may use the \
         database; revert its migrations and check its schema by the newer build"
    )]
    SchemaNewer {
        /// The newest migration of the database.
        found: String,
        /// The newest migration of this build.
        known: String,
    },
    /// Diesel's table has versions of this crate's migrations, but the schema is not what they create: one was edited
    /// after it ran, or a version is another program's. Nothing was written.
    #[error(
        "Diesel's table says that migrations of this crate ran, but {drift}: revert them by Diesel's tool and run \
         `school-finder migrate up` in their place"
    )]
    CannotAdopt {
        /// The first difference between the schema and what the migrations create.
        drift: String,
    },
    /// The database was created by a build that was never released. Nothing was written.
    #[error(
        "this database was made by a build from before the first release, whose schema cannot be brought up to date: \
         name another database, or delete this one, then run `school-finder migrate up` and import the data again"
    )]
    SchemaUnreleased,
    /// The database has a migration that this build lacks, though this build has later ones. Nothing was written.
    #[error("this build lacks the applied migration {found}: use a build that has it, or put its folder back")]
    MigrationMissing {
        /// The version of the migration.
        found: String,
    },
    /// A migration's text differs from the one that was applied. Nothing was written.
    #[error("migration {migration} was edited after it was applied: undo the edit (in development, `migrate redo` it)")]
    MigrationEdited {
        /// The migration's name.
        migration: String,
    },
    /// Reverting a migration would lose data. Nothing was written.
    #[error("reverting {migration} loses {loses}: add --accept-loss (`Migrator::accept_loss`) to do so all the same")]
    LossyDown {
        /// The migration's name.
        migration: String,
        /// The data that would be lost.
        loses: String,
    },
    /// Another program held the lock on the schema for longer than the lock timeout.
    #[error("another program still holds the lock on this database's schema after {waited_s} s: try again later")]
    SchemaLocked {
        /// How long the call waited, in seconds.
        waited_s: u64,
    },
    /// A migration failed. It was rolled back, unless it runs outside a transaction.
    #[error("migration {version} failed: {reason}")]
    MigrationFailed {
        /// The migration, or `"?"` where it is unknown.
        version: String,
        /// The reason that the database reported.
        reason: String,
    },
    /// The database's software is older than the oldest supported version.
    #[error("{software} {found} is too old: {needed} or newer is needed")]
    UnsupportedVersion {
        /// `"SQLite"`, `"PostgreSQL"` or `"PostGIS"`.
        software: &'static str,
        /// The version of the software.
        found: String,
        /// The oldest supported version.
        needed: &'static str,
    },
    /// No connection became free in time.
    #[error(
        "no connection became free within {waited_ms} ms: raise max_size or acquire_timeout, or return connections \
         sooner"
    )]
    PoolTimeout {
        /// How long the call waited, in milliseconds.
        waited_ms: u64,
    },
    /// Another connection, of this program or of another one, held a lock on the database for longer than the lock
    /// timeout. Nothing was written.
    #[error("the database is locked by another connection: try again")]
    Busy,
    /// The unit of work has ended, and what it wrote was rolled back unless it was committed.
    #[error("the unit of work has ended: {reason}; begin another")]
    UnitOfWorkEnded {
        /// Why it ended.
        reason: &'static str,
    },
    /// The call would wait for a unit of work that its own task holds, or it begins a unit within a unit.
    #[error("this task has an open unit of work, for which this call would wait: call the unit instead, or end it")]
    UnitOfWorkOpen,
    /// The database is read-only: an SQLite file, or a Postgres database whose transactions are.
    #[error(
        "the database is read-only: check the rights on its file and folder, and the mode in its URL; on Postgres, \
         `default_transaction_read_only`"
    )]
    ReadOnly,
    /// The server is a standby, which accepts no writes, or none of the hosts is a primary. Nothing was written, and
    /// the connection was closed. After a failover the same call may find the new primary.
    #[error(
        "the database server is not the primary, and nothing was written: try again, with every host of the cluster \
         in the address"
    )]
    NotPrimary,
    /// A standby cancelled the query, since replication removes rows that it was reading, and so it did its retries.
    /// Where it closed the connection instead, your own code gets [`ConnectionLost`](Self::ConnectionLost).
    #[error(
        "the standby cancelled the query to apply what the primary changed: try again, raise \
         max_standby_streaming_delay, or turn hot_standby_feedback on"
    )]
    RecoveryConflict,
    /// The disk is full. The call was rolled back.
    #[error("the disk is full, and nothing was written: make room, then try again")]
    StorageFull,
    /// Reading or writing the database's file failed. The call was rolled back.
    #[error("the disk failed ({reason}): nothing was written")]
    Io {
        /// The reason that SQLite reported.
        reason: String,
    },
    /// The server answered, but no connection could be made.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server could not be reached, or did not respond.
    #[error("cannot reach the database server: {reason}")]
    Unavailable {
        /// The reason, without secrets.
        reason: String,
    },
    /// The connection was lost while it was in use. Nothing was written.
    #[error("the connection to the database server was lost, and nothing was written: try again")]
    ConnectionLost,
    /// The connection was lost during a commit. The write is committed or rolled back, but which is unknown.
    #[error(
        "the connection to the database server was lost while a write was being committed: see whether it is there, or \
         repeat it where that does no harm, as with an upsert"
    )]
    CommitUnknown,
    /// A write collided with others (a deadlock or a serialization failure), and so did its retries. Nothing was
    /// written.
    #[error("the write collided with others again and again, and was undone: try again")]
    Conflict,
    /// The schema or an extension was changed or restored under an open connection, which was closed. Nothing was
    /// written.
    #[error("the database's schema was changed under an open connection, which was closed: try again")]
    SchemaChanged,
    /// A statement exceeded the statement timeout.
    #[error("a statement took too long and was rolled back: narrow the search, or raise statement_timeout")]
    Timeout,
    /// PostGIS is not installed in the database, and this role may not install it.
    #[error("PostGIS is missing ({reason}): an administrator runs `CREATE EXTENSION postgis` in this database")]
    PostgisMissing {
        /// The reason that the server reported.
        reason: String,
    },
    /// The schema of the tables or of PostGIS does not exist, or the role may not use it or create tables in it.
    #[error(
        "this database role may not use the schema ({reason}): a role that the tables belong to may; else create the \
         schema, or let the role in by `GRANT USAGE ON SCHEMA ... TO` it (`USAGE, CREATE` if it migrates)"
    )]
    SchemaDenied {
        /// The reason that the server reported.
        reason: String,
    },
    /// Only Postgres has this feature, and the database is SQLite.
    #[error("only Postgres has {what}")]
    OnlyPostgres {
        /// The missing feature.
        what: &'static str,
    },
    /// Only SQLite has this feature, and the database is on Postgres.
    #[error("only SQLite has {what}")]
    OnlySqlite {
        /// The missing feature.
        what: &'static str,
    },
    /// The server has no such role.
    #[error("there is no role {role:?} on this server: create it first, such as by `createuser`")]
    UnknownRole {
        /// The name of the role.
        role: String,
    },
    /// The role lacks a privilege.
    #[error(
        "this database role may not do that ({reason}): connect as the owner of the tables, or as the owner grant a \
         service its rights by `school-finder migrate grant ROLE`"
    )]
    PermissionDenied {
        /// The reason that the server reported.
        reason: String,
    },
    /// A value in the database cannot be read as its column's type.
    #[error("a stored value cannot be read: {reason}")]
    CorruptValue {
        /// The reason.
        reason: String,
    },
    /// Any other error of the database. Code on a checked-out connection converts its Diesel errors into this one with
    /// `?`. When it returns, the backend converts those that it knows into their variants.
    #[error("a statement failed: {0}")]
    Database(DieselError),

    /// A data frame could not be made or written.
    #[cfg(feature = "polars")]
    #[error(transparent)]
    Frame(#[from] polars::error::PolarsError),

    /// An import failed. Nothing was written.
    #[cfg(feature = "register")]
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl std::fmt::Debug for Error {
    /// Writes the message and the variant's name, as a `main` that returns a `Result` prints them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self} ({})", self.name())
    }
}

impl Error {
    /// Returns the variant's name, such as `"InvalidRadius"`, for logs, metrics and the problem types of a service.
    ///
    /// ```
    /// # use school_finder_db::Kilometres;
    /// let error = Kilometres::new(-1.0).expect_err("not a distance");
    /// assert_eq!((error.name(), error.field()), ("InvalidRadius", Some("within")));
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Connect(error) => error.into(),
            _ => self.into(),
        }
    }

    /// Returns the field of the request, or of a given row, that is at fault, where there is one.
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
            Self::InvalidRadius { .. } => Some("within"),
            Self::LimitTooLarge { .. } => Some("limit"),
            Self::InvalidCursor { .. } => Some("after"),
            Self::InvalidPosition => Some("position"),
            Self::InvalidAcademicYear { .. } => Some("academic_year"),
            Self::InvalidUrn { .. } | Self::DuplicateUrn { .. } | Self::UnknownUrn { .. } => Some("urn"),
            Self::InvalidIdentifier { .. } => Some("identifiers"),
            Self::InvalidPostcode { .. } | Self::UnknownPostcode { .. } => Some("postcode"),
            Self::MergeIntoSelf { .. } | Self::MergeIntoClosed { .. } => Some("into"),
            Self::AgeFrom => Some("age_range_from"),
            Self::AgeRange => Some("age_range_to"),
            Self::OfstedRating => Some("ofsted_rating"),
            Self::Radius => Some("catchment_radius_km"),
            Self::InvalidGeometry { .. } | Self::GeometryTooLarge { .. } => Some("catchment_geometry"),
            _ => None,
        }
    }

    /// Returns whether the same call of a repository may be retried: it wrote nothing, and the cause may pass, since
    /// the database was busy or unavailable. A call that takes a stream has consumed it, so a retry needs a new one.
    /// What your own code committed earlier on a checked-out connection stays committed. A retry loop needs a limit: a
    /// server that does not exist is `Unavailable` too. A service responds with status 503, and also to
    /// [`Timeout`](Self::Timeout), which the same call may meet again.
    ///
    /// ```
    /// # use school_finder_db::Error;
    /// assert!(Error::Busy.is_retryable());
    /// // It may have been written.
    /// assert!(!Error::CommitUnknown.is_retryable());
    /// ```
    pub fn is_retryable(&self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Connect(error) => error.is_retryable(),
            Self::Busy
            | Self::Conflict
            | Self::ConnectionLost
            | Self::NotPrimary
            | Self::PoolTimeout { .. }
            | Self::RecoveryConflict
            | Self::SchemaChanged
            | Self::Unavailable { .. } => true,
            _ => false,
        }
    }

    /// Returns whether the request, or a given row, is invalid whatever the database holds: the same call fails again.
    /// A service responds with status 400 and may show the message.
    ///
    /// ```
    /// # use school_finder_db::{Error, LatLng};
    /// let error = LatLng::from_lat_lng(91.0, 0.0).expect_err("north of the pole");
    /// assert!(error.is_invalid_input());
    /// assert!(!Error::Busy.is_invalid_input());
    /// ```
    pub fn is_invalid_input(&self) -> bool {
        match self {
            // Another database may hold what the request needs.
            Self::DuplicateUrn { .. }
            | Self::UnknownUrn { .. }
            | Self::UnknownPostcode { .. }
            | Self::MergeIntoClosed { .. } => false,
            // No single field is at fault.
            Self::SuspectSwapped { .. }
            | Self::InvalidNumber { .. }
            | Self::Coordinates
            | Self::NotFolded
            | Self::OtherWords
            | Self::CheckViolated { .. } => true,
            _ => self.field().is_some(),
        }
    }

    /// Converts a Diesel error into the variant that `read` returns for the database's report. Other errors are
    /// returned unchanged.
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

    /// Returns the error of a named CHECK constraint. Both backends report a violated CHECK by its name.
    pub(crate) fn of_check(constraint: &str) -> Self {
        match constraint {
            "ck_age_from" => Self::AgeFrom,
            "ck_age_range" => Self::AgeRange,
            "ck_ofsted_rating" => Self::OfstedRating,
            "ck_positive_radius" => Self::Radius,
            "ck_coordinates" => Self::Coordinates,
            "tr_schools_fold" => Self::NotFolded,
            "tr_schools_words" => Self::OtherWords,
            "ck_catchment_geometry" => {
                Self::InvalidGeometry { reason: "the database refuses it (ck_catchment_geometry)".to_owned() }
            }
            other => Self::CheckViolated { constraint: other.to_owned() },
        }
    }
}

/// Converts into the untyped variant. The backend reads the database's report when the error leaves a connection.
impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        Self::Database(error)
    }
}
