//! The position that a cursor encodes.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::fnv::fnv1a;
use crate::ids::SchoolId;
use crate::models::Rating;
use crate::request::{Cursor, SchoolSearch, Sort};

/// A school's position in the order of a search. Every order ends with the id, so no two schools share a position.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Position {
    /// By distance; unknown ones come last.
    Distance {
        /// The distance in kilometres, exact to the last bit.
        km: Option<f64>,
        /// The school.
        id: SchoolId,
    },
    /// By name.
    Name {
        /// The folded name.
        name: String,
        /// The school.
        id: SchoolId,
    },
    /// By margin, widest first.
    Margin {
        /// The margin in kilometres, exact to the last bit.
        km: f64,
        /// The school.
        id: SchoolId,
    },
    /// By rating, then by name; unrated schools come last.
    Rating {
        /// The rating.
        rating: Option<Rating>,
        /// The folded name.
        name: String,
        /// The school.
        id: SchoolId,
    },
}

impl Position {
    /// Returns whether it is a position in such an order.
    fn is_in(&self, sort: Sort) -> bool {
        match self {
            Self::Distance { .. } => sort == Sort::Distance,
            Self::Name { .. } => sort == Sort::Name,
            Self::Margin { .. } => sort == Sort::Margin,
            Self::Rating { .. } => sort == Sort::Rating,
        }
    }

    /// Compares two positions in the same order as the databases do: text by its bytes, unknown values last.
    pub(crate) fn in_order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Distance { km, id }, Self::Distance { km: other_km, id: other_id }) => {
                unknown_last(km.as_ref(), other_km.as_ref(), f64::total_cmp).then(id.cmp(other_id))
            }
            (Self::Margin { km, id }, Self::Margin { km: other_km, id: other_id }) => {
                other_km.total_cmp(km).then(id.cmp(other_id))
            }
            (Self::Name { name, id }, Self::Name { name: other_name, id: other_id }) => {
                name.cmp(other_name).then(id.cmp(other_id))
            }
            (
                Self::Rating { rating, name, id },
                Self::Rating { rating: other_rating, name: other_name, id: other_id },
            ) => unknown_last(rating.as_ref(), other_rating.as_ref(), |a, b| a.number().cmp(&b.number()))
                .then_with(|| name.cmp(other_name))
                .then(id.cmp(other_id)),
            // A cursor is decoded only for the search that it belongs to.
            (Self::Distance { .. } | Self::Margin { .. } | Self::Name { .. } | Self::Rating { .. }, _) => {
                Ordering::Equal
            }
        }
    }
}

fn unknown_last<T>(a: Option<&T>, b: Option<&T>, in_order: impl Fn(&T, &T) -> Ordering) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => in_order(a, b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

/// Returns the cursor of a page that ends at a position.
pub(super) fn encode(position: &Position, search: &SchoolSearch) -> Cursor {
    let print = fingerprint(search);
    Cursor::of(match position {
        Position::Distance { km: Some(km), id } => format!("d.{:x}.{id}.{print:x}", km.to_bits()),
        Position::Distance { km: None, id } => format!("d.~.{id}.{print:x}"),
        Position::Margin { km, id } => format!("m.{:x}.{id}.{print:x}", km.to_bits()),
        Position::Name { name, id } => format!("n.{}.{id}.{print:x}", hex(name)),
        Position::Rating { rating: Some(rating), name, id } => format!("r.{rating}.{}.{id}.{print:x}", hex(name)),
        Position::Rating { rating: None, name, id } => format!("r.~.{}.{id}.{print:x}", hex(name)),
    })
}

/// Returns the position that a cursor marks.
///
/// # Errors
/// [`Error::InvalidCursor`] where it is malformed, or was taken from another search.
pub(super) fn decode(cursor: &Cursor, search: &SchoolSearch) -> Result<Position> {
    let (place, print) =
        cursor.as_str().rsplit_once('.').ok_or(Error::InvalidCursor { reason: "it is not one of this crate's" })?;
    if print != format!("{:x}", fingerprint(search)) {
        return Err(Error::InvalidCursor {
            reason: "it was taken from a search with another point, filter or order, or by another build",
        });
    }
    let position = parse(place).filter(|position| position.is_in(search.sort));
    position.ok_or(Error::InvalidCursor { reason: "it is damaged" })
}

fn parse(place: &str) -> Option<Position> {
    let mut parts = place.split('.');
    let kind = parts.next()?;
    let position = match kind {
        "d" => {
            let km = unword(parts.next()?, |bits| {
                let km = f64::from_bits(u64::from_str_radix(bits, 16).ok()?);
                (km.is_finite() && km >= 0.0).then_some(km)
            })?;
            Position::Distance { km, id: id(parts.next()?)? }
        }
        "m" => {
            let km = f64::from_bits(u64::from_str_radix(parts.next()?, 16).ok()?);
            Position::Margin { km: km.is_finite().then_some(km)?, id: id(parts.next()?)? }
        }
        "n" => Position::Name { name: unhex(parts.next()?)?, id: id(parts.next()?)? },
        "r" => {
            let rating = unword(parts.next()?, |rating| rating.parse().ok())?;
            Position::Rating { rating, name: unhex(parts.next()?)?, id: id(parts.next()?)? }
        }
        _ => return None,
    };
    parts.next().is_none().then_some(position)
}

fn id(text: &str) -> Option<SchoolId> {
    text.parse().ok().map(SchoolId::new)
}

/// Reads a value, or a tilde for `None`.
fn unword<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text == "~" { Some(None) } else { read(text).map(Some) }
}

