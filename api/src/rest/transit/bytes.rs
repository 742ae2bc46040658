//! Bytes in JSON: base64, read where they lie and wiped when they are done with.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::intake::BASE64;

/// Bytes on their way in.
pub(crate) struct Bytes(pub(super) Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Base64)
    }
}

struct Base64;

impl Visitor<'_> for Base64 {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(BASE64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
        // Room from the start: a buffer that grows leaves what was in it behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
        match STANDARD.decode_vec(text, &mut bytes) {
            Ok(()) => Ok(Bytes(bytes)),
            // Nothing of what was sent is repeated.
            Err(_) => Err(E::invalid_value(Unexpected::Other("another text"), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::parse_hidden;

    #[test]
    fn what_is_no_base64_is_told_what_belongs_there_and_is_not_repeated() {
        for body in [r#"["canary-?"]"#, r#"["eA"]"#, "[17]", r#"["canary, expected a string at line "]"#] {
            let shown = format!("{:?}", parse_hidden::<Vec<Bytes>>(body.as_bytes()).err());
            assert!(shown.contains("base64 with its padding belongs there, in quotes, at line 1"), "{body} -> {shown}");
            assert!(!shown.contains("canary") && !shown.contains("17"), "{body} -> {shown}");
        }
        assert!(parse_hidden::<Vec<Bytes>>(br#"["eA=="]"#).is_ok_and(|read| read.iter().all(|one| *one.0 == b"x")));
    }
}
