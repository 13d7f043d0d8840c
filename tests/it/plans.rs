//! The plan of each query names the index that serves it, and scans no table.

use school_finder_db::models::{ClubKind, Phase, Rating};
use school_finder_db::request::{ReachFilter, Unrated};
use school_finder_db::{SchoolSearch, Sort, sample};

use crate::support::km;

/// The index of locations: latitude bands on SQLite, GiST on Postgres.
pub const LOCATIONS: &str = "locations";

/// The key of words: it has another name on each backend.
pub const WORDS: &str = "words";

/// A search's name in the snapshots, the search, and the index that serves it.
pub fn searches() -> Vec<(&'static str, SchoolSearch, &'static str)> {
    let near = || SchoolSearch::near(sample::home());
    let within = |search: SchoolSearch, radius| search.within(km(radius));
    vec![
        ("nearest", near(), LOCATIONS),
        ("radius", within(near(), 5.0), LOCATIONS),
        ("small_radius", within(near(), 0.5), LOCATIONS),
        ("filtered", within(near(), 5.0).phase(Phase::Secondary).rated(Rating::Good, Unrated::Include), LOCATIONS),
        ("radius_by_name", within(near(), 5.0).sort(Sort::Name), LOCATIONS),
        ("radius_by_rating", within(near(), 5.0).sort(Sort::Rating), LOCATIONS),
        // So wide a circle leaves out little: the order decides which index is read.
        ("wide_by_name", within(near(), 1_000.0).sort(Sort::Name), "ix_schools_open_name"),
        ("by_name", SchoolSearch::open(), "ix_schools_open_name"),
        ("by_rating", SchoolSearch::open().sort(Sort::Rating), "ix_schools_open_rating"),
        ("one_council", SchoolSearch::open().council("Brackenford"), "ix_schools_open_council_name"),
        ("one_phase", SchoolSearch::open().phase(Phase::Nursery), "ix_schools_open_phase_name"),
        ("with_club", within(near(), 5.0).club(ClubKind::Breakfast), "ix_school_clubs_school"),
        (
            "reached",
            near().reached(ReachFilter { intake: Some("Year R".to_owned()), years: 2 }),
            "ix_admissions_reach_school",
        ),
        ("by_margin", near().reached(ReachFilter::default()).sort(Sort::Margin), "ix_admissions_reach_school"),
        ("by_text", SchoolSearch::open().name("mary"), WORDS),
        ("by_texts", SchoolSearch::open().name("st mary brackenford"), WORDS),
        ("nearest_by_text", near().name("mary"), WORDS),
        ("by_match", SchoolSearch::open().name("mary").sort(Sort::Match), WORDS),
        // Most schools have the word: the best match is first in the order of the names.
        ("by_frequent_match", SchoolSearch::open().name("school").sort(Sort::Match), "ix_schools_open_name"),
    ]
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use diesel::connection::SimpleConnection;
    use school_finder_db::explain::{ExplainMode, ExplainedQuery};
    use school_finder_db::models::{NewSchool, Phase, Rating, Status};
    use school_finder_db::prelude::*;
    use school_finder_db::request::Unrated;
    use school_finder_db::sqlite::SqliteRepository;
    use school_finder_db::{Config, SchoolSearch, sample};

    use super::{LOCATIONS, WORDS, searches};
    use crate::support::school;

    async fn repository() -> SqliteRepository {
        let repository = SqliteRepository::connect(&Config::in_memory()).await.expect("a database");
        let mut schools = sample::schools();
        schools.extend((1..=2_000).map(school));
        repository.insert_schools(schools).await.expect("schools that fit");
        repository
    }

    async fn every_plan_uses_its_index(repository: &SqliteRepository, when: &str) {
        for (name, search, index) in searches() {
            let index = match index {
                LOCATIONS => "ix_schools_latitude_band",
                WORDS => "primary key",
                index => index,
            };
            let explanation =
                repository.explain(ExplainedQuery::Find, &search, ExplainMode::Plan).await.expect("a plan");
            assert!(explanation.indexes.iter().any(|used| used == index), "{name} {when}: {explanation}");
            assert!(explanation.scans.is_empty(), "{name} {when}: {explanation}");
        }
    }

    #[tokio::test]
    async fn no_search_scans_the_table() {
        let repository = repository().await;
        every_plan_uses_its_index(&repository, "before ANALYZE").await;
        repository.with_connection(|c| Ok(c.batch_execute("ANALYZE")?)).await.expect("analysed");
        every_plan_uses_its_index(&repository, "after ANALYZE").await;
        // A search for closed schools has no index of its own, and says so.
        let closed = repository
            .explain(ExplainedQuery::Find, &SchoolSearch::open().status(Status::Closed), ExplainMode::Plan)
            .await
            .expect("a plan");
        assert_eq!(closed.scans, ["schools"]);
    }

    /// The last look of a search that few schools pass is at all of them: here at those after one that stands nowhere.
    #[tokio::test]
    async fn a_probe_without_a_box_uses_the_council_index() {
        let repository = repository().await;
        let rare = |number| NewSchool {
            location: None,
            council: Some("Rutland".to_owned()),
            phase: Some(Phase::MiddleSecondary),
            ..school(number)
        };
        repository.insert_schools((3_001..=3_002).map(rare).collect()).await.expect("schools that fit");
        let near = || SchoolSearch::near(sample::home()).limit(1);
        let after_the_first = async |search: SchoolSearch| {
            let next = repository.find_schools(&search).await.expect("a result").next.expect("there is another");
            repository.explain(ExplainedQuery::Find, &search.after(next), ExplainMode::Plan).await.expect("a plan")
        };
        for when in ["before ANALYZE", "after ANALYZE"] {
            let explanation = after_the_first(near().council("Rutland")).await;
            let by_council = |index: &String| index.contains("council");
            assert!(explanation.indexes.iter().any(by_council), "{when}: {explanation}");
            // The index of a phase holds much of the country, and each of its rows would be looked up in the table.
            let explanation =
                after_the_first(near().phase(Phase::MiddleSecondary).rated(Rating::Good, Unrated::Include)).await;
            assert_eq!(explanation.indexes, ["ix_schools_latitude_band"], "{when}: {explanation}");
            repository.with_connection(|c| Ok(c.batch_execute("ANALYZE")?)).await.expect("analysed");
        }
    }

    #[tokio::test]
    async fn catchments_are_found_by_their_boxes() {
        let repository = repository().await;
        let search = SchoolSearch::near(sample::home());
        for when in ["before ANALYZE", "after ANALYZE"] {
            let explanation =
                repository.explain(ExplainedQuery::Catchments, &search, ExplainMode::Plan).await.expect("a plan");
            assert_eq!(explanation.indexes, ["primary key", "schools_catchment"], "{when}: {explanation}");
            assert!(explanation.scans.is_empty(), "{when}: {explanation}");
            repository.with_connection(|c| Ok(c.batch_execute("ANALYZE")?)).await.expect("analysed");
        }
        let explanation =
            repository.explain(ExplainedQuery::Catchments, &search, ExplainMode::Plan).await.expect("a plan");
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots/sqlite", omit_expression => true }, {
            insta::assert_snapshot!("catchments", explanation);
        });
        // A school's own box is worked out from its own row: a write must not look at all others.
        let steps = repository
            .with_connection(|c| Ok(diesel::RunQueryDsl::load::<(i32, i32, i32, String)>(BoxOfOne, c)?))
            .await
            .expect("a plan");
        assert!(steps.iter().all(|(.., step)| !step.contains("SCAN schools ")), "{steps:?}");
        assert!(steps.iter().any(|(.., step)| step.contains("SEARCH schools USING INTEGER PRIMARY KEY")), "{steps:?}");
    }

    /// The plan of what the triggers ask.
    #[derive(diesel::query_builder::QueryId)]
    struct BoxOfOne;

    impl diesel::query_builder::Query for BoxOfOne {
        type SqlType = (
            diesel::sql_types::Integer,
            diesel::sql_types::Integer,
            diesel::sql_types::Integer,
            diesel::sql_types::Text,
        );
    }

    impl diesel::RunQueryDsl<diesel::SqliteConnection> for BoxOfOne {}

    impl diesel::query_builder::QueryFragment<diesel::sqlite::Sqlite> for BoxOfOne {
        fn walk_ast<'b>(
            &'b self,
            mut out: diesel::query_builder::AstPass<'_, 'b, diesel::sqlite::Sqlite>,
        ) -> diesel::QueryResult<()> {
            out.push_sql("EXPLAIN QUERY PLAN SELECT * FROM schools_catchment_box WHERE id = 1");
            Ok(())
        }
    }

    #[tokio::test]
    async fn each_search_sends_the_sql_of_its_snapshot() {
        let repository = repository().await;
        for (name, search, _) in searches() {
            let explanation =
                repository.explain(ExplainedQuery::Find, &search, ExplainMode::Plan).await.expect("a plan");
            insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots/sqlite", omit_expression => true }, {
                insta::assert_snapshot!(name, explanation);
            });
        }
    }

    #[tokio::test]
    async fn no_search_sends_a_limit_below_one() {
        let repository = repository().await;
        let empty = repository
            .explain(ExplainedQuery::Find, &SchoolSearch::open().limit(0), ExplainMode::Plan)
            .await
            .expect("a plan");
        assert!(empty.sql.ends_with("binds: [1]"), "one row is fetched to see whether there are more: {}", empty.sql);
    }
}
