//! The service's OpenAPI 3.1 description, generated from its routes.

use serde_json::{Map, Value, json};

use super::response;
use super::routes::Route;
use super::shapes;

/// The responses of a route.
pub struct Responses {
    ok: Value,
    has_not_found: bool,
}

impl Responses {
    /// Schools, in either format.
    pub fn schools(school: Value) -> Self {
        let mut ok = Map::new();
        ok.insert(response::JSON.to_owned(), json!({ "schema": shapes::envelope(school) }));
        ok.insert(response::GEOJSON.to_owned(), json!({ "schema": shapes::feature_collection() }));
        Self { ok: ok.into(), has_not_found: false }
    }

    /// A value in one format.
    pub fn of(kind: &str, schema: Value) -> Self {
        let mut ok = Map::new();
        ok.insert(kind.to_owned(), json!({ "schema": schema }));
        Self { ok: ok.into(), has_not_found: false }
    }

    /// Adds the response where there is no such school.
    pub fn with_not_found(self) -> Self {
        Self { has_not_found: true, ..self }
    }

    fn describe(self) -> Value {
        let problem = |description: &str| {
            let reference = json!({ "$ref": "#/components/schemas/Problem" });
            json!({ "description": description, "content": { "application/problem+json": { "schema": reference } } })
        };
        let mut responses = json!({
            "200": { "description": "The result.", "content": self.ok },
            "400": problem("The request is invalid; `field` names the parameter at fault."),
            "406": problem("No format of this response is accepted."),
            "500": problem("The service failed."),
            "503": problem("The database is unavailable, or the request timed out: retry after `Retry-After` seconds."),
        });
        if self.has_not_found {
            responses["404"] = problem("There is no such school; `leads_to` names its successors.");
        }
        responses
    }
}

/// Returns the description of a route.
pub fn operation(id: &str, summary: &str, parameters: Vec<Value>, responses: Responses) -> Value {
    json!({ "operationId": id, "summary": summary, "parameters": parameters, "responses": responses.describe() })
}

/// Returns the OpenAPI document.
pub fn document(routes: &[Route]) -> Value {
    let paths: Map<String, Value> =
        routes.iter().map(|route| (route.path.to_owned(), json!({ "get": route.describe }))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "School Finder",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Which schools serve this home, how far are they, and would my child have got in?",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": { "Problem": shapes::problem() } },
    })
}
