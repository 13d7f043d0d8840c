//! The files of the map, compiled in: the service needs no folder at run time.

use axum::Router;
use axum::http::header;
use axum::routing::get;
use axum_extra::TypedHeader;

use super::{Repository, headers};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Where each file is found, what it is, and what is in it.
const FILES: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("../page/index.html")),
    ("/schools/{urn}", HTML, include_str!("../page/school.html")),
    ("/style.css", CSS, include_str!("../page/style.css")),
    ("/map.css", CSS, include_str!("../page/map.css")),
    ("/map.js", SCRIPT, include_str!("../page/map.js")),
    ("/state.js", SCRIPT, include_str!("../page/state.js")),
    ("/service.js", SCRIPT, include_str!("../page/service.js")),
    ("/chart.js", SCRIPT, include_str!("../page/chart.js")),
    ("/graticule.js", SCRIPT, include_str!("../page/graticule.js")),
    ("/suggestions.js", SCRIPT, include_str!("../page/suggestions.js")),
    ("/list.js", SCRIPT, include_str!("../page/list.js")),
    ("/filters.js", SCRIPT, include_str!("../page/filters.js")),
    ("/school.js", SCRIPT, include_str!("../page/school.js")),
    ("/years.js", SCRIPT, include_str!("../page/years.js")),
    ("/icon.svg", "image/svg+xml", include_str!("../page/icon.svg")),
    ("/leaflet/leaflet.js", SCRIPT, include_str!("../page/leaflet/leaflet.js")),
    ("/leaflet/leaflet.css", CSS, include_str!("../page/leaflet/leaflet.css")),
    ("/leaflet/LICENSE", "text/plain; charset=utf-8", include_str!("../page/leaflet/LICENSE")),
];

/// Adds them to a router.
pub fn files(router: Router<Repository>) -> Router<Repository> {
    FILES.iter().fold(router, |router, &(path, kind, text)| {
        // Browsers revalidate each time, so that a new build is visible immediately.
        let tag = headers::tag(text.as_bytes()).map(TypedHeader);
        router.route(path, get(async move || headers::revalidated(([(header::CONTENT_TYPE, kind)], tag, text))))
    })
}
