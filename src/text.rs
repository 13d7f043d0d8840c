//! The comparison of names: one rule for every backend, in Rust and not in a database's collation.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Returns a name as it is searched and sorted.
///
/// Case and accents are folded (`É` to `e`, `ŵ` to `w`, `ß` to `ss`, `İ` to `i`). Apostrophes and full stops are
/// removed. `&` becomes `and`, and `Saint` becomes `St`. Dashes, commas, slashes and brackets separate words, which are
/// joined by one space. Other signs, such as `%` and `_`, are kept. Folding is idempotent.
///
/// ```
/// use school_finder_db::text::fold;
///
/// assert_eq!(fold("Saint Mary’s C.E. (Aided) School"), "st marys ce aided school");
/// assert_eq!(fold("École Ŵyn-Straße"), "ecole wyn strasse");
/// ```
pub fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    // Upper case turns ß into SS and the dotless ı into I. Lower case comes first for the capital ẞ, which is its own
    // upper case.
    let lower = name.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    let upper = lower.flat_map(char::to_uppercase);
    for c in upper.flat_map(char::to_lowercase).nfkd().filter(|c| !is_combining_mark(*c)) {
        match c {
            '\'' | '’' | '‘' | 'ʼ' | '`' | '´' | '.' => {}
            '&' => folded.push_str(" and "),
            '-' | '‐' | '‑' | '‒' | '–' | '—' | ',' | ';' | ':' | '/' | '(' | ')' | '[' | ']' | '"' | '“' | '”' =>
            {
                folded.push(' ');
            }
            c if c.is_whitespace() || c.is_control() => folded.push(' '),
            c => folded.push(c),
        }
    }
    let words = folded.split(' ').filter(|word| !word.is_empty());
    words.map(|word| if word == "saint" { "st" } else { word }).collect::<Vec<_>>().join(" ")
}

/// Returns the beginning of a text that was not understood, for an error: the text may be long.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folds_spellings_that_parents_type_alike() {
        for (written, typed) in [
            ("St. Mary's CE Primary School", "saint marys ce primary school"),
            ("St John’s", "St John's"),
            ("ÉCOLE FRANÇAISE", "ecole francaise"),
            ("Ysgol Gynradd Ŵŷ", "ysgol gynradd wy"),
            ("Groß", "GROSS"),
            ("GROẞ", "gross"),
            ("İstanbul", "istanbul"),
            ("Iıi", "iii"),
            ("Peter & Paul", "peter and paul"),
            ("All-through", "all through"),
            ("Alleyns\u{a0}Regents  Park", "alleyns regents park"),
        ] {
            assert_eq!(fold(written), fold(typed), "{written} and {typed}");
        }
        assert_ne!(fold("100% School"), fold("100 School"));
        assert_eq!(fold("Saintly"), "saintly");
        assert_eq!(fold("’-’"), "");
    }

    /// Covers every character with a case in Unicode, and those between them.
    #[test]
    fn folding_a_folded_character_changes_nothing() {
        for c in '\0'..'\u{20000}' {
            let folded = fold(c.encode_utf8(&mut [0; 4]));
            assert_eq!(fold(&folded), folded, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(name in "\\PC{0,40}") {
            prop_assert_eq!(fold(&fold(&name)), fold(&name));
        }
    }
}
