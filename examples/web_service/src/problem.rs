//! Error responses: problem details, as in RFC 9457.

use std::fmt::Display;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Json};
use school_finder_db::Error;
use school_finder_db::models::School;
use serde::Serialize;
use tower::load_shed::error::Overloaded;
use utoipa::{IntoResponses, ToSchema};

use super::MAX_BODY;

/// When a caller may retry after a 503, in seconds: the database was unavailable, or the service too busy.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// An error response.
#[derive(Debug)]
pub struct Problem(Box<Members>);

/// Problem details, as RFC 9457 has them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Members {
    /// `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    #[serde(serialize_with = "number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// A sentence with the error and what to do.
    detail: String,
    /// The name of the error, for programs.
    error: &'static str,
    /// The query parameter, or part of the path, at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The successors of a school that is not in the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    leads_to: Option<Vec<LeadsTo>>,
}

/// A successor.
#[derive(Debug, Serialize, ToSchema)]
struct LeadsTo {
    urn: i32,
    name: String,
    href: String,
}

/// The error responses of every route, for the description.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "a description")]
pub enum Refusals {
    /// The request is invalid; `field` names the parameter at fault.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Members),
    /// No format of this response is accepted.
    #[response(status = 406, content_type = "application/problem+json")]
    NotAcceptable(Members),
    /// The body is too long: no route needs one.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLong(Members),
    /// The service failed.
    #[response(status = 500, content_type = "application/problem+json")]
    Failed(Members),
    /// The database is unavailable, too many requests are in flight, or this one timed out: retry after `Retry-After`
    /// seconds.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Members),
}

impl Problem {
    fn new(status: StatusCode, error: &'static str, detail: String) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self(Box::new(Members { kind: "about:blank", title, status, detail, error, field: None, leads_to: None }))
    }

    /// An invalid request, with the field at fault.
    pub fn in_field(field: impl Into<String>, error: &'static str, detail: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, detail).of_field(field)
    }

    /// Names the field at fault.
    pub fn of_field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    pub fn not_found(detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", detail)
    }

    /// No school has this URN. Links may lead to its successors.
    pub fn no_school(urn: i32, successors: Vec<School>) -> Self {
        let names = successors.iter().map(|school| format!("{} ({})", school.urn, school.name)).collect::<Vec<_>>();
        let hint = if names.is_empty() { String::new() } else { format!("; its links lead to {}", names.join(", ")) };
        let leads_to = successors.into_iter().map(|school| LeadsTo {
            urn: school.urn.get(),
            href: format!("/api/schools/{}", school.urn),
            name: school.name,
        });
        let detail = format!("no school in this database has URN {urn}{hint}");
        let mut problem = Self::not_found(detail).of_field("urn");
        problem.0.leads_to = Some(leads_to.collect());
        problem
    }

    pub fn method_not_allowed() -> Self {
        let detail = "this service is read-only: use GET".to_owned();
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", detail)
    }

    pub fn not_acceptable() -> Self {
        let detail = "the formats are application/json and application/geo+json: accept one of them".to_owned();
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", detail)
    }

    /// Replaces the refusal of tower-http's limit of bodies, which is plain text.
    pub fn for_long_body<B>(response: Response<B>) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        if response.status() != StatusCode::PAYLOAD_TOO_LARGE {
            return response.into_response();
        }
        let detail = format!("the body is longer than {MAX_BODY} bytes: no route needs one");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "BodyTooLong", detail).into_response()
    }

    /// A request that a limit of the service ended.
    pub fn not_served(error: &BoxError) -> Self {
        let (name, detail) = if error.is::<Overloaded>() {
            ("Overloaded", "too many requests are in flight: try again")
        } else {
            tracing::warn!("a request took too long");
            ("TooSlow", "this took too long: try again")
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, name, detail.to_owned())
    }

    /// The database is unavailable. The error names roles and files, so it is only logged.
    pub fn unhealthy(error: &Error) -> Self {
        tracing::warn!(%error, "the database is unavailable");
        let detail = "the database is unavailable; the service's log has the reason".to_owned();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.name(), detail)
    }

    /// A fault of this service, which is logged.
    fn internal() -> Self {
        let detail = "the service failed; its log has the reason".to_owned();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal", detail)
    }

    /// A response that could not be made.
    pub fn unfinished(error: &dyn Display) -> Self {
        tracing::error!(%error, "a response failed");
        Self::internal()
    }

    /// The response after a panic. Standard error has its message, which may contain what was asked.
    pub fn panicked() -> Response<Body> {
        tracing::error!("a handler panicked");
        Self::internal().into_response()
    }
}

impl From<Error> for Problem {
    /// Invalid input is reported as it is. Faults of the database are logged, and reported without their details.
    fn from(error: Error) -> Self {
        match &error {
            _ if error.is_invalid_input() => {
                let mut problem = Self::new(StatusCode::BAD_REQUEST, error.name(), error.to_string());
                problem.0.field = error.field().map(|field| parameter(field).to_owned());
                problem
            }
            _ if error.is_retryable() || matches!(error, Error::Timeout) => {
                tracing::warn!(%error, "the database is temporarily unavailable");
                let detail = "the database is temporarily unavailable: try again".to_owned();
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.name(), detail)
            }
            _ => {
                tracing::error!(%error, "a request failed");
                Self::internal()
            }
        }
    }
}

/// The query parameter of a field of a search.
fn parameter(field: &str) -> &str {
    match field {
        "near" => "lat",
        "councils" => "council",
        "phases" => "phase",
        "statuses" => "status",
        "clubs" => "has-club",
        "ofsted_rating" => "max-rating",
        same => same,
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::unfinished(&error)
    }
}

impl From<serde_path_to_error::Error<serde::de::value::Error>> for Problem {
    /// A query that cannot be read.
    fn from(error: serde_path_to_error::Error<serde::de::value::Error>) -> Self {
        // The path of an element, `phase[0]`, is cut to the list's name, and a long unknown name to its beginning.
        let field: String = error.path().to_string().chars().take_while(|&sign| sign != '[').take(40).collect();
        let reason = error.inner().to_string();
        if let Some(missing) = reason.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            return Self::in_field(missing, "MissingParameter", format!("{missing} is missing: it is required"));
        }
        let (name, detail) = if reason.starts_with("unknown field") {
            let expected = reason.split_once("`, expected ").map_or("this path has none", |(_, expected)| expected);
            ("UnknownParameter", format!("there is no query parameter {field:?}: {expected}"))
        } else if reason == REPEATED {
            ("RepeatedParameter", format!("{field} is repeated: it may occur once"))
        } else {
            ("InvalidParameter", format!("{field}: {reason}"))
        };
        Self::in_field(field, name, detail)
    }
}

/// What serde_html_form says of a value that occurs twice where one is expected.
const REPEATED: &str = "unsupported value";

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "InvalidParameter", rejection.body_text());
        if let PathRejection::FailedToDeserializePathParams(error) = rejection
            && let ErrorKind::ParseErrorAtKey { key, .. }
            | ErrorKind::DeserializeError { key, .. }
            | ErrorKind::InvalidUtf8InPathParam { key } = error.into_kind()
        {
            problem.0.field = Some(key);
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.0.status;
        let mut response = (status, Json(self.0)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            StatusCode::SERVICE_UNAVAILABLE => drop(headers.insert(header::RETRY_AFTER, RETRY_AFTER)),
            StatusCode::METHOD_NOT_ALLOWED => {
                drop(headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD")));
            }
            _ => {}
        }
        response
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
