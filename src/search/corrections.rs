//! The words that a mistyped one may have been.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::words::Word;

/// The most words that a typing error may have been.
const MOST_CORRECTIONS: usize = 8;

/// Returns whether a word is in the vocabulary, from which typing errors are corrected.
pub(crate) fn is_in_vocabulary(word: &str) -> bool {
    word.chars().count() > 1 && word.chars().all(char::is_alphabetic)
}

/// Returns a word backwards, by which the vocabulary is searched for endings.
pub(crate) fn reversed(word: &str) -> String {
    word.chars().rev().collect()
}

/// How the words that a mistyped one may have been are found in the vocabulary.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misspelling {
    typed: Vec<char>,
    is_unfinished: bool,
    errors: usize,
}

impl Misspelling {
    /// Returns how a word is corrected: by one error from 4 letters on, by two from 8 letters on. Shorter words, and
    /// those with digits or signs, are not corrected.
    pub(crate) fn of(word: &Word, is_last: bool) -> Option<Self> {
        let typed: Vec<char> = word.text().chars().collect();
        let errors = match typed.len() {
            0..4 => return None,
            4..8 => 1,
            8.. => 2,
        };
        let is_unfinished = is_last && word.prefix.is_some();
        typed.iter().all(|c| c.is_alphabetic()).then_some(Self { typed, is_unfinished, errors })
    }

    /// Returns a beginning that the word has, unless there is an error in it.
    pub(crate) fn beginning(&self) -> String {
        let length = if self.errors > 1 { 2 } else { self.typed.len() / 2 };
        self.typed[..length].iter().collect()
    }

    /// Returns an ending that the word has backwards, unless there is an error in it or the word is unfinished.
    pub(crate) fn ending(&self) -> String {
        let length = if self.errors > 1 { 3 } else { self.typed.len().div_ceil(2) };
        self.typed.iter().rev().take(length).collect()
    }

    /// Returns the word with the two letters at the middle swapped: then neither half is as it was typed.
    pub(crate) fn swapped(&self) -> String {
        let mut swapped = self.typed.clone();
        let middle = swapped.len() / 2;
        swapped.swap(middle - 1, middle);
        swapped.into_iter().collect()
    }

    /// Returns the words of the vocabulary that were probably meant, the most probable first.
    pub(crate) fn corrections(&self, candidates: impl IntoIterator<Item = String>) -> Vec<String> {
        let rated = candidates.into_iter().filter_map(|word| {
            let letters: Vec<char> = word.chars().collect();
            let (whole, begun) = distances(&self.typed, &letters);
            // A finished word comes before a longer one.
            let distance = if self.is_unfinished && begun < whole { (begun, 1) } else { (whole, 0) };
            let is_other = letters.first() != self.typed.first();
            (distance.0 <= self.errors).then_some((distance, is_other, word))
        });
        let rated: BTreeSet<_> = rated.collect();
        rated.into_iter().take(MOST_CORRECTIONS).map(|(_, _, word)| word).collect()
    }
}

