//! A service's own Diesel queries over a search's ids and distances.

use school_finder_db::ids::SchoolId;
use school_finder_db::models::{NewSchool, Phase};
use school_finder_db::prelude::*;
use school_finder_db::request::{Ownership, ReachFilter};
use school_finder_db::{Error, SchoolSearch, Sort, sample};

use crate::support::{at, km, school};

fn searches() -> Vec<SchoolSearch> {
    let near = || SchoolSearch::near(sample::home());
    vec![
        SchoolSearch::open(),
        SchoolSearch::open().any_status(),
        SchoolSearch::open().name("st"),
        SchoolSearch::open().name("forest brackenford"),
        near().within(km(1.5)),
        near().within(km(5.0)).phase(Phase::Primary).phase(Phase::Secondary),
        near().within(km(900.0)).ownership(Ownership::Private),
        near().within(km(20.0)).reached(ReachFilter { intake: None, years: 2 }),
        // The order and the limit belong to the outer query.
        near().within(km(1.5)).sort(Sort::Name).limit(1),
    ]
}

/// Stores the sample town, and schools all over England.
async fn fill(finder: &dyn SchoolRepository) {
    sample::fill(finder).await.expect("a town");
    let part = |number: i64, step: i64| f64::from(i32::try_from(number * step % 1_009).expect("small")) / 1_009.0;
    let located = |number| {
        let location = at(50.0 + part(number, 613) * 5.0, -5.0 + part(number, 317) * 6.0);
        NewSchool { location: Some(location), ..school(number) }
    };
    finder.insert_schools((1..=2_000).map(located).collect()).await.expect("schools that fit");
}

/// Returns the ids that a search finds, in ascending order.
async fn found_by(finder: &dyn SchoolRepository, search: &SchoolSearch) -> Vec<SchoolId> {
    let found = finder.all_schools(search).await.expect("a result");
    let mut ids: Vec<_> = found.iter().map(|hit| hit.school.id).collect();
    ids.sort();
    ids
}

