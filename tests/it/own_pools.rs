//! A pool that the service has already, handed in.

use std::time::Duration;

use school_finder_db::prelude::*;
use school_finder_db::request::SchoolSearch;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, sample};

use crate::support::{school, urn};

/// Reads, writes and a unit of work, each on the pool's connections.
async fn use_all_ways(finder: &dyn SchoolRepository) {
    sample::fill(finder).await.expect("a town");
    assert!(!finder.find_schools(&SchoolSearch::near(sample::home())).await.expect("schools").items.is_empty());
    let unit = finder.begin().await.expect("a unit of work");
    unit.insert_schools(vec![school(1)]).await.expect("a school that fits");
    drop(unit);
    assert_eq!(finder.school_by_urn(urn(1)).await.expect("an answer"), None, "it was rolled back");
    finder.health().await.expect("a database");
    assert_eq!(finder.pool_status().max, 2);
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use diesel::SqliteConnection;
    use diesel::connection::SimpleConnection;
    use diesel::r2d2::{Builder, ConnectionManager, Pool};
    use school_finder_db::Config;
    use school_finder_db::config::{Backend, Target};
    use school_finder_db::sqlite::{SqliteRepository, customizer};

    use super::*;

    fn manager(config: &Config) -> ConnectionManager<SqliteConnection> {
        let Target::SqliteFile { path, .. } = &config.target else { panic!("a file") };
        ConnectionManager::new(path.to_str().expect("UTF-8"))
    }

    fn builder() -> Builder<ConnectionManager<SqliteConnection>> {
        Pool::builder().max_size(2).connection_timeout(Duration::from_millis(200))
    }

    #[tokio::test]
    async fn a_pool_of_the_service_is_shared() {
        let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
        let config = database.config();
        let builder = builder().connection_customizer(customizer(config));
        let pool = builder.build(manager(config)).expect("a pool");
        let finder = SqliteRepository::from_pool(pool.clone(), config).await.expect("the pool");
        use_all_ways(&finder).await;
        // The service's own query on the same pool, with the crate's functions.
        let km: f64 = diesel::RunQueryDsl::get_result(
            diesel::dsl::sql::<diesel::sql_types::Double>("SELECT haversine(52, 0, 53, 0)"),
            &mut pool.get().expect("a connection"),
        )
        .expect("a distance");
        assert!((km - 111.2).abs() < 0.1, "{km}");
        let all: Vec<_> = (0..2).map(|_| pool.get().expect("a connection")).collect();
        let refused = finder.school_by_urn(urn(1)).await.expect_err("none is left");
        assert!(matches!(refused, Error::PoolTimeout { waited_ms: 200 }), "{refused}");
        drop(all);
        finder.school_by_urn(urn(1)).await.expect("a connection is free");
    }

    #[tokio::test]
    async fn a_pool_that_is_not_set_up_is_refused() {
        let database = TestDatabase::new(Backend::Sqlite).await.expect("a database");
        let pool = builder().build(manager(database.config())).expect("a pool");
        pool.get().expect("a connection").batch_execute("PRAGMA foreign_keys = ON").expect("a pragma");
        let refused = SqliteRepository::from_pool(pool, database.config()).await.expect_err("no functions");
        assert_eq!(refused.to_string(), "pool was built without `sqlite::customizer` as its connection_customizer");
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use deadpool::Runtime;
    use diesel_async::AsyncPgConnection;
    use diesel_async::pooled_connection::AsyncDieselConnectionManager;
    use diesel_async::pooled_connection::deadpool::Pool;
    use school_finder_db::config::Backend;
    use school_finder_db::postgres::{PostgresRepository, manager};

    use super::*;
    use crate::support::raw::url_of;

    fn pool(manager: AsyncDieselConnectionManager<AsyncPgConnection>) -> Pool<AsyncPgConnection> {
        let builder = Pool::builder(manager).max_size(2).runtime(Runtime::Tokio1);
        builder.wait_timeout(Some(Duration::from_millis(200))).build().expect("a pool")
    }

    #[tokio::test]
    async fn a_pool_of_the_service_is_shared() {
        let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
        let config = database.config();
        let pool = pool(manager(config).expect("a server"));
        let finder = PostgresRepository::from_pool(pool.clone(), config).await.expect("the pool");
        use_all_ways(&finder).await;
        let all = [pool.get().await.expect("a connection"), pool.get().await.expect("a connection")];
        let refused = finder.school_by_urn(urn(1)).await.expect_err("none is left");
        assert!(matches!(refused, Error::PoolTimeout { waited_ms: 200 }), "{refused}");
        drop(all);
        finder.school_by_urn(urn(1)).await.expect("a connection is free");
    }

    #[tokio::test]
    async fn connections_that_end_are_replaced() {
        let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
        let pool = pool(manager(database.owner()).expect("a server"));
        let finder = PostgresRepository::from_pool(pool.clone(), database.owner()).await.expect("the pool");
        finder.school_by_urn(urn(1)).await.expect("a connection");
        let mut raw = crate::support::raw::Raw::open(&url_of(&database).await).await;
        raw.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
        finder.school_by_urn(urn(1)).await.expect("another connection");
    }

    #[tokio::test]
    async fn a_pool_of_other_connections_is_refused() {
        let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
        let pool = pool(AsyncDieselConnectionManager::new(url_of(&database).await));
        let refused = PostgresRepository::from_pool(pool, database.config()).await.expect_err("not set up");
        assert_eq!(refused.to_string(), "pool was built without the connections of `postgres::manager`");
    }
}
