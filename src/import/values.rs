//! Values as people write them in published files: the one reader of them for all imports. An error says why a text is
//! not such a value, to stand after the column and the text.

use chrono::NaiveDate;

use crate::text::fold;
use crate::units::{Kilometres, kilometres_of};

/// Returns whether a text stands for an unknown value.
pub(super) fn is_unknown(text: &str) -> bool {
    matches!(text, "" | "-" | "--" | "\u{2013}" | "\u{2014}")
        || ["null", "n/a", "#n/a", "na"].iter().any(|unknown| text.eq_ignore_ascii_case(unknown))
}

/// Reads a date as `31-08-2026`, `31/08/2026` or `2026-08-31`, with or without a time after it.
pub(super) fn date(text: &str) -> Result<NaiveDate, String> {
    let read = || {
        let (day, time) = text.split_once(['T', ' ']).unwrap_or((text, ""));
        if !time.bytes().all(|byte| byte.is_ascii_digit() || b":.+-ZAPM ".contains(&byte)) {
            return None;
        }
        let parts: Vec<&str> = day.split(['-', '/', '.']).collect();
        let [first, month, last] = parts.as_slice() else { return None };
        let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
            let is_number = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<u32>().ok()).flatten()
        };
        // A date that ends in its day is incomplete with one digit: its file may be cut off there.
        let (year, day, digits) = if first.len() == 4 { (first, last, 2..=2) } else { (last, first, 1..=2) };
        let year = i32::try_from(number(year, 4..=4)?).ok().filter(|year| *year > 0)?;
        NaiveDate::from_ymd_opt(year, number(month, 1..=2)?, number(day, digits)?)
    };
    read().ok_or_else(|| "is not a date like 31-08-2026".to_owned())
}

/// Reads the first day of a month as `199606`, or of the day that a date is.
pub(super) fn month(text: &str) -> Result<NaiveDate, String> {
    use chrono::Datelike;
    let day = match text.split_at_checked(4) {
        Some((year, month)) if text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            year.parse().ok().zip(month.parse().ok()).and_then(|(year, month)| NaiveDate::from_ymd_opt(year, month, 1))
        }
        _ => date(text).ok().and_then(|day| day.with_day(1)),
    };
    day.ok_or_else(|| "is not a month like 199606".to_owned())
}

/// Reads a number of degrees.
pub(super) fn degrees(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|degrees: &f64| degrees.is_finite()).ok_or_else(|| "is not a number of degrees".to_owned())
}

/// Reads a whole number, which a spreadsheet may have written as `4.0` or `1,041`.
pub(super) fn whole<T: TryFrom<i64>>(text: &str) -> Result<T, String> {
    let read = || {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (digits, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !fraction.bytes().all(|byte| byte == b'0') || fraction.is_empty() {
            return None;
        }
        let groups: Vec<&str> = digits.split(',').collect();
        let (first, rest) = groups.split_first()?;
        if !rest.is_empty() && (!(1..=3).contains(&first.len()) || rest.iter().any(|group| group.len() != 3)) {
            return None;
        }
        let digits = groups.concat();
        T::try_from(sign * is_number(&digits).then(|| digits.parse::<i64>().ok()).flatten()?).ok()
    };
    read().ok_or_else(|| "is not a whole number".to_owned())
}

/// Reads a number of things: a whole number that is not negative.
pub(super) fn count(text: &str) -> Result<i32, String> {
    match whole(text) {
        Ok(count) if count >= 0 => Ok(count),
        _ => Err("is not a count".to_owned()),
    }
}

/// Reads yes or no.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "y" | "1.0" => Ok(true),
        "0" | "false" | "no" | "n" | "0.0" => Ok(false),
        _ => Err("is neither yes nor no".to_owned()),
    }
}

/// Reads a distance in kilometres. The cell's unit counts, or else the column's.
pub(super) fn distance(text: &str, column_unit: Option<f64>) -> Result<Kilometres, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && !".,".contains(c)).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let unit = match rest.trim() {
        "" => column_unit.ok_or("has no unit: name the column after it, such as last_distance_offered_miles")?,
        word => kilometres_of(word).ok_or("is not a distance")?,
    };
    let number = decimal(number, unit < 0.01).ok_or("is not a distance")?;
    match Kilometres::new(number * unit) {
        Ok(km) if km.get() <= 20_037.6 => Ok(km),
        _ => Err("is farther than any distance on earth".to_owned()),
    }
}

/// Reads a number. A comma before other than three digits is a decimal one. One before three digits separates
/// thousands, where these are of a small unit or there are several; otherwise it could be either.
fn decimal(text: &str, has_thousands: bool) -> Option<f64> {
    let text = match text.rsplit_once(',') {
        None => text.to_owned(),
        Some((whole, fraction)) if !whole.contains([',', '.']) && !fraction.contains('.') => {
            if whole == "0" || fraction.len() != 3 {
                format!("{whole}.{fraction}")
            } else if has_thousands {
                format!("{whole}{fraction}")
            } else {
                return None;
            }
        }
        Some(_) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
            format!("{}.{fraction}", self::whole::<i64>(whole).ok()?)
        }
    };
    let is_number = text.bytes().any(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().filter(|number: &f64| number.is_finite())
}