/// Returns the number of typing errors between a typed word and another, and between it and the nearest beginning of
/// the other. An error is a letter too many, too few or wrong, or two letters swapped.
fn distances(typed: &[char], word: &[char]) -> (usize, usize) {
    let mut rows = vec![(0..=word.len()).collect::<Vec<usize>>()];
    for (i, letter) in typed.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in word.iter().enumerate() {
            let mut least = (rows[i][j] + usize::from(letter != other)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && typed[i - 1] == *other && word[j - 1] == *letter {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    let last = &rows[typed.len()];
    (last[word.len()], last.iter().copied().min().unwrap_or_default())
}

/// Returns every part of a word that may be a word by itself, where several were written as one.
pub(crate) fn parts(word: &str) -> Vec<String> {
    let ends: Vec<usize> = word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
    let of_start = |start: usize| {
        let ends = &ends;
        (start + 2..ends.len().min(start + 25)).map(move |end| word[ends[start]..ends[end]].to_owned())
    };
    (0..ends.len().min(40)).flat_map(of_start).filter(|part| is_part(part)).collect()
}

/// Returns whether a text may be one of several words that were written as one: nearly any two letters are in the
/// vocabulary.
fn is_part(part: &str) -> bool {
    part.chars().count() > 2 || matches!(part, "st" | "ce" | "rc" | "ss" | "of")
}

/// Returns the fewest known words that a word consists of, two or more. The last may be unfinished.
pub(crate) fn split(word: &str, known: &HashSet<String>, is_last: bool) -> Option<Vec<Word>> {
    // Of each end of a word the best way to it: how many words, and where the last begins.
    let mut best: BTreeMap<usize, (usize, usize)> = BTreeMap::from([(0, (0, 0))]);
    let ends: Vec<usize> = word.char_indices().map(|(at, _)| at).skip(1).chain([word.len()]).collect();
    for end in &ends {
        let ways = best.iter().filter(|(start, _)| known.contains(&word[**start..*end]));
        let way = ways.map(|(start, (words, _))| (words + 1, *start)).min();
        if let Some(way) = way {
            best.insert(*end, way);
        }
    }
    let last_start = match best.get(&word.len()) {
        Some((words, start)) if *words > 1 => *start,
        _ if is_last => {
            // The rest after the longest known beginning, from two letters on.
            let last = best.keys().rev().find(|end| **end > 0 && word[**end..].chars().count() > 1)?;
            *last
        }
        _ => return None,
    };
    let mut pieces = vec![&word[last_start..]];
    let mut end = last_start;
    while end > 0 {
        let (_, start) = best.get(&end)?;
        pieces.push(&word[*start..end]);
        end = *start;
    }
    pieces.reverse();
    let last = pieces.len() - 1;
    let piece = |(at, piece): (usize, &&str)| match at == last && is_last {
        true => Word::prefix(piece),
        false => Word::whole(piece),
    };
    (last > 0).then(|| pieces.iter().enumerate().map(piece).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_counted() {
        let distance = |a: &str, b: &str| {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            distances(&letters(a), &letters(b))
        };
        for (typed, word, whole, begun) in [
            ("denbigh", "denbigh", 0, 0),
            ("denbeigh", "denbigh", 1, 1),
            ("debnigh", "denbigh", 1, 1),
            ("denbi", "denbigh", 2, 0),
            ("dnbi", "denbigh", 3, 1),
            ("denbihg", "denbigh", 1, 1),
            ("", "ab", 2, 0),
        ] {
            assert_eq!(distance(typed, word), (whole, begun), "{typed} and {word}");
        }
    }

    #[test]
    fn corrections_come_by_their_errors() {
        let correct = |word: Word, is_last, candidates: &[&str]| {
            let misspelling = Misspelling::of(&word, is_last).expect("long enough");
            misspelling.corrections(candidates.iter().map(|word| (*word).to_owned()))
        };
        let words = ["denbigh", "denby", "densely", "tenbigh"];
        assert_eq!(correct(Word::prefix("denbeigh"), true, &words), ["denbigh", "tenbigh"]);
        assert_eq!(correct(Word::prefix("denbu"), true, &words), ["denby", "denbigh"]);
        assert_eq!(correct(Word::prefix("denbu"), false, &words), ["denby"]);
        assert!(Misspelling::of(&Word::prefix("den"), true).is_none());
        assert!(Misspelling::of(&Word::prefix("mk93ep"), true).is_none());
    }

    #[test]
    fn words_written_as_one_are_split() {
        let known: HashSet<String> = ["st", "marys", "little", "acorns", "school"].map(str::to_owned).into();
        let whole = |words: &[&str]| words.iter().map(|word| Word::whole(word)).collect::<Vec<_>>();
        assert_eq!(split("littleacorns", &known, false), Some(whole(&["little", "acorns"])));
        assert_eq!(split("stmarysschool", &known, false), Some(whole(&["st", "marys", "school"])));
        assert_eq!(split("littleaco", &known, true), Some(vec![Word::whole("little"), Word::prefix("aco")]));
        assert_eq!(split("little", &known, true).filter(|words| words.len() == 1), None);
        assert_eq!(split("nothing", &known, false), None);
        assert!(parts("littleacorns").iter().any(|part| part == "acorns"));
        assert!(parts("ŵŷn").iter().all(|part| "ŵŷn".contains(part.as_str())));
    }
}
