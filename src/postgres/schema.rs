// @generated automatically by Diesel CLI.

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
    }
}
