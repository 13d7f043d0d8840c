//! The columns of each model.

use crate::columns;
use crate::models::{
    Admissions, AdmissionsCriterion, NewLink, Performance, PrivateDetails, PrivateFee, Review, School, SchoolClub,
    SchoolIdentifiers, SchoolLink, SchoolSummary, TermDates,
};

use super::super::dialect::Db;
use super::super::schema::{
    admissions_criteria, admissions_history, private_school_details, private_school_fees, school_clubs,
    school_identifiers, school_links, school_performance, school_reviews, school_term_dates, schools,
};

/// Makes a model selectable from its table. Each field is listed once, in the model's order, with its column where that
/// has another name; a missing one does not compile.
macro_rules! selectable {
    ($model:ident, $table:ident { $($field:ident $(: $column:ident)?),+ $(,)? }) => {
        impl diesel::Selectable<Db> for $model {
            type SelectExpression = ($(selectable!(@column $table, $field $(, $column)?),)+);

            fn construct_selection() -> Self::SelectExpression {
                ($(selectable!(@column $table, $field $(, $column)?),)+)
            }
        }

        const _: fn(&$model) = |$model { $($field: _),+ }| ();
    };
    (@column $table:ident, $column:ident) => { $table::$column };
    (@column $table:ident, $field:ident, $column:ident) => { $table::$column };
}

selectable! { School, schools {
    id, urn, name, council, status, phase, school_type: type_, gender, faith, address, postcode, website_url, is_private,
    is_selective, age_range_from, age_range_to, ofsted_rating, lat, lng, easting, northing, catchment_radius_km,
    opened_on, closed_on, capacity, pupils, source_date, version,
} }

selectable! { SchoolSummary, schools {
    id, urn, name, council, status, phase, school_type: type_, gender, faith, postcode, is_private, age_range_from,
    age_range_to, ofsted_rating, lat, lng,
} }

columns::clubs!(selectable!());
columns::term_dates!(selectable!());
columns::performance!(selectable!());
columns::private_details!(selectable!());
columns::fees!(selectable!());
columns::identifiers!(selectable!());
columns::admissions!(selectable!());
columns::admissions_criteria!(selectable!());
columns::reviews!(selectable!());
columns::links!(selectable!());
columns::new_links!(selectable!());
