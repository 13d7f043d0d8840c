//! Finders of every backend, for properties that hold on each and between them.

use std::sync::Arc;

use school_finder_db::SchoolRepository;
use school_finder_db::ids::SchoolId;
use school_finder_db::models::NewSchool;
#[cfg(feature = "sqlite")]
use school_finder_db::{Config, connect};

/// A finder on each backend of this build, which holds these schools under the same ids.
pub struct Finders {
    pub finders: Vec<Arc<dyn SchoolRepository>>,
}

impl Finders {
    pub async fn stored(&self, schools: Vec<NewSchool>) -> Vec<(SchoolId, NewSchool)> {
        let mut stored = Vec::new();
        for finder in &self.finders {
            let ids = finder.insert_schools(schools.clone()).await.expect("schools that fit");
            let these: Vec<_> = ids.into_iter().zip(schools.clone()).collect();
            assert!(stored.is_empty() || stored == these, "the same ids on every backend");
            stored = these;
        }
        stored
    }
}

/// On Postgres, one database serves all cases of a test, emptied for each: to copy one takes longer than a case.
#[cfg(feature = "postgres")]
async fn emptied(database: &school_finder_db::testing::TestDatabase) -> Arc<dyn SchoolRepository> {
    database.execute("TRUNCATE schools RESTART IDENTITY CASCADE").await.expect("an empty table");
    school_finder_db::connect(database.config()).await.expect("the database")
}

/// Runs cases against new finders of every backend.
pub struct World {
    runtime: tokio::runtime::Runtime,
    #[cfg(feature = "postgres")]
    database: school_finder_db::testing::TestDatabase,
}

impl World {
    pub fn new() -> Self {
        let runtime = runtime();
        #[cfg(feature = "postgres")]
        let database = runtime
            .block_on(school_finder_db::testing::TestDatabase::new(school_finder_db::config::Backend::Postgres))
            .expect("a database");
        Self {
            runtime,
            #[cfg(feature = "postgres")]
            database,
        }
    }

    pub fn case(&self, case: impl AsyncFnOnce(Finders)) {
        self.runtime.block_on(async {
            let mut finders: Vec<Arc<dyn SchoolRepository>> = Vec::new();
            #[cfg(feature = "sqlite")]
            finders.push(connect(&Config::in_memory()).await.expect("a database in memory"));
            #[cfg(feature = "postgres")]
            finders.push(emptied(&self.database).await);
            case(Finders { finders }).await;
        });
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
