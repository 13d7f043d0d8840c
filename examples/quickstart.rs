//! The nearest schools to a home, from an invented town in memory, or from the database of `DATABASE_URL`:
//!
//!     cargo run --example quickstart
//!     DATABASE_URL=postgres://... cargo run --features postgres --example quickstart

use school_finder_db::{Config, Kilometres, LatLng, SchoolSearch, create, sample};

#[tokio::main]
async fn main() -> school_finder_db::Result<()> {
    let url = std::env::var("DATABASE_URL").unwrap_or("sqlite::memory:".to_owned());
    let finder = create(&Config::from_url(&url)?).await?;
    if finder.councils().await?.is_empty() {
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
