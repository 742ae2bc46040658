//! API keys, OAuth client secrets, webhook secrets: random bytes in the forms that are expected of them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::kinds::random::{NoRandom, Random, one_of};

/// What an API key begins with, so that whoever finds one knows whose it is: `acme_live`. Small letters, digits and `_`, a letter first,
/// no `_` last, 20 characters at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyPrefix(String);

/// A prefix that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a prefix is a small letter, then small letters, digits and _ inside, {PREFIX_CHARS_MAX} characters at most")]
pub struct PrefixError;

impl FromStr for ApiKeyPrefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.ends_with('_');
        let is_one = begins && text.len() <= PREFIX_CHARS_MAX && text.chars().all(is_known);
        is_one.then(|| Self(text.to_owned())).ok_or(PrefixError)
    }
}

impl Default for ApiKeyPrefix {
    fn default() -> Self {
        Self("key".to_owned())
    }
}

impl fmt::Display for ApiKeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Draws an API key: the prefix, `_`, 40 letters and digits (238 bits), and six more that are the CRC-32 of all before them. A scanner
/// of files tells such a key from what only looks like one without asking anybody.
pub(in crate::kinds) fn api_key(
    prefix: &ApiKeyPrefix,
    random: &mut dyn Random,
) -> Result<Zeroizing<Vec<u8>>, NoRandom> {
    let mut key = Zeroizing::new(Vec::with_capacity(prefix.0.len() + 1 + BODY_CHARS + CHECK_CHARS));
    key.extend_from_slice(prefix.0.as_bytes());
    key.push(b'_');
    for _ in 0..BODY_CHARS {
        key.push(DIGITS.get(one_of(DIGITS.len(), random)?).copied().ok_or(NoRandom)?);
    }
    let check = checksum(&key);
    key.extend_from_slice(&check);
    Ok(key)
}

/// The prefix of an API key as they are drawn here; none where the text is no such key, or was typed wrong.
pub fn api_key_prefix(text: &str) -> Option<ApiKeyPrefix> {
    let (prefix, rest) = text.rsplit_once('_')?;
    let (body, check) = text.as_bytes().split_last_chunk::<CHECK_CHARS>()?;
    let is_form = rest.len() == BODY_CHARS + CHECK_CHARS && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_form && checksum(body) == *check).then(|| prefix.parse().ok())?
}

/// The CRC-32 in base 62, the greatest digit first.
fn checksum(bytes: &[u8]) -> [u8; CHECK_CHARS] {
    let (mut left, mut digits) = (crc32fast::hash(bytes), [b'0'; CHECK_CHARS]);
    for digit in digits.iter_mut().rev() {
        let base = 62;
        *digit = usize::try_from(left % base).ok().and_then(|at| DIGITS.get(at)).copied().unwrap_or(b'0');
        left /= base;
    }
    digits
}

/// Draws a webhook secret as Standard Webhooks has them: `whsec_` and 32 bytes in base64.
pub(in crate::kinds) fn webhook_secret(random: &mut dyn Random) -> Result<Zeroizing<Vec<u8>>, NoRandom> {
    drawn(WEBHOOK_PREFIX, &STANDARD, random)
}

/// Draws an OAuth client secret: 32 bytes in base64url, which no form and no header has to escape (RFC 6749 section 2.3.1).
pub(in crate::kinds) fn oauth_secret(random: &mut dyn Random) -> Result<Zeroizing<Vec<u8>>, NoRandom> {
    drawn("", &URL_SAFE_NO_PAD, random)
}

fn drawn(prefix: &str, form: &impl base64::Engine, random: &mut dyn Random) -> Result<Zeroizing<Vec<u8>>, NoRandom> {
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    random.fill(bytes.as_mut_slice())?;
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + 2 * SECRET_BYTES));
    text.push_str(prefix);
    form.encode_string(bytes.as_slice(), &mut text);
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}

/// Whether a secret is one of Standard Webhooks: 24 to 64 bytes. What has not its prefix is of another make, and not judged.
pub(in crate::kinds) fn is_webhook_secret(text: &str) -> bool {
    let Some(form) = text.strip_prefix(WEBHOOK_PREFIX) else { return true };
    let bytes = STANDARD.decode(form).map(Zeroizing::new);
    bytes.is_ok_and(|bytes| (WEBHOOK_BYTES_MIN..=WEBHOOK_BYTES_MAX).contains(&bytes.len()))
}

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BODY_CHARS: usize = 40;
const CHECK_CHARS: usize = 6;
const PREFIX_CHARS_MAX: usize = 20;
const WEBHOOK_PREFIX: &str = "whsec_";
const WEBHOOK_BYTES_MIN: usize = 24;
const WEBHOOK_BYTES_MAX: usize = 64;
const SECRET_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::super::random::testing::{Seeded, Stuck};
    use super::*;

    fn text(bytes: Result<Zeroizing<Vec<u8>>, NoRandom>) -> String {
        String::from_utf8(bytes.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_key_that_was_typed_wrong_is_known() {
        let key = text(api_key(&"acme_live".parse().unwrap(), &mut Seeded::new(1)));
        assert_eq!(key.len(), 9 + 1 + 46);
        assert_eq!(api_key_prefix(&key).unwrap().to_string(), "acme_live");
        for at in 0..key.len() {
            let mut other = key.clone().into_bytes();
            other[at] = if other[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(api_key_prefix(std::str::from_utf8(&other).unwrap()), None, "{at}");
        }
        for other in ["", "_", "acme", &key[1..], &key[..key.len() - 1], &format!("{key}0"), &format!("é{key}")] {
            assert_eq!(api_key_prefix(other), None, "{other}");
        }
        // Of zlib: the check value of CRC-32, 0xCBF43926, in base 62.
        assert_eq!(&checksum(b"123456789"), b"3jZRME");
    }

    #[test]
    fn prefixes_are_what_is_told_from_the_rest() {
        for good in ["a", "key", "acme_live2", &"p".repeat(20)] {
            assert_eq!(good.parse::<ApiKeyPrefix>().unwrap().to_string(), good);
        }
        for bad in ["", "_a", "a_", "A", "1a", "a-b", "é", &"p".repeat(21)] {
            assert_eq!(bad.parse::<ApiKeyPrefix>(), Err(PrefixError), "{bad}");
        }
    }

    #[test]
    fn secrets_have_their_forms() {
        let secret = text(webhook_secret(&mut Seeded::new(1)));
        assert_eq!(STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap().len(), 32);
        assert!(is_webhook_secret(&secret) && is_webhook_secret("of another make"));
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        assert!(is_webhook_secret(&of(24)) && is_webhook_secret(&of(64)));
        assert!(!is_webhook_secret(&of(23)) && !is_webhook_secret(&of(65)) && !is_webhook_secret("whsec_%"));
        let secret = text(oauth_secret(&mut Seeded::new(1)));
        assert!(secret.len() == 43 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }

    #[test]
    fn nothing_is_drawn_of_no_luck() {
        let none = || Stuck(None);
        assert_eq!(api_key(&ApiKeyPrefix::default(), &mut none()), Err(NoRandom));
        assert_eq!(webhook_secret(&mut none()), Err(NoRandom));
        assert_eq!(oauth_secret(&mut none()), Err(NoRandom));
    }
}
