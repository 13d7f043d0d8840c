//! Responses: JSON or GeoJSON by content negotiation, and the link to the next page.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, Uri, header};
use axum::response::{IntoResponse, Response};
use geojson::{Feature, Geometry, feature};
use headers_accept::Accept;
use mediatype::{MediaType, names};
use school_finder_db::Page;
use school_finder_db::request::Cursor;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::headers;
use super::problem::Problem;
use super::query::Query;

pub const JSON: &str = "application/json";
pub const GEOJSON: &str = "application/geo+json";

/// The format of a response with schools.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    Json,
    GeoJson,
}

impl<S: Sync> FromRequestParts<S> for Format {
    type Rejection = Problem;

    /// Negotiates the format by `Accept`: JSON where the header is missing or accepts both.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        const AVAILABLE: [MediaType<'_>; 2] = [
            MediaType::new(names::APPLICATION, names::JSON),
            MediaType::from_parts(names::APPLICATION, names::GEO, Some(names::JSON), &[]),
        ];
        let accepted: Vec<_> =
            parts.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        if accepted.is_empty() {
            return Ok(Self::Json);
        }
        // An unreadable header accepts none of the formats.
        let accept = Accept::from_str(&accepted.join(", ")).map_err(|_| Problem::not_acceptable())?;
        match accept.negotiate(&AVAILABLE) {
            Some(chosen) if *chosen == AVAILABLE[0] => Ok(Self::Json),
            Some(_) => Ok(Self::GeoJson),
            None => Err(Problem::not_acceptable()),
        }
    }
}

/// The query of a route without parameters: an unknown one is an error, so that none is ignored.
#[derive(Debug, Deserialize, FromRequestParts, IntoParams)]
#[serde(deny_unknown_fields)]
#[from_request(via(Query), rejection(Problem))]
pub struct NoParameters {}

/// The JSON object that `school-finder --format json` prints too.
#[derive(Serialize, ToSchema)]
pub struct Schools<'a, T: ToSchema> {
    /// The schools, in order.
    schools: &'a [T],
    /// The cursor of the next page, where there is one.
    #[schema(value_type = Option<String>)]
    next: Option<&'a Cursor>,
}

/// A GeoJSON feature collection (RFC 7946), for the description.
#[derive(ToSchema)]
#[schema(as = FeatureCollection)]
#[expect(dead_code, reason = "a description")]
pub struct FeatureCollection {
    /// `FeatureCollection`.
    r#type: String,
    /// The schools, or their catchments.
    #[schema(value_type = Vec<Object>)]
    features: Vec<Value>,
    /// The cursor of the next page, where there is one.
    next: Option<String>,
}

/// A page of schools, with a link to the next one.
pub fn page<T: Serialize + ToSchema>(format: Format, uri: &Uri, page: &Page<T>) -> Result<Response, Problem> {
    let next = page.next.as_ref().map(|cursor| (header::LINK, format!("<{}>; rel=\"next\"", after(uri, cursor))));
    schools(format, &page.items, page.next.as_ref(), next)
}

/// Schools that the address names. It holds no home, so caches may store them and revalidate.
pub fn named<T: Serialize + ToSchema>(format: Format, items: &[T]) -> Result<Response, Problem> {
    Ok(headers::revalidated(schools(format, items, None, None)?))
}

/// Schools beside a home, which no cache may store.
pub fn listed<T: Serialize + ToSchema>(format: Format, items: &[T]) -> Result<Response, Problem> {
    schools(format, items, None, None)
}

fn schools<T: Serialize + ToSchema>(
    format: Format,
    schools: &[T],
    next: Option<&Cursor>,
    link: Option<(HeaderName, String)>,
) -> Result<Response, Problem> {
    let (kind, body) = match format {
        Format::Json => (JSON, serde_json::to_vec(&Schools { schools, next })?),
        Format::GeoJson => (GEOJSON, serde_json::to_vec(&features(schools, next)?)?),
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::VARY, "accept")];
    let mut response = (headers, body).into_response();
    if let Some((name, value)) = link
        && let Ok(value) = value.try_into()
    {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// Returns the address of the same search after a cursor.
fn after(uri: &Uri, cursor: &Cursor) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    query.extend_pairs(pairs.filter(|(name, _)| name != "after"));
    query.append_pair("after", &cursor.to_string());
    format!("{}?{}", uri.path(), query.finish())
}

/// Returns a GeoJSON feature collection (RFC 7946): longitude first; a school without a location has no geometry. The
/// cursor is a foreign member.
fn features<T: Serialize>(schools: &[T], next: Option<&Cursor>) -> Result<geojson::FeatureCollection, Problem> {
    let features = schools.iter().map(|school| {
        let mut properties: Map<String, Value> = serde_json::from_value(serde_json::to_value(school)?)?;
        let (lat, lng) = (properties.remove("lat"), properties.remove("lng"));
        let location = lng.and_then(|lng| lng.as_f64()).zip(lat.and_then(|lat| lat.as_f64()));
        let urn = properties.get("urn").and_then(Value::as_i64);
        Ok(Feature {
            bbox: None,
            geometry: location.map(|(lng, lat)| Geometry::new_point([lng, lat])),
            id: urn.map(|urn| feature::Id::Number(urn.into())),
            properties: Some(properties.into_iter().collect()),
            foreign_members: None,
        })
    });
    let features = features.collect::<Result<_, Problem>>()?;
    let next = std::iter::once(("next".to_owned(), serde_json::to_value(next)?)).collect();
    Ok(geojson::FeatureCollection { bbox: None, features, foreign_members: Some(next) })
}
