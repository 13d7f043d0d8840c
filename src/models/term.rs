//! Term dates, and what is derived from them.

use chrono::{Datelike, Days, NaiveDate};
use diesel::Queryable;
use serde::{Deserialize, Serialize};

use super::checks::check_date;
use super::words::Term;
use crate::error::Result;
use crate::units::AcademicYear;

/// One term of a school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct TermDates {
    /// The school year.
    pub academic_year: AcademicYear,
    /// The term.
    pub term: Term,
    /// The first day.
    pub starts_on: NaiveDate,
    /// The last day.
    pub ends_on: NaiveDate,
    /// The first day of the half-term holiday, inside the term.
    pub half_term_starts_on: Option<NaiveDate>,
    /// The last day of the half-term holiday; `Some` exactly where its first day is.
    pub half_term_ends_on: Option<NaiveDate>,
}

impl TermDates {
    pub(crate) fn validate(&self) -> Result<()> {
        let Self { academic_year: _, term: _, starts_on, ends_on, half_term_starts_on, half_term_ends_on } = self;
        check_date("starts_on", Some(*starts_on))?;
        check_date("ends_on", Some(*ends_on))?;
        check_date("half_term_starts_on", *half_term_starts_on)?;
        check_date("half_term_ends_on", *half_term_ends_on)
    }

    /// Returns whether a day is in the term and outside its half-term holiday.
    fn contains(&self, day: NaiveDate) -> bool {
        let is_half_term = match (self.half_term_starts_on, self.half_term_ends_on) {
            (Some(first), Some(last)) => first <= day && day <= last,
            _ => false,
        };
        self.starts_on <= day && day <= self.ends_on && !is_half_term
    }
}

/// Returns whether a school with these terms is in session on a day: a weekday within a term and outside its half-term
/// holiday. Bank holidays and training days are not considered.
///
/// Returns `None` for a day in no known term where not all three terms of its school year are known. In August it also
/// needs the next autumn term, because some schools begin their next year in that month.
pub fn in_session(terms: &[TermDates], day: NaiveDate) -> Option<bool> {
    if terms.iter().any(|term| term.contains(day)) {
        return Some(day.weekday().num_days_from_monday() < 5);
    }
    let is_half_term = terms.iter().any(|term| term.starts_on <= day && day <= term.ends_on);
    let year = school_year(day)?;
    let is_between_years = day.month() == 8 && !knows(terms, i32::from(year.starts_in()) + 1, Term::Autumn);
    (is_half_term || (knows_all_terms(terms, year) && !is_between_years)).then_some(false)
}

/// Returns whether a term of the school year that starts in `starts_in` is known.
fn knows(terms: &[TermDates], starts_in: i32, term: Term) -> bool {
    terms.iter().any(|known| i32::from(known.academic_year.starts_in()) == starts_in && known.term == term)
}

/// Returns whether all three terms of a school year are known.
fn knows_all_terms(terms: &[TermDates], year: AcademicYear) -> bool {
    Term::ALL.iter().all(|term| knows(terms, i32::from(year.starts_in()), *term))
}

/// Returns the school year of a day. It begins on the first of September.
fn school_year(day: NaiveDate) -> Option<AcademicYear> {
    let year = if day.month() >= 9 { day.year() } else { day.year() - 1 };
    AcademicYear::starting(i16::try_from(year).ok()?).ok()
}

