// @generated automatically by Diesel CLI.

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    admissions_criteria (id) {
        id -> Int8,
        school_id -> Int8,
        academic_year -> Int2,
        intake -> Nullable<Text>,
        criterion -> Text,
        places_offered -> Nullable<Int4>,
        applications_received -> Nullable<Int4>,
        last_distance_offered_km -> Nullable<Float8>,
        source -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    admissions_history (id) {
        id -> Int8,
        school_id -> Int8,
        academic_year -> Int2,
        intake -> Nullable<Text>,
        places_offered -> Nullable<Int4>,
        applications_received -> Nullable<Int4>,
        last_distance_offered_km -> Nullable<Float8>,
        waiting_list_offers -> Nullable<Int4>,
        appeals_heard -> Nullable<Int4>,
        appeals_upheld -> Nullable<Int4>,
        had_vacancies -> Nullable<Bool>,
        notes -> Nullable<Text>,
        source -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    admissions_reach (id) {
        id -> Int8,
        school_id -> Int8,
        intake -> Nullable<Text>,
        academic_year -> Int2,
        recency -> Int8,
        least_km -> Float8,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    folded_names (name) {
        name -> Text,
        name_folded -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    postcodes (postcode) {
        postcode -> Text,
        lat -> Float8,
        lng -> Float8,
        uncertainty_m -> Int2,
        terminated_on -> Nullable<Date>,
        is_withdrawn -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    private_school_details (id) {
        id -> Int8,
        school_id -> Int8,
        fees_notes -> Nullable<Text>,
        day_starts_at -> Nullable<Time>,
        day_ends_at -> Nullable<Time>,
        transport -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    private_school_fees (id) {
        id -> Int8,
        school_id -> Int8,
        academic_year -> Int2,
        age_from -> Int2,
        age_to -> Int2,
        per_term -> Nullable<Numeric>,
        per_year -> Nullable<Numeric>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    school_clubs (id) {
        id -> Int8,
        school_id -> Int8,
        kind -> Text,
        name -> Nullable<Text>,
        days -> Nullable<Int2>,
        starts_at -> Nullable<Time>,
        ends_at -> Nullable<Time>,
        cost -> Nullable<Numeric>,
        cost_per -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    school_finder_migrations (version) {
        version -> Text,
        checksum -> Text,
        floor -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    school_identifiers (id) {
        id -> Int8,
        school_id -> Int8,
        la_code -> Nullable<Int2>,
        establishment_number -> Nullable<Int2>,
        ukprn -> Nullable<Int4>,
        source -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    school_links (id) {
        id -> Int8,
        school_id -> Nullable<Int8>,
        urn -> Int4,
        linked_school_id -> Nullable<Int8>,
        linked_urn -> Int4,
        linked_name -> Nullable<Text>,
        kind -> Text,
        linked_on -> Nullable<Date>,
        link_type -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    school_performance (id) {
        id -> Int8,
        school_id -> Int8,
        metric -> Text,
        year -> Int2,
        value -> Nullable<Numeric>,
        is_suppressed -> Bool,
        national_average -> Nullable<Numeric>,
        source -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    school_reviews (id) {
        id -> Int8,
        school_id -> Nullable<Int8>,
        urn -> Int4,
        school_name -> Text,
        source -> Text,
        rating -> Nullable<Int2>,
        snippet -> Nullable<Text>,
        reviewed_on -> Nullable<Date>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    school_term_dates (id) {
        id -> Int8,
        school_id -> Int8,
        academic_year -> Int2,
        term -> Text,
        starts_on -> Date,
        ends_on -> Date,
        half_term_starts_on -> Nullable<Date>,
        half_term_ends_on -> Nullable<Date>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    school_towns (school_id) {
        school_id -> Int8,
        town -> Nullable<Text>,
        name -> Text,
        council -> Nullable<Text>,
        postcode -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    school_vocabulary (word) {
        word -> Text,
        reversed -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    school_words (word, school_id) {
        word -> Text,
        school_id -> Int8,
        in_name -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    schools (id) {
        id -> Int8,
        urn -> Int4,
        name -> Text,
        name_folded -> Text,
        council -> Nullable<Text>,
        status -> Text,
        #[sql_name = "type"]
        type_ -> Nullable<Text>,
        gender -> Nullable<Text>,
        faith -> Nullable<Text>,
        address -> Nullable<Text>,
        postcode -> Nullable<Text>,
        website_url -> Nullable<Text>,
        is_private -> Nullable<Bool>,
        is_selective -> Nullable<Bool>,
        age_range_from -> Nullable<Int2>,
        age_range_to -> Nullable<Int2>,
        ofsted_rating -> Nullable<Int2>,
        lat -> Nullable<Float8>,
        lng -> Nullable<Float8>,
        easting -> Nullable<Int4>,
        northing -> Nullable<Int4>,
        catchment_radius_km -> Nullable<Float8>,
        catchment_geometry -> Nullable<Geometry>,
        opened_on -> Nullable<Date>,
        closed_on -> Nullable<Date>,
        capacity -> Nullable<Int4>,
        pupils -> Nullable<Int4>,
        source_date -> Nullable<Date>,
        phase -> Nullable<Text>,
        location -> Nullable<Geography>,
        catchment_circle -> Nullable<Geometry>,
        version -> Int4,
    }
}

diesel::joinable!(admissions_criteria -> schools (school_id));
diesel::joinable!(admissions_history -> schools (school_id));
diesel::joinable!(private_school_details -> schools (school_id));
diesel::joinable!(private_school_fees -> schools (school_id));
diesel::joinable!(school_clubs -> schools (school_id));
diesel::joinable!(school_identifiers -> schools (school_id));
diesel::joinable!(school_performance -> schools (school_id));
diesel::joinable!(school_reviews -> schools (school_id));
diesel::joinable!(school_term_dates -> schools (school_id));
diesel::joinable!(school_towns -> schools (school_id));
diesel::joinable!(school_words -> schools (school_id));
diesel::joinable!(schools -> folded_names (name));

diesel::allow_tables_to_appear_in_same_query!(
    admissions_criteria,
    admissions_history,
    admissions_reach,
    folded_names,
    postcodes,
    private_school_details,
    private_school_fees,
    school_clubs,
    school_finder_migrations,
    school_identifiers,
    school_links,
    school_performance,
    school_reviews,
    school_term_dates,
    school_towns,
    school_vocabulary,
    school_words,
    schools,
);
