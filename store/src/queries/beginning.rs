//! The beginning of a serial, as the index of serials understands it.

use crate::rows::SERIAL_BYTES_MAX;

/// Two hexadecimal digits a byte.
pub(super) const DIGITS_MAX: usize = SERIAL_BYTES_MAX * 2;

/// The serials that begin with these hexadecimal digits: from the first on, and below the second. None: they are no digits.
pub(super) fn beginning(digits: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let digits = digits.to_ascii_lowercase();
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let even = |fill: char| {
        let odd = !digits.len().is_multiple_of(2);
        hex::decode(format!("{digits}{}", if odd { fill.to_string() } else { String::new() })).ok()
    };
    let mut to = even('f')?;
    // Above every serial that begins so.
    to.resize(SERIAL_BYTES_MAX + 1, 0xff);
    Some((even('0')?, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_range_of_serials() {
        let (from, to) = beginning("0A1").unwrap();
        assert_eq!((from, &to[..3]), (vec![0x0a, 0x10], &[0x0a, 0x1f, 0xff][..]));
        let longest = vec![0x0a; SERIAL_BYTES_MAX];
        let (from, to) = beginning(&hex::encode(&longest)).unwrap();
        assert!(from <= longest && longest < to);
        assert!(beginning("").is_none() && beginning("0x").is_none() && beginning(&"0".repeat(65)).is_none());
    }
}
