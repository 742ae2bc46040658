//! Maps of a JSON body in which each name stands once.
//!
//! RFC 8259 section 4: "The names within an object SHOULD be unique"; of names that are not, readers take the first, the last or neither. What
//! a proxy judged would then be another value than the one that is written. A struct refuses a name that comes twice by itself; a map does it
//! here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What is said of such a map: a sentence of ours, and nothing of what was sent.
pub(crate) const SAID_TWICE: &str = "a name is said twice: say each once";

/// A map, for `deserialize_with`.
pub(crate) fn once<'de, D: Deserializer<'de>, V: Deserialize<'de>>(from: D) -> Result<BTreeMap<String, V>, D::Error> {
    from.deserialize_map(Names(PhantomData))
}

/// The same of one that may be absent, or null.
pub(crate) fn once_or_not<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    from: D,
) -> Result<Option<BTreeMap<String, V>>, D::Error> {
    Ok(Option::<Once<V>>::deserialize(from)?.map(|Once(map)| map))
}

struct Once<V>(BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Once<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        once(from).map(Once)
    }
}

struct Names<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Names<V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut names: A) -> Result<Self::Value, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((name, value)) = names.next_entry::<String, V>()? {
            match all.entry(name) {
                Entry::Vacant(free) => {
                    free.insert(value);
                }
                Entry::Occupied(_) => return Err(A::Error::custom(SAID_TWICE)),
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{parse_hidden, parse_json};

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        #[serde(default, deserialize_with = "once")]
        fields: BTreeMap<String, String>,
        #[serde(default, deserialize_with = "once_or_not")]
        tags: Option<BTreeMap<String, String>>,
    }

    #[test]
    fn a_name_that_is_said_twice_is_refused_and_its_values_are_not_repeated() {
        for body in [
            r#"{"fields": {"v": "canary-1", "v": "canary-2"}}"#,
            r#"{"fields": {"v": "canary-1", "\u0076": "canary-1"}}"#,
            r#"{"tags": {"a": "canary-1", "b": "x", "a": "canary-1"}}"#,
        ] {
            for told in [parse_json::<Wish>(body.as_bytes()), parse_hidden::<Wish>(body.as_bytes())] {
                let told = format!("{:?}", told.expect_err(body));
                assert!(told.contains(SAID_TWICE) && !told.contains("canary"), "{body}: {told}");
            }
        }
        // Two members of the body itself, too.
        assert!(parse_json::<Wish>(br#"{"fields": {}, "fields": {}}"#).is_err());
    }

    #[test]
    fn what_is_said_once_is_read_as_ever() {
        let wish: Wish = parse_json(br#"{"fields": {"v": "1", "w": "2"}, "tags": {"a": "b"}}"#).expect("a wish");
        assert_eq!((wish.fields.len(), wish.tags.map(|tags| tags.len())), (2, Some(1)));
        for absent in [r#"{}"#, r#"{"tags": null}"#] {
            let wish: Wish = parse_json(absent.as_bytes()).expect("a wish");
            assert!(wish.fields.is_empty() && wish.tags.is_none(), "{absent}");
        }
        for wrong in [r#"{"fields": null}"#, r#"{"fields": ["v"]}"#, r#"{"tags": "v"}"#] {
            assert!(parse_json::<Wish>(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
