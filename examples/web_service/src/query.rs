//! Query parameters: one list both parses a request and describes the parameters.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::{Value, json};

use super::problem::Problem;

/// A query parameter, whose value becomes part of a `T`.
pub struct Parameter<T> {
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Which values it takes, as a JSON schema.
    pub schema: fn() -> Value,
    /// Whether it may be given more than once.
    pub repeats: bool,
    /// Parses a value into the `T`. An error is what is wrong with it.
    pub set: fn(&mut T, &str) -> Result<(), String>,
}

impl<T> Parameter<T> {
    /// Returns the OpenAPI description. A parameter may be required on some routes only.
    pub fn describe(&self, is_required: bool) -> Value {
        let schema = (self.schema)();
        let schema = if self.repeats { json!({ "type": "array", "items": schema, "minItems": 1 }) } else { schema };
        json!({
            "name": self.name,
            "in": "query",
            "description": self.about,
            "required": is_required,
            "schema": schema,
        })
    }
}

/// Parses a query string. Unknown parameters are errors, so that a misspelled filter is not ignored.
pub fn read<T: Default>(parameters: &[Parameter<T>], query: Option<&str>) -> Result<T, Problem> {
    let mut values = T::default();
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) else {
            let known: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
            let known = if known.is_empty() { "this path has none".to_owned() } else { known.join(", ") };
            let name: String = name.chars().take(40).collect();
            let detail = format!("there is no query parameter {name:?}: {known}");
            return Err(Problem::in_field(name, "UnknownParameter", detail));
        };
        if seen.contains(&parameter.name) && !parameter.repeats {
            let detail = format!("{name} is repeated: it may occur once");
            return Err(Problem::in_field(name, "RepeatedParameter", detail));
        }
        seen.push(parameter.name);
        (parameter.set)(&mut values, &value)
            .map_err(|reason| Problem::in_field(parameter.name, "InvalidParameter", reason))?;
    }
    Ok(values)
}

/// Parses a value by its own `FromStr`.
pub fn parsed<V: FromStr<Err: Display>>(text: &str) -> Result<V, String> {
    text.parse().map_err(|error: V::Err| error.to_string())
}

/// Parses a number.
pub fn number<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{:?} is not a valid number", shortened(text)))
}

/// Parses a number within bounds, both included.
pub fn within<N: FromStr + PartialOrd + Display>(text: &str, (from, to): (N, N)) -> Result<N, String> {
    let value = number::<N>(text)?;
    if value < from || value > to { Err(format!("{value} is not from {from} to {to}")) } else { Ok(value) }
}

pub fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("{:?} is neither true nor false", shortened(text)))
}

/// Returns what an error message shows of a value.
pub fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
