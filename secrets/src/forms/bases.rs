//! Base64 in both alphabets at each of its three alignments, and broken at 76 and 64 characters; hex, its lines of 60 digits, with
//! colons, and as dumps have it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::written::written;

/// All that have the whole value.
pub fn whole(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![hex::encode(value).into_bytes(), hex::encode_upper(value).into_bytes()];
    forms.extend([Digits::Lower, Digits::Upper].map(|digits| apart(value, b':', digits)));
    if value.len() <= DUMP_LINE {
        forms.extend(dump(value));
    }
    forms.extend((0..3).flat_map(|before| [base64_at(value, before, false), base64_at(value, before, true)]));
    forms
}

/// The lines of those that are broken.
pub fn parts(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = lines(value, XXD_LINE, |line| hex::encode(line).into_bytes());
    if value.len() > DUMP_LINE {
        forms.extend(dump(value));
    }
    forms.extend(
        [MIME_LINE, PEM_LINE].into_iter().flat_map(|size| lines(value, size, |line| base64_at(line, 0, false))),
    );
    forms
}

/// The lines of a dump.
fn dump(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let lines = value.chunks(DUMP_LINE).map(|line| apart(line, b' ', Digits::Lower));
    lines.filter(|line| line.len() >= DUMP_CHARS_MIN)
}

#[derive(Clone, Copy)]
enum Digits {
    Lower,
    Upper,
}

/// Hex with a sign between each two bytes.
fn apart(value: &[u8], sign: u8, digits: Digits) -> Vec<u8> {
    written(value, |at, byte, made| {
        if at > 0 {
            made.push(sign);
        }
        let text = match digits {
            Digits::Lower => format!("{byte:02x}"),
            Digits::Upper => format!("{byte:02X}"),
        };
        made.extend_from_slice(text.as_bytes());
    })
}

/// The lines of an encoding that is broken after so many bytes of the value; the last one as far as the value alone decides it.
fn lines(value: &[u8], bytes: usize, line: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Vec<u8>> {
    match value.len() > bytes {
        true => value.chunks(bytes).map(line).filter(|line| line.len() >= LINE_CHARS_MIN).collect(),
        false => Vec::new(),
    }
}

/// The characters of base64 that this value alone decides, when `before` bytes (0 to 2) stand before it in its group of three.
fn base64_at(value: &[u8], before: usize, for_urls: bool) -> Vec<u8> {
    let padded = Zeroizing::new([&[0; 2][..before.min(2)], value].concat());
    let text = match for_urls {
        true => URL_SAFE_NO_PAD.encode(&*padded),
        false => STANDARD_NO_PAD.encode(&*padded),
    };
    let text = Zeroizing::new(text);
    let first = (before * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    text.as_bytes().get(first..last).unwrap_or_default().to_vec()
}

/// Bytes of a line of 76 characters (RFC 2045 section 6.8), of one of 64 (RFC 7468 section 2), and of one of `xxd -p`.
const MIME_LINE: usize = 57;
const PEM_LINE: usize = 48;
const XXD_LINE: usize = 30;
/// What is left at the end of a broken encoding is masked from here on: less stands elsewhere by chance.
const LINE_CHARS_MIN: usize = 8;
/// Bytes of a line of `od -tx1`; and four of them, as they are written.
const DUMP_LINE: usize = 16;
const DUMP_CHARS_MIN: usize = 11;

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

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
