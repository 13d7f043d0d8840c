//! Everything that a search finds: as a stream of pages, and from one snapshot.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use school_finder_db::geo::Catchment;
use school_finder_db::models::{NewCatchment, NewSchool};
use school_finder_db::request::{ReachFilter, WriteMode};
use school_finder_db::testing::TestDatabase;
use school_finder_db::{Error, SchoolSearch, sample};

use super::on_every_backend;
use crate::support::{at, school, urn};

on_every_backend! {
    streams_yield_every_page_once,
    exports_ignore_the_limit_and_keep_the_cursor,
    exports_read_one_snapshot,
    outlines_are_exported_with_their_schools,
}

async fn streams_yield_every_page_once(database: &TestDatabase) {
    let finder = database.repository();
    sample::fill(finder).await.expect("the sample");
    let near = SchoolSearch::near(sample::home()).limit(10);
    let pages: Vec<_> = finder.pages(near.clone()).try_collect().await.expect("pages");
    assert_eq!(pages.iter().map(|page| page.items.len()).collect::<Vec<_>>(), [10, 10, 5]);
    let all = finder.find_schools(&near.clone().limit(100)).await.expect("a page");
    assert_eq!(pages.into_iter().flat_map(|page| page.items).collect::<Vec<_>>(), all.items);

    let small = near.clone().limit(1);
    let catchments: Vec<_> = finder.catchment_pages(small.clone()).try_collect().await.expect("pages");
    let all = finder.find_catchments(&near).await.expect("a page").items;
    assert!(all.len() > 1, "{all:?}");
    assert_eq!(catchments.into_iter().flat_map(|page| page.items).collect::<Vec<_>>(), all);
    let reached: Vec<_> = finder.reach_pages(small).try_collect().await.expect("pages");
    let all = finder.find_reach(&near.reached(ReachFilter::default())).await.expect("a page").items;
    assert!(all.len() > 1, "{all:?}");
    assert_eq!(reached.into_iter().flat_map(|page| page.items).collect::<Vec<_>>(), all);

    let none: Vec<_> = finder.pages(SchoolSearch::open().limit(0)).try_collect().await.expect("an empty page");
    assert_eq!(none.len(), 1);
    let mut invalid = finder.pages(SchoolSearch::open().limit(1_001));
    assert!(matches!(invalid.try_next().await, Err(Error::LimitTooLarge { .. })));
    assert!(invalid.try_next().await.expect("the end").is_none(), "a stream ends after its error");
}

async fn exports_ignore_the_limit_and_keep_the_cursor(database: &TestDatabase) {
    let finder = database.repository();
    finder.insert_schools((1..=2_050).map(school).collect()).await.expect("schools that fit");
    let search = SchoolSearch::open().limit(50);
    let all = finder.all_schools(&search).await.expect("all schools");
    assert_eq!(all.iter().map(|hit| hit.school.urn).collect::<BTreeSet<_>>().len(), 2_050);
    let first = finder.find_schools(&search).await.expect("a page");
    assert_eq!(all[..50], first.items);
    let rest = finder.all_schools(&search.after(first.next.expect("there are more"))).await.expect("the rest");
    assert_eq!(all[50..], rest);
}

/// A school that is renamed while the pages are read would be missed or found twice.
async fn exports_read_one_snapshot(database: &TestDatabase) {
    let finder = database.repository();
    finder.insert_schools((1..=1_500).map(school).collect()).await.expect("schools that fit");
    let named = |name: &str| NewSchool::new(urn(1), name);
    let writes = async {
        for round in 0..40 {
            let name = if round % 2 == 0 { "A first name" } else { "Z last name" };
            let renamed = std::iter::once(Ok(named(name)));
            finder.upsert_schools(Box::new(renamed), WriteMode::Commit).await.expect("renamed");
        }
    };
    let reads = async {
        for _ in 0..20 {
            let all = finder.all_schools(&SchoolSearch::open()).await.expect("all schools");
            let urns: BTreeSet<_> = all.iter().map(|hit| hit.school.urn).collect();
            assert_eq!((all.len(), urns.len()), (1_500, 1_500));
        }
    };
    tokio::join!(writes, reads);
}

async fn outlines_are_exported_with_their_schools(database: &TestDatabase) {
    let finder = database.repository();
    let home = at(52.0, -0.7);
    let located = |number| NewSchool { location: Some(home), ..school(number) };
    finder.insert_schools((1..=3).map(located).collect()).await.expect("schools that fit");
    let outline = "POLYGON((-0.8 51.9,-0.6 51.9,-0.6 52.1,-0.8 51.9))".parse::<Catchment>().expect("an outline");
    let new = NewCatchment { urn: urn(2), outline: Some(outline.clone()) };
    finder.upsert_catchments(vec![new], WriteMode::Commit).await.expect("stored");
    let all = finder.all_catchments(&SchoolSearch::open().limit(1)).await.expect("all schools");
    let found: Vec<_> = all.into_iter().map(|(school, outline)| (school.urn.get(), outline)).collect();
    assert_eq!(found, [(1, None), (2, Some(outline)), (3, None)]);
}
