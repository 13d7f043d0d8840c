//! The columns of each model.

use crate::columns;
use crate::models::{
    Admissions, NewLink, Performance, PrivateDetails, PrivateFee, Review, School, SchoolClub, SchoolLink,
    SchoolSummary, TermDates,
};

use super::super::dialect::Db;
use super::super::schema::{
    admissions_history, private_school_details, private_school_fees, school_clubs, school_links, school_performance,
    school_reviews, school_term_dates, schools,
};

/// Makes a model selectable from its table. Each field is listed once with its column, in the model's order; a missing
/// one does not compile.
macro_rules! selectable {
    ($model:ident, $table:ident { $($field:ident),+ $(,)? }) => {
        selectable!($model, $table { $($field: $field),+ });
    };
    ($model:ident, $table:ident { $($field:ident: $column:ident),+ $(,)? }) => {
        impl diesel::Selectable<Db> for $model {
            type SelectExpression = ($($table::$column,)+);

            fn construct_selection() -> Self::SelectExpression {
                ($($table::$column,)+)
            }
        }

        const _: fn(&$model) = |$model { $($field: _),+ }| ();
    };
}

selectable!(
    School,
    schools {
        id: id,
        urn: urn,
        name: name,
        council: council,
        status: status,
        phase: phase,
        school_type: type_,
        gender: gender,
        faith: faith,
        address: address,
        postcode: postcode,
        website_url: website_url,
        is_private: is_private,
        is_selective: is_selective,
        age_range_from: age_range_from,
        age_range_to: age_range_to,
        ofsted_rating: ofsted_rating,
        lat: lat,
        lng: lng,
        easting: easting,
        northing: northing,
        catchment_radius_km: catchment_radius_km,
        opened_on: opened_on,
        closed_on: closed_on,
        capacity: capacity,
        pupils: pupils,
        source_date: source_date,
        version: version,
    }
);

selectable!(
    SchoolSummary,
    schools {
        id: id,
        urn: urn,
        name: name,
        council: council,
        status: status,
        phase: phase,
        school_type: type_,
        gender: gender,
        faith: faith,
        postcode: postcode,
        is_private: is_private,
        age_range_from: age_range_from,
        age_range_to: age_range_to,
        ofsted_rating: ofsted_rating,
        lat: lat,
        lng: lng,
    }
);

columns::clubs!(selectable!());
columns::term_dates!(selectable!());
columns::performance!(selectable!());
columns::private_details!(selectable!());
columns::fees!(selectable!());
columns::admissions!(selectable!());
columns::reviews!(selectable!());
columns::links!(selectable!());
columns::new_links!(selectable!());
