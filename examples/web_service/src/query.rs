//! Query parameters: one list both parses a request and describes the parameters.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::{Value, json};

use super::problem::Problem;

/// A parameter that puts what it is given into a `T`.
pub struct Parameter<T> {
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Which values it takes, as a JSON schema.
    pub schema: fn() -> Value,
    /// Whether it may be given more than once.
    pub repeats: bool,
    /// Takes a value, or says what is wrong with it.
    pub take: fn(&mut T, &str) -> Result<(), String>,
}

impl<T> Parameter<T> {
    /// As the service's description has it. One that is required is so for some questions and not for others.
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

/// Reads a query string. What is not in the list is refused: a filter with a typing mistake in it is not dropped in
/// silence.
pub fn read<T: Default>(parameters: &[Parameter<T>], query: Option<&str>) -> Result<T, Problem> {
    let mut read = T::default();
    let mut given: Vec<&str> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) else {
            let known: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
            let known = if known.is_empty() { "there is none here".to_owned() } else { known.join(", ") };
            let name: String = name.chars().take(40).collect();
            let detail = format!("there is no query parameter {name:?}: {known}");
            return Err(Problem::in_field(name, "UnknownParameter", detail));
        };
        if given.contains(&parameter.name) && !parameter.repeats {
            let detail = format!("{name} is given twice: give it once");
            return Err(Problem::in_field(name, "RepeatedParameter", detail));
        }
        given.push(parameter.name);
        (parameter.take)(&mut read, &value)
            .map_err(|reason| Problem::in_field(parameter.name, "InvalidParameter", reason))?;
    }
    Ok(read)
}

/// A value that knows how to be read.
pub fn parsed<V: FromStr<Err: Display>>(text: &str) -> Result<V, String> {
    text.parse().map_err(|error: V::Err| error.to_string())
}

/// A number, whole or not.
pub fn number<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{:?} is not such a number", shortened(text)))
}

/// A whole number within bounds.
pub fn within<N: FromStr + PartialOrd + Display>(text: &str, (from, to): (N, N)) -> Result<N, String> {
    let value = number::<N>(text)?;
    if value < from || value > to { Err(format!("{value} is not from {from} to {to}")) } else { Ok(value) }
}

pub fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("{:?} is neither true nor false", shortened(text)))
}

/// What is shown of a value that was not understood.
pub fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
