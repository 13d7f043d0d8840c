//! Properties that hold for any schools and any search.

use proptest::prelude::*;
use school_finder_db::ids::SchoolId;
use school_finder_db::models::{Gender, NewSchool, Phase, Status};
use school_finder_db::request::{Faith, Ownership, Unrated};
use school_finder_db::{Config, Kilometres, SchoolRepository, SchoolSearch, Sort, connect};

use crate::support::{any_schools, at, oracle, urn};

prop_compose! {
    /// A search of the small world, of which most find something.
    fn any_search()(
        place in prop::option::weighted(0.8, (0u8..6, 0u8..6)),
        radius in prop::option::of(prop::sample::select(vec![0.5, 1.0, 1.112, 2.5, 30.0, 1e9])),
        sort in prop::sample::select(vec![Sort::Distance, Sort::Distance, Sort::Name, Sort::Rating]),
        limit in 1u32..8,
        phases in prop::collection::vec(prop::sample::select(Phase::ALL), 0..3),
        council in prop::option::weighted(0.2, prop::sample::select(vec!["North", "South", "East"])),
        statuses in prop::option::weighted(0.2, prop::collection::vec(prop::sample::select(Status::ALL), 1..3)),
        rating in prop::option::weighted(0.3, (1i16..=4, any::<bool>())),
        private in prop::option::weighted(0.2, any::<bool>()),
        age in prop::option::weighted(0.2, 0i16..25),
        gender in prop::option::weighted(0.2, prop::sample::select(Gender::ALL)),
        faith in prop::option::weighted(0.2, prop::sample::select(vec![
            Faith::Any, Faith::None, Faith::Is("Quaker".to_owned()), Faith::Is("None".to_owned()),
        ])),
        name in prop::option::weighted(0.2, prop::sample::select(vec!["ash", "St", "100%", "0%", "ÉCO", "b"])),
    ) -> SchoolSearch {
        let mut search = match place {
            Some((north, east)) => SchoolSearch::near(at(52.0 + f64::from(north) * 0.01, -0.7 + f64::from(east) * 0.015)),
            None => SchoolSearch::all(),
        };
        search.within = radius.filter(|_| place.is_some()).map(|km| Kilometres::new(km).expect("a distance"));
        search.sort = if place.is_none() && sort == Sort::Distance { Sort::Name } else { sort };
        search.filter.phases = if phases.len() == 1 { phases } else { Vec::new() };
        search.filter.councils = council.map(str::to_owned).into_iter().collect();
        search.filter.statuses = statuses.unwrap_or_default();
        search.filter.ownership = private.map(|private| if private { Ownership::Private } else { Ownership::State });
        search.filter.age = age;
        search.filter.gender = gender;
        search.filter.faith = faith;
        search.filter.name = name.map(str::to_owned);
        match rating {
            Some((at_most, true)) => search.rated(at_most, Unrated::Include),
            Some((at_most, false)) => search.rated(at_most, Unrated::Exclude),
            None => search,
        }.limit(limit)
    }
}

async fn stored(schools: Vec<NewSchool>) -> (std::sync::Arc<dyn SchoolRepository>, Vec<(SchoolId, NewSchool)>) {
    let finder = connect(&Config::in_memory()).await.expect("a database in memory");
    let ids = finder.insert_schools(schools.clone()).await.expect("schools that fit");
    (finder, ids.into_iter().zip(schools).collect())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// Page after page, a search gives what the slow way gives: the same schools in the same order at the same
    /// distances, none lost and none twice, with ties and unknown values all over.
    #[test]
    fn every_page_of_any_search_is_what_brute_force_finds(
        schools in any_schools(60),
        searches in prop::collection::vec(any_search(), 1..8),
    ) {
        runtime().block_on(async {
            let (finder, stored) = stored(schools).await;
            for search in searches {
                let expected = oracle::find(&stored, &search);
                let mut found = Vec::new();
                let mut next = search.clone();
                loop {
                    let page = finder.find_schools(&next).await.expect("an answer");
                    assert!(page.items.len() <= search.limit as usize);
                    found.extend(page.items.iter().map(|hit| (hit.school.id, hit.distance_km.map(Kilometres::get))));
                    match page.next {
                        Some(cursor) => next = next.after(cursor),
                        None => break,
                    }
                    assert!(found.len() <= expected.len(), "more than there are: {search:?}");
                }
                assert_eq!(found, expected, "{search:?}");
                let facets = finder.facets(&search).await.expect("counts");
                assert_eq!(facets.total, i64::try_from(expected.len()).expect("few"));
                for counts in [&facets.phase, &facets.rating, &facets.faith, &facets.council, &facets.ownership] {
                    assert_eq!(counts.values().sum::<i64>(), facets.total);
                }
            }
        });
    }

    /// Whatever text goes in comes out, byte for byte.
    #[test]
    fn texts_survive_the_round_trip(name in "[^\0]{1,200}", address in "[^\0]{1,500}") {
        let school = NewSchool { address: Some(address), ..NewSchool::new(urn(100_001), name) };
        prop_assume!(school.validate().is_ok());
        runtime().block_on(async {
            let (finder, _) = stored(vec![school.clone()]).await;
            let found = finder.school_by_urn(school.urn).await.expect("an answer").expect("the school");
            assert_eq!(NewSchool::from(found), school);
        });
    }
}
