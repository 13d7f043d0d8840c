//! What a service's `/health` says, and who may do what.

use school_finder_db::migrate::{self, Migrator};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, SchoolSearch, connect, sample};

use crate::contract::on_every_backend;

on_every_backend!(
    a_database_that_can_be_used_says_what_it_is,
    health_has_the_position,
    pending_migrations_are_told,
    gauges_follow_the_calls,
);

async fn a_database_that_can_be_used_says_what_it_is(database: &TestDatabase) {
    let health = database.repository().health().await.expect("a database that can be used");
    let backend = database.config().backend();
    assert_eq!(health.backend, backend.as_str());
    let software = if health.backend == "sqlite" { "SQLite 3." } else { "PostgreSQL 1" };
    assert!(health.version.starts_with(software), "{health:?}");
    let newest = migrate::scripts(backend).last().expect("a migration").name;
    assert_eq!(health.migration, newest);
    let role = if health.backend == "sqlite" { "embedded" } else { "primary" };
    assert_eq!((health.role.as_str(), health.lag_ms), (role, None));
}

async fn health_has_the_position(database: &TestDatabase) {
    let repository = database.repository();
    let before = repository.position().await.expect("a position").to_string();
    let position = repository.health().await.expect("a usable database").position.expect("a position").to_string();
    let after = repository.position().await.expect("a position").to_string();
    if before == "embedded" {
        assert_eq!(position, before);
        return;
    }
    // Other tests write to the same server.
    let [before, position, after] = [&before, &position, &after].map(|text| {
        let (timeline, lsn) = text.split_once('-').expect("a timeline");
        (timeline, u64::from_str_radix(lsn, 16).expect("a number"))
    });
    assert_eq!(position.0, before.0);
    assert!(before <= position && position <= after, "{before:?} {position:?} {after:?}");
}

async fn pending_migrations_are_told(database: &TestDatabase) {
    Migrator::new(database.owner()).accept_loss().down(2).await.expect("two steps back");
    let error = database.repository().health().await.expect_err("an older schema");
    assert!(matches!(error, Error::SchemaPending { pending: 2 }), "{error:?}");
    assert!(error.to_string().contains("school-finder migrate up"), "{error}");
    Migrator::new(database.owner()).up().await.expect("up again");
    database.repository().health().await.expect("a database that can be used");
}

