//! Test databases on a Postgres server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::dsl::sql;
use diesel::sql_types::{Bool, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::config::{Config, Target};
use crate::error::{Error, Result};
use crate::migrate;
use crate::postgres::errors::classify;
use crate::postgres::migrations::open;

/// The key of the advisory lock for creating the template.
const TEMPLATE_LOCK: i64 = 0x7465_6d70_6c61_7465;

/// The database that every test database is a copy of. Its name contains the migrations' fingerprint, so that the
/// template of an older build is never used.
const TEMPLATE: &str = concat!("school_finder_template_", env!("SCHOOL_FINDER_MIGRATIONS"));

/// The service's role, whose privileges the tests' repositories have. It cannot log in.
pub(super) const SERVICE: &str = "school_finder_test_service";

/// A database on the test server. Dropping it removes the database.
#[derive(Debug)]
pub(super) struct ServerDatabase {
    server: Config,
    owner: Config,
    name: String,
}

impl ServerDatabase {
    pub(super) async fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let missing = Error::InvalidSetting {
            setting: "TEST_DATABASE_URL",
            reason: "is not set: name a Postgres server for tests, or let scripts/test start one",
        };
        let server = Config::from_url(&std::env::var("TEST_DATABASE_URL").map_err(|_| missing)?)?;
        let name = format!("school_finder_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        create(&server, &name).await.map_err(classify)?;
        Ok(Self { owner: on_database(&server, &name), server, name })
    }

    /// Returns the configuration of the service's role.
    pub(super) fn config(&self) -> Config {
        with_settings(&self.owner, |settings| {
            settings.options(format!("{} -c role={SERVICE}", settings.get_options().unwrap_or_default()));
        })
    }

    /// Returns the configuration of the role that owns the tables.
    pub(super) fn owner(&self) -> &Config {
        &self.owner
    }
}

impl Drop for ServerDatabase {
    fn drop(&mut self) {
        let (server, drop) = (self.server.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        // Runs on a thread with its own runtime: the caller may be inside a runtime, which must not be blocked.
        let dropping = std::thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| Error::Unavailable { reason: error.to_string() })?;
            runtime.block_on(async { Ok(open(&server).await?.batch_execute(&drop).await?) })
        });
        if !matches!(dropping.join(), Ok(Ok(()))) {
            eprintln!("the test database {} could not be dropped", self.name);
        }
    }
}

/// Creates the database as a copy of the template.
async fn create(server: &Config, name: &str) -> Result<()> {
    let mut connection = open(server).await?;
    // One program at a time creates a missing template.
    let lock = format!("SET lock_timeout = 0; SELECT pg_advisory_lock({TEMPLATE_LOCK})");
    connection.batch_execute(&lock).await?;
    create_template(&mut connection, server).await?;
    connection.batch_execute(&format!("SELECT pg_advisory_unlock({TEMPLATE_LOCK})")).await?;
    // Database names cannot be bound; this one consists of letters, digits and underscores.
    Ok(connection.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await?)
}

/// Creates the template where it is missing.
async fn create_template(connection: &mut AsyncPgConnection, server: &Config) -> Result<()> {
    let exists =
        sql::<Bool>("SELECT EXISTS (SELECT FROM pg_database WHERE datname = ").bind::<Text, _>(TEMPLATE).sql(")");
    if exists.get_result::<bool>(connection).await? {
        return Ok(());
    }
    // Created under another name until it is complete.
    let unfinished = format!("{TEMPLATE}_new");
    connection.batch_execute(&format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await?;
    connection.batch_execute(&format!("CREATE DATABASE {unfinished}")).await?;
    let owner = on_database(server, &unfinished);
    migrate::up(&owner).await?;
    let role = sql::<Bool>("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = ").bind::<Text, _>(SERVICE).sql(")");
    if !role.get_result::<bool>(connection).await? {
        // Role names cannot be bound; this one is the constant above.
        connection.batch_execute(&format!("CREATE ROLE {SERVICE} NOLOGIN")).await?;
    }
    migrate::Migrator::new(&owner).grant(SERVICE).await?;
    // The migrating connection is closed, but its server process may take a moment to exit.
    let rename = format!("ALTER DATABASE {unfinished} RENAME TO {TEMPLATE}");
    for _ in 0..100 {
        if connection.batch_execute(&rename).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(connection.batch_execute(&rename).await?)
}

fn on_database(server: &Config, name: &str) -> Config {
    with_settings(server, |settings| {
        settings.dbname(name);
    })
}

/// Returns a configuration with changed settings of its connections.
fn with_settings(config: &Config, change: impl Fn(&mut tokio_postgres::Config)) -> Config {
    let mut config = config.clone();
    #[cfg_attr(not(feature = "sqlite"), allow(irrefutable_let_patterns))]
    if let Target::Postgres(server) = &mut config.target {
        server.hosts.iter_mut().for_each(change);
    }
    config
}
