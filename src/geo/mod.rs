//! Points, outlines and distances, without a database.

mod bounding_box;
mod catchment;
mod coordinates;
#[cfg(feature = "register")]
mod grid_reference;
mod haversine;
#[cfg(feature = "register")]
mod mend;
#[cfg(feature = "register")]
mod ostn15;
mod outline;

pub use bounding_box::BoundingBox;
#[cfg(feature = "register")]
pub(crate) use catchment::Rings;
pub(crate) use catchment::StoredOutline;
pub use catchment::{Catchment, MAX_RINGS, MAX_VERTICES};
pub use coordinates::{LatLng, Latitude, Longitude};
#[cfg(feature = "register")]
pub use grid_reference::GridReference;
pub use haversine::{EARTH_RADIUS_KM, haversine};
#[cfg(feature = "register")]
pub(crate) use mend::{Mends, mended};
#[cfg(feature = "register")]
pub(crate) use ostn15::to_lat_lng as from_national_grid;
#[cfg(feature = "sqlite")]
pub(crate) use outline::{is_wkb, to_wkb, wkb_covers};

/// The spatial reference system of every coordinate, WGS84 in degrees, as PostGIS's types take it.
#[cfg(feature = "postgres")]
pub(crate) const WGS84: Option<u32> = Some(4326);
