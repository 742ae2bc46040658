//! Bytes in JSON: base64, read where they lie and wiped when they are done with.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

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
        f.write_str("base64 of bytes, with its padding")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
        // Room from the start: a buffer that grows leaves what was in it behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
        match STANDARD.decode_vec(text, &mut bytes) {
            Ok(()) => Ok(Bytes(bytes)),
            Err(_) => Err(E::custom("not base64")),
        }
    }
}