fn hex(text: &str) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    text.bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &str) -> Option<String> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let text = String::from_utf8(digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>()?).ok()?;
    (!text.contains('\0')).then_some(text)
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
    use crate::models::{ClubKind, Gender, Phase, Status, Weekday};
    use crate::request::{ClubFilter, Faith, FeeFilter, NoPhase, Ownership, ReachFilter, SchoolFilter, Unrated};
    use crate::units::{AcademicYear, Kilometres};

    proptest! {
        #[test]
        fn cursors_come_back_as_they_were(
            km in proptest::option::of(0.0..20_100.0), name in "\\PC{0,30}", rating in proptest::option::of(proptest::sample::select(Rating::ALL)),
            id in any::<i64>(),
        ) {
            let id = SchoolId::new(id);
            for (sort, position) in [
                (Sort::Distance, Position::Distance { km, id }),
                (Sort::Margin, Position::Margin { km: km.unwrap_or(-0.5), id }),
                (Sort::Name, Position::Name { name: name.clone(), id }),
                (Sort::Rating, Position::Rating { rating, name, id }),
            ] {
                let search = SchoolSearch::open().sort(sort);
                let cursor: Cursor = encode(&position, &search).to_string().parse().expect("our own text");
                prop_assert_eq!(decode(&cursor, &search).expect("our own cursor"), position);
            }
        }

        #[test]
        fn foreign_texts_are_refused(text in "\\PC{0,60}") {
            let cursor: Cursor = text.parse().expect("short");
            prop_assert!(matches!(decode(&cursor, &SchoolSearch::open()), Err(Error::InvalidCursor { .. })), "refused");
        }

        #[test]
        fn damaged_places_are_refused_or_read(place in "[dnrx.~0-9a-f]{0,40}") {
            for sort in [Sort::Distance, Sort::Margin, Sort::Name, Sort::Rating] {
                let search = SchoolSearch::open().sort(sort);
                let print = fingerprint(&search);
                let cursor: Cursor = format!("{place}.{print:x}").parse().expect("short");
                let position = decode(&cursor, &search);
                prop_assert!(position.as_ref().map_or(true, |position| position.is_in(sort)));
                if let Ok(Position::Distance { km: Some(km), .. }) = position {
                    prop_assert!(km.is_finite() && km >= 0.0);
                }
            }
        }
    }

    #[test]
    fn distances_that_cannot_be_are_damage() {
        let search = SchoolSearch::open().sort(Sort::Distance);
        for km in [-100.0, -0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let cursor = encode(&Position::Distance { km: Some(km), id: SchoolId::new(1) }, &search);
            assert!(matches!(decode(&cursor, &search), Err(Error::InvalidCursor { .. })), "{km}");
        }
        let honest = encode(&Position::Distance { km: Some(0.1), id: SchoolId::new(1) }, &search);
        assert!(decode(&honest, &search).is_ok());
        let search = SchoolSearch::open();
        let nul = encode(&Position::Name { name: "a\0".into(), id: SchoolId::new(1) }, &search);
        assert!(matches!(decode(&nul, &search), Err(Error::InvalidCursor { .. })));
    }

    #[test]
    fn a_cursor_belongs_to_its_search() {
        let cursor = encode(&Position::Name { name: "a".into(), id: SchoolId::new(1) }, &SchoolSearch::open());
        assert!(decode(&cursor, &SchoolSearch::open().limit(7)).is_ok(), "another page size is the same search");
        let other = SchoolSearch::open().council("Leeds");
        assert!(matches!(decode(&cursor, &other), Err(Error::InvalidCursor { .. })));
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