/// The same tests over each backend's schema; what differs is how a query is run.
macro_rules! tests {
    ($backend:ident, $db:ty, $location_index:literal, [$($async:tt)?], [$($await:tt)*]) => {
        use school_finder_db::explain::{ExplainMode, Explanation};
        use school_finder_db::models::ClubKind;
        use school_finder_db::$backend::schema::{school_clubs, schools};
        use school_finder_db::$backend::{corrected_ids, distance, explain, ids};

        use super::*;

        #[tokio::test]
        async fn ids_are_those_that_a_search_finds() {
            let database = database().await;
            for search in searches() {
                let expected = found_by(&database.repository, &search).await;
                let query = schools::table.filter(schools::id.eq_any(ids(&search).expect("ids")));
                let query = query.order_by(schools::id).select(schools::id);
                let found: Vec<SchoolId> = database
                    .repository
                    .with_connection($($async)? move |c| Ok(query.load(c)$($await)*?))
                    .await
                    .expect("a result");
                assert!(!found.is_empty() && found == expected, "{search:?}: {found:?} and {expected:?}");
            }
            let misspelt = SchoolSearch::open().name("brackenfrod");
            let expected = found_by(&database.repository, &misspelt).await;
            let corrected: Vec<SchoolId> = database
                .repository
                .with_connection($($async)? move |c| {
                    let ids = corrected_ids(c, &misspelt)$($await)*?;
                    let query = schools::table.filter(schools::id.eq_any(ids)).order_by(schools::id);
                    Ok(query.select(schools::id).load(c)$($await)*?)
                })
                .await
                .expect("a result");
            assert!(!corrected.is_empty() && corrected == expected, "{corrected:?} and {expected:?}");
            let invalid = ids(&SchoolSearch::open().within(km(1.0)));
            assert!(matches!(invalid, Err(Error::InvalidSearch { .. })), "a radius without a point");
        }

        #[tokio::test]
        async fn ids_fit_a_join_and_are_found_by_an_index() {
            let database = database().await;
            let search = SchoolSearch::near(sample::home()).within(km(2.0));
            let by_distance = || {
                schools::table
                    .inner_join(school_clubs::table)
                    .filter(school_clubs::kind.eq(ClubKind::AfterSchool))
                    .filter(schools::id.eq_any(ids(&search).expect("ids")))
                    .order_by((distance(sample::home()).asc(), schools::id.asc()))
                    .select((schools::id, distance(sample::home())))
            };
            let query = by_distance();
            let found: Vec<(SchoolId, Option<f64>)> = database
                .repository
                .with_connection($($async)? move |c| Ok(query.load(c)$($await)*?))
                .await
                .expect("a result");
            let page = database.repository.find_schools(&search.clone().club(ClubKind::AfterSchool)).await;
            let page = page.expect("a page").items;
            let expected: Vec<_> =
                page.iter().map(|hit| (hit.school.id, hit.distance_km.map(|km| km.get()))).collect();
            assert!(!found.is_empty());
            assert_eq!(found, expected);
            let query = by_distance();
            let plan = database
                .repository
                .with_connection($($async)? move |c| explain(c, query, ExplainMode::Analyze)$($await)*)
                .await
                .expect("a plan");
            assert_eq!(plan.execution.map(|run| run.rows), Some(found.len() as u64));
            let query = schools::table.filter(schools::id.eq_any(ids(&search).expect("ids"))).select(schools::name);
            let plan = database
                .repository
                .with_connection($($async)? move |c| explain(c, query, ExplainMode::Plan)$($await)*)
                .await
                .expect("a plan");
            assert!(plan.indexes.iter().any(|index| index == $location_index), "{plan}");
            assert!(!plan.scans.iter().any(|table| table == "schools"), "{plan}");
        }

        #[tokio::test]
        async fn a_walked_index_is_not_a_search_or_a_scan() {
            let database = database().await;
            let plan = async |query: schools::BoxedQuery<'static, $db>| -> Explanation {
                let query = query.select(schools::id);
                let plan = database
                    .repository
                    .with_connection($($async)? move |c| explain(c, query, ExplainMode::Plan)$($await)*)
                    .await;
                plan.expect("a plan")
            };
            let walk = plan(schools::table.order_by(schools::urn.asc()).limit(5).into_boxed()).await;
            assert_eq!((walk.index_walks.len(), walk.scans.len()), (1, 0), "{walk}");
            assert_eq!(walk.index_walks, walk.indexes);
            let search = plan(schools::table.filter(schools::urn.eq(7)).into_boxed()).await;
            assert_eq!((search.indexes.len(), search.index_walks.len(), search.scans.len()), (1, 0, 0), "{search}");
            let scan = plan(schools::table.filter(schools::capacity.gt(7)).into_boxed()).await;
            assert_eq!((scan.indexes.len(), scan.index_walks.len(), scan.scans.len()), (0, 0, 1), "{scan}");
            assert_eq!(scan.scans, ["schools"]);
        }
    };
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use diesel::prelude::*;
    use school_finder_db::Config;
    use school_finder_db::sqlite::SqliteRepository;

    tests!(sqlite, diesel::sqlite::Sqlite, "ix_schools_latitude_band", [], []);

    struct Database {
        repository: SqliteRepository,
    }

    async fn database() -> Database {
        let repository = SqliteRepository::connect(&Config::in_memory()).await.expect("a database");
        fill(&repository).await;
        Database { repository }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use diesel::{ExpressionMethods, QueryDsl};
    use diesel_async::RunQueryDsl;
    use school_finder_db::config::Backend;
    use school_finder_db::postgres::PostgresRepository;
    use school_finder_db::testing::TestDatabase;

    tests!(postgres, diesel::pg::Pg, "ix_schools_open_location", [async], [.await]);

    struct Database {
        repository: PostgresRepository,
        /// Deletes the database when it is dropped.
        _database: TestDatabase,
    }

    async fn database() -> Database {
        let database = TestDatabase::new(Backend::Postgres).await.expect("a database");
        fill(database.repository()).await;
        TestDatabase::execute(&database, "ANALYZE schools").await.expect("analysed");
        let repository = PostgresRepository::connect(database.config()).await.expect("a repository");
        Database { repository, _database: database }
    }
}
