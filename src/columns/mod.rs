//! The columns to write, each listed once with the field that it is written from.
//!
//! They are macros, since each backend has its own `schema` module.

mod collections;

pub(crate) use collections::{
    admissions, admissions_criteria, child_values, clubs, fees, identifiers, links, new_links, performance,
    private_details, reviews, row_values, term_dates,
};

/// Passes every column but the id to `$then!`, after the field of a new school that it is written from.
macro_rules! school_columns {
    ($then:ident, $($context:tt)*) => {
        $crate::columns::school_columns! {
            same: urn, council, status, phase, gender, faith, address, postcode, website_url, is_private, is_selective,
            age_range_from, age_range_to, ofsted_rating, easting, northing, catchment_radius_km, opened_on, closed_on,
            capacity, pupils, source_date;
            $then, $($context)*
        }
    };
    (same: $($same:ident),+; $then:ident, $($context:tt)*) => {
        $then! { $($context)*;
            $($same => $same: $same;)+
            name => name: name, name_folded: $crate::text::fold(name);
            school_type => type_: school_type;
            location => lat: location.map(LatLng::lat), lng: location.map(LatLng::lng);
        }
    };
}

/// Every column but the id with a new school's value, for an INSERT's `values` and an UPDATE's `set`. A field without a
/// column does not compile.
macro_rules! school_values {
    ($table:ident, $school:expr) => {
        $crate::columns::school_columns!(school_values, each $table, $school)
    };
    (each $table:ident, $school:expr; $($field:ident => $($column:ident: $value:expr),+;)+) => {{
        let NewSchool { $($field),+ } = $school;
        ($($($table::$column.eq($value),)+)+)
    }};
}

pub(crate) use {school_columns, school_values};
