//! What the answer should be, worked out the slow way: every school is looked at, and nothing is shared with the SQL.

use std::cmp::Ordering;

use school_finder_db::ids::SchoolId;
use school_finder_db::models::{Gender, NewSchool, Phase, Rating, Status};
use school_finder_db::request::{Faith, NoPhase, Ownership, RatingFilter, SchoolFilter, Unrated};
use school_finder_db::text::fold;
use school_finder_db::{SchoolSearch, Sort};

/// Every school that the search finds and its distance in kilometres, in order, whatever its page.
pub fn find(schools: &[(SchoolId, NewSchool)], search: &SchoolSearch) -> Vec<(SchoolId, Option<f64>)> {
    let mut found: Vec<(&NewSchool, Option<f64>, SchoolId)> = schools
        .iter()
        .filter(|(_, school)| passes(school, &search.filter))
        .map(|(id, school)| {
            let km = search.near.zip(school.location).map(|(from, to)| from.distance_to(to).get());
            (school, km, *id)
        })
        .filter(|(_, km, _)| search.within.is_none_or(|radius| km.is_some_and(|km| km <= radius.get())))
        .collect();
    found.sort_by(|(a, a_km, a_id), (b, b_km, b_id)| {
        let by_name = || fold(&a.name).cmp(&fold(&b.name));
        let order = match search.sort {
            Sort::Distance => unknown_last(*a_km, *b_km),
            Sort::Margin | Sort::Match => unreachable!("no property makes one"),
            Sort::Name => by_name(),
            Sort::Rating => unknown_last(a.ofsted_rating.map(Rating::number), b.ofsted_rating.map(Rating::number))
                .then_with(by_name),
        };
        order.then(a_id.cmp(b_id))
    });
    found.into_iter().map(|(_, km, id)| (id, km)).collect()
}

fn unknown_last<T: PartialOrd>(a: Option<T>, b: Option<T>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.partial_cmp(&b).expect("no value is a NaN"),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// Whether a school without a phase counts as this one by its ages.
fn counts_as(school: &NewSchool, phase: Phase) -> bool {
    let (Some(from), Some(to)) = (school.age_range_from, school.age_range_to) else { return false };
    let by_years = Phase::of_ages(from, to);
    by_years == Some(phase)
        || match phase {
            Phase::Nursery => from <= 3 && to >= 3,
            Phase::SixteenPlus => from <= 17 && to >= 17,
            Phase::Primary => matches!(by_years, Some(Phase::MiddlePrimary | Phase::AllThrough)),
            Phase::Secondary => matches!(by_years, Some(Phase::MiddleSecondary | Phase::AllThrough)),
            _ => false,
        }
}

fn passes(school: &NewSchool, filter: &SchoolFilter) -> bool {
    // What hangs on other tables has tests of its own (contract/collections.rs, contract/reach.rs).
    let SchoolFilter {
        councils,
        phases,
        no_phase,
        statuses,
        rating,
        ownership,
        age,
        gender,
        faith,
        clubs: _,
        fees: _,
        reach: _,
        name,
    } = filter;
    let status = if statuses.is_empty() {
        matches!(school.status, Status::Open | Status::ProposedToClose)
    } else {
        statuses.contains(&school.status)
    };
    let rated = match rating {
        None => true,
        Some(RatingFilter { at_least, unrated }) => match school.ofsted_rating {
            Some(rating) => rating.is_at_least(*at_least),
            None => *unrated == Unrated::Include,
        },
    };
    let teaches = |age: i16| {
        school.age_range_from.is_some_and(|from| from <= age) && school.age_range_to.is_some_and(|to| to >= age)
    };
    status
        && rated
        && (councils.is_empty() || school.council.as_ref().is_some_and(|council| councils.contains(council)))
        && (phases.is_empty()
            || school.phase.is_some_and(|phase| phases.contains(&phase))
            || (*no_phase == NoPhase::ByAges
                && matches!(school.phase, None | Some(Phase::NotApplicable))
                && phases.iter().any(|phase| counts_as(school, *phase))))
        && ownership.is_none_or(|ownership| school.is_private == Some(ownership == Ownership::Private))
        && age.is_none_or(teaches)
        && gender.is_none_or(|child| school.gender.is_some_and(|gender| gender == Gender::Mixed || gender == child))
        && match faith {
            None => true,
            Some(Faith::Any) => school.faith.as_deref().is_some_and(|faith| faith != "None"),
            Some(Faith::None) => school.faith.as_deref() == Some("None"),
            Some(Faith::Is(name)) => school.faith.as_ref() == Some(name),
        }
        && name.as_ref().is_none_or(|text| has_words(school, text))
}

/// Whether each word of a text begins one of the school's words. The words of a search that this is for are the last
/// ones of their texts, and too short to be corrected.
fn has_words(school: &NewSchool, text: &str) -> bool {
    let texts = [Some(&school.name), school.council.as_ref(), school.postcode.as_ref()];
    let words = texts.into_iter().flatten().map(|text| fold(text)).collect::<Vec<_>>().join(" ");
    fold(text).split(' ').all(|typed| words.split(' ').any(|word| word.starts_with(typed)))
}
