//! Schools: as stored, as listed, as search results, and as written.

use chrono::NaiveDate;
use diesel::Queryable;
use serde::{Deserialize, Serialize};

use super::checks::{check_date, check_folded, check_link, check_text};
use super::rating::Rating;
use super::words::{Gender, Phase, Status};
use crate::error::{Error, Result};
use crate::geo::{LatLng, Latitude, Longitude};
use crate::ids::{SchoolId, Urn};
use crate::units::Kilometres;

/// A school as it is stored, without the outline of its catchment.
///
/// The order of the fields is the order in which the backends select the columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct School {
    /// Its row in this database.
    pub id: SchoolId,
    /// Its number in the official register.
    pub urn: Urn,
    /// Its name, as the register writes it.
    pub name: String,
    /// The local authority it lies in.
    pub council: Option<String>,
    /// Whether it takes pupils.
    pub status: Status,
    /// Its phase of education.
    pub phase: Option<Phase>,
    /// The kind of establishment, in the register's words: `Community School`, `Academy Converter`, ...
    #[serde(rename = "type")]
    pub school_type: Option<String>,
    /// Whom it admits.
    pub gender: Option<Gender>,
    /// Its religious character, in the register's words, or `None` (the word) where it has none.
    pub faith: Option<String>,
    /// Its address in one line, without the postcode.
    pub address: Option<String>,
    /// Its postcode.
    pub postcode: Option<String>,
    /// Its website, which begins with `http://` or `https://`.
    pub website_url: Option<String>,
    /// Whether it is independent of the state, so that parents pay fees.
    pub is_private: Option<bool>,
    /// Whether it admits by ability, as a grammar school does. It refuses a child who does not qualify, also where
    /// places are left.
    pub is_selective: Option<bool>,
    /// The youngest age it admits, in years.
    pub age_range_from: Option<i16>,
    /// The age by which its oldest pupils leave, in years.
    pub age_range_to: Option<i16>,
    /// Its last Ofsted rating.
    pub ofsted_rating: Option<Rating>,
    /// Its latitude, in degrees north, or `None` where its location is unknown.
    pub lat: Option<Latitude>,
    /// Its longitude, in degrees east; `Some` exactly where `lat` is.
    pub lng: Option<Longitude>,
    /// Metres east on the Ordnance Survey National Grid.
    pub easting: Option<i32>,
    /// Metres north on the Ordnance Survey National Grid.
    pub northing: Option<i32>,
    /// The radius of its catchment in kilometres, where a council states one. It is not in the register: you store it.
    pub catchment_radius_km: Option<Kilometres>,
    /// The day it opened.
    pub opened_on: Option<NaiveDate>,
    /// The day it closed.
    pub closed_on: Option<NaiveDate>,
    /// The number of pupils that it is built for.
    pub capacity: Option<i32>,
    /// The number of its pupils.
    pub pupils: Option<i32>,
    /// The day on which the register last changed its record.
    pub source_date: Option<NaiveDate>,
    /// The version of the row: 1 at first, and one more after each update of the row or replacement of collections. An
    /// update states the version that it was made from.
    pub version: i32,
}

impl School {
    /// Returns the school that a repository would return after storing `new`, for test doubles of a repository.
    pub fn stored(id: SchoolId, version: i32, new: NewSchool) -> Self {
        build! {
            Self { id, version, lat: new.location.map(LatLng::lat), lng: new.location.map(LatLng::lng) }
            new: urn, name, council, status, phase, school_type, gender, faith, address, postcode, website_url,
            is_private, is_selective, age_range_from, age_range_to, ofsted_rating, easting, northing,
            catchment_radius_km, opened_on, closed_on, capacity, pupils, source_date
        }
    }

    /// Returns whether it takes pupils now. A school that is proposed to close does.
    pub fn is_open(&self) -> bool {
        self.status.is_open()
    }

    /// Returns its location.
    pub fn location(&self) -> Option<LatLng> {
        Some(LatLng::new(self.lat?, self.lng?))
    }
}

