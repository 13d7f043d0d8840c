//! The words by which people look for schools: those of a school, and those of a typed text.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{Laestab, Urn};
use crate::models::NewSchool;
use crate::text::fold;

/// The longest stored word, in characters. A longer one is stored and searched up to here.
const LONGEST: usize = 100;

/// A word that is not the last one matches longer words from this length on: `st` does not match `stoke`.
const SHORTEST_PREFIX: usize = 4;

/// The most terms and words of a term that a cursor may hold.
const MOST_IN_CURSOR: usize = 128;

/// Sequences of folded words with one meaning, and the word that they become.
const MEANINGS: &[(&[&str], &str)] = &[
    (&["church", "of", "england"], "ce"),
    (&["c", "of", "e"], "ce"),
    (&["c", "e"], "ce"),
    (&["cofe"], "ce"),
    (&["church", "in", "wales"], "ciw"),
    (&["c", "in", "w"], "ciw"),
    (&["roman", "catholic"], "rc"),
    (&["r", "c"], "rc"),
    (&["ss"], "saints"),
    (&["sts"], "saints"),
    (&["jr"], "junior"),
    (&["jnr"], "junior"),
    (&["sch"], "school"),
];

/// Words that a school has beside one of its own, so that parts of the other spellings match as well.
const SPELLINGS: &[(&str, &[&str])] = &[
    ("ce", &["church", "of", "england", "cofe"]),
    ("ciw", &["church", "in", "wales"]),
    ("rc", &["roman", "catholic"]),
    ("catholic", &["rc", "roman"]),
    ("saints", &["saint", "st"]),
    ("st", &["saint"]),
];

/// Words that need not match beside others.
const IGNORED: &[&str] = &["a", "and", "at", "for", "in", "of", "the"];

/// The words that most schools have: they narrow a search less than any other.
const FREQUENT: &[&str] = &[
    "academy",
    "catholic",
    "ce",
    "church",
    "community",
    "england",
    "high",
    "infant",
    "junior",
    "nursery",
    "primary",
    "rc",
    "saints",
    "school",
    "secondary",
    "st",
];

/// The texts that a school's words are computed from.
#[derive(Debug, Clone, PartialEq, Eq, diesel::Queryable)]
pub(crate) struct Texts {
    pub town: Option<String>,
    pub name: String,
    pub council: Option<String>,
    pub postcode: Option<String>,
}

impl Texts {
    /// Returns the texts of a school.
    pub(crate) fn of(school: &NewSchool, town: Option<String>) -> Self {
        let NewSchool { name, council, postcode, .. } = school;
        Self { town, name: name.clone(), council: council.clone(), postcode: postcode.clone() }
    }

    /// Returns the school's words, each with whether it is in the name.
    pub(crate) fn words(&self) -> BTreeMap<String, bool> {
        let Self { town, name, council, postcode } = self;
        let mut words = BTreeMap::new();
        for text in [town, council, postcode].into_iter().flatten() {
            words.extend(words_of(text).into_iter().map(|word| (word, false)));
        }
        if let Some(postcode) = postcode {
            let glued: String = fold(postcode).split(' ').collect();
            words.insert(cut(&glued).to_owned(), false);
        }
        words.extend(words_of(name).into_iter().map(|word| (word, true)));
        words.retain(|word, _| !word.is_empty());
        words
    }
}

/// Returns the words of a school's text, in all their spellings.
fn words_of(text: &str) -> BTreeSet<String> {
    let folded = fold(text);
    let mut words: BTreeSet<String> = folded.split(' ').map(|word| cut(word).to_owned()).collect();
    words.extend(with_one_meaning(&folded).into_iter().map(|(word, _)| cut(word).to_owned()));
    // A hyphen may be read as nothing.
    words.extend(text.split_whitespace().map(|part| cut(&fold(part).replace(' ', "")).to_owned()));
    for (word, spellings) in SPELLINGS {
        if words.contains(*word) {
            words.extend(spellings.iter().map(|spelling| (*spelling).to_owned()));
        }
    }
    words
}

/// Returns the words of a folded text after [`MEANINGS`], each with whether it became of several.
fn with_one_meaning(folded: &str) -> Vec<(&str, bool)> {
    let words: Vec<&str> = folded.split(' ').filter(|word| !word.is_empty()).collect();
    let mut rest = words.as_slice();
    let mut found = Vec::with_capacity(words.len());
    while let [word, others @ ..] = rest {
        match MEANINGS.iter().find(|(words, _)| rest.starts_with(words)) {
            Some((words, meaning)) => {
                found.push((*meaning, words.len() > 1));
                rest = &rest[words.len()..];
            }
            None => {
                found.push((*word, false));
                rest = others;
            }
        }
    }
    found
}

fn cut(word: &str) -> &str {
    word.char_indices().nth(LONGEST).map_or(word, |(end, _)| &word[..end])
}

/// A part of a typed text, which a school must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Term {
    /// The school's number in the register.
    Urn(Urn),
    /// Its local authority and number in it.
    Laestab(Laestab),
    /// A word.
    Word(Word),
}

