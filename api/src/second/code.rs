//! Codes as people type them: six digits of a device, or sixteen letters from paper.

use policy::World;
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

/// Codes on one sheet of paper.
const CODES: usize = 10;
/// Letters of a code: 80 random bits, which nobody guesses, so that a plain hash keeps them.
const CHARS: usize = 16;
const GROUP: usize = 4;
/// No letter is taken for another: neither i, l, o nor u.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// The longest text that is looked at.
const TYPED_BYTES_MAX: usize = 64;

/// What was typed.
pub(super) enum Typed {
    /// A one-time password.
    Digits(Zeroizing<String>),
    /// SHA-256 of a recovery code, hex.
    Paper(String),
    /// Neither.
    Nothing,
}

/// Reads it: spaces and hyphens are for eyes, and capitals are small letters. The letters that no code has are read as the digits that
/// they look like, so that it is one code that is meant, whoever reads it off the paper.
pub(super) fn typed(text: &str) -> Typed {
    if text.len() > TYPED_BYTES_MAX {
        return Typed::Nothing;
    }
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    plain.extend(text.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| as_meant(c.to_ascii_lowercase())));
    match plain.len() {
        6 if plain.bytes().all(|byte| byte.is_ascii_digit()) => Typed::Digits(plain),
        CHARS if plain.bytes().all(|byte| LETTERS.contains(&byte)) => Typed::Paper(hashed(&plain)),
        _ => Typed::Nothing,
    }
}

fn as_meant(letter: char) -> char {
    match letter {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    }
}

/// Whether it is written as a code from paper is: what one-time passwords are made of has no part in it.
pub(super) fn is_from_paper(text: &str) -> bool {
    matches!(typed(text), Typed::Paper(_))
}

/// New codes for paper, `abcd-efgh-jkmn-pqrs`, and the hashes that the register keeps.
pub(super) fn drawn(world: &World) -> (Vec<Zeroizing<String>>, Vec<String>) {
    (0..CODES).map(|_| one(world)).unzip()
}

fn one(world: &World) -> (Zeroizing<String>, String) {
    let mut bytes = Zeroizing::new([0_u8; CHARS]);
    world.fill(bytes.as_mut());
    let mut plain = Zeroizing::new(String::with_capacity(CHARS));
    let letter = |byte: &u8| LETTERS.get(usize::from(byte & 31)).copied().map_or('0', char::from);
    plain.extend(bytes.iter().map(letter));
    let mut shown = Zeroizing::new(String::with_capacity(CHARS + CHARS / GROUP));
    for (at, letter) in plain.chars().enumerate() {
        if at > 0 && at % GROUP == 0 {
            shown.push('-');
        }
        shown.push(letter);
    }
    (shown, hashed(&plain))
}

fn hashed(plain: &str) -> String {
    hex::encode(digest(&SHA256, plain.as_bytes()))
}

#[cfg(test)]
mod tests {
    use policy::Timestamp;

    use super::*;

    #[test]
    fn a_code_from_paper_is_known_however_it_is_typed() {
        let (shown, hashes) = drawn(&World::fixed(Timestamp::from_unix(1), 7));
        assert_eq!((shown.len(), hashes.len()), (CODES, CODES));
        for (shown, hash) in shown.iter().zip(&hashes) {
            assert_eq!(shown.len(), CHARS + 3);
            for text in
                [shown.to_string(), shown.to_uppercase(), shown.replace('-', " "), format!(" {}\n", shown.as_str())]
            {
                assert!(matches!(typed(&text), Typed::Paper(found) if found == *hash), "{text}");
            }
        }
        let different: std::collections::BTreeSet<_> = hashes.iter().collect();
        assert_eq!(different.len(), CODES);
    }

    #[test]
    fn a_letter_that_no_code_has_is_the_digit_that_it_looks_like() {
        for text in ["0101-abcd-0011-efgh", "oioL-abcd-0oIl-efgh", "OlO1-ABCD-oO1i-EFGH"] {
            assert!(matches!(typed(text), Typed::Paper(hash) if hash == hashed("0101abcd0011efgh")), "{text}");
        }
        assert!(matches!(typed("o1234I"), Typed::Digits(digits) if digits.as_str() == "012341"));
    }

    #[test]
    fn what_is_no_code_is_nothing() {
        assert!(matches!(typed("123 456"), Typed::Digits(digits) if digits.as_str() == "123456"));
        assert!(!is_from_paper("123 456"));
        for text in ["", "12345", "1234567", "12345x", "abcd-efgh-jkmn-pqr", "abcd-efgh-jkmn-pqru", &"1 ".repeat(64)] {
            assert!(matches!(typed(text), Typed::Nothing), "{text:?}");
        }
    }
}
