//! Postcodes: the homes that they place, and the import of a published file.

use std::collections::HashMap;

use diesel::prelude::*;

use super::insert::{ahead, upsert_postcodes_in_txn};
use crate::error::{Error, Result};
use crate::geo::LatLng;
use crate::ids::{Postcode, UnknownPostcode};
use crate::models::{Home, HomeSource, PostcodeCounts, PostcodePlace, PostcodeRow};
use crate::request::{MAX_IDS, PostcodeStream, WriteMode};
use crate::transaction::TableLock;

use super::super::dialect::{Connection, RunQueryDsl, by_bytes, maybe_async, require_caller, snapshot, write};
use super::super::schema::{postcodes, schools};

/// The stored postcodes from a key up to another.
macro_rules! range {
    ($from:expr, $to:expr) => {
        postcodes::table
            .filter(postcodes::postcode.ge($from))
            .filter(postcodes::postcode.lt($to))
            .order_by(postcodes::postcode)
    };
}
/// How far a home may be from the schools in its postcode, sector and outcode, in metres, at least.
const FROM_SCHOOLS_M: [f64; 3] = [250.0, 2_000.0, 5_000.0];

/// Returns the homes that postcodes place, from one snapshot.
#[maybe_async]
pub(in super::super) async fn locate_all_on_conn(
    connection: &mut Connection,
    asked: &[Postcode],
) -> Result<Vec<Result<Home, UnknownPostcode>>> {
    snapshot(connection, async |connection| {
        let mut units: Vec<&str> = asked.iter().filter(|postcode| postcode.is_unit()).map(Postcode::key).collect();
        units.sort_unstable();
        units.dedup();
        let mut stored = HashMap::with_capacity(units.len());
        for keys in units.chunks(MAX_IDS) {
            let query = postcodes::table.filter(postcodes::postcode.eq_any(keys));
            let rows = query.load::<PostcodeRow>(connection).await?;
            stored.extend(rows.into_iter().map(|row| (row.postcode.clone(), row)));
        }
        let mut homes = Vec::with_capacity(asked.len());
        for postcode in asked {
            require_caller()?;
            homes.push(match stored.get(postcode.key()) {
                Some(row) => Ok(home_of(*postcode, row)?),
                None => locate_approximately_in_txn(connection, *postcode).await?,
            });
        }
        Ok(homes)
    })
    .await
}

/// Places a part of a postcode, or a postcode that is not stored.
#[maybe_async]
async fn locate_approximately_in_txn(
    connection: &mut Connection,
    postcode: Postcode,
) -> Result<Result<Home, UnknownPostcode>> {
    let readings = || std::iter::once(postcode).chain(postcode.as_sector());
    for part in readings().filter(|part| !part.is_unit()) {
        let (from, to) = part.keys();
        let rows = range!(from, to).load::<PostcodeRow>(connection).await?;
        let live: Vec<&PostcodeRow> =
            rows.iter().filter(|row| row.terminated_on.is_none() && !row.is_withdrawn).collect();
        let rows = if live.is_empty() { rows.iter().collect() } else { live };
        let places = rows.iter().map(|row| Ok((LatLng::from_lat_lng(row.lat, row.lng)?, row.uncertainty_m.into())));
        let source = if part.sector().is_some() { HomeSource::Sector } else { HomeSource::Outcode };
        if let Some(home) = middle(part, source, &places.collect::<Result<Vec<_>>>()?, 0.0)? {
            return Ok(Ok(home));
        }
    }
    for part in readings() {
        let places = schools_in_txn(connection, part).await?;
        let least = match (part.is_unit(), part.sector()) {
            (true, _) => FROM_SCHOOLS_M[0],
            (false, Some(_)) => FROM_SCHOOLS_M[1],
            (false, None) => FROM_SCHOOLS_M[2],
        };
        if let Some(home) = middle(part, HomeSource::School, &places, least)? {
            return Ok(Ok(home));
        }
    }
    let (from, to) = Postcode::area_keys(postcode.area());
    let is_imported = is_stored_in_txn(connection, from, to).await?;
    let mut known = None;
    for part in [postcode.sector(), Some(postcode.outcode())].into_iter().flatten().filter(|part| *part != postcode) {
        let (from, to) = part.keys();
        if is_stored_in_txn(connection, from, to).await? || !schools_in_txn(connection, part).await?.is_empty() {
            known = Some(part);
            break;
        }
    }
    Ok(Err(UnknownPostcode { postcode, known, is_imported }))
}

#[maybe_async]
async fn is_stored_in_txn(connection: &mut Connection, from: String, to: String) -> Result<bool> {
    let query = range!(from, to).select(postcodes::postcode);
    Ok(query.first::<String>(connection).await.optional()?.is_some())
}

