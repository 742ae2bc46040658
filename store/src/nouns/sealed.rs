//! What is sealed by a key of the token: bytes, and under which of the key's generations they stand.
//!
//! The log's name, the name of what is sealed, and the generation are authenticated with the bytes: what is moved under another name,
//! another generation or into another register opens nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hsm::SealingKey;

use crate::nouns::error::StoreError;

/// The kind of a record that keeps something sealed; its second key is the generation (`seal/2`), by which what stands under one is
/// found.
pub const SEALED: &str = "sealed";
/// The kind of the record by which a generation ends: nothing stands under it, nothing comes under it, and its key is destroyed. Its
/// id is the generation.
pub const SEAL_END: &str = "seal-end";
/// The one sealed thing that a register needs before it can be read: the key of its heads.
pub(crate) const HEAD_KEY: &str = "head-key";
/// What can be sealed in one record.
pub const SEALED_BYTES_MAX: usize = 32 * 1024;

/// The generations of the sealing key, as they are in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seals {
    /// The one under which new things are sealed.
    pub active: Option<u32>,
    /// All whose key is there, by number.
    pub keys: BTreeMap<u32, SealingKey>,
    /// Those whose key is lost, by an operator's word: what stands under them is not waited for.
    pub lost: BTreeSet<u32>,
}

/// How far what stood under other generations is sealed anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// What was sealed anew by this call.
    pub done: u64,
    /// What stands under another generation than the active one yet, and is not lost.
    pub left: u64,
}

/// The name of a generation of the sealing key.
pub(crate) fn seal_name(number: u32) -> String {
    format!("seal/{number}")
}

/// The label of its key in the token, where nobody chose another: by which a register that is not read yet finds it.
pub(crate) fn seal_label(number: u32) -> String {
    format!("seal-{number}")
}

/// Sealed bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub generation: u32,
    pub bytes: Vec<u8>,
}

impl Sealed {
    /// What the bytes are bound to.
    pub fn context(origin: &str, id: &str, generation: u32) -> Vec<u8> {
        format!("chancery sealed 1\n{origin}\n{id}\n{}", seal_name(generation)).into_bytes()
    }

    /// Of a record's body.
    pub fn of(body: &serde_json::Value) -> Result<Sealed, StoreError> {
        let text = body.get(SEALED).and_then(serde_json::Value::as_str);
        text.ok_or_else(|| StoreError::Invalid(format!("a record of kind `{SEALED}` has no `{SEALED}`")))?.parse()
    }

    /// A record's body.
    pub fn body(&self) -> serde_json::Value {
        serde_json::json!({ SEALED: self.to_string() })
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", seal_name(self.generation), STANDARD.encode(&self.bytes))
    }
}

impl FromStr for Sealed {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Sealed, StoreError> {
        let wrong = || StoreError::Invalid("sealed bytes are written as `seal/1 BASE64`".into());
        let (name, bytes) = text.split_once(' ').ok_or_else(wrong)?;
        let bytes = STANDARD.decode(bytes).map_err(|_| wrong())?;
        Ok(Sealed { generation: generation_of(name).ok_or_else(wrong)?, bytes })
    }
}

/// The body of a record whose sealed bytes are gone.
pub(crate) fn gone() -> serde_json::Value {
    serde_json::json!({ GONE: true })
}

/// Whether what was sealed is gone.
pub(crate) fn is_gone(body: &serde_json::Value) -> bool {
    *body == gone()
}

const GONE: &str = "gone";

/// The number of a generation by its name.
pub(crate) fn generation_of(name: &str) -> Option<u32> {
    let number: u32 = name.strip_prefix("seal/")?.parse().ok()?;
    (number > 0 && seal_name(number) == name).then_some(number)
}

/// What a record means for the generations of the sealing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Under {
    /// It stands under one.
    Stands(u32),
    /// One ends with it.
    Ends(u32),
}

impl Under {
    /// Of a record's leaf: its kind, and its `seal`.
    pub fn of_leaf(kind: &str, seal: Option<u64>) -> Result<Option<Under>, String> {
        let number = || seal.and_then(|seal| u32::try_from(seal).ok()).filter(|n| *n > 0).ok_or("no `seal`".to_owned());
        match kind {
            // What was sealed is gone, and stands under none.
            SEALED if seal.is_none() => Ok(None),
            SEALED => Ok(Some(Under::Stands(number()?))),
            SEAL_END => Ok(Some(Under::Ends(number()?))),
            _ => Ok(None),
        }
    }

    /// Of a record, which has to say the same of itself everywhere.
    pub fn of_record(
        kind: &str,
        id: &str,
        lookup: Option<&str>,
        body: &serde_json::Value,
    ) -> Result<Option<Under>, StoreError> {
        let wrong = |why: &str| Err(StoreError::Invalid(format!("a record of kind `{kind}` {why}")));
        match kind {
            SEALED if is_gone(body) => match lookup {
                None => Ok(None),
                Some(_) => wrong("is gone, and is found by a generation"),
            },
            SEALED => {
                let generation = Sealed::of(body)?.generation;
                match lookup == Some(seal_name(generation).as_str()) {
                    true => Ok(Some(Under::Stands(generation))),
                    false => wrong("is found by another generation than the one that it is sealed under"),
                }
            }
            SEAL_END => match generation_of(id) {
                Some(number) => Ok(Some(Under::Ends(number))),
                None => wrong("names no generation"),
            },
            _ => Ok(None),
        }
    }

    pub fn number(self) -> u32 {
        match self {
            Under::Stands(number) | Under::Ends(number) => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_name_their_generation_and_survive_their_text() {
        let sealed = Sealed { generation: 3, bytes: vec![1, 2, 255] };
        assert_eq!(sealed.to_string().parse::<Sealed>().unwrap(), sealed);
        assert_eq!(Sealed::of(&sealed.body()).unwrap(), sealed);
        for text in ["", "seal/3", "seal/0 AQ==", "seal/03 AQ==", "tls/1 AQ==", "seal/3 AQ", "seal/3  AQ=="] {
            assert!(text.parse::<Sealed>().is_err(), "{text:?}");
        }
        let contexts = [("a", "x", 1), ("b", "x", 1), ("a", "y", 1), ("a", "x", 2)];
        let all: std::collections::HashSet<_> = contexts.iter().map(|(o, i, g)| Sealed::context(o, i, *g)).collect();
        assert_eq!(all.len(), contexts.len());
    }

    #[test]
    fn a_record_says_everywhere_that_it_stands_under_the_same_generation() {
        let body = Sealed { generation: 2, bytes: vec![7] }.body();
        let of = |lookup| Under::of_record(SEALED, "x", lookup, &body);
        assert_eq!(of(Some("seal/2")).unwrap(), Some(Under::Stands(2)));
        assert!(of(Some("seal/1")).is_err() && of(None).is_err());
        assert_eq!(Under::of_record(SEALED, "x", None, &gone()).unwrap(), None);
        assert!(Under::of_record(SEALED, "x", Some("seal/2"), &gone()).is_err());
        assert_eq!(Under::of_record(SEAL_END, "seal/2", None, &body).unwrap(), Some(Under::Ends(2)));
        assert!(Under::of_record(SEAL_END, "tls/2", None, &body).is_err());
        assert_eq!(Under::of_record("token", "seal/2", None, &body).unwrap(), None);
    }
}
