//! Headers of responses: the same ones for all, and those by which caches revalidate.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_extra::headers::{ETag, HeaderMapExt, IfNoneMatch};

use super::problem::Problem;

/// The headers of every response that does not have them. The page needs only its own files, this service and the
/// browser's location. An address may contain a home, so caches may store a response only where its handler allows it.
const EVERYWHERE: [(HeaderName, HeaderValue); 7] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("geolocation=(self), camera=(), microphone=()"),
    ),
];

/// Adds the headers of every response.
pub fn complete<B>(mut response: Response<B>) -> Response<B> {
    for (name, value) in EVERYWHERE {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// A response that caches may store, and have to revalidate each time.
pub fn revalidated(response: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-cache")], response).into_response()
}

/// Adds an `ETag` to a response that caches may store, and answers 304 to those who have it already.
pub async fn not_modified(request: Request, next: Next) -> Result<Response, Problem> {
    let known = request.headers().typed_get::<IfNoneMatch>();
    // The response to HEAD has no body to tell it by.
    let is_get = request.method() == Method::GET;
    let response = next.run(request).await;
    if !is_get || response.status() != StatusCode::OK || !response.headers().contains_key(header::CACHE_CONTROL) {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.map_err(|error| Problem::unfinished(&error))?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    // Weak, since the same bytes may be compressed.
    let Ok(tag) = format!("W/\"{:x}\"", hasher.finish()).parse::<ETag>() else {
        return Ok(Response::from_parts(parts, Body::from(bytes)));
    };
    let is_known = known.is_some_and(|known| !known.precondition_passes(&tag));
    parts.headers.typed_insert(tag);
    if is_known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        return Ok(Response::from_parts(parts, Body::empty()));
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}
