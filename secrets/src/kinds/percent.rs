//! Percent-encoding (RFC 3986 section 2.1), strictly, and in memory that is wiped.

use zeroize::Zeroizing;

/// Writes all but the unreserved characters (section 2.3) as `%XX` of their UTF-8 bytes: the one form that every reader understands,
/// those too that take a `+` for a space.
pub(super) fn encode(text: &str, onto: &mut String) {
    const DIGITS: &[char; 16] = &['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or('0');
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => onto.push(char::from(byte)),
            _ => onto.extend(['%', digit(byte >> 4), digit(byte & 0xf)]),
        }
    }
}

/// The encoded text by itself.
pub(super) fn encoded(text: &str) -> Zeroizing<String> {
    // Room for all from the start: a buffer that grows leaves what was in it behind.
    let mut onto = Zeroizing::new(String::with_capacity(ENCODED_BYTES * text.len()));
    encode(text, &mut onto);
    onto
}

/// What was encoded; none where a `%` has no two hexadecimal digits after it, or the bytes are no UTF-8. A `+` is a `+`.
pub(super) fn decoded(text: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let half = |digit: Option<u8>| char::from(digit?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(match byte {
            b'%' => half(rest.next())? << 4 | half(rest.next())?,
            other => other,
        });
    }
    let text = std::str::from_utf8(&bytes).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

/// How many bytes one becomes at most.
pub(super) const ENCODED_BYTES: usize = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_encoding_is_refused() {
        assert_eq!(encoded("a-._~Z9 @:/%+é\n").as_str(), "a-._~Z9%20%40%3A%2F%25%2B%C3%A9%0A");
        assert_eq!(decoded("p+%2f%2F!").unwrap().as_str(), "p+//!");
        for bad in ["%", "%4", "%4g", "%+4", "%é", "%C3", "%ff", "a%"] {
            assert!(decoded(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in any::<String>()) {
            let form = encoded(&text);
            prop_assert!(form.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
            prop_assert_eq!(&*decoded(&form).unwrap(), &text);
        }
    }
}