impl Term {
    /// Returns a LAESTAB as a URN of the same seven digits, and another term as it is.
    pub(crate) fn or_urn(&self) -> Self {
        match self {
            Self::Laestab(laestab) => {
                let digits = i64::from(laestab.la_code()) * 10_000 + i64::from(laestab.establishment_number());
                Urn::new(digits).map_or_else(|_| self.clone(), Self::Urn)
            }
            Self::Urn(_) | Self::Word(_) => self.clone(),
        }
    }
}

/// What a word of a school must be: begin so, or be one of these. One of both is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Word {
    pub prefix: Option<String>,
    pub whole: Vec<String>,
}

impl Word {
    pub(crate) fn whole(word: &str) -> Self {
        Self { prefix: None, whole: vec![cut(word).to_owned()] }
    }

    pub(crate) fn prefix(word: &str) -> Self {
        Self { prefix: Some(cut(word).to_owned()), whole: Vec::new() }
    }

    /// Returns the word as it was typed, or the best correction where it is corrected alone.
    pub(crate) fn text(&self) -> &str {
        self.prefix.as_deref().or(self.whole.first().map(String::as_str)).unwrap_or_default()
    }

    /// Returns the best correction, or else the word as it was typed.
    fn best(&self) -> &str {
        match (&self.prefix, self.whole.as_slice()) {
            (Some(_), [best, ..]) => best,
            _ => self.text(),
        }
    }
}

/// Returns the text that sorts after every text with this beginning.
pub(crate) fn end_of(prefix: &str) -> String {
    format!("{prefix}\u{10FFFF}")
}

/// What a search's text became.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Words {
    /// The folded text that names are compared with in the order by match.
    pub text: String,
    /// What a school must match, all of it.
    pub terms: Vec<Term>,
    /// The term that the search is driven by: few schools match it. `None`: every term matches many.
    pub driver: Option<usize>,
    /// Whether typing errors are corrected.
    pub is_corrected: bool,
}

impl Words {
    /// Returns what schools must match for a typed text, whose fold is not empty. The last word may be unfinished.
    pub(crate) fn typed(text: &str) -> Self {
        let mut terms = Vec::new();
        if let Ok(laestab) = text.trim().parse() {
            terms.push(Term::Laestab(laestab));
        } else {
            let mut rest = Vec::new();
            for part in text.split_whitespace() {
                match number(part) {
                    Some(number) => terms.push(number),
                    None => rest.push(part),
                }
            }
            terms.extend(words(&fold(&rest.join(" "))).into_iter().map(Term::Word));
        }
        Self { driver: by_selectivity(&terms).first().copied(), text: fold(text), terms, is_corrected: false }
    }

    /// Returns corrected terms.
    pub(crate) fn corrected(terms: Vec<Term>) -> Self {
        let best = terms.iter().filter_map(|term| match term {
            Term::Word(word) => Some(word.best()),
            Term::Urn(_) | Term::Laestab(_) => None,
        });
        let text = best.collect::<Vec<_>>().join(" ");
        Self { text, driver: by_selectivity(&terms).first().copied(), terms, is_corrected: true }
    }

    /// Returns the terms, the one that probably matches the fewest schools first.
    pub(crate) fn by_selectivity(&self) -> Vec<usize> {
        by_selectivity(&self.terms)
    }

    /// Returns the terms as a cursor holds them. Folding leaves none of the signs that part them in a word.
    pub(super) fn encode(&self) -> String {
        let term = |term: &Term| match term {
            Term::Urn(urn) => format!(";{urn}"),
            Term::Laestab(laestab) => format!(":{laestab}"),
            Term::Word(Word { prefix, whole }) => {
                let prefix = prefix.iter().map(|prefix| format!("({prefix}"));
                prefix.chain(whole.iter().cloned()).collect::<Vec<_>>().join(",")
            }
        };
        self.terms.iter().map(term).collect::<Vec<_>>().join(" ")
    }

    /// Returns the terms that a cursor holds, or `None` where it is damaged.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let term = |text: &str| match text.split_at_checked(1)? {
            (";", urn) => Some(Term::Urn(urn.parse().ok()?)),
            (":", laestab) => Some(Term::Laestab(laestab.parse().ok()?)),
            _ => {
                let mut word = Word::default();
                for part in text.split(',') {
                    match part.strip_prefix('(') {
                        Some("") => return None,
                        Some(prefix) => word.prefix = Some(prefix.to_owned()),
                        None if part.is_empty() => return None,
                        None => word.whole.push(part.to_owned()),
                    }
                }
                (word.whole.len() <= MOST_IN_CURSOR).then_some(Term::Word(word))
            }
        };
        let terms = text.split(' ').map(term).collect::<Option<Vec<_>>>()?;
        (terms.len() <= MOST_IN_CURSOR).then(|| Self::corrected(terms))
    }
}

/// Returns the URN or the LAESTAB that a part of a text is.
fn number(part: &str) -> Option<Term> {
    if part.len() == 6 && part.bytes().all(|byte| byte.is_ascii_digit()) {
        return part.parse().ok().map(Term::Urn);
    }
    part.parse().ok().map(Term::Laestab)
}

