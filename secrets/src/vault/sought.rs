//! What a search means: in words for the register, which proposes, and of an attested secret, which decides.

use store::{KeywordRange, Keywords};

use super::secret::Secret;
use super::wishes::Search;
use crate::error::SecretError;

impl Search {
    /// Of which words and tags a secret must have one each; none: its words do not matter.
    ///
    /// # Errors
    /// [`SecretError::Invalid`]: a text without a word, or with too many.
    pub(super) fn words(&self) -> Result<Vec<KeywordRange>, SecretError> {
        let tag = self.tag.iter().map(|(name, value)| KeywordRange::of_tag(name, value.as_deref()));
        let mut words: Vec<KeywordRange> = tag.collect();
        let Some(text) = self.text.as_deref().filter(|text| !text.trim().is_empty()) else { return Ok(words) };
        let begins = KeywordRange::of_text(text);
        if begins.is_empty() || begins.len() > WORDS_MAX {
            let why =
                format!("1 to {WORDS_MAX} beginnings of words: letters and digits, with anything else between them");
            return Err(SecretError::invalid("search", why));
        }
        words.extend(begins);
        Ok(words)
    }

    /// Whether a secret is meant.
    pub(super) fn means(&self, secret: &Secret, words: &[KeywordRange]) -> bool {
        let is_there = !secret.is_gone() && (self.deleted || secret.deleted().is_none());
        let is_owned = self.owner.as_ref().is_none_or(|owner| owner == secret.owner());
        let is_within = self.within.as_ref().is_none_or(|within| secret.path().is_within(within));
        is_there && is_owned && is_within && has_each(secret, words)
    }
}

fn has_each(secret: &Secret, words: &[KeywordRange]) -> bool {
    if words.is_empty() {
        return true;
    }
    let keywords = keywords(secret);
    words.iter().all(|word| keywords.first(word).is_some())
}

/// The words of a secret, as the register keeps them.
pub(super) fn keywords(secret: &Secret) -> Keywords {
    Keywords::of(secret.path().as_str(), secret.description(), secret.tags())
}

/// Words of one search.
const WORDS_MAX: usize = 16;
