//! The columns to write, each listed once with the field that it is written from.
//!
//! They are macros, since each backend has its own `schema` module.

mod collections;

pub(crate) use collections::{
    admissions, child_values, clubs, fees, link_columns, link_values, links, performance, private_details, reviews,
    term_dates,
};

use crate::models::NewSchool;

/// Passes every column but the id to `$then!`, with the field of a new school that it is written from, and how.
macro_rules! school_columns {
    ($then:ident, $($context:tt)*) => {
        $then! { $($context)*;
            urn: urn => urn,
            name_folded: name => $crate::text::fold(name),
            name: name => name,
            council: council => council,
            status: status => status,
            phase: phase => phase,
            type_: school_type => school_type,
            gender: gender => gender,
            faith: faith => faith,
            address: address => address,
            postcode: postcode => postcode,
            website_url: website_url => website_url,
            is_private: is_private => is_private,
            age_range_from: age_range_from => age_range_from,
            age_range_to: age_range_to => age_range_to,
            ofsted_rating: ofsted_rating => ofsted_rating,
            lat: location => location.map(LatLng::lat),
            lng: location => location.map(LatLng::lng),
            easting: easting => easting,
            northing: northing => northing,
            catchment_radius_km: catchment_radius_km => catchment_radius_km,
            opened_on: opened_on => opened_on,
            closed_on: closed_on => closed_on,
            capacity: capacity => capacity,
            pupils: pupils => pupils,
            source_date: source_date => source_date,
        }
    };
}

/// A field without a column does not compile.
const _: fn(&NewSchool) = |NewSchool {
                               urn: _,
                               name: _,
                               council: _,
                               status: _,
                               phase: _,
                               school_type: _,
                               gender: _,
                               faith: _,
                               address: _,
                               postcode: _,
                               website_url: _,
                               is_private: _,
                               age_range_from: _,
                               age_range_to: _,
                               ofsted_rating: _,
                               location: _,
                               easting: _,
                               northing: _,
                               catchment_radius_km: _,
                               opened_on: _,
                               closed_on: _,
                               capacity: _,
                               pupils: _,
                               source_date: _,
                           }| ();

/// Every column but the id with a new school's value, for an INSERT's `values` and an UPDATE's `set`.
macro_rules! school_values {
    ($table:ident, $school:expr) => {
        $crate::columns::school_columns!(school_values, each $table, $school)
    };
    (each $table:ident, $school:expr; $($column:ident: $field:ident => $value:expr,)+) => {
        ($(
            $table::$column.eq({
                let NewSchool { $field, .. } = $school;
                $value
            }),
        )+)
    };
}

pub(crate) use {school_columns, school_values};
