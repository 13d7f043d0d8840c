//! What every backend must keep: each test is one body that is given a database, and runs on each backend.

#[cfg(feature = "register")]
mod admission_files;
#[cfg(feature = "polars")]
mod backfilling;
#[cfg(feature = "polars")]
mod batching;
#[cfg(feature = "register")]
mod catchment_files;
mod catchments;
mod collections;
mod derived;
mod evolving;
mod explaining;
mod exporting;
mod finding;
mod identifiers;
mod phases;
#[cfg(feature = "register")]
mod postcode_files;
mod postcodes;
mod reach;
mod units;
mod words;
mod writing;

/// Runs each of these test bodies on every backend of this build.
macro_rules! on_every_backend {
    ($($name:ident),+ $(,)?) => {
        #[cfg(feature = "sqlite")]
        $crate::contract::on_backend!(sqlite, Sqlite, $($name),+);
        #[cfg(feature = "postgres")]
        $crate::contract::on_backend!(postgres, Postgres, $($name),+);
    };
}

macro_rules! on_backend {
    ($module:ident, $backend:ident, $($name:ident),+) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $name() {
                    let backend = school_finder_db::config::Backend::$backend;
                    let database = school_finder_db::testing::TestDatabase::new(backend).await.expect("a database");
                    super::$name(&database).await;
                }
            )+
        }
    };
}

pub(crate) use {on_backend, on_every_backend};
