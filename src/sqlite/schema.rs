// @generated automatically by Diesel CLI.

diesel::table! {
    admissions_criteria (id) {
        id -> BigInt,
        school_id -> BigInt,
        academic_year -> SmallInt,
        intake -> Nullable<Text>,
        criterion -> Text,
        places_offered -> Nullable<Integer>,
        applications_received -> Nullable<Integer>,
        last_distance_offered_km -> Nullable<Double>,
        source -> Nullable<Text>,
    }
}

diesel::table! {
    admissions_history (id) {
        id -> BigInt,
        school_id -> BigInt,
        academic_year -> SmallInt,
        intake -> Nullable<Text>,
        places_offered -> Nullable<Integer>,
        applications_received -> Nullable<Integer>,
        last_distance_offered_km -> Nullable<Double>,
        waiting_list_offers -> Nullable<Integer>,
        appeals_heard -> Nullable<Integer>,
        appeals_upheld -> Nullable<Integer>,
        had_vacancies -> Nullable<Bool>,
        notes -> Nullable<Text>,
        source -> Nullable<Text>,
    }
}

diesel::table! {
    admissions_reach (id) {
        id -> BigInt,
        school_id -> BigInt,
        intake -> Nullable<Text>,
        academic_year -> SmallInt,
        recency -> BigInt,
        least_km -> Double,
    }
}

diesel::table! {
    folded_names (name) {
        name -> Text,
        name_folded -> Text,
    }
}

diesel::table! {
    postcodes (postcode) {
        postcode -> Text,
        lat -> Double,
        lng -> Double,
        uncertainty_m -> SmallInt,
        terminated_on -> Nullable<Date>,
        is_withdrawn -> Bool,
    }
}

diesel::table! {
    private_school_details (id) {
        id -> BigInt,
        school_id -> BigInt,
        fees_notes -> Nullable<Text>,
        day_starts_at -> Nullable<Time>,
        day_ends_at -> Nullable<Time>,
        transport -> Nullable<Text>,
    }
}

diesel::table! {
    private_school_fees (id) {
        id -> BigInt,
        school_id -> BigInt,
        academic_year -> SmallInt,
        age_from -> SmallInt,
        age_to -> SmallInt,
        per_term -> Nullable<BigInt>,
        per_year -> Nullable<BigInt>,
    }
}

diesel::table! {
    school_clubs (id) {
        id -> BigInt,
        school_id -> BigInt,
        kind -> Text,
        name -> Nullable<Text>,
        days -> Nullable<SmallInt>,
        starts_at -> Nullable<Time>,
        ends_at -> Nullable<Time>,
        cost -> Nullable<BigInt>,
        cost_per -> Text,
    }
}

diesel::table! {
    school_finder_migrations (version) {
        version -> Text,
        checksum -> Text,
        floor -> Text,
    }
}

diesel::table! {
    school_identifiers (id) {
        id -> BigInt,
        school_id -> BigInt,
        la_code -> Nullable<SmallInt>,
        establishment_number -> Nullable<SmallInt>,
        ukprn -> Nullable<Integer>,
        source -> Nullable<Text>,
    }
}

diesel::table! {
    school_links (id) {
        id -> BigInt,
        school_id -> Nullable<BigInt>,
        urn -> Integer,
        linked_school_id -> Nullable<BigInt>,
        linked_urn -> Integer,
        linked_name -> Nullable<Text>,
        kind -> Text,
        linked_on -> Nullable<Date>,
        link_type -> Nullable<Text>,
    }
}

diesel::table! {
    school_performance (id) {
        id -> BigInt,
        school_id -> BigInt,
        metric -> Text,
        year -> SmallInt,
        value -> Nullable<BigInt>,
        is_suppressed -> Bool,
        national_average -> Nullable<BigInt>,
        source -> Nullable<Text>,
    }
}

diesel::table! {
    school_reviews (id) {
        id -> BigInt,
        school_id -> Nullable<BigInt>,
        urn -> Integer,
        school_name -> Text,
        source -> Text,
        rating -> Nullable<SmallInt>,
        snippet -> Nullable<Text>,
        reviewed_on -> Nullable<Date>,
    }
}

diesel::table! {
    school_term_dates (id) {
        id -> BigInt,
        school_id -> BigInt,
        academic_year -> SmallInt,
        term -> Text,
        starts_on -> Date,
        ends_on -> Date,
        half_term_starts_on -> Nullable<Date>,
        half_term_ends_on -> Nullable<Date>,
    }
}

diesel::table! {
    school_towns (school_id) {
        school_id -> BigInt,
        town -> Nullable<Text>,
        name -> Text,
        council -> Nullable<Text>,
        postcode -> Nullable<Text>,
    }
}

diesel::table! {
    school_vocabulary (word) {
        word -> Text,
        reversed -> Text,
    }
}

diesel::table! {
    school_words (word, school_id) {
        word -> Text,
        school_id -> BigInt,
        in_name -> Bool,
    }
}

diesel::table! {
    schools (id) {
        id -> BigInt,
        urn -> Integer,
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
        age_range_from -> Nullable<SmallInt>,
        age_range_to -> Nullable<SmallInt>,
        ofsted_rating -> Nullable<SmallInt>,
        lat -> Nullable<Double>,
        lng -> Nullable<Double>,
        easting -> Nullable<Integer>,
        northing -> Nullable<Integer>,
        catchment_radius_km -> Nullable<Double>,
        opened_on -> Nullable<Date>,
        closed_on -> Nullable<Date>,
        capacity -> Nullable<Integer>,
        pupils -> Nullable<Integer>,
        source_date -> Nullable<Date>,
        phase -> Nullable<Text>,
        version -> Integer,
        catchment_geometry -> Nullable<Text>,
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
