//! A longitude where a latitude is meant.

use school_finder_db::LatLng;
use school_finder_db::geo::{Latitude, Longitude};

fn main() -> school_finder_db::Result<()> {
    let _ = LatLng::new(Longitude::new(-0.7594)?, Latitude::new(52.0406)?);
    Ok(())
}
