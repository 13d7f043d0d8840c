// @generated automatically by Diesel CLI.

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    bus_stops (id) {
        id -> Int8,
        name -> Text,
        location -> Geography,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

    favourites (parent, school_id) {
        parent -> Text,
        school_id -> Int8,
        note -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(bus_stops, favourites,);
