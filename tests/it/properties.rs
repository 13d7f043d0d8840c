//! Properties that hold for any schools and any search.

use proptest::prelude::*;
use school_finder_db::ids::SchoolId;
use school_finder_db::models::{Gender, NewSchool, Phase, Rating, Status};
use school_finder_db::request::{Faith, NoPhase, Ownership, Unrated};
use school_finder_db::{Kilometres, SchoolSearch, Sort};

use crate::support::world::{Finders, World};
use crate::support::{any_schools, at, cases, km, oracle, urn};

prop_compose! {
    /// A search of the small world, of which most find something.
    fn any_search()(
        place in prop::option::weighted(0.8, (0u8..6, 0u8..6)),
        radius in prop::option::of(prop::sample::select(vec![0.5, 1.0, 1.112, 2.5, 30.0, 1e9])),
        sort in prop::sample::select(vec![Sort::Distance, Sort::Distance, Sort::Name, Sort::Rating]),
        limit in 1u32..8,
        phases in prop::collection::vec(prop::sample::select(Phase::ALL), 0..3),
        by_ages in any::<bool>(),
        council in prop::option::weighted(0.2, prop::sample::select(vec!["North", "South", "East"])),
        statuses in prop::option::weighted(0.2, prop::collection::vec(prop::sample::select(Status::ALL), 1..3)),
        rating in prop::option::weighted(0.3, (prop::sample::select(Rating::ALL), any::<bool>())),
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
            None => SchoolSearch::open(),
        };
        search.within = radius.filter(|_| place.is_some()).map(km);
        search.sort = if place.is_none() && sort == Sort::Distance { Sort::Name } else { sort };
        search.filter.phases = if phases.len() <= 2 { phases } else { Vec::new() };
        search.filter.no_phase = if by_ages { NoPhase::ByAges } else { NoPhase::Exclude };
        search.filter.councils = council.map(str::to_owned).into_iter().collect();
        search.filter.statuses = statuses.unwrap_or_default();
        search.filter.ownership = private.map(|private| if private { Ownership::Private } else { Ownership::State });
        search.filter.age = age;
        search.filter.gender = gender;
        search.filter.faith = faith;
        search.filter.name = name.map(str::to_owned);
        match rating {
            Some((at_least, true)) => search.rated(at_least, Unrated::Include),
            Some((at_least, false)) => search.rated(at_least, Unrated::Exclude),
            None => search,
        }.limit(limit)
    }
}

/// Page after page, a search gives on every backend what the slow way gives: the same schools in the same order at the
/// same distances, none lost and none twice, with ties and unknown values all over. A cursor of one backend serves the
/// other.
#[test]
fn every_page_of_any_search_is_what_brute_force_finds() {
    let world = World::new();
    let inputs = (any_schools(60), prop::collection::vec(any_search(), 1..8));
    let config = ProptestConfig { max_shrink_iters: 200, ..cases(64, file!()) };
    let outcome = proptest::test_runner::TestRunner::new(config).run(&inputs, |(schools, searches)| {
        world.case(async |finders: Finders| {
            let stored = finders.stored(schools).await;
            for search in searches {
                all_pages(&finders, &stored, &search).await;
            }
        });
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn all_pages(finders: &Finders, stored: &[(SchoolId, NewSchool)], search: &SchoolSearch) {
    let expected = oracle::find(stored, search);
    let mut found = Vec::new();
    let mut next = search.clone();
    loop {
        let mut pages = Vec::new();
        for finder in &finders.finders {
            pages.push(finder.find_schools(&next).await.expect("a result"));
        }
        let page = pages.pop().expect("a backend");
        assert!(pages.iter().all(|other| *other == page), "the backends differ: {search:?}");
        assert!(page.items.len() <= search.limit as usize);
        found.extend(page.items.iter().map(|hit| (hit.school.id, hit.distance_km.map(Kilometres::get))));
        match page.next {
            Some(cursor) => next = next.after(cursor),
            None => break,
        }
        assert!(found.len() <= expected.len(), "more than there are: {search:?}");
    }
    assert_eq!(found, expected, "{search:?}");
    for finder in &finders.finders {
        let facets = finder.facets(search).await.expect("counts");
        assert_eq!(facets.total, expected.len() as u64);
        for counts in [&facets.phase, &facets.rating, &facets.faith, &facets.council, &facets.ownership] {
            assert_eq!(counts.values().sum::<u64>(), facets.total);
        }
        assert_eq!(facets, finders.finders[0].facets(search).await.expect("counts"));
    }
}

/// Whatever text goes in comes out, byte for byte.
#[test]
fn texts_survive_the_round_trip() {
    let world = World::new();
    let inputs = ("[^\0]{1,200}", "[^\0]{1,500}");
    let outcome = proptest::test_runner::TestRunner::new(cases(64, file!())).run(&inputs, |(name, address)| {
        let school = NewSchool { address: Some(address), ..NewSchool::new(urn(100_001), name) };
        prop_assume!(school.validate().is_ok());
        world.case(async |finders: Finders| {
            finders.stored(vec![school.clone()]).await;
            for finder in &finders.finders {
                let found = finder.school_by_urn(school.urn).await.expect("a result").expect("the school");
                assert_eq!(NewSchool::from(found), school);
            }
        });
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
