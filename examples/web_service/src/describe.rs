//! The service's OpenAPI 3.1 description, generated from its routes.

use serde_json::{Map, Value, json};

use super::answer;
use super::routes::Route;
use super::shapes;

/// What a route may answer.
pub struct Answers {
    good: Value,
    may_miss: bool,
}

impl Answers {
    /// Schools, in either shape.
    pub fn schools(school: Value) -> Self {
        let mut good = Map::new();
        good.insert(answer::JSON.to_owned(), json!({ "schema": shapes::envelope(school) }));
        good.insert(answer::GEOJSON.to_owned(), json!({ "schema": shapes::feature_collection() }));
        Self { good: good.into(), may_miss: false }
    }

    /// Something in one shape.
    pub fn of(kind: &str, schema: Value) -> Self {
        let mut good = Map::new();
        good.insert(kind.to_owned(), json!({ "schema": schema }));
        Self { good: good.into(), may_miss: false }
    }

    /// What is asked for may not be there.
    pub fn with_not_found(self) -> Self {
        Self { may_miss: true, ..self }
    }

    fn describe(self) -> Value {
        let problem = |description: &str| {
            let reference = json!({ "$ref": "#/components/schemas/Problem" });
            json!({ "description": description, "content": { "application/problem+json": { "schema": reference } } })
        };
        let mut answers = json!({
            "200": { "description": "The answer.", "content": self.good },
            "400": problem("What was asked cannot be answered; `field` names what is at fault."),
            "406": problem("No shape that this is told in is accepted."),
            "500": problem("The service failed."),
            "503": problem("The database does not answer, or took too long: try again after `Retry-After` seconds."),
        });
        if self.may_miss {
            answers["404"] = problem("There is none; `leads_to` names the schools of today that came after it.");
        }
        answers
    }
}

/// A route's description.
pub fn operation(id: &str, summary: &str, parameters: Vec<Value>, answers: Answers) -> Value {
    json!({ "operationId": id, "summary": summary, "parameters": parameters, "responses": answers.describe() })
}

/// The whole description.
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
