//! Plans as values, and runs only by name.

use school_finder_db::explain::{ExplainMode, ExplainedQuery};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, SchoolSearch, Sort, sample};

use super::on_every_backend;
use crate::support::km;

on_every_backend!(a_query_is_planned_and_run_only_by_name);

async fn a_query_is_planned_and_run_only_by_name(database: &TestDatabase) {
    let finder = database.repository();
    sample::fill(finder).await.expect("the sample");
    let near = SchoolSearch::near(sample::home()).within(km(2.0)).limit(5);
    for search in [near.clone(), near.clone().sort(Sort::Name), SchoolSearch::open().limit(5)] {
        let planned = finder.explain(ExplainedQuery::Find, &search, ExplainMode::Plan).await.expect("a plan");
        assert_eq!(planned.execution, None);
        assert!(!planned.plan.is_empty() && planned.sql.starts_with("SELECT"));
        assert!(!planned.to_string().contains("run:"));
        let analyzed =
            finder.explain(ExplainedQuery::Find, &search, ExplainMode::Analyze).await.expect("a plan that was run");
        assert_eq!(analyzed.sql, planned.sql);
        assert_eq!(analyzed.indexes, planned.indexes);
        let execution = analyzed.execution.expect("it was run");
        // One more than the page, to know whether there is a next one; where Rust chooses the nearest, all candidates.
        assert!(execution.rows >= 6, "{analyzed}");
        let reported = format!("run: {} row(s) in {} µs", execution.rows, execution.microseconds);
        assert!(analyzed.to_string().ends_with(&reported));
    }
    let planned = finder.explain(ExplainedQuery::Catchments, &near, ExplainMode::Plan).await.expect("a plan");
    assert_eq!(planned.execution, None);
    let analyzed =
        finder.explain(ExplainedQuery::Catchments, &near, ExplainMode::Analyze).await.expect("a plan that was run");
    let page = finder.find_catchments(&near).await.expect("a page");
    assert!(page.next.is_none(), "all of them");
    // On SQLite the boxes are asked first.
    assert!(analyzed.execution.is_some_and(|execution| execution.rows >= page.items.len() as u64), "{analyzed}");
    for query in [ExplainedQuery::Reach, ExplainedQuery::Facets] {
        let planned = finder.explain(query, &near, ExplainMode::Plan).await.expect("a plan");
        assert!(planned.execution.is_none() && planned.scans.is_empty(), "{planned}");
        let analyzed = finder.explain(query, &near, ExplainMode::Analyze).await.expect("a plan that was run");
        assert!(analyzed.execution.is_some_and(|execution| execution.rows > 0), "{analyzed}");
    }
    let without_point = finder.explain(ExplainedQuery::Reach, &SchoolSearch::open(), ExplainMode::Plan).await;
    assert!(matches!(without_point, Err(Error::InvalidSearch { field: "near", .. })), "{without_point:?}");
}
