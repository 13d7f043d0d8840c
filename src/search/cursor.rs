//! The position that a cursor encodes.

use std::cmp::Ordering;

use super::Words;
use crate::error::{Error, Result};
use crate::fnv::fnv1a;
use crate::ids::SchoolId;
use crate::request::{Cursor, SchoolSearch, Sort};

/// A school's position in the order of a search. Every order ends with the id, so no two schools share a position. What
/// the order does not use is `None` or empty.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Position {
    /// The distance or the negated margin in kilometres, exact to the last bit.
    pub km: Option<f64>,
    /// How well the name matches, the best as 0.
    pub rank: Option<i32>,
    /// The rating.
    pub rating: Option<i16>,
    /// The folded name.
    pub name: String,
    /// The school.
    pub id: SchoolId,
}

impl Position {
    /// Returns a position in an order by kilometres.
    pub(super) const fn by_km(km: Option<f64>, id: SchoolId) -> Self {
        Self { km, rank: None, rating: None, name: String::new(), id }
    }

    /// Returns whether it is a position in such an order.
    fn is_in(&self, sort: Sort) -> bool {
        let Self { km, rank, rating, name, id: _ } = self;
        let is_by_match = sort == Sort::Match;
        is_by_match == rank.is_some()
            && match sort {
                Sort::Distance => km.is_none_or(|km| km >= 0.0) && rating.is_none() && name.is_empty(),
                Sort::Margin => km.is_some() && rating.is_none() && name.is_empty(),
                Sort::Name | Sort::Match => km.is_none() && rating.is_none(),
                Sort::Rating => km.is_none(),
            }
    }

    /// Compares two positions in the same order as the databases do: text by its bytes, unknown values last.
    pub(crate) fn in_order(&self, other: &Self) -> Ordering {
        let km = |position: &Self| position.km.unwrap_or(f64::INFINITY);
        let rating = |position: &Self| position.rating.unwrap_or(i16::MAX);
        km(self)
            .total_cmp(&km(other))
            .then_with(|| (rating(self), &self.name, self.id).cmp(&(rating(other), &other.name, other.id)))
    }
}

/// Returns the cursor of a page that ends at a position, and the corrected words of its search.
pub(super) fn encode(position: &Position, corrected: Option<&Words>, search: &SchoolSearch) -> Cursor {
    let Position { km, rank, rating, name, id } = position;
    let km = km.map_or_else(|| "_".to_owned(), |km| format!("{:x}", km.to_bits()));
    let rating = rating.map_or_else(|| "_".to_owned(), |rating| rating.to_string());
    // Few searches have these.
    let (rank, words) = match (rank, corrected) {
        (None, None) => (String::new(), String::new()),
        (rank, words) => (
            rank.map_or_else(|| "_.".to_owned(), |rank| format!("{rank}.")),
            words.map_or_else(|| "_.".to_owned(), |words| format!("{}.", hex::encode(words.encode()))),
        ),
    };
    Cursor::of(format!("{km}.{rating}.{}.{id}.{rank}{words}{:x}", hex::encode(name), fingerprint(search)))
}

/// Returns the position that a cursor marks, and the corrected words of its search.
///
/// # Errors
/// [`Error::InvalidCursor`] where it is malformed, or was taken from another search.
pub(super) fn decode(cursor: &Cursor, search: &SchoolSearch) -> Result<(Position, Option<Words>)> {
    let (position, print) =
        cursor.as_str().rsplit_once('.').ok_or(Error::InvalidCursor { reason: "it is incomplete, or is no cursor" })?;
    if print != format!("{:x}", fingerprint(search)) {
        return Err(Error::InvalidCursor {
            reason: "it was taken from a search with another point, filter or order, or by another build",
        });
    }
    let found = parse(position).filter(|(position, corrected)| {
        position.is_in(search.sort) && (corrected.is_none() || search.filter.name.is_some())
    });
    found.ok_or(Error::InvalidCursor { reason: "it is damaged" })
}

