//! Converts the register's values to this crate's. An error is the reason to reject a row.

use chrono::NaiveDate;

use super::csv_file::Row;
use crate::error::Error;
use crate::geo::{GridReference, LatLng};
use crate::ids::Urn;
use crate::models::{Gender, Phase, Rating, Status};
use crate::request::NO_FAITH;
use crate::text::fold;

pub(super) fn grid_reference(
    easting: Option<&str>,
    northing: Option<&str>,
) -> Result<Option<(GridReference, LatLng)>, String> {
    let metres = |text: &str| text.parse::<i32>().map_err(|_| format!("the grid reference {text:?} is not a number"));
    let grid = match (easting, northing) {
        (None, None) => return Ok(None),
        (Some(easting), Some(northing)) => GridReference { easting: metres(easting)?, northing: metres(northing)? },
        _ => return Err("the grid reference has only one of easting and northing".to_owned()),
    };
    if grid == (GridReference { easting: 0, northing: 0 }) {
        return Ok(None);
    }
    let GridReference { easting, northing } = grid;
    let location = grid.to_lat_lng();
    let location =
        location.ok_or_else(|| format!("the grid reference {easting}, {northing} is not in Great Britain"))?;
    Ok(Some((grid, location)))
}

pub(super) fn ages(from: Option<&str>, to: Option<&str>) -> Result<(Option<i16>, Option<i16>), String> {
    let years = |text: &str| text.parse::<i16>().map_err(|_| format!("the age {text:?} is not a number"));
    let (from, to) = (from.map(years).transpose()?, to.map(years).transpose()?);
    if from.is_some_and(|from| !(0..=19).contains(&from)) {
        return Err(Error::AgeFrom.to_string());
    }
    if to.is_some_and(|to| !(from.unwrap_or(0)..=99).contains(&to)) {
        return Err(Error::AgeRange.to_string());
    }
    Ok((from, to))
}

pub(super) fn status(word: Option<&str>) -> Result<Status, String> {
    match word.map(fold).as_deref() {
        Some("open") => Ok(Status::Open),
        Some("closed") => Ok(Status::Closed),
        Some("open but proposed to close") => Ok(Status::ProposedToClose),
        Some("proposed to open") => Ok(Status::ProposedToOpen),
        _ => Err(unknown("status", word.unwrap_or_default())),
    }
}

pub(super) fn phase(word: &str) -> Result<Phase, String> {
    match fold(word).as_str() {
        "nursery" => Ok(Phase::Nursery),
        "primary" => Ok(Phase::Primary),
        "middle deemed primary" => Ok(Phase::MiddlePrimary),
        "middle deemed secondary" => Ok(Phase::MiddleSecondary),
        "secondary" => Ok(Phase::Secondary),
        "all through" => Ok(Phase::AllThrough),
        "16 plus" => Ok(Phase::SixteenPlus),
        "not applicable" => Ok(Phase::NotApplicable),
        _ => Err(unknown("phase", word)),
    }
}

pub(super) fn gender(word: &str) -> Result<Option<Gender>, String> {
    match fold(word).as_str() {
        "mixed" => Ok(Some(Gender::Mixed)),
        "boys" => Ok(Some(Gender::Boys)),
        "girls" => Ok(Some(Gender::Girls)),
        "not applicable" => Ok(None),
        _ => Err(unknown("gender", word)),
    }
}

/// Returns Ofsted's rating. "Satisfactory" was the third grade until 2012; the two kinds of the fourth
/// grade have their own names.
pub(super) fn rating(word: &str) -> Result<Option<Rating>, String> {
    match fold(word).as_str() {
        "outstanding" => Ok(Some(Rating::Outstanding)),
        "good" => Ok(Some(Rating::Good)),
        "requires improvement" | "satisfactory" => Ok(Some(Rating::RequiresImprovement)),
        "inadequate" | "special measures" | "serious weaknesses" => Ok(Some(Rating::Inadequate)),
        "not applicable" | "not rated" => Ok(None),
        _ => Err(unknown("Ofsted rating", word)),
    }
}

fn unknown(what: &str, word: &str) -> String {
    format!("{:?} is not a {what} that is known", word.chars().take(60).collect::<String>())
}

/// Unifies "None" and "Does not apply", both of which the register uses for schools without a religious character.
pub(super) fn faith(word: String) -> String {
    match fold(&word).as_str() {
        "none" | "does not apply" | "not applicable" => NO_FAITH.to_owned(),
        _ => word,
    }
}

/// Returns whether a school admits by ability. The register does not say it of every school.
pub(super) fn is_selective(policy: &str) -> Option<bool> {
    match fold(policy).split(' ').next() {
        Some("selective") => Some(true),
        Some("non" | "comprehensive" | "modern") => Some(false),
        _ => None,
    }
}