/// Returns whether a text says that every applicant was offered a place, and nothing else.
pub(super) fn says_all_offered(text: &str) -> bool {
    /// Words that change nothing.
    const FILLERS: [&str; 10] = ["were", "have", "been", "a", "place", "places", "who", "applied", "on", "time"];
    let folded = fold(text);
    let words: Vec<&str> = folded.split(' ').filter(|word| !FILLERS.contains(word)).collect();
    matches!(
        words.as_slice(),
        ["all", "offered" | "allocated" | "accommodated" | "admitted" | "successful"]
            | [
                "all",
                "applicants" | "applications" | "children" | "pupils" | "preferences",
                "offered" | "allocated" | "accommodated" | "admitted" | "successful" | "met"
            ]
            | ["everyone" | "everybody", "offered" | "allocated" | "admitted"]
            | ["undersubscribed"]
            | ["under", "subscribed"]
            | ["not", "oversubscribed"]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_they_are_written() {
        let day = NaiveDate::from_ymd_opt(2026, 8, 31);
        for text in [
            "31-08-2026",
            "31/08/2026",
            "31.08.2026",
            "2026-08-31",
            "2026/08/31",
            "31/08/2026 00:00:00",
            "31/08/2026 00:00",
            "2026-08-31T00:00:00Z",
            "2026-08-31T00:00:00.000+00:00",
            "31/8/2026 12:00:00 AM",
        ] {
            assert_eq!(date(text).ok(), day, "{text}");
        }
        assert_eq!(date("1/9/2012").ok(), NaiveDate::from_ymd_opt(2012, 9, 1));
        for text in [
            "08/31/2026",
            "31-08-26",
            "31-08-202",
            "2026",
            "30-02-2026",
            "31-08-2026x",
            "yesterday",
            "0000-01-01",
            "2026-08-3",
            "31-08-2026 noon",
            "+1-08-2026",
            "99999-01-01",
            "",
        ] {
            assert!(date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_read_as_spreadsheets_write_them() {
        for (text, number) in
            [("4", 4), ("4.0", 4), ("4.00", 4), ("1,041", 1041), ("1,234,567", 1_234_567), ("-1", -1), ("007", 7)]
        {
            assert_eq!(whole::<i64>(text), Ok(number), "{text}");
        }
        for text in
            ["4.5", "1,04", "1.041", ",041", "12,34", "1234,567", "4.", "", "-", "1e3", "١", "9".repeat(20).as_str()]
        {
            assert!(whole::<i64>(text).is_err(), "{text}");
        }
        assert!(whole::<i16>("40000").is_err());
        assert!(count("-1").is_err());
    }

    #[test]
    fn distances_have_the_unit_of_the_cell_or_column() {
        let close = |text, unit, km: f64| {
            let read = distance(text, unit).unwrap_or_else(|reason| panic!("{text} {reason}")).get();
            assert!((read - km).abs() < 1e-12, "{text}: {read}");
        };
        close("1.25", kilometres_of("km"), 1.25);
        close("0.482 miles", None, 0.775_703_808);
        close("0.482miles", Some(1.0), 0.775_703_808);
        close("482m", None, 0.482);
        close("1,482 metres", None, 1.482);
        close("1,482", kilometres_of("m"), 1.482);
        close("1,234,567 m", None, 1_234.567);
        close("880 yards", None, 0.804_672);
        close("0,482", kilometres_of("miles"), 0.775_703_808);
        close("0,5 km", None, 0.5);
        close("1.2 Km", None, 1.2);
        for (text, unit) in [
            ("1.25", None),
            ("-0.1", Some(1.0)),
            ("NaN", Some(1.0)),
            ("inf", Some(1.0)),
            ("1e9", Some(1.0)),
            ("99999 km", None),
            ("1,234", Some(1.0)),
            ("1,234.5,6", Some(1.0)),
            ("12 furlongs", None),
            (".", Some(1.0)),
            ("miles", None),
            ("", Some(1.0)),
        ] {
            assert!(distance(text, unit).is_err(), "{text}");
        }
    }

    #[test]
    fn all_offered_is_read_in_its_forms() {
        for text in [
            "All applicants offered",
            "all applicants were offered",
            "All applicants offered a place",
            "All on time applicants were offered places",
            "ALL OFFERED",
            "All children offered",
            "Undersubscribed",
        ] {
            assert!(says_all_offered(text), "{text}");
        }
        for text in [
            "Not all applicants offered",
            "All siblings offered",
            "All applicants offered up to criterion 5",
            "All applicants offered a place except those refused",
            "Distance",
            "",
        ] {
            assert!(!says_all_offered(text), "{text}");
        }
    }

    #[test]
    fn unknown_values_have_many_words() {
        for text in ["", "-", "NULL", "null", "n/a", "N/A", "#N/A", "NA", "\u{2013}"] {
            assert!(is_unknown(text), "{text}");
        }
        assert!(!is_unknown("0") && !is_unknown("None") && !is_unknown("Nan"));
    }
}
