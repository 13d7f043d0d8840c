//! Converts the values of a row to this crate's. One that cannot be read is unknown, and noted.

use std::fmt::Display;

use super::csv_file::{Column, Row};
use super::rows::Reason;
use super::values;
use crate::geo::{GridReference, LatLng};
use crate::ids::Urn;
use crate::models::{Gender, Phase, Rating, Status};
use crate::request::NO_FAITH;
use crate::text::fold;

/// The facts of a row. What cannot be read is noted with its column and its value, and is unknown.
pub(super) struct Facts<'a> {
    row: &'a Row<'a>,
    notes: Vec<String>,
    /// How many values were read.
    read: usize,
}

impl<'a> Facts<'a> {
    pub(super) fn new(row: &'a Row<'a>) -> Self {
        let mut facts = Self { row, notes: Vec::new(), read: 0 };
        if row.may_be_cut_off {
            facts.note("no line break ends this last line: its last number may be incomplete".to_owned());
        }
        if let Some(found) = row.odd_fields {
            let unknown = if found < row.width { "the others are" } else { "all but the essential ones are" };
            facts.note(format!("it has {found} fields and the header has {}: {unknown} unknown", row.width));
        }
        facts
    }

    /// Returns whether the file has a column.
    pub(super) fn has(&self, column: &str) -> bool {
        self.row.columns.iter().any(|read| read.name == column)
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(super) fn into_notes(self) -> Vec<String> {
        self.notes
    }

    /// Returns whether values were there, and none of them could be read.
    pub(super) fn are_unreadable(&self) -> bool {
        self.read == 0 && !self.notes.is_empty()
    }

    /// Returns a column's text, or `None` where it is unknown or the file lacks the column.
    pub(super) fn text(&self, column: &str) -> Option<&'a str> {
        self.row.text(column)
    }

    /// Returns whether every one of these columns is unknown, of a row that has every column.
    pub(super) fn are_blank(&self, columns: &[&str]) -> bool {
        self.row.odd_fields.is_none() && columns.iter().all(|column| self.text(column).is_none())
    }

    /// Returns whether a row has more fields than columns, and this column may hold the text of another one: a
    /// delimiter within a value shifts what follows it. A `certain` column after it shows that nothing is shifted.
    pub(super) fn may_be_of_another_column(&self, column: &str, certain: &str) -> bool {
        let at = |name| self.row.columns.iter().find(|read| read.name == name).map(|read| read.at);
        self.row.odd_fields.is_some_and(|fields| fields > self.row.width) && at(column) > at(certain)
    }

    /// Returns the school's URN, which a row cannot do without.
    pub(super) fn urn(&self, column: &str) -> Result<Urn, Reason> {
        Ok(urn(self.text(column).unwrap_or_default())?)
    }

    /// Reads a value, and notes one that cannot be read.
    pub(super) fn value<T, E: Display>(
        &mut self,
        column: &str,
        read: impl FnOnce(&Column, &str) -> Result<T, E>,
    ) -> Option<T> {
        let (column, text) = self.row.cell(column)?;
        match read(column, text) {
            Ok(value) => {
                self.read += 1;
                Some(value)
            }
            Err(reason) => {
                self.note(format!("{} {:?} {reason}", column.header, shown(text)));
                None
            }
        }
    }

    /// Reads a text that has at most so many characters.
    pub(super) fn owned(&mut self, column: &str, max: usize) -> Option<String> {
        self.value(column, |_, text| match text.chars().count() {
            length if length > max => Err(format!("has {length} characters; at most {max} are stored")),
            _ => Ok(text.to_owned()),
        })
    }

    pub(super) fn date(&mut self, column: &str) -> Option<chrono::NaiveDate> {
        self.value(column, |_, text| values::date(text))
    }

    pub(super) fn count(&mut self, column: &str) -> Option<i32> {
        self.value(column, |_, text| values::count(text))
    }

    /// Reads a number within bounds.
    pub(super) fn number(&mut self, column: &str, bounds: std::ops::RangeInclusive<i16>) -> Option<i16> {
        self.value(column, |_, text| match values::whole::<i16>(text) {
            Ok(number) if bounds.contains(&number) => Ok(number),
            Ok(_) => Err(format!("is not from {} to {}", bounds.start(), bounds.end())),
            Err(reason) => Err(reason),
        })
    }