/// Returns whether parents pay: by the group of the type, or by the type where the file has no group. City technology
/// colleges are grouped with independent schools, but are state-funded. Some types are of either kind, and the register
/// does not say which.
pub(super) fn is_private(group: Option<&str>, school_type: Option<&str>) -> Option<bool> {
    let school_type = school_type.map(fold);
    match (group, school_type.as_deref()) {
        (_, Some("city technology college")) => Some(false),
        (
            _,
            Some(
                "british schools overseas"
                | "international schools"
                | "miscellaneous"
                | "offshore schools"
                | "online provider"
                | "welsh establishment",
            ),
        ) => None,
        (Some(group), _) => Some(fold(group) == "independent schools"),
        (None, Some(school_type)) => Some(school_type.split(' ').any(|word| word == "independent")),
        (None, None) => None,
    }
}

/// Returns a website that can be a link. The register often omits the scheme. A value that cannot be a link, such as a
/// telephone number or a script, is treated as unknown.
pub(super) fn website_url(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let url = if lower.starts_with("http://") || lower.starts_with("https://") {
        text.to_owned()
    } else if lower.contains(':') {
        return None;
    } else {
        format!("http://{text}")
    };
    let has_host = url.split("//").nth(1).is_some_and(|rest| rest.contains('.'));
    (has_host && !url.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c))).then_some(url)
}

pub(super) fn date(row: &Row, column: &str) -> Result<Option<NaiveDate>, String> {
    let date = |text| {
        NaiveDate::parse_from_str(text, "%d-%m-%Y")
            .map_err(|_| format!("{column} {:?} is not a date like 31-08-2026", shown(text)))
    };
    row.text(column).map(date).transpose()
}

pub(super) fn count(row: &Row, column: &str) -> Result<Option<i32>, String> {
    let count = |text: &str| match text.parse::<i32>() {
        Ok(count) if count >= 0 => Ok(count),
        _ => Err(format!("{column} {:?} is not a count", shown(text))),
    };
    row.text(column).map(count).transpose()
}

pub(super) fn urn(text: &str) -> Result<Urn, &'static str> {
    text.parse().map_err(|_| "the URN is not a number of up to seven digits")
}

/// Returns what an error message shows of a text.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn websites_are_links_or_unknown() {
        for (written, url) in [
            ("www.hilltop.example/", Some("http://www.hilltop.example/")),
            ("https://hilltop.example", Some("https://hilltop.example")),
            ("HTTP://hilltop.example", Some("HTTP://hilltop.example")),
            ("javascript:alert(1)", None),
            ("mailto:head@hilltop.example", None),
            ("see prospectus", None),
            ("http://", None),
            ("http://a b.example", None),
        ] {
            assert_eq!(website_url(written).as_deref(), url, "{written}");
        }
    }

    #[test]
    fn ownership_follows_from_group_or_type() {
        for (policy, expected) in [
            ("Selective (grammar)", Some(true)),
            ("Selective", Some(true)),
            ("Non-selective", Some(false)),
            ("Comprehensive (secondary)", Some(false)),
            ("Modern (secondary)", Some(false)),
            ("Not applicable", None),
            ("Not collected", None),
        ] {
            assert_eq!(is_selective(policy), expected, "{policy}");
        }
        assert_eq!(is_private(Some("Independent schools"), Some("Other Independent School")), Some(true));
        assert_eq!(is_private(Some("Independent schools"), Some("City Technology College")), Some(false));
        assert_eq!(is_private(Some("Academies"), None), Some(false));
        assert_eq!(is_private(None, Some("Other Independent Special School")), Some(true));
        assert_eq!(is_private(None, Some("Community School")), Some(false));
        assert_eq!(is_private(None, None), None);
        for either in ["British schools overseas", "Offshore schools", "Online provider", "Welsh establishment"] {
            assert_eq!(is_private(Some("Other types"), Some(either)), None, "{either}");
            assert_eq!(is_private(None, Some(either)), None, "{either}");
        }
        assert_eq!(is_private(Some("Other types"), Some("Secure units")), Some(false));
    }

    #[test]
    fn grid_references_are_complete_or_unknown() {
        assert_eq!(grid_reference(None, None), Ok(None));
        assert_eq!(grid_reference(Some("0"), Some("0")), Ok(None));
        assert!(grid_reference(Some("485280"), None).is_err());
        assert!(grid_reference(Some("x"), Some("238480")).is_err());
        assert!(grid_reference(Some("1"), Some("1")).is_err(), "in the Atlantic");
        assert!(grid_reference(Some("485280"), Some("238480")).is_ok_and(|located| located.is_some()));
    }
}
