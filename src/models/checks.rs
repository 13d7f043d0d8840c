//! Checks in Rust before any SQL: what no database checks, or not all in the same way.

use chrono::{NaiveDate, NaiveTime, Timelike};

use crate::error::{Error, Result};

/// Checks that a text is not blank, holds no NUL (which SQLite would store and Postgres cannot), and fits its column.
pub(super) fn check_text(field: &'static str, text: Option<&String>, max: usize) -> Result<()> {
    let Some(text) = text else { return Ok(()) };
    if text.trim().is_empty() {
        return Err(Error::InvalidText { field, reason: "is blank: leave it out where it is not known" });
    }
    if text.contains('\0') {
        return Err(Error::InvalidText { field, reason: "holds a NUL character" });
    }
    // A character takes at least one byte, so a short text need not be counted.
    if text.len() > max {
        let length = text.chars().count();
        if length > max {
            return Err(Error::TooLong { field, length, max });
        }
    }
    Ok(())
}

/// Checks that a link begins with `http://` or `https://`: a page that shows a `javascript:` link would run it.
pub(super) fn check_link(field: &'static str, link: Option<&String>) -> Result<()> {
    let begins = |link: &str, scheme| link.to_ascii_lowercase().starts_with(scheme);
    match link {
        Some(link) if !begins(link, "http://") && !begins(link, "https://") => {
            Err(Error::InvalidText { field, reason: "is no link: begin it with http:// or https://" })
        }
        _ => Ok(()),
    }
}

/// Checks that a name's folded form fits its column and, on Postgres, an index entry (2,704 bytes with the council).
/// Only a name of ligatures can fail: one character folds to at most 18.
pub(super) fn check_folded(name: &str) -> Result<()> {
    const MAX_BYTES: usize = 2_000;
    // The check constraint counts 1,000 characters.
    const MAX: usize = 1_000;
    if name.len() <= 50 {
        return Ok(());
    }
    let folded = crate::text::fold(name);
    let length = folded.chars().count();
    if length > MAX || folded.len() > MAX_BYTES {
        return Err(Error::TooLong { field: "name (folded)", length, max: MAX });
    }
    Ok(())
}

/// Checks that a date is from year 1 to 9999, which both databases write in the same way.
pub(crate) fn check_date(field: &'static str, date: Option<NaiveDate>) -> Result<()> {
    use chrono::Datelike;
    match date {
        Some(date) if !(1..=9999).contains(&date.year()) => Err(Error::InvalidDate { field }),
        _ => Ok(()),
    }
}

/// Checks that a time is in whole seconds, which both databases write in the same way.
pub(super) fn check_time(field: &'static str, time: Option<NaiveTime>) -> Result<()> {
    match time {
        Some(time) if time.nanosecond() != 0 => Err(Error::InvalidTime { field }),
        _ => Ok(()),
    }
}
