//! Places and distances, without a database.

mod bounding_box;
mod coordinates;
#[cfg(feature = "register")]
mod grid_reference;
mod haversine;

pub use bounding_box::BoundingBox;
pub use coordinates::{LatLng, Latitude, Longitude};
#[cfg(feature = "register")]
pub use grid_reference::GridReference;
pub use haversine::{EARTH_RADIUS_KM, haversine};
