//! The nearest schools to a home, from an invented town in memory, or from a database that is named:
//!
//!     cargo run --example quickstart
//!     cargo run --features postgres --example quickstart -- postgres://...

use school_finder_db::{Config, Kilometres, LatLng, SchoolSearch, create, sample};

#[tokio::main]
async fn main() -> school_finder_db::Result<()> {
    let url = std::env::args().nth(1).unwrap_or("sqlite::memory:".to_owned());
    let finder = create(&Config::from_url(&url)?).await?;
    if finder.facets(&SchoolSearch::open().any_status()).await?.total == 0 {
        sample::fill(finder.as_ref()).await?; // an invented town
    }
    let home = LatLng::from_lat_lng(52.0406, -0.7594)?;
    let search = SchoolSearch::near(home).within(Kilometres::new(5.0)?).limit(3);
    for hit in finder.find_schools(&search).await?.items {
        if let Some(km) = hit.distance_km {
            println!("{km:.2} km  {}", hit.school.name);
        }
    }
    Ok(())
}