/// A school as a list of results shows it.
///
/// The order of the fields is the order in which the backends select the columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Queryable)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SchoolSummary {
    /// Its row in this database.
    pub id: SchoolId,
    /// Its number in the official register.
    pub urn: Urn,
    /// Its name, as the register writes it.
    pub name: String,
    /// The local authority it lies in.
    pub council: Option<String>,
    /// Whether it takes pupils.
    pub status: Status,
    /// Its phase of education.
    pub phase: Option<Phase>,
    /// The kind of establishment, in the register's words.
    #[serde(rename = "type")]
    pub school_type: Option<String>,
    /// Whom it admits.
    pub gender: Option<Gender>,
    /// Its religious character, in the register's words, or `None` (the word) where it has none.
    pub faith: Option<String>,
    /// Its postcode.
    pub postcode: Option<String>,
    /// Whether it is independent of the state.
    pub is_private: Option<bool>,
    /// The youngest age it admits, in years.
    pub age_range_from: Option<i16>,
    /// The age by which its oldest pupils leave, in years.
    pub age_range_to: Option<i16>,
    /// Its last Ofsted rating.
    pub ofsted_rating: Option<Rating>,
    /// Its latitude, in degrees north.
    pub lat: Option<Latitude>,
    /// Its longitude, in degrees east; `Some` exactly where `lat` is.
    pub lng: Option<Longitude>,
}

impl SchoolSummary {
    /// Returns an open school of which only its id, its URN and its name are known.
    pub fn new(id: SchoolId, urn: Urn, name: impl Into<String>) -> Self {
        build! {
            Self { id, urn, name: name.into(), status: Status::Open }
            None: council, phase, school_type, gender, faith, postcode, is_private, age_range_from, age_range_to,
            ofsted_rating, lat, lng
        }
    }

    /// Returns its location.
    pub fn location(&self) -> Option<LatLng> {
        Some(LatLng::new(self.lat?, self.lng?))
    }
}

/// A school that is suggested for a typed text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Suggestion {
    /// The school, and its distance from the home.
    #[serde(flatten)]
    pub hit: SchoolHit,
    /// The town of its address, in the register's words.
    pub town: Option<String>,
}

/// A school that matches a search, and its distance from the search's point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SchoolHit {
    /// The school.
    #[serde(flatten)]
    pub school: SchoolSummary,
    /// The great-circle distance from the search's point, or `None` where the search has no point or the school no
    /// location.
    pub distance_km: Option<Kilometres>,
}

impl SchoolHit {
    /// Returns a school and its distance.
    pub const fn new(school: SchoolSummary, distance_km: Option<Kilometres>) -> Self {
        Self { school, distance_km }
    }
}

/// A school that lacks a phase, and its ages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Queryable)]
#[non_exhaustive]
pub struct PhaseGap {
    /// The school.
    pub id: SchoolId,
    /// The youngest age it admits, in years.
    pub age_range_from: Option<i16>,
    /// The age by which its oldest pupils leave, in years.
    pub age_range_to: Option<i16>,
    /// The version that these ages were read from.
    pub version: i32,
}

impl PhaseGap {
    /// Returns a school without ages.
    pub const fn new(id: SchoolId, version: i32) -> Self {
        Self { id, age_range_from: None, age_range_to: None, version }
    }
}

/// A school to write. A field that is `None` is unknown.
///
/// ```
/// use school_finder_db::ids::Urn;
/// use school_finder_db::models::{NewSchool, Phase};
/// use school_finder_db::LatLng;
///
/// let school = NewSchool {
///     phase: Some(Phase::Primary),
///     location: Some(LatLng::from_lat_lng(52.0406, -0.7594)?),
///     ..NewSchool::new(Urn::new(110_533)?, "Hilltop Primary School")
/// };
/// assert_eq!(school.ofsted_rating, None);
/// # Ok::<(), school_finder_db::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSchool {
    /// See [`School::urn`].
    pub urn: Urn,
    /// See [`School::name`]. From 1 to 200 characters.
    pub name: String,
    /// See [`School::council`]. At most 100 characters.
    pub council: Option<String>,
    /// See [`School::status`].
    pub status: Status,
    /// See [`School::phase`].
    pub phase: Option<Phase>,
    /// See [`School::school_type`]. At most 100 characters.
    #[serde(rename = "type")]
    pub school_type: Option<String>,
    /// See [`School::gender`].
    pub gender: Option<Gender>,
    /// See [`School::faith`]. At most 100 characters.
    pub faith: Option<String>,
    /// See [`School::address`]. At most 500 characters.
    pub address: Option<String>,
    /// See [`School::postcode`]. At most 10 characters.
    pub postcode: Option<String>,
    /// See [`School::website_url`]. At most 1,000 characters.
    pub website_url: Option<String>,
    /// See [`School::is_private`].
    pub is_private: Option<bool>,
    /// See [`School::is_selective`].
    pub is_selective: Option<bool>,
    /// See [`School::age_range_from`].
    pub age_range_from: Option<i16>,
    /// See [`School::age_range_to`].
    pub age_range_to: Option<i16>,
    /// See [`School::ofsted_rating`].
    pub ofsted_rating: Option<Rating>,
    /// Its location.
    pub location: Option<LatLng>,
    /// See [`School::easting`].
    pub easting: Option<i32>,
    /// See [`School::northing`].
    pub northing: Option<i32>,
    /// See [`School::catchment_radius_km`].
    pub catchment_radius_km: Option<Kilometres>,
    /// See [`School::opened_on`].
    pub opened_on: Option<NaiveDate>,
    /// See [`School::closed_on`].
    pub closed_on: Option<NaiveDate>,
    /// See [`School::capacity`].
    pub capacity: Option<i32>,
    /// See [`School::pupils`].
    pub pupils: Option<i32>,
    /// See [`School::source_date`].
    pub source_date: Option<NaiveDate>,
}

