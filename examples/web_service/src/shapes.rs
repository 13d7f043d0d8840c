//! JSON schemas of the responses. No object may have a key that is not named here, so that the tests detect an outdated
//! description.

use school_finder_db::models::{ClubKind, CostPer, Evidence, Gender, LinkKind, Phase, Status, Term, Weekday};
use serde_json::{Map, Value, json};

type Fields = Vec<(&'static str, Value)>;

/// A school that a search found.
pub fn hit() -> Value {
    object(hit_fields())
}

/// A school whose catchment contains the point.
pub fn catchment_hit() -> Value {
    let evidence = words(Evidence::ALL);
    object([hit_fields(), vec![("evidence", evidence)]].concat())
}

/// A school whose past offers reached the point.
pub fn reach_hit() -> Value {
    let year = object(vec![
        ("academic_year", academic_year()),
        ("intake", optional(string())),
        ("last_distance_km", optional(number())),
        ("margin_km", optional(number())),
        ("all_offered", boolean()),
        ("change_km", optional(number())),
        ("applications_per_place", optional(number())),
    ]);
    let more = vec![
        ("years", list(year)),
        ("years_of_evidence", integer()),
        ("is_selective", optional(boolean())),
        ("estimate", json!({ "type": "boolean", "const": true })),
    ];
    object([hit_fields(), more].concat())
}

/// A school with all its details.
pub fn details() -> Value {
    let more = vec![
        ("address", optional(string())),
        ("website_url", optional(string())),
        ("is_selective", optional(boolean())),
        ("easting", optional(integer())),
        ("northing", optional(integer())),
        ("catchment_radius_km", optional(number())),
        ("opened_on", optional(date())),
        ("closed_on", optional(date())),
        ("capacity", optional(integer())),
        ("pupils", optional(integer())),
        ("source_date", optional(date())),
        ("version", integer()),
    ];
    object([school_fields(), more, collections()].concat())
}

fn collections() -> Fields {
    let club = object(vec![
        ("kind", words(ClubKind::ALL)),
        ("name", optional(string())),
        ("days", optional(list(words(Weekday::ALL)))),
        ("starts_at", optional(time())),
        ("ends_at", optional(time())),
        ("cost", optional(decimal())),
        ("cost_per", words(CostPer::ALL)),
    ]);
    let term = object(vec![
        ("academic_year", academic_year()),
        ("term", words(Term::ALL)),
        ("starts_on", date()),
        ("ends_on", date()),
        ("half_term_starts_on", optional(date())),
        ("half_term_ends_on", optional(date())),
    ]);
    let result = object(vec![
        ("metric", string()),
        ("year", integer()),
        ("value", optional(decimal())),
        ("is_suppressed", boolean()),
        ("national_average", optional(decimal())),
        ("source", optional(string())),
    ]);
    let private = object(vec![
        ("fees_notes", optional(string())),
        ("day_starts_at", optional(time())),
        ("day_ends_at", optional(time())),
        ("transport", optional(string())),
    ]);
    let fee = object(vec![
        ("academic_year", academic_year()),
        ("age_from", integer()),
        ("age_to", integer()),
        ("per_term", optional(decimal())),
        ("per_year", optional(decimal())),
    ]);
    let admissions = object(vec![
        ("academic_year", academic_year()),
        ("intake", optional(string())),
        ("places_offered", optional(integer())),
        ("applications_received", optional(integer())),
        ("last_distance_offered_km", optional(number())),
        ("waiting_list_offers", optional(integer())),
        ("appeals_heard", optional(integer())),
        ("appeals_upheld", optional(integer())),
        ("had_vacancies", optional(boolean())),
        ("notes", optional(string())),
        ("source", optional(string())),
    ]);
    let review = object(vec![
        ("urn", integer()),
        ("school_name", string()),
        ("source", string()),
        ("rating", optional(integer())),
        ("snippet", optional(string())),
        ("reviewed_on", optional(date())),
    ]);
    let link = object(vec![
        ("urn", integer()),
        ("linked_urn", integer()),
        ("linked_school_id", optional(integer())),
        ("linked_name", optional(string())),
        ("kind", words(LinkKind::ALL)),
        ("link_type", optional(string())),
        ("linked_on", optional(date())),
    ]);
    let criterion = object(vec![
        ("academic_year", string()),
        ("intake", optional(string())),
        ("criterion", string()),
        ("places_offered", optional(integer())),
        ("applications_received", optional(integer())),
        ("last_distance_offered_km", optional(number())),
        ("source", optional(string())),
    ]);
    let identifiers = object(vec![
        ("la_code", optional(integer())),
        ("establishment_number", optional(integer())),
        ("ukprn", optional(integer())),
        ("source", optional(string())),
    ]);
    vec![
        ("clubs", list(club)),
        ("term_dates", list(term)),
        ("performance", list(result)),
        ("private_details", list(private)),
        ("fees", list(fee)),
        ("identifiers", list(identifiers)),
        ("admissions", list(admissions)),
        ("admissions_criteria", list(criterion)),
        ("reviews", list(review)),
        ("links", list(link)),
    ]
}

fn hit_fields() -> Fields {
    [school_fields(), vec![("distance_km", optional(number()))]].concat()
}

/// The fields of a school in a list.
fn school_fields() -> Fields {
    vec![
        ("id", integer()),
        ("urn", integer()),
        ("name", string()),
        ("council", optional(string())),
        ("status", words(Status::ALL)),
        ("phase", optional(words(Phase::ALL))),
        ("type", optional(string())),
        ("gender", optional(words(Gender::ALL))),
        ("faith", optional(string())),
        ("postcode", optional(string())),
        ("is_private", optional(boolean())),
        ("age_range_from", optional(integer())),
        ("age_range_to", optional(integer())),
        ("ofsted_rating", optional(integer())),
        ("lat", optional(number())),
        ("lng", optional(number())),
    ]
}

/// Schools, and the cursor of the next page.
pub fn envelope(school: Value) -> Value {
    object(vec![("schools", list(school)), ("next", optional(string()))])
}

/// Counts by value.
pub fn facets() -> Value {
    let counts = || json!({ "type": "object", "additionalProperties": { "type": "integer" } });
    object(vec![
        ("total", integer()),
        ("council", counts()),
        ("phase", counts()),
        ("status", counts()),
        ("rating", counts()),
        ("gender", counts()),
        ("faith", counts()),
        ("ownership", counts()),
        ("clubs", counts()),
    ])
}

pub fn feature_collection() -> Value {
    let geometry = json!({
        "type": ["object", "null"],
        "required": ["type", "coordinates"],
        "properties": { "type": { "enum": ["Point", "MultiPolygon"] }, "coordinates": { "type": "array" } },
    });
    let feature = object(vec![
        ("type", json!({ "const": "Feature" })),
        ("id", integer()),
        ("geometry", geometry),
        ("properties", json!({ "type": "object" })),
    ]);
    json!({
        "type": "object",
        "required": ["type", "features"],
        "properties": {
            "type": { "const": "FeatureCollection" },
            "features": list(feature),
            "next": optional(string()),
        },
        "additionalProperties": false,
    })
}

pub fn health() -> Value {
    json!({ "type": "object", "required": ["backend"], "properties": { "backend": string() } })
}

/// Problem details, as RFC 9457 has them.
pub fn problem() -> Value {
    let leads_to = object(vec![("urn", integer()), ("name", string()), ("href", string())]);
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "error"],
        "properties": {
            "type": { "const": "about:blank" },
            "title": string(),
            "status": integer(),
            "detail": string(),
            "error": string(),
            "field": string(),
            "leads_to": list(leads_to),
        },
        "additionalProperties": false,
    })
}

fn object(fields: Fields) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}

/// A value that may be unknown.
fn optional(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn list(item: Value) -> Value {
    json!({ "type": "array", "items": item })
}

/// One of some words.
pub fn words(words: &[impl ToString]) -> Value {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    json!({ "type": "string", "enum": words })
}

fn string() -> Value {
    json!({ "type": "string" })
}

fn integer() -> Value {
    json!({ "type": "integer" })
}

fn number() -> Value {
    json!({ "type": "number" })
}

fn boolean() -> Value {
    json!({ "type": "boolean" })
}

fn date() -> Value {
    json!({ "type": "string", "format": "date" })
}

fn time() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]{2}:[0-9]{2}:[0-9]{2}$" })
}

fn decimal() -> Value {
    json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$" })
}

fn academic_year() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]{4}/[0-9]{4}$" })
}
