//! The repository of a request.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum_extra::headers::{Cookie, HeaderMapExt};

use super::Repository;

/// The repository of a request, whose reads see what the same browser wrote.
///
/// This service only reads. Another one of the same site, which writes, sets the cookie `position` to
/// [`SchoolRepository::position`](school_finder_db::SchoolRepository::position) after each write.
pub struct Finder(pub Repository);

impl FromRequestParts<Repository> for Finder {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, repository: &Repository) -> Result<Self, Infallible> {
        let cookies = parts.headers.typed_get::<Cookie>();
        // A cookie that is no position was tampered with. It is ignored: the read may then miss the newest writes.
        Ok(Self(match cookies.and_then(|cookies| cookies.get("position")?.parse().ok()) {
            Some(position) => repository.at_least(&position),
            None => Arc::clone(repository),
        }))
    }
}