impl NewSchool {
    /// Returns an open school of which only the URN and the name are known.
    pub fn new(urn: Urn, name: impl Into<String>) -> Self {
        build! {
            Self { urn, name: name.into(), status: Status::Open }
            None: council, phase, school_type, gender, faith, address, postcode, website_url, is_private, is_selective,
            age_range_from, age_range_to, ofsted_rating, location, easting, northing, catchment_radius_km, opened_on,
            closed_on, capacity, pupils, source_date
        }
    }

    /// Checks what the databases do not check, or not in the same way: its texts, dates and location.
    ///
    /// # Errors
    /// [`Error::InvalidText`], [`Error::TooLong`], [`Error::InvalidDate`] or [`Error::SuspectSwapped`].
    pub fn validate(&self) -> Result<()> {
        let fields! {
            Self {
                name, council, school_type, faith, address, postcode, website_url, location, catchment_radius_km,
                opened_on, closed_on, source_date
            }
            unchecked: urn, status, phase, gender, is_private, is_selective, age_range_from, age_range_to,
            ofsted_rating, easting, northing, capacity, pupils
        } = self;
        check_text("name", Some(name), 200)?;
        check_folded(name)?;
        check_text("council", council.as_ref(), 100)?;
        check_text("type", school_type.as_ref(), 100)?;
        check_text("faith", faith.as_ref(), 100)?;
        check_text("address", address.as_ref(), 500)?;
        check_text("postcode", postcode.as_ref(), 10)?;
        check_text("website_url", website_url.as_ref(), 1_000)?;
        check_link("website_url", website_url.as_ref())?;
        check_date("opened_on", *opened_on)?;
        check_date("closed_on", *closed_on)?;
        check_date("source_date", *source_date)?;
        if catchment_radius_km.is_some_and(|km| !(km > Kilometres::ZERO && km.get() <= 20_015.1)) {
            return Err(Error::Radius);
        }
        location.map_or(Ok(()), LatLng::refuse_swapped)
    }

    /// Returns this school's values, or the stored ones where they are `None`, so that values from other sources than
    /// the register survive. Exceptions: the closing date is removed when a school is open again. Where only one age is
    /// given, the other is the stored one, unless the two contradict each other. A new location or grid reference
    /// replaces both.
    #[must_use]
    pub fn or_stored(self, stored: &Self) -> Self {
        let (age_range_from, age_range_to) =
            super::either_range((self.age_range_from, self.age_range_to), (stored.age_range_from, stored.age_range_to));
        // Replacing a part of a location could combine values that do not fit.
        let is_located = self.location.is_some() || self.easting.is_some() || self.northing.is_some();
        let from = if is_located { &self } else { stored };
        let (location, easting, northing) = (from.location, from.easting, from.northing);
        let closed_on = match self.status {
            Status::Closed | Status::ProposedToClose => self.closed_on.or(stored.closed_on),
            Status::Open | Status::ProposedToOpen => self.closed_on,
        };
        build! {
            Self {
                urn: self.urn, name: self.name, status: self.status, age_range_from, age_range_to, location, easting,
                northing, closed_on
            }
            self or stored: council, phase, school_type, gender, faith, address, postcode, website_url, is_private,
            is_selective, ofsted_rating, catchment_radius_km, opened_on, capacity, pupils, source_date
        }
    }
}

impl From<School> for SchoolSummary {
    fn from(school: School) -> Self {
        build! {
            Self { id: school.id }
            school: urn, name, council, status, phase, school_type, gender, faith, postcode, is_private,
            age_range_from, age_range_to, ofsted_rating, lat, lng
        }
    }
}

impl From<School> for NewSchool {
    fn from(school: School) -> Self {
        let location = school.location();
        build! {
            Self { location }
            school: urn, name, council, status, phase, school_type, gender, faith, address, postcode, website_url,
            is_private, is_selective, age_range_from, age_range_to, ofsted_rating, easting, northing,
            catchment_radius_km, opened_on, closed_on, capacity, pupils, source_date
        }
    }
}