    /// Reads a word of a vocabulary, some of which mean that the fact is unknown.
    pub(super) fn word<T>(&mut self, column: &str, word: fn(&str) -> Option<Option<T>>) -> Option<T> {
        self.value(column, |_, text| word(text).ok_or("is not a known word")).flatten()
    }

    /// Reads the grid reference and its location.
    pub(super) fn grid_reference(&mut self, easting: &str, northing: &str) -> Option<(GridReference, LatLng)> {
        let metres = |facts: &mut Self, column: &str| facts.value(column, |_, text| values::whole::<i32>(text));
        let (easting, northing) = match (self.text(easting), self.text(northing)) {
            (None, None) => return None,
            (Some(_), Some(_)) => (metres(self, easting)?, metres(self, northing)?),
            (Some(text), None) => {
                self.note(format!("{easting} {:?} has no {northing}: the school is not located", shown(text)));
                return None;
            }
            (None, Some(text)) => {
                self.note(format!("{northing} {:?} has no {easting}: the school is not located", shown(text)));
                return None;
            }
        };
        // The register's sign for none.
        if (easting, northing) == (0, 0) {
            return None;
        }
        let grid = GridReference { easting, northing };
        let location = grid.to_lat_lng();
        if location.is_none() {
            self.note(format!("the grid reference {easting}, {northing} is not in Great Britain"));
        }
        location.map(|location| (grid, location))
    }
}

pub(super) fn status(word: Option<&str>) -> Result<Status, Reason> {
    match word.map(fold).as_deref() {
        Some("open") => Ok(Status::Open),
        Some("closed") => Ok(Status::Closed),
        Some("open but proposed to close") => Ok(Status::ProposedToClose),
        Some("proposed to open") => Ok(Status::ProposedToOpen),
        None => Err("the status is blank".into()),
        Some(_) => Err(format!("{:?} is not a status that is known", shown(word.unwrap_or_default())).into()),
    }
}

pub(super) fn phase(word: &str) -> Option<Option<Phase>> {
    match fold(word).as_str() {
        "nursery" => Some(Some(Phase::Nursery)),
        "primary" => Some(Some(Phase::Primary)),
        "middle deemed primary" => Some(Some(Phase::MiddlePrimary)),
        "middle deemed secondary" => Some(Some(Phase::MiddleSecondary)),
        "secondary" => Some(Some(Phase::Secondary)),
        "all through" => Some(Some(Phase::AllThrough)),
        "16 plus" => Some(Some(Phase::SixteenPlus)),
        "not applicable" => Some(Some(Phase::NotApplicable)),
        _ => None,
    }
}

pub(super) fn gender(word: &str) -> Option<Option<Gender>> {
    match fold(word).as_str() {
        "mixed" => Some(Some(Gender::Mixed)),
        "boys" => Some(Some(Gender::Boys)),
        "girls" => Some(Some(Gender::Girls)),
        "not applicable" => Some(None),
        _ => None,
    }
}

/// Returns Ofsted's rating. "Satisfactory" was the third grade until 2012; the two kinds of the fourth
/// grade have their own names.
pub(super) fn rating(word: &str) -> Option<Option<Rating>> {
    match fold(word).as_str() {
        "outstanding" => Some(Some(Rating::Outstanding)),
        "good" => Some(Some(Rating::Good)),
        "requires improvement" | "satisfactory" => Some(Some(Rating::RequiresImprovement)),
        "inadequate" | "special measures" | "serious weaknesses" => Some(Some(Rating::Inadequate)),
        "not applicable" | "not rated" => Some(None),
        _ => None,
    }
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

/// Returns whether a postcode's place has no reference on the grid of Great Britain: Northern Ireland, which has a grid
/// of its own whose numbers are alike, Jersey, Guernsey and the Isle of Man.
pub(super) fn is_off_the_grid(postcode: &str) -> bool {
    let area = postcode.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    ["BT", "JE", "GY", "IM"].iter().any(|other| area.eq_ignore_ascii_case(other))
}

pub(super) fn urn(text: &str) -> Result<Urn, &'static str> {
    let number = values::whole(text).ok().and_then(|number| Urn::new(number).ok());
    number.ok_or("the URN is not a number of up to seven digits")
}

/// Returns what an error message shows of a text.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(40).collect()
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
}
