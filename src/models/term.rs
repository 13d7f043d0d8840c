//! Term dates, and what follows from them.

use chrono::{Datelike, Days, NaiveDate};
use diesel::Queryable;
use serde::{Deserialize, Serialize};

use super::checks::check_date;
use super::words::Term;
use crate::error::Result;
use crate::units::AcademicYear;

/// One term of a school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable)]
pub struct TermDates {
    /// The school year.
    pub academic_year: AcademicYear,
    /// Which of its terms.
    pub term: Term,
    /// The first day.
    pub starts_on: NaiveDate,
    /// The last day.
    pub ends_on: NaiveDate,
    /// The first day of the half-term holiday, inside the term.
    pub half_term_starts_on: Option<NaiveDate>,
    /// The last day of the half-term holiday; known exactly where its first is.
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

    /// Whether the term covers this day, and the half-term holiday does not.
    fn holds(&self, day: NaiveDate) -> bool {
        let is_half_term = match (self.half_term_starts_on, self.half_term_ends_on) {
            (Some(first), Some(last)) => first <= day && day <= last,
            _ => false,
        };
        self.starts_on <= day && day <= self.ends_on && !is_half_term
    }
}

/// Whether a school with these terms is in session on a day: a weekday within a term and outside its half-term holiday.
/// Nothing where no term is known of the school year around that day, so that it cannot be told. Bank holidays and
/// training days are not known.
pub fn in_session(terms: &[TermDates], day: NaiveDate) -> Option<bool> {
    let year = school_year(day)?;
    let mut known = terms.iter().filter(|term| term.academic_year == year).peekable();
    known.peek()?;
    let is_weekday = day.weekday().num_days_from_monday() < 5;
    Some(is_weekday && known.any(|term| term.holds(day)))
}

/// The school year that a day lies in: it turns on the first of September.
fn school_year(day: NaiveDate) -> Option<AcademicYear> {
    let year = if day.month() >= 9 { day.year() } else { day.year() - 1 };
    AcademicYear::starting(i16::try_from(year).ok()?).ok()
}

/// The Mondays of the weeks of a school year in which neither of two schools is in session from Monday to Friday: those
/// in which a family can go away. Nothing where all three terms of that year are not known of both.
pub fn common_holiday_weeks(ours: &[TermDates], theirs: &[TermDates], year: AcademicYear) -> Option<Vec<NaiveDate>> {
    let is_whole = |terms: &[TermDates]| {
        Term::ALL.iter().all(|term| terms.iter().any(|known| known.academic_year == year && known.term == *term))
    };
    if !is_whole(ours) || !is_whole(theirs) {
        return None;
    }
    let first = NaiveDate::from_ymd_opt(i32::from(year.starts_in()), 9, 1)?;
    let next_year = NaiveDate::from_ymd_opt(i32::from(year.starts_in()) + 1, 9, 1)?;
    // The first whole week, which begins on the first Monday.
    let to_monday = (7 - first.weekday().num_days_from_monday()) % 7;
    let is_free = |terms: &[TermDates], monday: NaiveDate| {
        let in_year = terms.iter().filter(|term| term.academic_year == year).collect::<Vec<_>>();
        (0..5).all(|day| !in_year.iter().any(|term| term.holds(monday + Days::new(day))))
    };
    let mondays =
        (0..).map(|week| first + Days::new(u64::from(to_monday) + 7 * week)).take_while(|day| *day < next_year);
    Some(mondays.filter(|monday| is_free(ours, *monday) && is_free(theirs, *monday)).collect())
}
