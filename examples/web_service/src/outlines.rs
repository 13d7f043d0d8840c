//! The catchments of several schools, for drawing: simplified to what a map shows.

use std::{mem, vec};

use axum::Extension;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, TryStreamExt, stream};
use geo::{BoundingRect, CoordsIter, LineString, MapCoords, MultiPolygon, Polygon, SimplifyVw, coord};
use geojson::{Feature, Geometry, GeometryValue, feature};
use school_finder_db::Kilometres;
use school_finder_db::ids::{SchoolId, Urn};
use school_finder_db::models::School;
use serde::Deserialize;
use serde_json::Map;
use utoipa::IntoParams;

use super::finder::Finder;
use super::limits::Turns;
use super::problem::{Problem, Refusals};
use super::query::Query;
use super::response::{self, FeatureCollection};
use super::{Repository, ids};

/// The most vertices of a response, about 1 MB.
const MAX_VERTICES: usize = 40_000;

/// How many stored outlines a response has in memory at once. Each may have 100,000 vertices, which are 1.6 MB.
const AT_ONCE: usize = 4;

/// The pixels of a map's width at zoom 0.
const WORLD_PIXELS: f64 = 256.0;

/// The query parameters of [`draw_catchments`].
#[derive(Debug, Deserialize, FromRequestParts, IntoParams)]
#[serde(deny_unknown_fields)]
#[from_request(via(Query), rejection(Problem))]
#[into_params(parameter_in = Query)]
pub struct OutlineParameters {
    /// The schools, by the `id` of a search's result: up to 200.
    #[serde(rename = "id")]
    #[param(inline, min_items = 1, max_items = 200)]
    ids: Vec<SchoolId>,
    /// The zoom of the map, from 0 (the world on 256 pixels) to 22. An outline loses the details that are smaller than
    /// a pixel there. Without it, it keeps all that the limit of vertices allows.
    #[param(minimum = 0, maximum = 22)]
    zoom: Option<f64>,
}

/// The catchments of schools, to draw them: an outline, or a point with a radius.
///
/// Schools without either are left out. A response has at most 40,000 vertices. It is sent while it is drawn: if it
/// cannot be completed, the connection ends before the last chunk.
#[utoipa::path(get, path = "/api/outlines", params(OutlineParameters), responses(
    (status = 200, description = "The catchments.", body = FeatureCollection, content_type = "application/geo+json"),
    Refusals,
))]
pub async fn draw_catchments(
    Finder(finder): Finder,
    Extension(turns): Extension<Turns>,
    OutlineParameters { ids, zoom }: OutlineParameters,
) -> Result<Response, Problem> {
    ids::check(&ids)?;
    if let Some(zoom) = zoom
        && !(0.0..=22.0).contains(&zoom)
    {
        let detail = format!("zoom {zoom} is not from 0 to 22");
        return Err(Problem::in_field("zoom", "InvalidParameter", detail));
    }
    let schools = finder.schools(&ids).await?;
    let circle = |school: &School| {
        let (location, radius) = school.location().zip(school.catchment_radius_km)?;
        let centre = Geometry::new_point([location.lng().degrees(), location.lat().degrees()]);
        Some((school.id, feature(school.id, school.urn, centre, Some(radius))))
    };
    let drawing = Drawing {
        pixel: zoom.map_or(0.0, |zoom| 360.0 / (WORLD_PIXELS * zoom.exp2())),
        most: MAX_VERTICES / ids.len(),
        circles: schools.iter().filter_map(circle).collect(),
        ids: ids.into_iter(),
        finder,
        separator: r#"{"type":"FeatureCollection","features":["#,
    };
    // An error of the first part is still a problem.
    let (first, rest) = drawing.part().await?;
    let rest = stream::try_unfold(rest, move |drawing| {
        let turns = turns.clone();
        async move {
            match drawing {
                Some(drawing) => turns.take(drawing.part()).await.map(Some),
                None => Ok(None),
            }
        }
    });
    // Later ones were logged, and end the connection, so that no caller takes what has arrived for all of it.
    let rest = rest.map_err(|_| "the response could not be completed");
    let body = Body::from_stream(stream::iter([Ok(first)]).chain(rest));
    // It holds no home. Outlines seldom change, except for who has just written: the cookie has a position then.
    let headers = [
        (header::CONTENT_TYPE, response::GEOJSON),
        (header::CACHE_CONTROL, "private, max-age=300"),
        (header::VARY, "cookie"),
    ];
    Ok((headers, body).into_response())
}

/// A response that is drawn part by part while the caller reads it.
struct Drawing {
    finder: Repository,
    pixel: f64,
    /// The most vertices of one outline.
    most: usize,
    /// The schools whose outlines are still to be drawn.
    ids: vec::IntoIter<SchoolId>,
    /// Points with a radius, drawn at the end for schools without an outline.
    circles: Vec<(SchoolId, Feature)>,
    /// The text before the next feature.
    separator: &'static str,
}

