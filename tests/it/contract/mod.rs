//! What every backend must keep: each test is one body that is given a database, and runs on each backend.

mod finding;
mod writing;

/// Runs each of these test bodies on every backend of this build.
macro_rules! on_every_backend {
    ($($name:ident),+ $(,)?) => {
        #[cfg(feature = "sqlite")]
        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    let backend = school_finder_db::config::Backend::Sqlite;
                    let database = school_finder_db::testing::TestDatabase::new(backend).await.expect("a database");
                    super::$name(&database).await;
                }
            )+
        }
    };
}

use on_every_backend;
