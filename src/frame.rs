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
    // Names each field once, so that a new field does not compile until it has a column here.
    macro_rules! columns {
        ($($name:literal: $field:ident => $value:expr,)+) => {{
            let _ = |SchoolSummary { $($field: _),+ }: SchoolSummary| {};
            let schools = || hits.iter().map(|hit| &hit.school);
            df!(
                $($name => schools().map(|SchoolSummary { $field, .. }| $value).collect::<Vec<_>>(),)+
                "distance_km" => hits.iter().map(|hit| hit.distance_km.map(|km| km.get())).collect::<Vec<_>>(),
            )
        }};
    }
    Ok(columns! {
        "id": id => id.get(),
        "urn": urn => i64::from(urn.get()),
        "name": name => name.as_str(),
        "council": council => council.as_deref(),
        "status": status => status.as_str(),
        "phase": phase => phase.map(|phase| phase.as_str()),
        "type": school_type => school_type.as_deref(),
        "gender": gender => gender.map(|gender| gender.as_str()),
        "faith": faith => faith.as_deref(),
        "postcode": postcode => postcode.as_deref(),
        "is_private": is_private => *is_private,
        "age_range_from": age_range_from => *age_range_from,
        "age_range_to": age_range_to => *age_range_to,
        "ofsted_rating": ofsted_rating => ofsted_rating.map(Rating::number),
        "lat": lat => lat.map(|lat| lat.degrees()),
        "lng": lng => lng.map(|lng| lng.degrees()),
    }?)
}

/// Writes a data frame as Parquet, compressed with Zstandard.
///
/// # Errors
/// [`Frame`](crate::Error::Frame), also where `to` cannot be written.
pub fn write_parquet(frame: &mut DataFrame, to: impl Write) -> Result<()> {
    ParquetWriter::new(to).with_compression(ParquetCompression::Zstd(None)).finish(frame)?;
    Ok(())
}