/// Returns the words of a folded text.
fn words(folded: &str) -> Vec<Word> {
    let all = with_one_meaning(folded);
    let mut kept: Vec<(&str, bool)> = all.iter().filter(|(word, _)| !IGNORED.contains(word)).copied().collect();
    if kept.is_empty() {
        kept = all;
    }
    let last = kept.len().saturating_sub(1);
    let word = |(at, (word, is_whole)): (usize, &(&str, bool))| {
        let may_be_unfinished = at == last || word.chars().count() >= SHORTEST_PREFIX;
        if may_be_unfinished && !is_whole { Word::prefix(word) } else { Word::whole(word) }
    };
    kept.iter().enumerate().map(word).collect()
}

/// Returns the terms by how few schools they probably match: numbers, then long words, then frequent ones.
fn by_selectivity(terms: &[Term]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..terms.len()).collect();
    order.sort_by_key(|at| match &terms[*at] {
        Term::Urn(_) | Term::Laestab(_) => (0, 0),
        Term::Word(word) => {
            let text = word.text();
            (if FREQUENT.contains(&text) { 2 } else { 1 }, usize::MAX - text.chars().count())
        }
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(name: &str) -> Texts {
        Texts { town: None, name: name.to_owned(), council: None, postcode: None }
    }

    /// Whether a school of this name has a word for each term of a typed text.
    fn matches(name: &str, typed: &str) -> bool {
        let words = texts(name).words();
        Words::typed(typed).terms.iter().all(|term| match term {
            Term::Word(Word { prefix, whole }) => {
                let begins = |word: &String| prefix.as_ref().is_some_and(|prefix| word.starts_with(prefix.as_str()));
                words.keys().any(|word| begins(word) || whole.contains(word))
            }
            Term::Urn(_) | Term::Laestab(_) => false,
        })
    }

    #[test]
    fn spellings_of_a_name_match_each_other() {
        let name = "St Mary's CofE Primary School";
        for typed in [
            "st marys primary",
            "St. Mary’s C.E. Primary School",
            "saint mary",
            "primary marys",
            "SAINT MARY'S C of E",
            "st mary's church of england primary sch",
            "st marys church of eng",
            "the St Marys",
            "st marys c e",
            "sai",
        ] {
            assert!(matches(name, typed), "{typed}");
        }
        for typed in ["st marks", "marys secondary", "s marys"] {
            assert!(!matches(name, typed), "{typed}");
        }
        for (name, typed) in [
            ("SS Peter & Paul Catholic Jr School", "saints peter and paul rc junior"),
            ("Saints Peter and Paul R.C. Junior School", "ss peter paul roman catholic jnr sch"),
            ("Holy Family Roman Catholic School", "holy family catholic"),
            ("Ysgol Gynradd Ŵŷn", "gynradd wyn"),
            ("All-Through Academy", "all through"),
            ("Meadow-Bank Infants' School", "meadowbank"),
            ("SS Peter and Paul School", "St Peter and Paul"),
            ("École Jacques Prévert", "jacques prevert ecole"),
            ("The School", "the"),
        ] {
            assert!(matches(name, typed), "{name} and {typed}");
        }
    }

    #[test]
    fn towns_councils_and_postcodes_have_words_too() {
        let school = Texts {
            town: Some("Bletchley".to_owned()),
            council: Some("Milton Keynes".to_owned()),
            postcode: Some("MK9 3EP".to_owned()),
            ..texts("Milton School")
        };
        let words = school.words();
        for (word, in_name) in [
            ("bletchley", false),
            ("milton", true),
            ("keynes", false),
            ("mk9", false),
            ("3ep", false),
            ("mk93ep", false),
        ] {
            assert_eq!(words.get(word), Some(&in_name), "{word}");
        }
        assert_eq!(Words::typed("mk9 3ep").terms, [Term::Word(Word::whole("mk9")), Term::Word(Word::prefix("3ep"))]);
    }

    #[test]
    fn numbers_of_schools_are_read() {
        let laestab = Term::Laestab("826/4000".parse().expect("a LAESTAB"));
        for typed in ["826/4000", "8264000", " 826-4000 ", "826 4000"] {
            assert_eq!(Words::typed(typed).terms, std::slice::from_ref(&laestab), "{typed}");
        }
        assert_eq!(Words::typed("110394").terms, [Term::Urn(Urn::new(110_394).expect("a URN"))]);
        assert_eq!(Words::typed("100% school").terms.len(), 2);
    }

    #[test]
    fn terms_come_back_from_a_cursor() {
        let either = Word { prefix: Some("denbeigh".to_owned()), whole: vec!["denbigh".to_owned(), "x".to_owned()] };
        let terms = vec![Term::Word(either), Term::Word(Word::whole("st")), Words::typed("826/4000").terms.remove(0)];
        let words = Words::corrected(terms);
        assert_eq!(words.text, "denbigh st");
        assert_eq!(Words::decode(&words.encode()), Some(words));
        for damaged in ["", " ", "a,,b", "(", ";x", ":1"] {
            assert_eq!(Words::decode(damaged), None, "{damaged:?}");
        }
    }
}
