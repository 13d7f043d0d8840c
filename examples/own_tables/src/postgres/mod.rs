//! The service's tables on PostgreSQL.

#[allow(clippy::wildcard_imports)]
pub mod schema;

use diesel::{ExpressionMethods, JoinOnDsl, NullableExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use school_finder_db::ids::{SchoolId, Urn};
use school_finder_db::migrate::Migrator;
use school_finder_db::models::SchoolSummary;
use school_finder_db::postgres::functions::{postgis_point, st_distance_metres, st_dwithin_metres};
use school_finder_db::postgres::schema::{private_school_details, schools};
use school_finder_db::postgres::{PostgresRepository, distance, ids, run_pending_migrations};
use school_finder_db::{Config, Error, Kilometres, LatLng, Result, SchoolSearch, UnitOfWork};

use self::schema::{bus_stops, favourites};
use crate::Favourite;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_postgres");

diesel::joinable!(favourites -> schools (school_id));
school_finder_db::allow_own_table_in_queries!(favourites with schools, private_school_details);

/// Applies the pending migrations of the crate and of the service, as the owner of the tables, and lets the role that
/// serves requests change rows and nothing else.
pub async fn migrate(owner: &Config, role: &str) -> Result<()> {
    let migrator = Migrator::new(owner);
    migrator.up().await?;
    run_pending_migrations(owner, MIGRATIONS).await?;
    migrator.grant(role).await?;
    let role = role.replace('"', "\"\"");
    let grant = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON favourites, bus_stops TO \"{role}\"");
    let owner = PostgresRepository::connect(owner).await?;
    owner.with_connection(async |connection| Ok(connection.batch_execute(&grant).await?)).await
}

/// Adds a favourite. The school is read in the same transaction, so that it is there.
pub async fn add(repository: &PostgresRepository, parent: &str, urn: Urn, note: &str) -> Result<SchoolId> {
    UnitOfWork::run(repository, async |unit| {
        let school = unit.school_by_urn(urn).await?.ok_or(Error::UnknownUrn { urn })?.id;
        let Some(repository) = unit.downcast_ref::<PostgresRepository>() else {
            unreachable!("a unit of work is of its repository's type")
        };
        let row = (favourites::parent.eq(parent), favourites::school_id.eq(school), favourites::note.eq(note));
        repository
            .with_connection(async |connection| {
                Ok(diesel::insert_into(favourites::table).values(row).execute(connection).await?)
            })
            .await?;
        Ok(school)
    })
    .await
}

/// Returns a parent's favourites among the schools of a search, the nearest to a home first.
pub async fn list(
    repository: &PostgresRepository,
    parent: &str,
    search: &SchoolSearch,
    home: LatLng,
) -> Result<Vec<Favourite>> {
    let query = favourites::table
        .inner_join(schools::table)
        .left_join(private_school_details::table.on(private_school_details::school_id.eq(schools::id)))
        .filter(favourites::parent.eq(parent))
        .filter(schools::id.eq_any(ids(search)?))
        .order_by((distance(home).asc(), schools::id.asc()))
        .select((
            SchoolSummary::as_select(),
            distance(home),
            favourites::note,
            private_school_details::day_starts_at.nullable(),
        ));
    repository.with_connection(async |connection| Ok(query.load(connection).await?)).await
}

/// Adds a bus stop.
pub async fn add_stop(repository: &PostgresRepository, name: &str, point: LatLng) -> Result<()> {
    let row = (bus_stops::name.eq(name), bus_stops::location.eq(postgis_point(point)));
    repository
        .with_connection(async |connection| {
            diesel::insert_into(bus_stops::table).values(row).execute(connection).await?;
            Ok(())
        })
        .await
}

/// Returns the bus stops within a radius of a point, the nearest first. The GiST index serves `ST_DWithin`.
pub async fn stops_within(repository: &PostgresRepository, point: LatLng, radius: Kilometres) -> Result<Vec<String>> {
    let (here, metres) = (postgis_point(point), radius.get() * 1_000.0);
    let query = bus_stops::table
        .filter(st_dwithin_metres(bus_stops::location.nullable(), here, metres, false))
        .order_by(st_distance_metres(bus_stops::location.nullable(), here, false).asc())
        .select(bus_stops::name);
    repository.with_connection(async |connection| Ok(query.load(connection).await?)).await
}
