// @generated automatically by Diesel CLI.

diesel::table! {
    use diesel::sql_types::*;
    use postgis_diesel::sql_types::*;

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
        age_range_from -> Nullable<SmallInt>,
        age_range_to -> Nullable<SmallInt>,
        ofsted_rating -> Nullable<SmallInt>,
        lat -> Nullable<Double>,
        lng -> Nullable<Double>,
        easting -> Nullable<Integer>,
        northing -> Nullable<Integer>,
        catchment_radius_km -> Nullable<Double>,
        catchment_geometry -> Nullable<Geometry>,
        opened_on -> Nullable<Date>,
        closed_on -> Nullable<Date>,
        capacity -> Nullable<Integer>,
        pupils -> Nullable<Integer>,
        source_date -> Nullable<Date>,
        phase -> Nullable<Text>,
        location -> Nullable<Geography>,
    }
}
