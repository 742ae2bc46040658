//! A JSON object that is one. serde reads a struct from an array as well, field by field; then `["protected", "payload", "sig"]`
//! would be a JWS, and two parties could read one message differently.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads as `T`, from an object alone.
pub struct Object<T>(pub T);

/// The one object that this text is.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice::<Object<T>>(text).map(|Object(object)| object)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData))
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Pair {
        one: u8,
        two: Option<u8>,
    }

    #[test]
    fn only_an_object_is_read() {
        assert_eq!(read::<Pair>(br#" {"one": 1, "other": []} "#).unwrap(), Pair { one: 1, two: None });
        for text in ["[1, 2]", "[1]", "null", "1", "\"one\"", "", "{}", r#"{"one": 1} {}"#, r#"{"one": 1, "one": 1}"#] {
            assert!(read::<Pair>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
