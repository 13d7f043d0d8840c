//! The fields of each collection, listed once for reads and writes on every backend.
//!
//! Each macro passes its model, table and columns to another macro, after that macro's own arguments.

macro_rules! clubs {
    ($then:ident!($($arguments:tt)*)) => {
        $then! { $($arguments)* SchoolClub, school_clubs { kind, name, days, starts_at, ends_at, cost, cost_per } }
    };
}

macro_rules! term_dates {
    ($then:ident!($($arguments:tt)*)) => {
        $then! { $($arguments)* TermDates, school_term_dates {
            academic_year, term, starts_on, ends_on, half_term_starts_on, half_term_ends_on
        } }
    };
}

macro_rules! performance {
    ($then:ident!($($arguments:tt)*)) => {
        $then! { $($arguments)* Performance, school_performance {
            metric, year, value, is_suppressed, national_average, source
        } }
    };
}

macro_rules! private_details {
    ($then:ident!($($arguments:tt)*)) => {
        $then! { $($arguments)* PrivateDetails, private_school_details {
            fees_notes, day_starts_at, day_ends_at, transport
        } }
    };
}

macro_rules! fees {
    ($then:ident!($($arguments:tt)*)) => {
        $then! { $($arguments)* PrivateFee, private_school_fees {
            academic_year, age_from, age_to, per_term, per_year
        } }
    };
}

macro_rules! identifiers {
    ($then:ident!($($arguments:tt)*)) => {
        $then! { $($arguments)* SchoolIdentifiers, school_identifiers {
            la_code, establishment_number, ukprn, source
        } }
    };
}

macro_rules! admissions {
    ($then:ident!($($arguments:tt)*)) => {
        $then! { $($arguments)* Admissions, admissions_history {
            academic_year, intake, places_offered, applications_received, last_distance_offered_km, waiting_list_offers,
            appeals_heard, appeals_upheld, had_vacancies, notes, source
        } }
    };
}

macro_rules! admissions_criteria {
    ($then:ident!($($arguments:tt)*)) => {
        $then! { $($arguments)* AdmissionsCriterion, admissions_criteria {
            academic_year, intake, criterion, places_offered, applications_received, last_distance_offered_km, source
        } }
    };
}

macro_rules! reviews {
    ($then:ident!($($arguments:tt)*)) => {
        $then! { $($arguments)* Review, school_reviews {
            urn, school_name, source, rating, snippet, reviewed_on
        } }
    };
}

macro_rules! links {
    ($then:ident!($($arguments:tt)*)) => {
        $then! { $($arguments)* SchoolLink, school_links {
            urn, linked_urn, linked_school_id, linked_name, kind, link_type, linked_on
        } }
    };
}

/// A link to write: triggers set its ids.
macro_rules! new_links {
    ($then:ident!($($arguments:tt)*)) => {
        $then! { $($arguments)* NewLink, school_links { urn, linked_urn, kind, linked_name, link_type, linked_on } }
    };
}

/// The values of a row. A missing field does not compile.
macro_rules! row_values {
    ($row:expr, $model:ident, $table:ident { $($field:ident),+ }) => {{
        let $model { $($field),+ } = $row;
        ($($table::$field.eq($field)),+)
    }};
}

/// The values of a row, with its school. A missing field does not compile.
macro_rules! child_values {
    ($school_id:expr, $row:expr, $model:ident, $table:ident { $($field:ident),+ }) => {{
        let $model { $($field),+ } = $row;
        ($table::school_id.eq($school_id), $($table::$field.eq($field)),+)
    }};
}

pub(crate) use {
    admissions, admissions_criteria, child_values, clubs, fees, identifiers, links, new_links, performance,
    private_details, reviews, row_values, term_dates,
};
