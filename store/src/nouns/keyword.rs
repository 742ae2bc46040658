//! Words by which a secret is found, and what somebody looks for. For eyes: nothing is decided by them.
//!
//! A word is a run of letters and digits of the path or the description, in small letters. One of several humps (`dbPassword`) is found by
//! the beginning of each: `dbpassword`, `password`. A tag is a word of its own, `#team=shop`, which no text has.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// The words of one secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keywords(BTreeSet<String>);

impl Keywords {
    /// Those of a path, a description and tags; of the two texts together [`KEYWORDS_MAX`] at most, the path's first.
    pub fn of(path: &str, description: &str, tags: &BTreeMap<String, String>) -> Keywords {
        let mut words = BTreeSet::new();
        for word in runs(path).chain(runs(description)).flat_map(beginnings) {
            if words.len() == KEYWORDS_MAX {
                break;
            }
            words.insert(word);
        }
        let tags = tags.iter().take(TAGS_MAX).map(|(name, value)| tagged(name, value));
        words.extend(tags.filter(|word| word.len() <= KEYWORD_BYTES_MAX));
        Keywords(words)
    }

    /// The first of them, in their order, that is sought.
    pub fn first(&self, sought: &KeywordRange) -> Option<&str> {
        let from = (Bound::Included(sought.from.as_str()), Bound::Unbounded);
        let first = self.0.range::<str, _>(from).next()?;
        (*first <= sought.to).then_some(first.as_str())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// What is sought: words from one to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeywordRange {
    pub(crate) from: String,
    pub(crate) to: String,
}

impl KeywordRange {
    /// Of a text that somebody looks for: words that begin as each of its own does.
    pub fn of_text(text: &str) -> Vec<KeywordRange> {
        let begins = runs(text).map(|run| small(run, 0));
        // No word has a character that is no letter and no digit; this one stands after all of them.
        begins.map(|word| KeywordRange { to: format!("{word}{}", char::MAX), from: word }).collect()
    }

    /// A tag with this name, and, where it is said, this value.
    pub fn of_tag(name: &str, value: Option<&str>) -> KeywordRange {
        match value {
            Some(value) => KeywordRange { from: tagged(name, value), to: tagged(name, value) },
            // `>` follows `=`, and stands in no name.
            None => KeywordRange { from: tagged(name, ""), to: format!("#{name}>") },
        }
    }
}

/// That a word is one of a secret's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// The word.
    pub word: String,
    /// Whose the secret is.
    pub owner: String,
    /// Where it stands.
    pub path: String,
}

/// Which are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeywordFilter {
    /// Of which words.
    pub range: KeywordRange,
    /// Of secrets of this owner.
    pub owner: Option<String>,
    /// Where the last page ended.
    pub after: Option<Keyword>,
    /// How many, at most 1000.
    pub limit: usize,
}

/// What was found, and where it goes on: there may be more, however few these are.
pub type KeywordPage = (Vec<Keyword>, Option<Keyword>);

fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty())
}

/// A run, and what of it begins with each of its humps.
fn beginnings(run: &str) -> impl Iterator<Item = String> {
    let letters: Vec<(usize, char)> = run.char_indices().collect();
    let humps = letters.windows(2).enumerate().filter_map(|(n, pair)| {
        let [(_, before), (at, letter)] = *pair else { return None };
        let next = letters.get(n + 2).is_some_and(|(_, next)| next.is_lowercase());
        (letter.is_uppercase() && (!before.is_uppercase() || next)).then_some(at)
    });
    let starts: Vec<usize> = std::iter::once(0).chain(humps).collect();
    starts.into_iter().map(move |at| small(run, at))
}

/// A run from there on, as it is compared.
fn small(run: &str, from: usize) -> String {
    run.get(from..).unwrap_or_default().chars().flat_map(char::to_lowercase).take(KEYWORD_CHARS_MAX).collect()
}

fn tagged(name: &str, value: &str) -> String {
    format!("#{name}={value}")
}

/// Words of a secret's path and description: a description of that length has no more.
pub const KEYWORDS_MAX: usize = 100;
/// So many letters of a word are compared; what follows plays no part.
pub const KEYWORD_CHARS_MAX: usize = 64;
const TAGS_MAX: usize = 32;
/// An index of PostgreSQL takes 2,704 bytes of a row; owner and path have the rest.
const KEYWORD_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(path: &str, description: &str) -> Vec<String> {
        Keywords::of(path, description, &BTreeMap::new()).iter().map(str::to_owned).collect()
    }

    #[test]
    fn words_begin_after_what_is_no_letter_and_with_each_hump() {
        assert_eq!(all("prod/shop-db_2", "The shop's DB"), ["2", "db", "prod", "s", "shop", "the"]);
        assert_eq!(all("dbPassword", ""), ["dbpassword", "password"]);
        assert_eq!(all("AWS/HTTPServerKey", ""), ["aws", "httpserverkey", "key", "serverkey"]);
        assert_eq!(all("a", "für Übung №5, ÉTÉ"), ["5", "a", "für", "été", "übung"]);
        assert_eq!(all("v1B", "x2y"), ["b", "v1b", "x2y"]);
    }

    #[test]
    fn what_is_sought_begins_a_word_whatever_the_case() {
        let words = Keywords::of("prod/dbPassword", "Über alles", &BTreeMap::new());
        let finds = |text: &str| {
            let ranges = KeywordRange::of_text(text);
            !ranges.is_empty() && ranges.iter().all(|range| words.first(range).is_some())
        };
        for text in ["prod", "PRO", "dbpass", "passw", "pass prod", "prod/dbP", "über", "ALL"] {
            assert!(finds(text), "{text}");
        }
        for text in ["", "/-", "rod", "assword", "prod production", "passwords"] {
            assert!(!finds(text), "{text}");
        }
        let long = "x".repeat(200);
        assert!(Keywords::of(&long, "", &BTreeMap::new()).first(&KeywordRange::of_text(&long)[0]).is_some());
    }

    #[test]
    fn a_tag_is_found_by_its_name_or_by_its_value_as_it_stands() {
        let tags = [("team".to_owned(), "Web & Mail".to_owned()), ("team.x".to_owned(), String::new())].into();
        let words = Keywords::of("a", "team", &tags);
        let finds = |name, value| words.first(&KeywordRange::of_tag(name, value)).is_some();
        assert!(finds("team", None) && finds("team", Some("Web & Mail")) && finds("team.x", Some("")));
        assert!(!finds("team", Some("web & mail")) && !finds("team", Some("Web")) && !finds("tea", None));
        assert_eq!(words.first(&KeywordRange::of_text("web")[0]), None, "a tag's value is no word of a text");
    }

    #[test]
    fn a_secret_has_a_bounded_number_of_words_and_the_path_has_the_first() {
        let long: String = (0..250).map(|n| format!("w{n} ")).collect();
        let words = all("prod/zz", &long);
        assert_eq!(words.len(), KEYWORDS_MAX);
        assert!(words.contains(&"zz".to_owned()) && !words.contains(&"w249".to_owned()));
        let huge = [("t".to_owned(), "v".repeat(9_000))].into();
        assert_eq!(Keywords::of("a", "", &huge).iter().count(), 1, "what no index takes is left out");
    }
}
