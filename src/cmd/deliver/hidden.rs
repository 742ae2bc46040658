//! Answers with values in them, read without a copy that stays.
//!
//! Never says what stands in one: an error of the reader would quote it.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// What came of each reference, in their order.
#[derive(Deserialize)]
pub struct Answers {
    pub items: Vec<Answer>,
}

/// What came of one.
#[derive(Deserialize)]
pub struct Answer {
    pub secret: Option<Held>,
    pub error: Option<String>,
    pub status: u16,
}

/// One version, with the field that was asked for.
#[derive(Deserialize)]
pub struct Held {
    pub version: u64,
    /// The entry of the log that says so.
    pub leaf: u64,
    pub fields: BTreeMap<String, Field>,
    /// Absent: it may not be kept.
    pub lease: Option<Lease>,
    /// What is to be known beside it; of an older server nothing.
    #[serde(default)]
    pub said: Vec<String>,
}

/// For how long it may be kept.
#[derive(Deserialize)]
pub struct Lease {
    pub secs: u64,
}

/// The bytes of a field. Wiped when it goes, and not printable.
pub struct Field(pub Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Bytes).map(Field)
    }
}

/// Text as it is; bytes as `{"base64": ...}`.
struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Zeroizing<Vec<u8>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, or bytes in base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Zeroizing::new(text.as_bytes().to_vec()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "base64" => found = Some(map.next_value::<Field>()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let Field(text) = found.ok_or_else(|| Error::custom("bytes without their base64"))?;
        STANDARD.decode(&*text).map(Zeroizing::new).map_err(|_| Error::custom("bytes that are no base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_text_or_bytes() {
        let read = |json: &str| serde_json::from_str::<Field>(json).map(|field| field.0.to_vec());
        assert_eq!(read(r#""a\n\u00e4""#).unwrap(), "a\nä".as_bytes());
        assert_eq!(read(r#"{"base64":"/wA="}"#).unwrap(), [255, 0]);
        for bad in ["1", "null", "{}", "[]", r#"{"base64":"*"}"#, r#"{"base64":1}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
