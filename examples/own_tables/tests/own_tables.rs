//! The same steps on each backend.

use school_finder_db::config::Backend;
use school_finder_db::ids::Urn;
use school_finder_db::models::Phase;
use school_finder_db::prelude::*;
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, Kilometres, LatLng, SchoolSearch, migrate, sample};

/// The tests of one backend; `$migrate` applies the service's migrations.
macro_rules! tests {
    ($backend:ident, $variant:ident, $repository:ident, |$database:ident| $migrate:expr) => {
        mod $backend {
            use own_tables::$backend::{add, add_stop, list, migrate as migrate_all, stops_within};
            use school_finder_db::$backend::$repository;

            use super::*;

            async fn database() -> (TestDatabase, $repository) {
                let $database = TestDatabase::new(Backend::$variant).await.expect("a database");
                $migrate.expect("a schema");
                // Again, as at the next start.
                $migrate.expect("a schema");
                let repository = $repository::connect($database.config()).await.expect("a repository");
                sample::fill(&repository).await.expect("a town");
                ($database, repository)
            }

            #[tokio::test]
            async fn favourites_are_joined_with_a_search() {
                let (_database, repository) = database().await;
                let primary = SchoolSearch::open().phase(Phase::Primary).limit(3);
                let page = repository.find_schools(&primary).await.expect("a page").items;
                for hit in &page {
                    add(&repository, "ada", hit.school.urn, "visit").await.expect("a favourite");
                }
                add(&repository, "bob", page[0].school.urn, "").await.expect("a favourite");
                let home = sample::home();
                let near = SchoolSearch::near(home).within(Kilometres::new(5.0).expect("a distance"));
                let found = list(&repository, "ada", &near, home).await.expect("favourites");
                let mut expected: Vec<_> = page.iter().map(|hit| hit.school.urn).collect();
                expected.sort_by(|a, b| {
                    let km = |urn| found.iter().find(|one| one.school.urn == urn).and_then(|one| one.distance_km);
                    km(*a).partial_cmp(&km(*b)).expect("numbers")
                });
                assert_eq!(found.iter().map(|one| one.school.urn).collect::<Vec<_>>(), expected);
                assert!(found.iter().all(|one| one.note.as_deref() == Some("visit")));
                let secondary = near.phase(Phase::Secondary);
                assert_eq!(list(&repository, "ada", &secondary, home).await.expect("favourites"), []);
            }

            #[tokio::test]
            async fn a_favourite_needs_its_school_and_goes_with_it() {
                let (_database, repository) = database().await;
                let unknown = Urn::new(1).expect("a URN");
                let refused = add(&repository, "ada", unknown, "").await;
                assert!(matches!(refused, Err(Error::UnknownUrn { .. })));
                let urn = sample::schools()[0].urn;
                let id = add(&repository, "ada", urn, "").await.expect("a favourite");
                let twice = add(&repository, "ada", urn, "").await;
                assert!(matches!(twice, Err(Error::DuplicateRow { .. })), "{twice:?}");
                let all = SchoolSearch::open().any_status();
                assert_eq!(list(&repository, "ada", &all, sample::home()).await.expect("favourites").len(), 1);
                repository.delete_school(id).await.expect("deleted");
                assert_eq!(list(&repository, "ada", &all, sample::home()).await.expect("favourites"), []);
            }

            #[tokio::test]
            async fn stops_are_found_by_their_points() {
                let (_database, repository) = database().await;
                let at = |lat, lng| LatLng::from_lat_lng(lat, lng).expect("a point");
                for (name, point) in
                    [("far", at(53.0, -0.75)), ("near", at(52.041, -0.75)), ("nearest", at(52.04, -0.759))]
                {
                    add_stop(&repository, name, point).await.expect("a stop");
                }
                let radius = Kilometres::new(2.0).expect("a distance");
                let found = stops_within(&repository, sample::home(), radius).await.expect("stops");
                assert_eq!(found, ["nearest", "near"]);
            }

            #[tokio::test]
            async fn the_crate_ignores_the_services_tables() {
                let (database, repository) = database().await;
                assert!(migrate::check(database.owner()).await.expect("a check").is_empty());
                repository.health().await.expect("it is healthy");
                let status = migrate::status(database.owner()).await.expect("a status");
                assert!(status.iter().all(|one| one.applied));
            }
        }
    };
}

#[cfg(feature = "sqlite")]
tests!(sqlite, Sqlite, SqliteRepository, |database| migrate_all(database.owner()).await);
#[cfg(feature = "postgres")]
tests!(postgres, Postgres, PostgresRepository, |database| {
    migrate_all(database.owner(), database.role().unwrap_or_default()).await
});
