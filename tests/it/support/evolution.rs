//! The histories that a schema is taken through: this build's own, and a small one under tests/evolution that has every
//! pattern of docs/migrations.md.

use std::path::PathBuf;

use school_finder_db::Config;
use school_finder_db::config::Backend;
use school_finder_db::migrate::Migrator;
use school_finder_db::testing::TestDatabase;

use super::raw::url_of;

/// A database whose schema is at the newest version of a history.
pub struct History {
    pub migrator: Migrator,
    pub url: String,
    pub backend: Backend,
    /// Whether it is this build's own, so that the database can be served.
    pub is_own: bool,
}

#[cfg(feature = "cli")]
impl History {
    /// The migrator of the same history for another database.
    pub fn migrator_of(&self, url: &str) -> Migrator {
        let config = Config::from_url(url).expect("a database");
        if self.is_own { Migrator::new(&config) } else { fixture(&config) }
    }
}

/// Where the migrations of a history are.
pub fn folder(backend: Backend, is_own: bool) -> PathBuf {
    let project = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    if is_own {
        project.join(format!("migrations_{}", backend.as_str()))
    } else {
        project.join("tests/evolution").join(backend.as_str())
    }
}

/// The fixture set's migrator for a database.
pub fn fixture(config: &Config) -> Migrator {
    Migrator::new(config).of_folder(folder(config.backend(), false)).expect("the fixture set")
}

/// Takes a test's database from this build's schema to the fixture set's.
pub async fn evolving(database: &TestDatabase) -> History {
    let url = url_of(database).await;
    evolving_at(database, url).await
}

async fn evolving_at(database: &TestDatabase, url: String) -> History {
    let backend = database.config().backend();
    Migrator::new(database.owner()).accept_loss().down(usize::MAX).await.expect("all the way back");
    let migrator = fixture(database.owner());
    migrator.up().await.expect("the fixture set");
    History { migrator, url, backend, is_own: false }
}

/// Runs a test on this build's own history, and then on the fixture set.
pub async fn on_each_history(database: &TestDatabase, test: impl AsyncFn(&History)) {
    let own = History {
        migrator: Migrator::new(database.owner()),
        url: url_of(database).await,
        backend: database.config().backend(),
        is_own: true,
    };
    test(&own).await;
    test(&evolving_at(database, own.url).await).await;
}
