//! Search results as data frames, for analysis.

use std::io::Write;

use polars::prelude::*;

use crate::error::Result;
use crate::models::{Rating, SchoolHit, SchoolSummary};
use crate::repository::ExportSchools;
use crate::request::SchoolSearch;

/// Returns every school that a search finds, in its order, one row each, from one snapshot. The search's limit is
/// ignored.
///
/// Columns are named as in JSON. `urn` and `id` are 64-bit integers, ages and ratings 16-bit ones, `lat` and `lng`
/// degrees, `distance_km` kilometres, `is_private` a boolean, the others text. Unknown values are null.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use school_finder_db::{Config, SchoolSearch, connect, frame, sample};
///
/// let finder = connect(&Config::in_memory()).await?;
/// finder.insert_schools(sample::schools()).await?;
/// let schools = frame::of_search(finder.as_ref(), &SchoolSearch::near(sample::home())).await?;
/// assert_eq!(schools.height(), 25);
/// println!("{schools}");
/// # Ok::<(), school_finder_db::Error>(())
/// # }).expect("an answer");
/// ```
///
/// # Errors
/// As [`find_schools`](ExportSchools::all_schools), and [`Frame`](crate::Error::Frame).
pub async fn of_search(finder: &dyn ExportSchools, search: &SchoolSearch) -> Result<DataFrame> {
    of_hits(&finder.all_schools(search).await?)
}

/// Returns the schools of a page, one row each, with the columns of [`of_search`].
///
/// # Errors
/// [`Frame`](crate::Error::Frame).
pub fn of_hits(hits: &[SchoolHit]) -> Result<DataFrame> {
    macro_rules! column {
        (|$school:ident| $value:expr) => {
            hits.iter().map(|SchoolHit { school: $school, .. }| $value).collect::<Vec<_>>()
        };
    }
    // Names each field once, so that a new field does not compile until it has a column here.
    let _ = |SchoolSummary {
                 id: _,
                 urn: _,
                 name: _,
                 council: _,
                 status: _,
                 phase: _,
                 school_type: _,
                 gender: _,
                 faith: _,
                 postcode: _,
                 is_private: _,
                 age_range_from: _,
                 age_range_to: _,
                 ofsted_rating: _,
                 lat: _,
                 lng: _,
             }: SchoolSummary| {};
    Ok(df!(
        "id" => column!(|school| school.id.get()),
        "urn" => column!(|school| i64::from(school.urn.get())),
        "name" => column!(|school| school.name.as_str()),
        "council" => column!(|school| school.council.as_deref()),
        "status" => column!(|school| school.status.as_str()),
        "phase" => column!(|school| school.phase.map(|phase| phase.as_str())),
        "type" => column!(|school| school.school_type.as_deref()),
        "gender" => column!(|school| school.gender.map(|gender| gender.as_str())),
        "faith" => column!(|school| school.faith.as_deref()),
        "postcode" => column!(|school| school.postcode.as_deref()),
        "is_private" => column!(|school| school.is_private),
        "age_range_from" => column!(|school| school.age_range_from),
        "age_range_to" => column!(|school| school.age_range_to),
        "ofsted_rating" => column!(|school| school.ofsted_rating.map(Rating::number)),
        "lat" => column!(|school| school.lat.map(|lat| lat.degrees())),
        "lng" => column!(|school| school.lng.map(|lng| lng.degrees())),
        "distance_km" => hits.iter().map(|hit| hit.distance_km.map(|km| km.get())).collect::<Vec<_>>(),
    )?)
}

/// Writes a data frame as Parquet, compressed with Zstandard.
///
/// # Errors
/// [`Frame`](crate::Error::Frame), also where `to` cannot be written.
pub fn write_parquet(frame: &mut DataFrame, to: impl Write) -> Result<()> {
    ParquetWriter::new(to).with_compression(ParquetCompression::Zstd(None)).finish(frame)?;
    Ok(())
}
