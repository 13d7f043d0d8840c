//! OpenAPI schemas of the values whose JSON is not what their Rust type suggests. The models derive theirs.

use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::geo::{Latitude, Longitude};
use crate::ids::{Postcode, SchoolId, Ukprn, Urn};
use crate::models::{Rating, Weekday, Weekdays};
use crate::repository::Position;
use crate::request::Cursor;
use crate::units::{AcademicYear, Kilometres, Money, Score, SignedKilometres};

/// Implements the traits for types by the schema of their JSON.
macro_rules! schemas {
    ($($name:ident: $schema:expr;)+) => {
        $(
            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    $schema.into()
                }
            }

            impl ToSchema for $name {}
        )+
    };
}

schemas! {
    SchoolId: integer(KnownFormat::Int64).minimum(Some(1)).description(Some("A school's id in this database."));
    Urn: integer(KnownFormat::Int32)
        .minimum(Some(1))
        .maximum(Some(9_999_999))
        .examples([9_990_001])
        .description(Some("A school's number in the official register."));
    Ukprn: integer(KnownFormat::Int32).minimum(Some(10_000_000)).maximum(Some(99_999_999));
    Rating: integer(KnownFormat::Int32)
        .minimum(Some(1))
        .maximum(Some(4))
        .description(Some("An Ofsted rating, from 1 (outstanding) to 4 (inadequate)."));
    Latitude: number().minimum(Some(-90)).maximum(Some(90)).description(Some("Degrees north (WGS84)."));
    Longitude: number().minimum(Some(-180)).maximum(Some(180)).description(Some("Degrees east (WGS84)."));
    Postcode: text("^[A-Z]{1,2}[0-9][0-9A-Z]?( [0-9]([A-Z]{2})?)?$")
        .examples(["MK9 3EP"])
        .description(Some("A postcode, or its sector or outcode."));
    Kilometres: number().minimum(Some(0));
    SignedKilometres: number();
    AcademicYear: text("^[0-9]{4}/[0-9]{4}$").examples(["2025/2026"]);
    Money: text(r"^[0-9]+\.[0-9]{2}$").examples(["6.50"]).description(Some("Pounds."));
    Score: text(r"^-?[0-9]+(\.[0-9]+)?$");
    Cursor: text("^.+$").description(Some("The end of a page. Opaque."));
    Position: text("^[a-z0-9-]{1,32}$").description(Some("A point in the history of the database. Opaque."));
}

impl PartialSchema for Weekdays {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(Ref::from_schema_name(Weekday::name())).min_items(Some(1)).into()
    }
}

impl ToSchema for Weekdays {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Weekday::name().into_owned(), Weekday::schema()));
    }
}

fn integer(format: KnownFormat) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(format)))
}

fn number() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Number)
}

fn text(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_describe_the_json_of_values() {
        let schema = |schema: RefOr<Schema>| serde_json::to_value(schema).expect("JSON");
        assert_eq!(schema(Urn::schema())["maximum"], 9_999_999);
        assert_eq!(schema(Money::schema())["type"], "string");
        assert_eq!(schema(crate::models::Phase::schema())["enum"][6], "16_plus");
        let school = schema(crate::models::School::schema());
        assert_eq!(school["properties"]["urn"]["$ref"], "#/components/schemas/Urn");
        assert!(school["properties"]["type"].is_object(), "the name in JSON: {school}");
    }
}
