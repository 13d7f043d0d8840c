//! Test databases on a Postgres server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::config::Config;
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
const SERVICE: &str = "school_finder_test_service";

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
        make(&server, &name).await.map_err(classify)?;
        Ok(Self { owner: on(&server, &name)?, server, name })
    }

    /// Returns the configuration of the service's role.
    pub(super) fn config(&self) -> Config {
        self.owner.clone().with_role(SERVICE)
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
async fn make(server: &Config, name: &str) -> Result<()> {
    let mut connection = open(server).await?;
    make_template(&mut connection, server).await?;
    // Database names cannot be bound; this one consists of letters, digits and underscores.
    let create = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
    Ok(connection.batch_execute(&create).await?)
}

/// Creates the template where it is missing, one program at a time.
async fn make_template(connection: &mut AsyncPgConnection, server: &Config) -> Result<()> {
    let lock = || sql::<Bool>("SELECT pg_try_advisory_lock(").bind::<BigInt, _>(TEMPLATE_LOCK).sql(")");
    while !lock().get_result::<bool>(connection).await? {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let made = make_template_in_lock(connection, server).await;
    let unlock = sql::<Bool>("SELECT pg_advisory_unlock(").bind::<BigInt, _>(TEMPLATE_LOCK).sql(")");
    unlock.get_result::<bool>(connection).await?;
    made
}

async fn make_template_in_lock(connection: &mut AsyncPgConnection, server: &Config) -> Result<()> {
    let exists =
        sql::<Bool>("SELECT EXISTS (SELECT FROM pg_database WHERE datname = ").bind::<Text, _>(TEMPLATE).sql(")");
    if exists.get_result::<bool>(connection).await? {
        return Ok(());
    }
    // Created under another name until it is complete.
    let unfinished = format!("{TEMPLATE}_new");
    let begin = format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)");
    connection.batch_execute(&begin).await?;
    let create = format!("CREATE DATABASE {unfinished}");
    connection.batch_execute(&create).await?;
    let owner = on(server, &unfinished)?;
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

/// Returns the configuration for another database on the same server.
fn on(server: &Config, name: &str) -> Result<Config> {
    server.clone().on_database(name)
}
