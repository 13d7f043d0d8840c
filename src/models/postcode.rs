//! Postcodes, and the homes that they place.

use chrono::NaiveDate;
use diesel::Queryable;
use serde::{Deserialize, Serialize};

use super::{check_date, words};
use crate::error::{Error, Result};
use crate::geo::LatLng;
use crate::ids::Postcode;

/// Where a published file places a postcode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PostcodePlace {
    /// The whole postcode.
    pub postcode: Postcode,
    /// Its place, which is not (0, 0).
    #[serde(flatten)]
    pub location: LatLng,
    /// How far a home in it may be from there, in metres: at least 1.
    pub uncertainty_m: i16,
    /// The first day of the month in which it was ended, if it was.
    pub terminated_on: Option<NaiveDate>,
}

impl PostcodePlace {
    pub(crate) fn validate(&self) -> Result<()> {
        let Self { postcode, location, uncertainty_m, terminated_on } = self;
        let invalid = |reason| Err(Error::InvalidText { field: "postcode", reason });
        if !postcode.is_unit() {
            return invalid("is a part of a postcode, and a whole one is needed");
        } else if (location.lat().degrees(), location.lng().degrees()) == (0.0, 0.0) || *uncertainty_m < 1 {
            return invalid("has no place: leave it out");
        }
        check_date("terminated_on", *terminated_on)
    }
}

/// A row of the table of postcodes.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub(crate) struct PostcodeRow {
    pub(crate) postcode: String,
    pub(crate) lat: f64,
    pub(crate) lng: f64,
    pub(crate) uncertainty_m: i16,
    pub(crate) terminated_on: Option<NaiveDate>,
    pub(crate) is_withdrawn: bool,
}

impl From<PostcodePlace> for PostcodeRow {
    fn from(PostcodePlace { postcode, location, uncertainty_m, terminated_on }: PostcodePlace) -> Self {
        let (lat, lng) = (location.lat().degrees(), location.lng().degrees());
        Self { postcode: postcode.key().to_owned(), lat, lng, uncertainty_m, terminated_on, is_withdrawn: false }
    }
}

words! {
    /// What places a home.
    HomeSource, "source of a home" {
        /// Its postcode.
        Postcode = "postcode",
        /// Its postcode, which has ended.
        Terminated = "terminated_postcode",
        /// Its postcode, which the newest imported file of its area lacks.
        Withdrawn = "withdrawn_postcode",
        /// The middle of the postcodes of a sector, such as MK9 3.
        Sector = "sector",
        /// The middle of the postcodes of an outcode, such as MK9.
        Outcode = "outcode",
        /// The schools that have the postcode or begin with the part of one, where it is not among the imported ones.
        School = "school",
    }
}

/// A home that a postcode places. Its display is the sentence's part that says where distances begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Home {
    /// The postcode, or the part of one, as it was understood.
    pub postcode: Postcode,
    /// The place.
    #[serde(flatten)]
    pub location: LatLng,
    /// What places it.
    pub source: HomeSource,
    /// How far the home may be from that place, in metres: an estimate.
    pub uncertainty_m: i32,
    /// The first day of the month in which the postcode was ended, if it was.
    pub terminated_on: Option<NaiveDate>,
}

impl std::fmt::Display for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { postcode, location: _, source, uncertainty_m, terminated_on } = self;
        match source {
            HomeSource::Postcode => write!(f, "the centre of the postcode {postcode}")?,
            HomeSource::Terminated | HomeSource::Withdrawn => write!(f, "the last centre of the postcode {postcode}")?,
            HomeSource::Sector => write!(f, "the middle of the sector {postcode}")?,
            HomeSource::Outcode => write!(f, "the middle of the outcode {postcode}")?,
            HomeSource::School => write!(f, "the schools in {postcode}, which is not among the imported postcodes")?,
        }
        match terminated_on {
            Some(day) => write!(f, ", which ended in {}", day.format("%B %Y"))?,
            None if *source == HomeSource::Withdrawn => f.write_str(", which the newest postcodes lack")?,
            None => {}
        }
        match uncertainty_m {
            metres @ ..1_000 => write!(f, ", up to {metres} m from the home"),
            metres => write!(f, ", up to {:.1} km from the home", f64::from(*metres) / 1_000.0),
        }
    }
}
