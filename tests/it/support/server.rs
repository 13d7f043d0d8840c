//! The test server's own: databases on it, and statements through a repository.

use diesel::dsl::sql;
use diesel::sql_types::{Double, Nullable};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use school_finder_db::config::Backend;
use school_finder_db::postgres::PostgresRepository;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Config, Result};

pub async fn database() -> TestDatabase {
    TestDatabase::new(Backend::Postgres).await.expect("a database")
}

pub async fn open(config: &Config) -> PostgresRepository {
    PostgresRepository::connect(config).await.expect("the database")
}

pub async fn execute(repository: &PostgresRepository, statement: &str) -> Result<()> {
    repository.with_connection(async |c: &mut AsyncPgConnection| Ok(c.batch_execute(statement).await?)).await
}

/// The one number that a query gives.
pub async fn number(repository: &PostgresRepository, query: &str) -> Result<Option<f64>> {
    let query = async |c: &mut AsyncPgConnection| Ok(sql::<Nullable<Double>>(query).get_result(c).await?);
    repository.with_connection(query).await
}

/// The test server's URL with another user, password and database.
pub fn url_as(role: &str, database: &str) -> String {
    let url = std::env::var("TEST_DATABASE_URL").expect("the server");
    let address = url.rsplit_once('@').map_or_else(|| url.trim_start_matches("postgres://"), |(_, address)| address);
    let host = address.split('/').next().expect("a host");
    format!("postgres://{role}:{role}@{host}/{database}")
}
