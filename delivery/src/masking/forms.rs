//! The forms in which programs print a value.
//!
//! Itself; base64 in both alphabets at each of its three alignments, and broken at 76 and 64 characters; hex; percent-encoded
//! (RFC 3986, and application/x-www-form-urlencoded); as a JSON string; quoted as shells do; with CR before each LF, as a terminal
//! makes it. Compression and encryption have no end of forms, and are not here.

use std::ops::Deref;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::{Zeroize, Zeroizing};

/// A piece of text that tells a value, or a part of it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct Form(Vec<u8>);

impl Form {
    /// These bytes.
    pub fn new(bytes: Vec<u8>) -> Form {
        Form(bytes)
    }
}

impl Deref for Form {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Form {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Every form of a value but its lines.
pub fn encoded(value: &[u8]) -> Vec<Form> {
    let mut forms = vec![hex::encode(value).into_bytes(), hex::encode_upper(value).into_bytes()];
    forms.extend((0..3).flat_map(|before| [base64_at(value, before, false), base64_at(value, before, true)]));
    forms.extend([MIME_LINE, PEM_LINE].into_iter().flat_map(|line| base64_lines(value, line)));
    forms.extend([percent(value, "%20", true), percent(value, "%20", false), percent(value, "+", true)]);
    forms.extend([shell(value, b"'", b"'\\''"), shell(value, b"'", b"'\"'\"'"), backslashed(value, b"\"$`\\")]);
    forms.push(backslashed(value, b" \t\n!\"#$&'()*;<>?[\\]^`{|}~,"));
    forms.push(replaced(value, b"\n", b"\r\n"));
    if let Ok(text) = std::str::from_utf8(value) {
        forms.extend(json(text));
    }
    forms.into_iter().map(Form::new).collect()
}

/// The characters of base64 that this value alone decides, when `before` bytes (0 to 2) stand before it in its group of three.
fn base64_at(value: &[u8], before: usize, for_urls: bool) -> Vec<u8> {
    let padded = Zeroizing::new([&[0; 2][..before.min(2)], value].concat());
    let text = match for_urls {
        true => URL_SAFE_NO_PAD.encode(&*padded),
        false => STANDARD_NO_PAD.encode(&*padded),
    };
    let first = (before * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    text.as_bytes().get(first..last).unwrap_or_default().to_vec()
}

/// The lines of base64 that is broken after so many bytes of the value; the last one as far as the value alone decides it.
fn base64_lines(value: &[u8], bytes: usize) -> Vec<Vec<u8>> {
    match value.len() > bytes {
        true => value.chunks(bytes).map(|line| base64_at(line, 0, false)).filter(|line| line.len() >= 8).collect(),
        false => Vec::new(),
    }
}

/// Percent-encoded: all but the unreserved characters (RFC 3986 section 2.3).
fn percent(value: &[u8], space: &str, upper: bool) -> Vec<u8> {
    let each = value.iter().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => vec![*byte],
        b' ' => space.as_bytes().to_vec(),
        _ if upper => format!("%{byte:02X}").into_bytes(),
        _ => format!("%{byte:02x}").into_bytes(),
    });
    each.flatten().collect()
}

/// Inside single quotes, where a single quote is written otherwise; without the outer ones.
fn shell(value: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    replaced(value, from, to)
}

/// With a backslash before each of these.
fn backslashed(value: &[u8], special: &[u8]) -> Vec<u8> {
    let each = value.iter().flat_map(|byte| match special.contains(byte) {
        true => vec![b'\\', *byte],
        false => vec![*byte],
    });
    each.collect()
}

fn replaced(value: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut rest = value;
    let mut made = Vec::with_capacity(value.len());
    while let Some((first, behind)) = rest.split_first() {
        match rest.strip_prefix(from) {
            Some(behind) => {
                made.extend_from_slice(to);
                rest = behind;
            }
            None => {
                made.push(*first);
                rest = behind;
            }
        }
    }
    made
}

/// Inside the quotes of a JSON string: as it is written by most, in ASCII alone, and with `\/`.
fn json(text: &str) -> Vec<Vec<u8>> {
    let plain = Zeroizing::new(serde_json::Value::from(text).to_string());
    let inner = plain.get(1..plain.len().saturating_sub(1)).unwrap_or_default();
    let escaped = |c: char| match c.is_ascii() && c != '\u{7f}' {
        true => c.to_string(),
        false => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    let ascii: String = inner.chars().map(escaped).collect();
    let slashes = inner.replace('/', "\\/");
    vec![inner.as_bytes().to_vec(), ascii.into_bytes(), slashes.into_bytes()]
}

/// Bytes of a line of 76 characters (RFC 2045 section 6.8), and of one of 64 (RFC 7468 section 2).
const MIME_LINE: usize = 57;
const PEM_LINE: usize = 48;

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn forms(value: &str) -> Vec<String> {
        encoded(value.as_bytes()).iter().map(|form| String::from_utf8_lossy(form).into_owned()).collect()
    }

    #[test]
    fn a_value_is_known_as_programs_print_it() {
        let found = forms("p&\"s' /\né");
        for form in [
            "70262273", // hex, its beginning
            "p%26%22s%27%20%2F%0A%C3%A9",
            "p%26%22s%27+%2F%0A%C3%A9",
            "p&\\\"s' /\\né",
            "p&\\\"s' /\\n\\u00e9",
            "p&\\\"s' \\/\\né",
            "p&\"s'\\'' /\né",
            "p\\&\\\"s\\'\\ /\\\né",
            "p&\"s' /\r\né",
        ] {
            assert!(found.iter().any(|known| known.starts_with(form)), "{form} of {found:?}");
        }
    }

    proptest! {
        #[test]
        fn base64_around_a_value_holds_one_of_its_forms(before in prop::collection::vec(any::<u8>(), 0..9), value in prop::collection::vec(any::<u8>(), 4..40), after in prop::collection::vec(any::<u8>(), 0..9)) {
            let text = STANDARD.encode([&before[..], &value, &after].concat());
            let known = base64_at(&value, before.len() % 3, false);
            prop_assert!(known.len() >= 4);
            prop_assert!(text.as_bytes().windows(known.len()).any(|part| part == known));
        }
    }
}
