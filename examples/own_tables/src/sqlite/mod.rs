//! The service's tables on SQLite.

#[allow(clippy::wildcard_imports)]
pub mod schema;

use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use school_finder_db::geo::{BoundingBox, haversine};
use school_finder_db::ids::{SchoolId, Urn};
use school_finder_db::models::SchoolSummary;
use school_finder_db::sqlite::schema::{private_school_details, schools};
use school_finder_db::sqlite::{SqliteRepository, distance, ids, run_pending_migrations};
use school_finder_db::{Config, Error, Kilometres, LatLng, Result, SchoolSearch, UnitOfWork, migrate};

use self::schema::{bus_stops, favourites};
use crate::Favourite;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_sqlite");

diesel::joinable!(favourites -> schools (school_id));
school_finder_db::allow_own_table_in_queries!(favourites with schools, private_school_details);

/// Applies the pending migrations of the crate and of the service.
pub async fn migrate(config: &Config) -> Result<()> {
    migrate::up(config).await?;
    run_pending_migrations(config, MIGRATIONS).await?;
    Ok(())
}

/// Adds a favourite. The school is read in the same transaction, so that it is there.
pub async fn add(repository: &SqliteRepository, parent: &str, urn: Urn, note: &str) -> Result<SchoolId> {
    let row = (favourites::parent.eq(parent.to_owned()), favourites::note.eq(note.to_owned()));
    UnitOfWork::run(repository, async |unit| {
        let school = unit.school_by_urn(urn).await?.ok_or(Error::UnknownUrn { urn })?.id;
        let Some(repository) = unit.downcast_ref::<SqliteRepository>() else {
            unreachable!("a unit of work is of its repository's type")
        };
        let row = (row, favourites::school_id.eq(school));
        repository
            .with_connection(move |connection| {
                Ok(diesel::insert_into(favourites::table).values(row).execute(connection)?)
            })
            .await?;
        Ok(school)
    })
    .await
}

/// Returns a parent's favourites among the schools of a search, the nearest to a home first.
pub async fn list(
    repository: &SqliteRepository,
    parent: &str,
    search: &SchoolSearch,
    home: LatLng,
) -> Result<Vec<Favourite>> {
    let query = favourites::table
        .inner_join(schools::table)
        .left_join(private_school_details::table.on(private_school_details::school_id.eq(schools::id)))
        .filter(favourites::parent.eq(parent.to_owned()))
        .filter(schools::id.eq_any(ids(search)?))
        .order_by((distance(home).asc(), schools::id.asc()))
        .select((
            SchoolSummary::as_select(),
            distance(home),
            favourites::note,
            private_school_details::day_starts_at.nullable(),
        ));
    repository.with_connection(move |connection| Ok(query.load(connection)?)).await
}

/// Adds a bus stop.
pub async fn add_stop(repository: &SqliteRepository, name: &str, point: LatLng) -> Result<()> {
    let row = (
        bus_stops::name.eq(name.to_owned()),
        bus_stops::lat.eq(point.lat().degrees()),
        bus_stops::lng.eq(point.lng().degrees()),
    );
    repository
        .with_connection(move |connection| {
            diesel::insert_into(bus_stops::table).values(row).execute(connection)?;
            Ok(())
        })
        .await
}

/// Returns the bus stops within a radius of a point, the nearest first. The index on `(lat, lng)` finds those in a box,
/// and `haversine` is exact.
pub async fn stops_within(repository: &SqliteRepository, point: LatLng, radius: Kilometres) -> Result<Vec<String>> {
    let area = BoundingBox::around(point, radius);
    let query = bus_stops::table
        .filter(bus_stops::lat.between(area.south, area.north))
        .filter(bus_stops::lng.between(area.west, area.east))
        .select((bus_stops::name, bus_stops::lat, bus_stops::lng));
    let stops: Vec<(String, f64, f64)> =
        repository.with_connection(move |connection| Ok(query.load(connection)?)).await?;
    let (lat, lng) = (point.lat().degrees(), point.lng().degrees());
    let mut near: Vec<_> =
        stops.into_iter().map(|(name, stop_lat, stop_lng)| (haversine(lat, lng, stop_lat, stop_lng), name)).collect();
    near.retain(|(km, _)| *km <= radius.get());
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(near.into_iter().map(|(_, name)| name).collect())
}
