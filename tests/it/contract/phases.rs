//! The phase of schools that have none in the register.

use std::collections::BTreeSet;

use school_finder_db::SchoolSearch;
use school_finder_db::models::{NewSchool, Phase};
use school_finder_db::testing::TestDatabase;

use super::on_every_backend;
use crate::support::school;

on_every_backend! {
    a_search_by_ages_agrees_with_the_rule_of_phases,
}

/// Whether a school of these ages is what a parent means who searches for a phase.
fn matches(phase: Phase, from: i16, to: i16) -> bool {
    let teaches = |age| from <= age && age <= to;
    let by_years = Phase::of_ages(from, to);
    let is_any_of = |phases: &[Phase]| by_years.is_some_and(|phase| phases.contains(&phase));
    match phase {
        Phase::Nursery => is_any_of(&[phase]) || teaches(3),
        Phase::Primary => is_any_of(&[phase, Phase::MiddlePrimary, Phase::AllThrough]),
        Phase::Secondary => is_any_of(&[phase, Phase::MiddleSecondary, Phase::AllThrough]),
        Phase::SixteenPlus => is_any_of(&[phase]) || teaches(17),
        Phase::MiddlePrimary | Phase::MiddleSecondary | Phase::AllThrough => is_any_of(&[phase]),
        Phase::NotApplicable => false,
    }
}

async fn a_search_by_ages_agrees_with_the_rule_of_phases(database: &TestDatabase) {
    let finder = database.repository();
    let ages: Vec<(i16, i16)> = (0..=19).flat_map(|from| (from..=21).map(move |to| (from, to))).collect();
    let numbered = || (1..).zip(&ages);
    let mut schools: Vec<NewSchool> = numbered()
        .map(|(number, (from, to))| NewSchool {
            age_range_from: Some(*from),
            age_range_to: Some(*to),
            phase: (number % 2 == 0).then_some(Phase::NotApplicable),
            ..school(number)
        })
        .collect();
    // Half of the ages are no ages.
    schools.push(NewSchool { age_range_from: Some(4), ..school(9_000) });
    schools.push(NewSchool { age_range_to: Some(11), ..school(9_001) });
    schools.push(school(9_002));
    finder.insert_schools(schools).await.expect("schools that fit");
    for phase in Phase::ALL.iter().filter(|phase| **phase != Phase::NotApplicable) {
        let found = finder.all_schools(&SchoolSearch::open().phase(*phase).phase_by_ages()).await.expect("schools");
        let found: BTreeSet<i64> = found.iter().map(|hit| hit.school.urn.get().into()).collect();
        let expected = numbered().filter(|(_, (from, to))| matches(*phase, *from, *to)).map(|(number, _)| number);
        assert_eq!(found, expected.collect(), "{phase}");
    }
    // A full primary school and one that goes on to 16 both answer a search for primary schools.
    assert!(matches(Phase::Primary, 4, 11) && matches(Phase::Primary, 4, 16) && matches(Phase::Secondary, 4, 16));
    assert!(matches(Phase::Primary, 8, 13) && !matches(Phase::Secondary, 8, 13) && matches(Phase::Secondary, 14, 16));
}
