// @generated automatically by Diesel CLI.

diesel::table! {
    bus_stops (id) {
        id -> BigInt,
        name -> Text,
        lat -> Double,
        lng -> Double,
    }
}

diesel::table! {
    favourites (parent, school_id) {
        parent -> Text,
        school_id -> BigInt,
        note -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(bus_stops, favourites,);
