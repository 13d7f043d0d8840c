//! Error responses: problem details, as in RFC 9457.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use school_finder_db::Error;
use school_finder_db::models::School;
use serde::Serialize;

/// When a caller may retry after the database was unavailable, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// An error response.
#[derive(Debug)]
pub struct Problem(Box<Members>);

/// The members of the JSON object.
#[derive(Debug, Serialize)]
struct Members {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "number")]
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
#[derive(Debug, Serialize)]
struct LeadsTo {
    urn: i32,
    name: String,
    href: String,
}

impl Problem {
    fn new(status: StatusCode, error: &'static str, detail: String) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self(Box::new(Members { kind: "about:blank", title, status, detail, error, field: None, leads_to: None }))
    }

    /// An invalid request, with the field at fault.
    pub fn in_field(field: impl Into<String>, error: &'static str, detail: String) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, error, detail);
        problem.0.field = Some(field.into());
        problem
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
        let mut problem = Self::not_found(format!("no school in this database has URN {urn}{hint}"));
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

    pub fn too_slow() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "TooSlow", "this took too long: try again".to_owned())
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

    /// The response after a panic.
    pub fn panicked() -> Response<Body> {
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
        tracing::error!(%error, "a response could not be serialized");
        Self::internal()
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
