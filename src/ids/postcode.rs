//! Postcodes, whole and in part, as people type them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many characters the outcode and the whole postcode have in [`Postcode::key`].
const OUTCODE: usize = 4;
const LENGTH: usize = 7;

/// The letters that end an outcode after one or after two letters and a digit, such as those of E1W and EC1A.
const AFTER_ONE: &[u8] = b"ABCDEFGHJKPSTUW";
const AFTER_TWO: &[u8] = b"ABEHMNPRVWXY";

/// A postcode of the United Kingdom, or the first part of one: the outcode, such as MK9, or the sector, such as MK9 3.
///
/// It is read as people type it: in any case, with or without its space, with the letters O and I for the digits 0 and
/// 1 where there can only be a digit, and with a digit for the first letter. A part that can be read as an outcode is
/// one: `M11` is the outcode, and `M1 1` the sector. Whether there is such a postcode is not checked.
///
/// ```
/// use school_finder_db::ids::Postcode;
///
/// let postcode: Postcode = "mk93ep".parse()?;
/// assert_eq!(postcode.to_string(), "MK9 3EP");
/// assert_eq!(postcode.sector().map(|sector| sector.to_string()).as_deref(), Some("MK9 3"));
/// assert_eq!(postcode.outcode().to_string(), "MK9");
/// assert_eq!("mk1O 1aa".parse::<Postcode>()?.to_string(), "MK10 1AA");
/// assert!("Milton Keynes".parse::<Postcode>().is_err());
/// # Ok::<(), school_finder_db::ids::InvalidPostcode>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Postcode([u8; LENGTH]);

impl Postcode {
    /// Returns the area: the letters that it begins with, such as MK.
    pub fn area(&self) -> &str {
        let text = self.key();
        &text[..text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len())]
    }

    /// Returns the outcode, which is the part before the space, such as MK9.
    #[must_use]
    pub fn outcode(self) -> Self {
        self.cut(OUTCODE)
    }

    /// Returns the sector, which is the outcode and the next digit, such as MK9 3; `None` of an outcode.
    #[must_use]
    pub fn sector(self) -> Option<Self> {
        (self.0[OUTCODE] != b' ').then(|| self.cut(OUTCODE + 1))
    }

    /// Returns whether it is a whole postcode, and not a part of one.
    pub const fn is_unit(self) -> bool {
        self.0[LENGTH - 1] != b' '
    }

    /// Returns what an outcode without a space may mean instead: the sector MK9 3 for MK93.
    pub(crate) fn as_sector(self) -> Option<Self> {
        let outcode = self.key().trim_end();
        let (outcode, sector) = outcode.split_at_checked(outcode.len() - 1)?;
        if self.sector().is_some() { None } else { Self::of_parts(outcode, sector) }
    }

    /// Returns its seven characters, by which the database sorts postcodes: the outcode, filled up with blanks to four,
    /// and the rest. A part of a postcode ends in blanks.
    pub fn key(&self) -> &str {
        // All are ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the postcode with this [`key`](Self::key), or `None` where it is no key.
    #[cfg(any(feature = "register", test))]
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        let (outcode, rest) = key.split_at_checked(OUTCODE)?;
        Self::of_parts(outcode.trim_end(), rest.trim_end()).filter(|postcode| postcode.key() == key)
    }

    /// Returns the keys between which those of its postcodes are: the first, and the first after them.
    pub(crate) fn keys(self) -> (String, String) {
        let prefix = match (self.is_unit(), self.sector()) {
            (true, _) => self.key(),
            (false, Some(_)) => &self.key()[..=OUTCODE],
            (false, None) => &self.key()[..OUTCODE],
        };
        // No character of a key comes after the letters.
        (prefix.to_owned(), format!("{prefix}~"))
    }

    /// Returns the keys between which those of an area are: the first, and the first after them.
    pub(crate) fn area_keys(area: &str) -> (String, String) {
        // A digit follows, and the character after those is a colon.
        (format!("{area}0"), format!("{area}:"))
    }

    fn cut(mut self, length: usize) -> Self {
        self.0[length..].fill(b' ');
        self
    }

    /// Reads an outcode, and what comes after it: nothing, a digit, or a digit and two letters.
    fn of_parts(outcode: &str, rest: &str) -> Option<Self> {
        let mut key = [b' '; LENGTH];
        let outcode = outcode_of(outcode.as_bytes())?;
        key[..outcode.len()].copy_from_slice(&outcode);
        match rest.as_bytes() {
            [] => {}
            [sector] => key[OUTCODE] = digit(*sector)?,
            [sector, unit @ ..] if unit.len() == 2 && unit.iter().all(u8::is_ascii_uppercase) => {
                key[OUTCODE] = digit(*sector)?;
                key[OUTCODE + 1..].copy_from_slice(unit);
            }
            _ => return None,
        }
        Some(Self(key))
    }

    fn read(text: &str) -> Option<Self> {
        let is_gap = |c: char| c.is_whitespace() || matches!(c, '-' | '\u{200b}' | '\u{feff}');
        let upper = text.to_ascii_uppercase();
        let mut parts = upper.split(is_gap).filter(|part| !part.is_empty());
        let (first, second) = (parts.next()?, parts.next());
        let all: String = upper.split(is_gap).collect();
        if all.len() > LENGTH || !all.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let cut = |length: usize| all.split_at_checked(all.len().checked_sub(length)?);
        let read = |(outcode, rest): (&str, &str)| Self::of_parts(outcode, rest);
        // A space says where the outcode ends, or stands somewhere.
        let spaced = second.filter(|_| parts.next().is_none()).and_then(|second| Self::of_parts(first, second));
        spaced.or_else(|| cut(3).and_then(read)).or_else(|| Self::of_parts(&all, "")).or_else(|| cut(1).and_then(read))
    }
}

