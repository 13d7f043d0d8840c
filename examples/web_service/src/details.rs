//! The details of one school, and the catchments of several, for drawing.

use std::collections::HashSet;

use axum::extract::{Path, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use geojson::{Feature, FeatureCollection, Geometry, feature};
use school_finder_db::ids::{SchoolId, Urn};
use school_finder_db::{Error, Kilometres};
use serde_json::{Map, Value, json};

use super::Finder;
use super::problem::Problem;
use super::query::{self, Parameter};
use super::response::{self, Format};

/// The school with a URN, or what its links lead to.
pub async fn school(
    State(finder): State<Finder>,
    format: Format,
    Path(urn): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    query::read::<()>(&[], query.as_deref())?;
    let urn: Urn = urn.parse().map_err(Error::from)?;
    let details = match finder.school_by_urn(urn).await? {
        Some(school) => finder.school_details(school.id).await?,
        None => None,
    };
    match details {
        Some(details) => response::all(format, &[details]),
        None => Err(Problem::no_school(urn.get(), finder.schools_of_today(urn).await?)),
    }
}

pub fn describe_urn() -> Value {
    json!({
        "name": "urn",
        "in": "path",
        "description": "The school's number in the official register.",
        "required": true,
        "schema": { "type": "integer", "minimum": 1, "maximum": 9_999_999, "examples": [9_990_001] },
    })
}

/// The most catchments of one request.
const MAX_OUTLINES: usize = 200;

/// The query parameters of [`outlines`].
pub const OUTLINE_PARAMETERS: &[Parameter<Vec<SchoolId>>] = &[Parameter {
    name: "id",
    about: "The schools, by the `id` of a search's result: up to 200.",
    schema: || json!({ "type": "integer", "minimum": 1, "maximum": i64::MAX }),
    repeats: true,
    set: |ids, text| {
        if ids.len() == MAX_OUTLINES {
            return Err(format!("at most {MAX_OUTLINES} catchments may be requested at once"));
        }
        ids.push(SchoolId::new(query::within(text, (1, i64::MAX))?));
        Ok(())
    },
}];

/// The catchments of these schools as GeoJSON features: an outline, or a point with a radius.
pub async fn outlines(State(finder): State<Finder>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let ids = query::read(OUTLINE_PARAMETERS, query.as_deref())?;
    if ids.is_empty() {
        return Err(Problem::in_field("id", "MissingParameter", "id is missing: name a school".to_owned()));
    }
    let mut features = Vec::new();
    let mut outlined = HashSet::new();
    for catchment in finder.catchments(&ids).await? {
        outlined.insert(catchment.id);
        let geometry: Geometry = serde_json::from_value(serde_json::to_value(&catchment.outline)?)?;
        features.push(feature(catchment.id, catchment.urn, geometry, None));
    }
    for school in finder.schools(&ids).await? {
        if let Some((location, radius)) = school.location().zip(school.catchment_radius_km)
            && !outlined.contains(&school.id)
        {
            let centre = Geometry::new_point([location.lng().degrees(), location.lat().degrees()]);
            features.push(feature(school.id, school.urn, centre, Some(radius)));
        }
    }
    let body = serde_json::to_vec(&FeatureCollection { bbox: None, features, foreign_members: None })?;
    Ok(([(header::CONTENT_TYPE, response::GEOJSON)], body).into_response())
}

fn feature(id: SchoolId, urn: Urn, geometry: Geometry, radius_km: Option<Kilometres>) -> Feature {
    let mut properties = Map::new();
    properties.insert("id".to_owned(), id.get().into());
    properties.insert("radius_km".to_owned(), radius_km.map(Kilometres::get).into());
    Feature {
        bbox: None,
        geometry: Some(geometry),
        id: Some(feature::Id::Number(urn.get().into())),
        properties: Some(properties),
        foreign_members: None,
    }
}