/// Returns the Mondays of the weeks of a school year in which neither of two schools is in session from Monday to
/// Friday, so that a family can go away. `None` where not all three terms of that year are known for both. A known term
/// of the next year that begins in August counts.
pub fn common_holiday_weeks(ours: &[TermDates], theirs: &[TermDates], year: AcademicYear) -> Option<Vec<NaiveDate>> {
    if !knows_all_terms(ours, year) || !knows_all_terms(theirs, year) {
        return None;
    }
    let first = NaiveDate::from_ymd_opt(i32::from(year.starts_in()), 9, 1)?;
    let next_year = NaiveDate::from_ymd_opt(i32::from(year.starts_in()) + 1, 9, 1)?;
    // The first full week begins on the first Monday.
    let to_monday = (7 - first.weekday().num_days_from_monday()) % 7;
    let is_free = |terms: &[TermDates], monday: NaiveDate| {
        (0..5).all(|day| !terms.iter().any(|term| term.contains(monday + Days::new(day))))
    };
    let mondays = (0..)
        .map(|week| first + Days::new(u64::from(to_monday) + 7 * week))
        .take_while(|day| *day + Days::new(4) < next_year);
    Some(mondays.filter(|monday| is_free(ours, *monday) && is_free(theirs, *monday)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).expect("a day")
    }

    fn year(starts_in: i16) -> AcademicYear {
        AcademicYear::starting(starts_in).expect("a year")
    }

    /// Returns the terms of 2024/2025, whose half-term holidays begin on these days of October, February and May.
    fn terms(halves: [u32; 3]) -> Vec<TermDates> {
        let term = |term, starts_on, ends_on, half: NaiveDate| TermDates {
            academic_year: year(2024),
            term,
            starts_on,
            ends_on,
            half_term_starts_on: Some(half),
            half_term_ends_on: Some(half + Days::new(4)),
        };
        vec![
            term(Term::Autumn, day(2024, 9, 3), day(2024, 12, 20), day(2024, 10, halves[0])),
            term(Term::Spring, day(2025, 1, 6), day(2025, 4, 4), day(2025, 2, halves[1])),
            term(Term::Summer, day(2025, 4, 22), day(2025, 7, 22), day(2025, 5, halves[2])),
        ]
    }

    #[test]
    fn a_school_is_in_session_on_weekdays_of_its_terms() {
        let terms = terms([28, 17, 26]);
        for (date, expected) in [
            (day(2024, 9, 2), Some(false)),
            (day(2024, 9, 3), Some(true)),
            (day(2024, 9, 7), Some(false)),
            (day(2024, 10, 28), Some(false)),
            (day(2024, 11, 1), Some(false)),
            (day(2024, 11, 4), Some(true)),
            (day(2024, 12, 20), Some(true)),
            (day(2024, 12, 25), Some(false)),
            (day(2025, 7, 22), Some(true)),
            (day(2025, 7, 31), Some(false)),
            // The next year may have begun.
            (day(2025, 8, 28), None),
            (day(2025, 9, 1), None),
            (day(2024, 8, 31), None),
        ] {
            assert_eq!(in_session(&terms, date), expected, "{date}");
        }
        assert_eq!(in_session(&[], day(2024, 9, 3)), None);
        // With one term known, a day outside it is unknown. A term may begin in August, as in Scotland.
        assert_eq!(in_session(&terms[..1], day(2025, 3, 4)), None);
        assert_eq!(in_session(&terms[..1], day(2024, 10, 29)), Some(false));
        let early = [TermDates { starts_on: day(2024, 8, 14), ..terms[0].clone() }];
        assert_eq!(in_session(&early, day(2024, 8, 20)), Some(true));
        let next = |starts_on| TermDates {
            academic_year: year(2025),
            starts_on,
            ends_on: day(2025, 12, 19),
            ..terms[0].clone()
        };
        for (starts_on, expected) in [(day(2025, 8, 27), true), (day(2025, 9, 2), false)] {
            let known = [&terms[..], &[next(starts_on)]].concat();
            assert_eq!(in_session(&known, day(2025, 8, 28)), Some(expected), "{starts_on}");
        }
    }

    #[test]
    fn common_holiday_weeks_are_free_in_both_schools() {
        let ours = terms([28, 17, 26]);
        let theirs = terms([21, 17, 26]);
        let weeks = common_holiday_weeks(&ours, &theirs, year(2024)).expect("all is known");
        let expected = [
            day(2024, 12, 23),
            day(2024, 12, 30),
            day(2025, 2, 17),
            day(2025, 4, 7),
            day(2025, 4, 14),
            day(2025, 5, 26),
            day(2025, 7, 28),
            day(2025, 8, 4),
            day(2025, 8, 11),
            day(2025, 8, 18),
            day(2025, 8, 25),
        ];
        // The week of 31 March has lessons until Friday, and October's holidays are in different weeks.
        assert_eq!(weeks, expected);
        // A term of the next year that begins in August takes its weeks, whichever school has it.
        let early = TermDates {
            academic_year: year(2025),
            starts_on: day(2025, 8, 13),
            ends_on: day(2025, 12, 19),
            ..ours[0].clone()
        };
        let with_next = [&ours[..], &[early]].concat();
        let weeks = common_holiday_weeks(&with_next, &theirs, year(2024)).expect("all is known");
        assert_eq!(weeks, expected[..8]);
        let weeks = common_holiday_weeks(&theirs, &with_next, year(2024)).expect("all is known");
        assert_eq!(weeks, expected[..8]);
        // A week that ends in the next school year is not returned: it has other terms.
        let later = |terms: &[TermDates]| {
            let later = |term: &TermDates| TermDates { academic_year: year(2025), ..term.clone() };
            terms.iter().map(later).collect::<Vec<_>>()
        };
        let weeks = common_holiday_weeks(&later(&ours), &later(&theirs), year(2025)).expect("all is known");
        assert_eq!(weeks.last(), Some(&day(2026, 8, 24)));
        assert_eq!(common_holiday_weeks(&ours, &theirs[..2], year(2024)), None);
        assert_eq!(common_holiday_weeks(&ours, &theirs, year(2025)), None);
    }
}