/// Returns a digit, also where a letter that looks like one stands for it.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte),
        b'O' => Some(b'0'),
        b'I' | b'L' => Some(b'1'),
        _ => None,
    }
}

/// Returns a letter, also where a digit that looks like one stands for it.
const fn letter(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte),
        b'0' => Some(b'O'),
        b'1' => Some(b'I'),
        _ => None,
    }
}

/// Reads an outcode: of its readings, the one that replaces the fewest characters.
fn outcode_of(text: &[u8]) -> Option<Vec<u8>> {
    type Kind = fn(u8) -> Option<u8>;
    let (after_one, after_two): (Kind, Kind) =
        (|byte| AFTER_ONE.contains(&byte).then_some(byte), |byte| AFTER_TWO.contains(&byte).then_some(byte));
    let patterns: [&[Kind]; 6] = [
        &[letter, digit],
        &[letter, digit, digit],
        &[letter, digit, after_one],
        &[letter, letter, digit],
        &[letter, letter, digit, digit],
        &[letter, letter, digit, after_two],
    ];
    let fitting = patterns.iter().filter(|pattern| pattern.len() == text.len());
    let readings = fitting.filter_map(|pattern| pattern.iter().zip(text).map(|(kind, byte)| kind(*byte)).collect());
    readings.min_by_key(|read: &Vec<u8>| read.iter().zip(text).filter(|(read, given)| read != given).count())
}

/// A text that is no postcode and no part of one. It converts into
/// [`Error::InvalidPostcode`](crate::Error::InvalidPostcode).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not a postcode: write one like MK9 3EP, or a part of one like MK9 3 or MK9")]
pub struct InvalidPostcode {
    /// The given text, cut to 40 characters.
    pub given: String,
}

/// A postcode that is not in the database, and no school's either. It converts into
/// [`Error::UnknownPostcode`](crate::Error::UnknownPostcode).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct UnknownPostcode {
    /// The postcode, as it was understood.
    pub postcode: Postcode,
    /// Its sector or outcode, where that is known.
    pub known: Option<Postcode>,
    /// Whether postcodes of its area were imported.
    pub is_imported: bool,
}

impl fmt::Display for UnknownPostcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { postcode, known, is_imported } = self;
        let import = "import the postcodes with `school-finder import postcodes FILE`";
        match (known, is_imported) {
            (Some(known), true) => {
                write!(f, "there is no postcode {postcode}, but there is {known}: check the rest of it")
            }
            (None, true) => {
                write!(f, "there is no postcode {postcode}, nor its outcode {}: check it", postcode.outcode())
            }
            (Some(known), false) => {
                write!(
                    f,
                    "no postcodes of {} are stored, and no school is in {postcode}, but some are in {known}: use that, \
                           or {import}",
                    postcode.area()
                )
            }
            (None, false) => {
                write!(f, "no postcodes of {} are stored, and no school is in {postcode}: {import}", postcode.area())
            }
        }
    }
}