fn parse(text: &str) -> Option<(Position, Option<Words>)> {
    let parts: Vec<&str> = text.split('.').collect();
    let (km, rating, name, id, rank, words) = match *parts.as_slice() {
        [km, rating, name, id] => (km, rating, name, id, "_", "_"),
        [km, rating, name, id, rank, words] => (km, rating, name, id, rank, words),
        _ => return None,
    };
    let km = optional(km, |bits| u64::from_str_radix(bits, 16).ok().map(f64::from_bits))?;
    if km.is_some_and(|km| !km.is_finite()) {
        return None;
    }
    let rank = optional(rank, |rank| rank.parse().ok())?;
    let rating = optional(rating, |rating| rating.parse().ok())?;
    let corrected = optional(words, |words| Words::decode(&unhex(words)?))?;
    Some((Position { km, rank, rating, name: unhex(name)?, id: SchoolId::new(id.parse().ok()?) }, corrected))
}

/// Reads a value, or an underscore for `None`.
fn optional<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text == "_" { Some(None) } else { read(text).map(Some) }
}

fn unhex(text: &str) -> Option<String> {
    String::from_utf8(hex::decode(text).ok()?).ok().filter(|text| !text.contains('\0'))
}

/// Returns a hash of the search that a cursor belongs to, without the page's size and the cursor.
fn fingerprint(search: &SchoolSearch) -> u64 {
    let SchoolSearch { near, within, filter, sort, limit: _, after: _ } = search;
    let point = near.map(|near| (near.lat().degrees().to_bits(), near.lng().degrees().to_bits()));
    fnv1a(format!("{point:?} {:?} {filter:?} {sort:?}", within.map(|radius| radius.get().to_bits())).bytes())
}

#[cfg(test)]
mod tests {
    use chrono::NaiveTime;
    use proptest::prelude::*;

    use super::*;
    use crate::geo::LatLng;
    use crate::models::{ClubKind, Gender, Phase, Rating, Status, Weekday};
    use crate::request::{ClubFilter, Faith, FeeFilter, NoPhase, Ownership, ReachFilter, SchoolFilter, Unrated};
    use crate::units::{AcademicYear, Kilometres};

    fn named(name: &str, rating: Option<i16>, id: SchoolId) -> Position {
        Position { km: None, rank: None, rating, name: name.to_owned(), id }
    }

    proptest! {
        #[test]
        fn cursors_come_back_as_they_were(
            km in proptest::option::of(0.0..20_100.0), name in "\\PC{0,30}", rating in proptest::option::of(1_i16..=4),
            id in any::<i64>(),
        ) {
            let id = SchoolId::new(id);
            for (sort, position) in [
                (Sort::Distance, Position::by_km(km, id)),
                (Sort::Margin, Position::by_km(Some(km.unwrap_or(-0.5)), id)),
                (Sort::Name, named(&name, None, id)),
                (Sort::Rating, named(&name, rating, id)),
                (Sort::Match, Position { rank: Some(2), ..named(&name, None, id) }),
            ] {
                let search = SchoolSearch::open().sort(sort);
                let cursor: Cursor = encode(&position, None, &search).to_string().parse().expect("our own text");
                prop_assert_eq!(decode(&cursor, &search).expect("our own cursor"), (position, None));
            }
        }

        #[test]
        fn foreign_texts_are_refused(text in "\\PC{0,60}") {
            let cursor: Cursor = text.parse().expect("short");
            prop_assert!(matches!(decode(&cursor, &SchoolSearch::open()), Err(Error::InvalidCursor { .. })), "refused");
        }

        #[test]
        fn damaged_positions_are_refused_or_read(position in "([x._0-9a-f]{0,40}|([_0-9a-f]{0,4}\\.){5}[_0-9a-f]{0,4})") {
            for sort in [Sort::Distance, Sort::Margin, Sort::Name, Sort::Rating, Sort::Match] {
                let search = SchoolSearch::open().sort(sort);
                let print = fingerprint(&search);
                let cursor: Cursor = format!("{position}.{print:x}").parse().expect("short");
                let position = decode(&cursor, &search);
                prop_assert!(position.as_ref().map_or(true, |(position, _)| position.is_in(sort)));
                if let Ok((Position { km: Some(km), .. }, _)) = position {
                    prop_assert!(km.is_finite() && (sort == Sort::Margin || km >= 0.0));
                }
            }
        }
    }

    #[test]
    fn distances_that_cannot_be_are_damage() {
        let search = SchoolSearch::open().sort(Sort::Distance);
        for km in [-100.0, -0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let cursor = encode(&Position::by_km(Some(km), SchoolId::new(1)), None, &search);
            assert!(matches!(decode(&cursor, &search), Err(Error::InvalidCursor { .. })), "{km}");
        }
        let honest = encode(&Position::by_km(Some(0.1), SchoolId::new(1)), None, &search);
        assert!(decode(&honest, &search).is_ok());
        let search = SchoolSearch::open();
        let nul = encode(&named("a\0", None, SchoolId::new(1)), None, &search);
        assert!(matches!(decode(&nul, &search), Err(Error::InvalidCursor { .. })));
    }

