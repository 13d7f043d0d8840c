//! A service's own query, in Diesel over the crate's schema, on a connection of the repository:
//!
//!     cargo run --example own_query
//!     cargo run --features postgres --example own_query -- postgres://...
//!
//! Until when do the schools near a home look after children? `ids` is a search as a subquery, and `distance` a column.
//! The query reads the same on both backends; the schema's module differs, and so does how it is run. A query over one
//! backend's schema on the other's connection does not compile.

use chrono::NaiveTime;
use school_finder_db::models::ClubKind;
use school_finder_db::prelude::*;
use school_finder_db::sqlite::SqliteRepository;
use school_finder_db::{Config, Kilometres, Result, SchoolSearch, migrate, sample};
#[cfg(feature = "postgres")]
use school_finder_db::{config::Backend, postgres::PostgresRepository};

type Club = (String, Option<f64>, Option<NaiveTime>);

fn near_home() -> Result<SchoolSearch> {
    Ok(SchoolSearch::near(sample::home()).within(Kilometres::new(2.0)?))
}

async fn on_sqlite(repository: &SqliteRepository) -> Result<Vec<Club>> {
    use diesel::prelude::*;
    use school_finder_db::sqlite::schema::{school_clubs, schools};
    use school_finder_db::sqlite::{distance, ids};

    let clubs = schools::table
        .inner_join(school_clubs::table)
        .filter(school_clubs::kind.eq(ClubKind::AfterSchool))
        .filter(schools::id.eq_any(ids(&near_home()?)?))
        .order((distance(sample::home()).asc(), schools::id.asc()))
        .select((schools::name, distance(sample::home()), school_clubs::ends_at));
    repository.with_connection(move |connection| Ok(clubs.load(connection)?)).await
}

#[cfg(feature = "postgres")]
async fn on_postgres(repository: &PostgresRepository) -> Result<Vec<Club>> {
    use diesel::{ExpressionMethods, QueryDsl};
    use diesel_async::RunQueryDsl;
    use school_finder_db::postgres::schema::{school_clubs, schools};
    use school_finder_db::postgres::{distance, ids};

    let clubs = schools::table
        .inner_join(school_clubs::table)
        .filter(school_clubs::kind.eq(ClubKind::AfterSchool))
        .filter(schools::id.eq_any(ids(&near_home()?)?))
        .order((distance(sample::home()).asc(), schools::id.asc()))
        .select((schools::name, distance(sample::home()), school_clubs::ends_at));
    repository.with_connection(async |connection| Ok(clubs.load(connection).await?)).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).unwrap_or("sqlite::memory:".to_owned());
    let config = Config::from_url(&url)?;
    migrate::up(&config).await?;
    let clubs = match config.backend() {
        #[cfg(feature = "postgres")]
        Backend::Postgres => {
            let repository = PostgresRepository::connect(&config).await?;
            fill(&repository).await?;
            on_postgres(&repository).await?
        }
        _ => {
            let repository = SqliteRepository::connect(&config).await?;
            fill(&repository).await?;
            on_sqlite(&repository).await?
        }
    };
    for (school, km, ends_at) in clubs {
        let km = km.map_or("-".to_owned(), |km| format!("{km:.2}"));
        println!("{km} km  {school}: {}", ends_at.map_or("open end".to_owned(), |time| time.to_string()));
    }
    Ok(())
}

/// An invented town, where there is nothing yet.
async fn fill(repository: &dyn SchoolRepository) -> Result<()> {
    let schools = repository.facets(&SchoolSearch::open().any_status()).await?.total;
    if schools == 0 { sample::fill(repository).await } else { Ok(()) }
}
