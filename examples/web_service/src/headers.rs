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

/// What caches may store, and have to revalidate each time.
const REVALIDATED: HeaderValue = HeaderValue::from_static("no-cache");

/// A response that caches may store, and have to revalidate each time.
pub fn revalidated(response: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, REVALIDATED)], response).into_response()
}

/// Returns the tag of a body. It is weak, since the same bytes may be compressed.
pub fn tag(body: &[u8]) -> Option<ETag> {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("W/\"{:x}\"", hasher.finish()).parse().ok()
}

/// Answers 304 to those who have a [`revalidated`] response already. One without an `ETag` gets that of its body.
pub async fn not_modified(request: Request, next: Next) -> Result<Response, Problem> {
    let known = request.headers().typed_get::<IfNoneMatch>();
    // The response to HEAD has no body to tell it by.
    let is_get = request.method() == Method::GET;
    let response = next.run(request).await;
    let is_revalidated = response.headers().get(header::CACHE_CONTROL) == Some(&REVALIDATED);
    if !is_get || response.status() != StatusCode::OK || !is_revalidated {
        return Ok(response);
    }
    let (mut parts, mut body) = response.into_parts();
    let mut tag = parts.headers.typed_get::<ETag>();
    if tag.is_none() {
        let bytes = to_bytes(body, usize::MAX).await.map_err(|error| Problem::unfinished(&error))?;
        tag = self::tag(&bytes);
        body = Body::from(bytes);
    }
    if let Some(tag) = tag {
        if known.is_some_and(|known| !known.precondition_passes(&tag)) {
            parts.status = StatusCode::NOT_MODIFIED;
            parts.headers.remove(header::CONTENT_TYPE);
            body = Body::empty();
        }
        parts.headers.typed_insert(tag);
    }
    Ok(Response::from_parts(parts, body))
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use axum::{Router, middleware};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn only_what_is_revalidated_has_a_tag() {
        let router = Router::new()
            .route("/again", get(async || revalidated("text")))
            .route("/never", get(async || ([(header::CACHE_CONTROL, "no-store")], "text")))
            .route("/later", get(async || ([(header::CACHE_CONTROL, "max-age=300")], "text")))
            .layer(middleware::from_fn(not_modified));
        for (path, is_tagged) in [("/again", true), ("/never", false), ("/later", false)] {
            let request = Request::get(path).body(Body::empty()).expect("a request");
            let response = router.clone().oneshot(request).await.expect("a response");
            assert_eq!(response.headers().contains_key(header::ETAG), is_tagged, "{path}");
        }
    }
}