impl FromStr for Postcode {
    type Err = InvalidPostcode;

    fn from_str(text: &str) -> Result<Self, InvalidPostcode> {
        Self::read(text).ok_or_else(|| InvalidPostcode { given: crate::text::shortened(text) })
    }
}

impl TryFrom<String> for Postcode {
    type Error = InvalidPostcode;

    fn try_from(text: String) -> Result<Self, InvalidPostcode> {
        text.parse()
    }
}

impl From<Postcode> for String {
    fn from(postcode: Postcode) -> Self {
        postcode.to_string()
    }
}

impl fmt::Display for Postcode {
    /// Writes it with its space: `MK9 3EP`, `MK9 3`, `MK9`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outcode, rest) = self.key().split_at(OUTCODE);
        let (outcode, rest) = (outcode.trim_end(), rest.trim_end());
        let gap = if rest.is_empty() { "" } else { " " };
        f.pad(&[outcode, gap, rest].concat())
    }
}

impl fmt::Debug for Postcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postcode").field(&self.key()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        text.parse::<Postcode>().ok().map(|postcode| postcode.to_string())
    }

    #[test]
    fn postcodes_are_read_as_people_type_them() {
        for (typed, understood) in [
            ("MK9 3EP", "MK9 3EP"),
            ("mk93ep", "MK9 3EP"),
            (" mk9\u{a0}3ep ", "MK9 3EP"),
            ("m k93e p", "MK9 3EP"),
            ("MK9-3EP", "MK9 3EP"),
            ("EC1A1BB", "EC1A 1BB"),
            ("m11ae", "M1 1AE"),
            ("W1A 0AX", "W1A 0AX"),
            ("w1a oax", "W1A 0AX"),
            ("MKI0 IAA", "MK10 1AA"),
            ("mk1o 1aa", "MK10 1AA"),
            ("e1o", "E10"),
            ("0X1 1AA", "OX1 1AA"),
            ("SO14 0AA", "SO14 0AA"),
            ("S014 0AA", "SO14 0AA"),
            ("MK9 3", "MK9 3"),
            ("ec1a1", "EC1A 1"),
            ("MK10 1", "MK10 1"),
            ("MK9", "MK9"),
            ("m1", "M1"),
            ("m11", "M11"),
            ("m1 1", "M1 1"),
            ("MK93", "MK93"),
            ("XX101AA", "XX10 1AA"),
        ] {
            assert_eq!(read(typed).as_deref(), Some(understood), "{typed:?}");
        }
        for text in
            ["", " ", "MK", "9", "MK9 3E", "MK9 33P", "MK999 3EP", "MK9 3EPX", "GIR 0AA", "Milton", "MK9 3É", "é"]
        {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn parts_are_known_and_sorted() {
        let of = |text: &str| text.parse::<Postcode>().expect("a postcode");
        let unit = of("m11ae");
        assert_eq!((unit.key(), unit.area(), unit.is_unit()), ("M1  1AE", "M", true));
        assert_eq!((unit.sector(), unit.outcode()), (Some(of("M1 1")), of("M1")));
        assert_eq!((of("M1").sector(), of("M1 1").sector(), of("M1 1").is_unit()), (None, Some(of("M1 1")), false));
        assert_eq!(
            (of("MK93").as_sector(), of("M1").as_sector(), of("M1 1").as_sector()),
            (Some(of("MK9 3")), None, None)
        );
        let (from, to) = of("M1").keys();
        assert!(from.as_str() <= unit.key() && unit.key() < to.as_str() && to.as_str() < of("M11 1AE").key());
        let (from, to) = of("M1 1").keys();
        assert!(from.as_str() <= unit.key() && unit.key() < to.as_str() && to.as_str() < of("M1 2AA").key());
        assert_eq!(Postcode::of_key("M1  1AE"), Some(unit));
        assert_eq!(Postcode::of_key("M1 1AE"), None);
        assert_eq!(Postcode::of_key("M O 1AE"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,12}") {
            if let Ok(postcode) = text.parse::<Postcode>() {
                prop_assert_eq!(postcode.to_string().parse(), Ok(postcode));
                prop_assert_eq!(Postcode::of_key(postcode.key()), Some(postcode));
            }
        }
    }
}