    #[test]
    fn a_cursor_belongs_to_its_search() {
        let cursor = encode(&named("a", None, SchoolId::new(1)), None, &SchoolSearch::open());
        assert!(decode(&cursor, &SchoolSearch::open().limit(7)).is_ok(), "another page size is the same search");
        let other = SchoolSearch::open().council("Leeds");
        assert!(matches!(decode(&cursor, &other), Err(Error::InvalidCursor { .. })));
    }

    #[test]
    fn a_cursor_holds_the_corrected_words() {
        let search = SchoolSearch::open().name("denbeigh");
        let corrected = Words::decode("(denbeigh,denbigh").expect("words");
        let position = named("a", None, SchoolId::new(1));
        let cursor = encode(&position, Some(&corrected), &search);
        assert_eq!(decode(&cursor, &search).expect("our own cursor"), (position, Some(corrected)));
    }

    #[test]
    fn no_two_searches_have_the_same_fingerprint() {
        fn filtered(change: impl FnOnce(&mut SchoolFilter)) -> SchoolSearch {
            let mut search = SchoolSearch::open();
            change(&mut search.filter);
            search
        }
        let at = |lat, lng| SchoolSearch::near(LatLng::from_lat_lng(lat, lng).expect("a place"));
        let within = |km| at(52.0, -0.7).within(Kilometres::new(km).expect("a distance"));
        let all = SchoolSearch::open;
        let councils = |names: &[&str]| names.iter().fold(all(), |search, name| search.council(*name));
        let club = |on, until| ClubFilter { kind: ClubKind::AfterSchool, on, until };
        let year = AcademicYear::starting(2025).expect("a year");
        let fees = |age| FeeFilter { academic_year: year, age, at_least: None, at_most: None };
        let searches = || {
            [
                all(),
                at(52.0, -0.7),
                at(-0.7, 52.0),
                at(52.0, -0.8),
                within(5.0),
                within(5.000_000_1),
                all().sort(Sort::Rating),
                councils(&["a", "b"]),
                councils(&["ab"]),
                councils(&["a"]),
                councils(&["", "ab"]),
                all().phase(Phase::Primary),
                all().phase(Phase::Primary).phase(Phase::Secondary),
                filtered(|filter| filter.no_phase = NoPhase::ByAges),
                all().status(Status::Open),
                all().any_status(),
                all().rated(Rating::Good, Unrated::Include),
                all().rated(Rating::Good, Unrated::Exclude),
                all().rated(Rating::RequiresImprovement, Unrated::Include),
                all().ownership(Ownership::State),
                all().ownership(Ownership::Private),
                all().age(4),
                all().age(5),
                all().gender(Gender::Girls),
                all().gender(Gender::Boys),
                all().faith(Faith::Any),
                all().faith(Faith::None),
                all().faith(Faith::Is("ab".into())),
                filtered(|filter| filter.clubs = vec![ClubKind::AfterSchool.into()]),
                filtered(|filter| filter.clubs = vec![ClubKind::Breakfast.into()]),
                filtered(|filter| filter.clubs = vec![club(Some(Weekday::Monday), None)]),
                filtered(|filter| filter.clubs = vec![club(None, NaiveTime::from_hms_opt(17, 30, 0))]),
                filtered(|filter| filter.fees = Some(fees(4))),
                filtered(|filter| filter.fees = Some(fees(5))),
                filtered(|filter| filter.reach = Some(ReachFilter { intake: None, years: 1 })),
                filtered(|filter| filter.reach = Some(ReachFilter { intake: None, years: 2 })),
                filtered(|filter| filter.reach = Some(ReachFilter { intake: Some("ab".into()), years: 1 })),
                filtered(|filter| filter.name = Some("ab".into())),
            ]
        };
        for (n, search) in searches().iter().enumerate() {
            for (other_n, other) in searches().iter().enumerate() {
                let same = fingerprint(search) == fingerprint(&other.clone().limit(7));
                assert_eq!(same, n == other_n, "{search:?} and {other:?}");
            }
        }
    }
}