impl Drawing {
    /// Returns the next part of the JSON, and what draws the part after it.
    async fn part(mut self) -> Result<(Vec<u8>, Option<Self>), Problem> {
        let ids: Vec<_> = self.ids.by_ref().take(AT_ONCE).collect();
        let outlines = self.finder.catchments(&ids).await?;
        self.circles.retain(|(id, _)| outlines.iter().all(|of| of.id != *id));
        let (pixel, most) = (self.pixel, self.most);
        // Long outlines take a while, for which other requests should not wait.
        let drawn = tokio::task::spawn_blocking(move || {
            let draw =
                |outline: &MultiPolygon<f64>| Geometry::new(GeometryValue::from(&simplified(outline, pixel, most)));
            let outlines = outlines.iter();
            outlines.map(|of| feature(of.id, of.urn, draw(of.outline.as_multi_polygon()), None)).collect::<Vec<_>>()
        });
        let mut features = drawn.await.map_err(|error| Problem::unfinished(&error))?;
        let is_last = self.ids.len() == 0;
        if is_last {
            features.extend(self.circles.drain(..).map(|(_, circle)| circle));
        }
        let mut part = Vec::new();
        for feature in &features {
            part.extend_from_slice(mem::replace(&mut self.separator, ",").as_bytes());
            serde_json::to_writer(&mut part, feature)?;
        }
        if !is_last {
            return Ok((part, Some(self)));
        }
        if self.separator != "," {
            part.extend_from_slice(self.separator.as_bytes());
        }
        part.extend_from_slice(b"]}");
        Ok((part, None))
    }
}

/// Returns an outline with at most `most` vertices, without what is smaller than a pixel. The outline of something that
/// is smaller itself is its box.
fn simplified(outline: &MultiPolygon<f64>, pixel: f64, most: usize) -> MultiPolygon<f64> {
    let mut drawn = outline.clone();
    let mut pixel = pixel;
    loop {
        if pixel > 0.0 {
            drawn = without_details(&drawn, pixel * pixel / 2.0);
        }
        if drawn.coords_count() <= most && !drawn.0.is_empty() {
            break;
        }
        if drawn.0.is_empty() {
            drawn = outline.bounding_rect().map(|bounds| bounds.to_polygon()).into_iter().collect();
            break;
        }
        pixel = if pixel > 0.0 { pixel * 2.0 } else { 1e-6 };
    }
    if pixel > 0.0 {
        // To 11 centimetres.
        let round = |degrees: f64| (degrees * 1e6).round() / 1e6;
        drawn = drawn.map_coords(|at| coord! { x: round(at.x), y: round(at.y) });
    }
    drawn
}

/// Removes corners, holes and islands of less than this area, in square degrees.
fn without_details(outline: &MultiPolygon<f64>, area: f64) -> MultiPolygon<f64> {
    let ring = |ring: &LineString<f64>| Some(ring.simplify_vw(area)).filter(|ring| ring.0.len() >= 4);
    outline
        .iter()
        .filter_map(|polygon| {
            let holes = polygon.interiors().iter().filter_map(ring).collect();
            Some(Polygon::new(ring(polygon.exterior())?, holes))
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A circle of a tenth of a degree with so many corners, and a hole and an island of a thousandth.
    fn outline(corners: u32) -> MultiPolygon<f64> {
        let ring = |lng: f64, radius: f64| -> LineString<f64> {
            let at = |corner: u32| f64::from(corner) / f64::from(corners) * std::f64::consts::TAU;
            (0..=corners).map(|corner| (lng + radius * at(corner).cos(), 52.0 + radius * at(corner).sin())).collect()
        };
        MultiPolygon::new(vec![
            Polygon::new(ring(0.0, 0.1), vec![ring(0.0, 0.001)]),
            Polygon::new(ring(0.5, 0.001), Vec::new()),
        ])
    }

    #[test]
    fn details_below_a_pixel_are_left_out() {
        let outline = outline(20_000);
        let at = |zoom: f64| simplified(&outline, 360.0 / (WORLD_PIXELS * zoom.exp2()), MAX_VERTICES);
        let (near, far) = (at(16.0), at(6.0));
        assert!(near.coords_count() < 3_000 && near.0.len() == 2, "{}", near.coords_count());
        assert!(far.coords_count() < 40 && far.0.len() == 1 && far.0[0].interiors().is_empty(), "{far:?}");
        assert_eq!(at(0.0).coords_count(), 5, "its box");
        let moved = far.bounding_rect().expect("corners").max().x - 0.1;
        assert!(moved.abs() < 0.01, "{moved}");
    }

    #[test]
    fn vertices_are_bounded_at_any_zoom() {
        let outline = outline(30_000);
        for (pixel, most) in [(0.0, 20_000), (0.0, 200), (1e-9, 200), (1e-9, 8)] {
            let drawn = simplified(&outline, pixel, most);
            assert!((4..=most).contains(&drawn.coords_count()), "{pixel} {most}: {}", drawn.coords_count());
        }
        assert_eq!(simplified(&outline, 0.0, 100_000), outline);
    }
}
