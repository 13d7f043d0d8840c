//! The query string of a request.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_html_form::Deserializer;
use utoipa::IntoParams;

use super::problem::Problem;

/// The query parameters of a route. A parameter with an empty value counts as missing: a form sends `phase=` for a
/// choice that was not made.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + IntoParams, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = without_empty::<T>(parts.uri.query().unwrap_or_default());
        Ok(Self(serde_path_to_error::deserialize(Deserializer::from_bytes(query.as_bytes()))?))
    }
}

/// Removes the parameters with an empty value. Unknown ones stay, so that they are refused.
fn without_empty<T: IntoParams>(query: &str) -> Cow<'_, str> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    if pairs.clone().all(|(_, value)| !value.is_empty()) {
        return query.into();
    }
    let described = T::into_params(|| None);
    let is_known = |name: &str| described.iter().any(|parameter| parameter.name == name);
    let kept = pairs.filter(|(name, value)| !value.is_empty() || !is_known(name));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish().into()
}
