//! Patches of a school.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::school::NewSchool;
use super::words::{Gender, Phase, Status};
use crate::geo::LatLng;

/// The changes to a school. A field that is `None` is left unchanged; `Some(None)` makes a value unknown. In JSON, a
/// missing field is left unchanged, and `null` makes a value unknown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchoolPatch {
    /// See [`School::name`](super::School::name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// See [`School::status`](super::School::status). A school that opens again loses its `closed_on`, unless one is
    /// given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// See [`School::council`](super::School::council).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub council: Option<Option<String>>,
    /// See [`School::phase`](super::School::phase).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub phase: Option<Option<Phase>>,
    /// See [`School::school_type`](super::School::school_type).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none", rename = "type")]
    pub school_type: Option<Option<String>>,
    /// See [`School::gender`](super::School::gender).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub gender: Option<Option<Gender>>,
    /// See [`School::faith`](super::School::faith).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub faith: Option<Option<String>>,
    /// See [`School::address`](super::School::address).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub address: Option<Option<String>>,
    /// See [`School::postcode`](super::School::postcode).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub postcode: Option<Option<String>>,
    /// See [`School::website_url`](super::School::website_url).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub website_url: Option<Option<String>>,
    /// See [`School::is_private`](super::School::is_private).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub is_private: Option<Option<bool>>,
    /// See [`School::age_range_from`](super::School::age_range_from).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub age_range_from: Option<Option<i16>>,
    /// See [`School::age_range_to`](super::School::age_range_to).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub age_range_to: Option<Option<i16>>,
    /// See [`School::ofsted_rating`](super::School::ofsted_rating).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub ofsted_rating: Option<Option<i16>>,
    /// The school's location.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub location: Option<Option<LatLng>>,
    /// See [`School::easting`](super::School::easting).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub easting: Option<Option<i32>>,
    /// See [`School::northing`](super::School::northing).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub northing: Option<Option<i32>>,
    /// See [`School::catchment_radius_km`](super::School::catchment_radius_km).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub catchment_radius_km: Option<Option<f64>>,
    /// See [`School::opened_on`](super::School::opened_on).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub opened_on: Option<Option<NaiveDate>>,
    /// See [`School::closed_on`](super::School::closed_on).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub closed_on: Option<Option<NaiveDate>>,
    /// See [`School::capacity`](super::School::capacity).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Option<i32>>,
    /// See [`School::pupils`](super::School::pupils).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub pupils: Option<Option<i32>>,
    /// See [`School::source_date`](super::School::source_date).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub source_date: Option<Option<NaiveDate>>,
}

/// Reads a field that is present as given, also where it is `null`.
#[expect(clippy::option_option, reason = "as the fields")]
fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

impl SchoolPatch {
    /// Returns the school with these changes.
    pub(crate) fn apply(&self, school: NewSchool) -> NewSchool {
        fn or<T: Clone>(new: &Option<T>, old: T) -> T {
            new.clone().unwrap_or(old)
        }
        // Destructured without `..`, so that a new field does not compile until it is applied here.
        let Self {
            name,
            status,
            council,
            phase,
            school_type,
            gender,
            faith,
            address,
            postcode,
            website_url,
            is_private,
            age_range_from,
            age_range_to,
            ofsted_rating,
            location,
            easting,
            northing,
            catchment_radius_km,
            opened_on,
            closed_on,
            capacity,
            pupils,
            source_date,
        } = self;
        // A school that opens again has no day on which it closed, unless one is given.
        let opens = *status == Some(Status::Open) && school.status != Status::Open;
        let closed_on_before = school.closed_on.filter(|_| !opens);
        NewSchool {
            urn: school.urn,
            name: or(name, school.name),
            status: or(status, school.status),
            council: or(council, school.council),
            phase: or(phase, school.phase),
            school_type: or(school_type, school.school_type),
            gender: or(gender, school.gender),
            faith: or(faith, school.faith),
            address: or(address, school.address),
            postcode: or(postcode, school.postcode),
            website_url: or(website_url, school.website_url),
            is_private: or(is_private, school.is_private),
            age_range_from: or(age_range_from, school.age_range_from),
            age_range_to: or(age_range_to, school.age_range_to),
            ofsted_rating: or(ofsted_rating, school.ofsted_rating),
            location: or(location, school.location),
            easting: or(easting, school.easting),
            northing: or(northing, school.northing),
            catchment_radius_km: or(catchment_radius_km, school.catchment_radius_km),
            opened_on: or(opened_on, school.opened_on),
            closed_on: or(closed_on, closed_on_before),
            capacity: or(capacity, school.capacity),
            pupils: or(pupils, school.pupils),
            source_date: or(source_date, school.source_date),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Urn;

    #[test]
    fn a_school_that_opens_again_has_no_closing_day() {
        let day = NaiveDate::from_ymd_opt(2025, 8, 31);
        let urn = Urn::new(100_001).expect("a URN");
        let closed = NewSchool { status: Status::Closed, closed_on: day, ..NewSchool::new(urn, "A School") };
        let open = SchoolPatch { status: Some(Status::Open), ..SchoolPatch::default() };
        assert_eq!(open.apply(closed.clone()).closed_on, None);
        let given = SchoolPatch { closed_on: Some(day), ..open };
        assert_eq!(given.apply(closed.clone()).closed_on, day);
        // One that is open may have a day in the future.
        let renamed = SchoolPatch { name: Some("Another".to_owned()), ..SchoolPatch::default() };
        assert_eq!(renamed.apply(closed).closed_on, day);
    }
}
