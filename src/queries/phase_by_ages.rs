//! The phase of a school that has none in the register.

use diesel::dsl::case_when;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};

use super::conditions::Condition;
use crate::models::Phase;

use super::super::schema::schools;

/// Returns the condition that a school counts as one of these phases by the ages it teaches, as [`Phase::of_ages`]
/// states. Its rule stands here in SQL; a test compares the two.
pub(super) fn counts_as(phases: &[Phase]) -> Condition {
    let (from, to) = (schools::age_range_from, schools::age_range_to);
    let teaches = |age: i16| from.le(age).and(to.ge(age));
    let is = |phase: Phase| Some(phase).into_sql::<Nullable<Text>>();
    let phase = case_when(to.le(from), None::<Phase>.into_sql::<Nullable<Text>>())
        .when(from.ge(16), is(Phase::SixteenPlus))
        .when(to.le(5), is(Phase::Nursery))
        .when(to.le(11), is(Phase::Primary))
        .when(from.ge(11), is(Phase::Secondary))
        .when(from.le(7).and(to.ge(16)), is(Phase::AllThrough))
        .when(from.lt(7), is(Phase::Primary))
        .when(to.ge(16), is(Phase::Secondary))
        .when((from + to).lt(22), is(Phase::MiddlePrimary))
        .when((from + to).ge(22), is(Phase::MiddleSecondary));
    let counted: Vec<Phase> = phases.iter().flat_map(|phase| phase.counted_by_ages()).copied().collect();
    let asked = |phase| phases.contains(&phase).into_sql::<Bool>().nullable();
    let has_both = from.is_not_null().and(to.is_not_null()).nullable();
    let by_years = has_both.and(phase.eq_any(counted));
    Condition::new(by_years.or(asked(Phase::Nursery).and(teaches(3))).or(asked(Phase::SixteenPlus).and(teaches(17))))
}