/// Returns the places of the schools in a postcode or a part of one.
#[maybe_async]
async fn schools_in_txn(connection: &mut Connection, part: Postcode) -> Result<Vec<(LatLng, f64)>> {
    let written = part.to_string();
    let located = schools::table
        .filter(schools::lat.is_not_null())
        .order_by(schools::id)
        .select((schools::lat.assume_not_null(), schools::lng.assume_not_null()));
    let places: Vec<(f64, f64)> = if part.is_unit() {
        let spellings = [written.replace(' ', ""), written];
        located.filter(schools::postcode.eq_any(spellings)).load(connection).await?
    } else {
        // The space after an outcode, or the letters after a sector.
        let from = if part.sector().is_some() { written } else { written + " " };
        let to = format!("{from}~");
        let postcode = || by_bytes(schools::postcode);
        located.filter(postcode().ge(from)).filter(postcode().lt(to)).load(connection).await?
    };
    places.into_iter().map(|(lat, lng)| Ok((LatLng::from_lat_lng(lat, lng)?, 0.0))).collect()
}

fn home_of(postcode: Postcode, row: &PostcodeRow) -> Result<Home> {
    Ok(Home {
        postcode,
        location: LatLng::from_lat_lng(row.lat, row.lng)?,
        source: match (row.terminated_on, row.is_withdrawn) {
            (Some(_), _) => HomeSource::Terminated,
            (None, true) => HomeSource::Withdrawn,
            (None, false) => HomeSource::Postcode,
        },
        uncertainty_m: row.uncertainty_m.into(),
        terminated_on: row.terminated_on,
    })
}

/// Returns the middle of places, each with its uncertainty in metres. A home may be as far from it as the farthest of
/// them, and at least so many metres.
#[expect(clippy::cast_precision_loss, reason = "an outcode has thousands of postcodes")]
#[expect(clippy::cast_possible_truncation, reason = "no two places on the earth are so far from each other")]
fn middle(postcode: Postcode, source: HomeSource, places: &[(LatLng, f64)], least_m: f64) -> Result<Option<Home>> {
    if places.is_empty() {
        return Ok(None);
    }
    let mean = |degrees: fn(LatLng) -> f64| {
        let mean = places.iter().map(|(place, _)| degrees(*place)).sum::<f64>() / places.len() as f64;
        (mean * 1e6).round() / 1e6
    };
    let location = LatLng::from_lat_lng(mean(|place| place.lat().degrees()), mean(|place| place.lng().degrees()))?;
    let metres = places.iter().map(|(place, uncertainty)| location.distance_to(*place).get() * 1_000.0 + uncertainty);
    let uncertainty_m = metres.fold(least_m, f64::max).ceil() as i32;
    Ok(Some(Home { postcode, location, source, uncertainty_m, terminated_on: None }))
}

/// Replaces the postcodes of areas, and marks as withdrawn those that are stored and not given.
#[maybe_async]
#[allow(clippy::while_let_on_iterator, reason = "the areas of Postgres are awaited")]
pub(in super::super) async fn replace_postcodes_on_conn(
    connection: &mut Connection,
    stream: PostcodeStream,
    mode: WriteMode,
) -> Result<PostcodeCounts> {
    let mut areas = ahead(stream);
    write(connection, &[TableLock::Import("postcodes")], mode, async |connection| {
        let mut counts = PostcodeCounts::default();
        while let Some(area) = areas.next().await {
            replace_area_in_txn(connection, area?, &mut counts).await?;
        }
        Ok(counts)
    })
    .await
}

#[maybe_async]
async fn replace_area_in_txn(
    connection: &mut Connection,
    mut given: Vec<PostcodePlace>,
    counts: &mut PostcodeCounts,
) -> Result<()> {
    given.sort_unstable_by_key(|place| place.postcode);
    let [first, ..] = given.as_slice() else { return Ok(()) };
    let (from, to) = Postcode::area_keys(first.postcode.area());
    for (at, place) in given.iter().enumerate() {
        place.validate()?;
        if place.postcode.key() < from.as_str() || place.postcode.key() >= to.as_str() {
            let reason = "is of another area than the one before it: give each area in an item of its own";
            return Err(Error::InvalidText { field: "postcode", reason });
        } else if at > 0 && given[at - 1].postcode == place.postcode {
            return Err(Error::DuplicateRow { constraint: "postcodes_pkey".to_owned() });
        }
    }
    let stored = range!(from, to).load::<PostcodeRow>(connection).await?;
    upsert_postcodes_in_txn(connection, &changed(given, stored, counts)).await?;
    Ok(())
}

/// Returns the rows to write, of the given and the stored postcodes of an area, both in the order of their keys.
fn changed(given: Vec<PostcodePlace>, stored: Vec<PostcodeRow>, counts: &mut PostcodeCounts) -> Vec<PostcodeRow> {
    let mut changed = Vec::new();
    let mut absent = Vec::new();
    let mut stored = stored.into_iter().peekable();
    for place in given {
        let row = PostcodeRow::from(place);
        absent.extend(std::iter::from_fn(|| stored.next_if(|stored| stored.postcode < row.postcode)));
        match stored.next_if(|stored| stored.postcode == row.postcode) {
            Some(stored) if stored == row => counts.postcodes.unchanged += 1,
            Some(_) => {
                counts.postcodes.updated += 1;
                changed.push(row);
            }
            None => {
                counts.postcodes.inserted += 1;
                changed.push(row);
            }
        }
    }
    absent.extend(stored);
    absent.retain(|row| !row.is_withdrawn);
    counts.withdrawn += absent.len() as u64;
    changed.extend(absent.into_iter().map(|row| PostcodeRow { is_withdrawn: true, ..row }));
    changed
}
