//! Patches of a school.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::rating::Rating;
use super::school::NewSchool;
use super::words::{Gender, Phase, Status};
use crate::geo::LatLng;
use crate::units::Kilometres;

/// A patch of [`NewSchool`]: an `Option` for each field of it but the URN. A missing field does not compile.
macro_rules! school_patch {
    ($(#[$doc:meta])* $patch:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $patch {
            $(
                #[doc = concat!("See [`NewSchool::", stringify!($field), "`].")]
                $(#[$attribute])*
                #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )+
        }

        impl $patch {
            /// Sets the given fields of a school.
            fn set(&self, NewSchool { urn: _, $($field),+ }: &mut NewSchool) {
                $(
                    if let Some(value) = &self.$field {
                        $field.clone_from(value);
                    }
                )+
            }
        }
    };
}

school_patch! {
    /// The changes to a school. A field that is `None` is left unchanged; `Some(None)` makes a value unknown. In JSON,
    /// a missing field is left unchanged, and `null` makes a value unknown.
    SchoolPatch {
        name: String,
        /// A school that opens again loses its `closed_on`, unless one is given.
        status: Status,
        council: Option<String>,
        phase: Option<Phase>,
        #[serde(rename = "type")]
        school_type: Option<String>,
        gender: Option<Gender>,
        faith: Option<String>,
        address: Option<String>,
        postcode: Option<String>,
        website_url: Option<String>,
        is_private: Option<bool>,
        is_selective: Option<bool>,
        age_range_from: Option<i16>,
        age_range_to: Option<i16>,
        ofsted_rating: Option<Rating>,
        location: Option<LatLng>,
        easting: Option<i32>,
        northing: Option<i32>,
        catchment_radius_km: Option<Kilometres>,
        opened_on: Option<NaiveDate>,
        closed_on: Option<NaiveDate>,
        capacity: Option<i32>,
        pupils: Option<i32>,
        source_date: Option<NaiveDate>,
    }
}

/// Reads a field that is present as given, also where it is `null`.
fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

impl SchoolPatch {
    /// Returns the school with these changes.
    pub(crate) fn apply(&self, mut school: NewSchool) -> NewSchool {
        if self.status == Some(Status::Open) && school.status != Status::Open {
            school.closed_on = None;
        }
        self.set(&mut school);
        school
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
