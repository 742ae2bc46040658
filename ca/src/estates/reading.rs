//! What all forms have in common: texts as bytes, numbers as serials.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use num_bigint::BigUint;

use crate::encode::pem;

/// Why a source gives nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Unreadable(pub(crate) String);

/// An object that stands there as DER, as PEM, or as the base64 of DER; in words why it does not.
pub fn der(bytes: &[u8], label: &str) -> Result<Vec<u8>, String> {
    match bytes.first() {
        Some(0x30) => Ok(bytes.to_vec()),
        Some(_) if pem::blocks(bytes, &[label]) > 0 => pem::decode(bytes, &[label]),
        Some(_) => {
            let bare: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            STANDARD.decode(bare).map_err(|_| format!("is neither DER, PEM nor base64 of a {}", label.to_lowercase()))
        }
        None => Err("is empty".to_owned()),
    }
}

/// A serial in decimal digits, as the bytes of an unsigned number.
pub(super) fn decimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim();
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    BigUint::parse_bytes(digits.as_bytes(), 10).map(|number| number.to_bytes_be())
}

/// A serial in hexadecimal digits, with or without colons, as the bytes of an unsigned number. A minus makes it another number: none.
pub(super) fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.trim().chars().filter(|c| *c != ':').collect();
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let even = if digits.len().is_multiple_of(2) { digits } else { format!("0{digits}") };
    Some(unsigned(&hex::decode(even).ok()?))
}

/// Without leading zeros; of nothing but zeros one stays.
pub(super) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len().saturating_sub(1));
    bytes.get(first..).unwrap_or_default().to_vec()
}

/// More digits than any serial has.
const DIGITS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_serial_is_the_same_in_whatever_digits() {
        assert_eq!(decimal("258"), Some(vec![1, 2]));
        assert_eq!(hexadecimal("0102"), Some(vec![1, 2]));
        assert_eq!(hexadecimal("1:02"), Some(vec![1, 2]));
        assert_eq!((hexadecimal("00"), decimal("0")), (Some(vec![0]), Some(vec![0])));
        assert_eq!(hexadecimal("E1"), Some(vec![0xe1]));
        for odd in ["", "-1", "-01", "0x1", "1 2", "g"] {
            assert_eq!((decimal(odd), hexadecimal(odd)), (None, None), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = (decimal(&text), hexadecimal(&text), der(text.as_bytes(), "CERTIFICATE"));
        }

        #[test]
        fn digits_come_back(bytes in proptest::collection::vec(any::<u8>(), 1..32)) {
            prop_assert_eq!(hexadecimal(&hex::encode(&bytes)), Some(unsigned(&bytes)));
        }
    }
}