async fn gauges_follow_the_calls(database: &TestDatabase) {
    let mut config = database.config().clone();
    config.pool.max_size = 3;
    let repository = connect(&config).await.expect("the database");
    repository.insert_schools(sample::schools()).await.expect("schools that fit");
    repository.find_schools(&SchoolSearch::open()).await.expect("schools");
    let status = repository.pool_status();
    assert_eq!((status.max, status.waiting), (3, 0), "{status:?}");
    assert!(status.open >= 1 && status.idle == status.open, "{status:?}");
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn health_detects_a_moved_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = school_finder_db::Config::sqlite_file(folder.path().join("schools.db"));
    let repository = school_finder_db::create(&config).await.expect("a new database");
    repository.health().await.expect("a database that can be used");
    std::fs::rename(folder.path().join("schools.db"), folder.path().join("elsewhere.db")).expect("moved");
    let error = repository.health().await.expect_err("it is gone");
    assert!(matches!(error, Error::CannotOpen { .. }), "{error:?}");

    let memory = connect(&school_finder_db::Config::in_memory()).await.expect("a database in memory");
    assert_eq!(memory.health().await.expect("a database that can be used").backend, "sqlite");
    assert_eq!((memory.pool_status().max, memory.pool_status().idle), (1, 1));
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn grants_are_for_postgres_only() {
    let database = TestDatabase::new(school_finder_db::config::Backend::Sqlite).await.expect("a database");
    let error = Migrator::new(database.owner()).grant("finder").await.expect_err("no roles");
    assert!(matches!(error, Error::OnlyPostgres { .. }), "{error:?}");
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use std::time::{Duration, Instant};

    use school_finder_db::postgres::PostgresRepository;

    use super::*;
    use crate::support::raw::{Raw, url_of};
    use crate::support::relay::Relay;
    use crate::support::server::database;

    #[tokio::test]
    async fn a_missing_or_old_extension_is_reported() {
        let database = database().await;
        let mut raw = Raw::open(&url_of(&database).await).await;
        raw.execute("UPDATE pg_extension SET extversion = '3.2.1' WHERE extname = 'postgis'").await;
        let error = database.repository().health().await.expect_err("too old");
        assert_eq!(error.to_string(), "PostGIS 3.2.1 is too old: 3.3 or newer is needed");
        raw.execute("DROP EXTENSION postgis CASCADE").await;
        let error = database.repository().health().await.expect_err("no PostGIS");
        assert!(matches!(error, Error::PostgisMissing { .. }), "{error:?}");
        assert!(error.to_string().contains("CREATE EXTENSION postgis"), "{error}");
    }

    #[tokio::test]
    async fn an_unreachable_server_is_reported_in_time() {
        let database = database().await;
        let relay = Relay::to_the_test_server().await;
        let mut config = relay.config(&database).await;
        config.pool.connect_timeout = Duration::from_secs(2);
        let repository = connect(&config).await.expect("the database");
        repository.health().await.expect("a database that can be used");
        relay.freeze();
        let begun = Instant::now();
        let error = repository.health().await.expect_err("nobody answers");
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        // Each of many concurrent callers gets its error in time.
        let begun = Instant::now();
        let many: Vec<_> = (0..30)
            .map(|_| {
                let repository = std::sync::Arc::clone(&repository);
                tokio::spawn(async move { repository.health().await })
            })
            .collect();
        for call in many {
            let error = call.await.expect("no panic").expect_err("nobody answers");
            assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_service_role_writes_rows_and_no_table() {
        let database = database().await;
        let repository = PostgresRepository::connect(database.config()).await.expect("the database");
        for statement in [
            "CREATE TABLE visits (n INTEGER)",
            "ALTER TABLE schools ADD COLUMN motto TEXT",
            "ALTER TABLE schools DISABLE TRIGGER ALL",
            "DROP TABLE school_reviews",
            "DROP INDEX ix_schools_postcode",
            "CREATE INDEX ix_mine ON schools (urn)",
            "TRUNCATE schools CASCADE",
            "CREATE OR REPLACE FUNCTION haversine(a float8, b float8, c float8, d float8) RETURNS float8 LANGUAGE sql RETURN 0",
            "UPDATE school_finder_migrations SET floor = '00000000000000'",
            "DELETE FROM school_finder_migrations",
            "CREATE EXTENSION pg_trgm",
            "COPY schools TO PROGRAM 'cat'",
        ] {
            let execute = async |c: &mut diesel_async::AsyncPgConnection| {
                Ok(diesel_async::SimpleAsyncConnection::batch_execute(c, statement).await?)
            };
            let refused = repository.with_connection(execute).await.expect_err(statement);
            let is_told = matches!(
                &refused,
                Error::PermissionDenied { .. } | Error::SchemaDenied { .. } | Error::PostgisMissing { .. }
            );
            assert!(is_told, "{statement}: {refused:?}");
        }
    }

    #[tokio::test]
    async fn migrating_as_a_service_role_is_refused() {
        let database = database().await;
        Migrator::new(database.owner()).accept_loss().down(1).await.expect("one step back");
        for refused in [
            Migrator::new(database.config()).up().await,
            Migrator::new(database.config()).accept_loss().down(1).await,
            Migrator::new(database.config()).grant("postgres").await.map(|()| Vec::new()),
        ] {
            let error = refused.expect_err("not its own tables");
            let is_told = matches!(
                error,
                Error::PermissionDenied { .. } | Error::SchemaDenied { .. } | Error::SchemaPending { .. }
            );
            assert!(is_told, "{error:?}");
        }
        let error = Migrator::new(database.config()).up().await.expect_err("not its own tables");
        assert!(error.to_string().contains("connect as the owner of the tables"), "{error}");
    }

    #[cfg(feature = "cli")]
    #[tokio::test]
    async fn migrate_grant_gives_the_rights_of_a_service() {
        let database = database().await;
        let url = url_of(&database).await;
        let role = format!("school_finder_granted_{}", std::process::id());
        database.execute(&format!("CREATE ROLE {role}")).await.expect("a role");
        let granted = std::process::Command::new(env!("CARGO_BIN_EXE_school-finder"))
            .args(["--database", &url, "migrate", "grant", &role])
            .output()
            .expect("the program runs");
        assert!(granted.status.success(), "{granted:?}");
        let may = async |right: &str| {
            let sql = format!("SELECT has_table_privilege('{role}', 'schools', '{right}')::int::bigint");
            database.number(&sql).await.expect("a result") == 1
        };
        assert!(may("SELECT").await && may("INSERT").await && may("UPDATE").await && may("DELETE").await);
        assert!(!may("TRUNCATE").await && !may("TRIGGER").await);
        database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.expect("gone");
    }

    #[tokio::test]
    async fn a_missing_role_is_reported() {
        let database = database().await;
        for role in ["no \"such\" role; --", "public", "PUBLIC", ""] {
            let error = Migrator::new(database.owner()).grant(role).await.expect_err("no such role");
            assert!(matches!(error, Error::UnknownRole { .. }), "{error:?}");
        }
    }
}
