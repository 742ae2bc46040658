//! What a server is asked for values, and how its answer is read, without a copy that stays. Nobody is asked here.
//!
//! Never says what stands in an answer: an error of the reader would quote it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::Timestamp;
use secrets::Reference;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use crate::cache::KeptRead;
use crate::nouns::Values;

/// Where many values are asked for at once.
pub const VALUES: &str = "/api/v1/secret-values";
/// So many are asked for at once: what a server takes (`store::ACCESSED_MAX`), and so many readings are told at once.
pub const BATCH: usize = 64;
/// Where it is told what was read from a cache.
pub const CACHE_READS: &str = "/api/v1/secret-cache-reads";

/// What a server calls it that a version has no such field.
const NO_FIELD: &str = "urn:chancery:problem:no-field";

/// What was fetched.
#[derive(Default)]
pub struct Fetched {
    /// The values.
    pub values: Values,
    /// Which version each of them is of.
    pub versions: HashMap<Reference, u64>,
    /// The entries of the log that say so.
    pub leaves: BTreeSet<u64>,
    /// For how many seconds each may be kept, of those that may.
    pub leases: HashMap<Reference, u64>,
    /// What was optional, and is not to be had.
    pub gone: Vec<Reference>,
    /// What the server says of some of them beside their values.
    pub said: BTreeSet<String>,
}

/// A reference without a value, and why.
#[derive(Clone, Debug)]
pub struct Absent {
    /// Which.
    pub reference: Reference,
    /// As HTTP has it.
    pub status: u16,
    /// The secret is there and may be read, and has no such field.
    pub lacks_field: bool,
    /// In the server's words.
    pub because: String,
}

/// What came is no answer about secrets.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer is none about secrets")]
pub struct NoAnswer;

/// The question for some references. `keep_secs`: for so many seconds they would be kept; a server that knows nothing of caches is not
/// asked for one.
pub fn asking(references: &[&Reference], keep_secs: u64) -> Json {
    let texts: Vec<String> = references.iter().map(|reference| reference.to_string()).collect();
    match keep_secs {
        0 => json!({ "references": texts }),
        secs => json!({"references": texts, "keep_secs": secs}),
    }
}

/// What is told of values that were read from a cache.
pub fn telling(reads: &[KeptRead]) -> Json {
    let at = |secs: u64| Timestamp::from_unix(i64::try_from(secs).unwrap_or(i64::MAX)).rfc3339();
    let told = |read: &KeptRead| json!({"reference": read.reference, "since": at(read.since), "until": at(read.until)});
    json!({"reads": reads.iter().map(told).collect::<Vec<_>>()})
}

/// Which of those need not be told again: below 500 it is in the log, or never will be.
pub fn told(reads: &[KeptRead], answer: &Json) -> Vec<KeptRead> {
    let items = answer.get("items").and_then(Json::as_array);
    let is_done = |at: usize| {
        let status = items.and_then(|items| items.get(at)?.get("status")?.as_u64());
        status.is_some_and(|status| status < 500)
    };
    reads.iter().enumerate().filter(|(at, _)| is_done(*at)).map(|(_, read)| read.clone()).collect()
}

impl Fetched {
    /// Takes over what came of the references that were asked for, in their order; answers what did not come.
    ///
    /// # Errors
    /// [`NoAnswer`]: what came is of something else.
    pub fn take(&mut self, asked: &[&Reference], answer: &[u8]) -> Result<Vec<Absent>, NoAnswer> {
        // What the reader would say of it could quote a value.
        let answers = serde_json::from_slice::<Answers>(answer).map_err(|_| NoAnswer)?;
        if answers.items.len() != asked.len() {
            return Err(NoAnswer);
        }
        let pairs = asked.iter().zip(answers.items);
        Ok(pairs.filter_map(|(reference, answer)| self.take_one(reference, answer).err()).collect())
    }

    fn take_one(&mut self, reference: &Reference, answer: Answer) -> Result<(), Absent> {
        let Answer { secret, error, r#type, status } = answer;
        let lacks_field = r#type.as_deref() == Some(NO_FIELD);
        let because = || error.unwrap_or_else(|| "the server does not say why".to_owned());
        let absent = |because| Absent { reference: reference.clone(), status, lacks_field, because };
        let Some(mut held) = secret else { return Err(absent(because())) };
        let Some(field) = held.fields.remove(reference.field.as_str()) else { return Err(absent(because())) };
        let mut bytes = field.0;
        let values = std::mem::take(&mut self.values);
        self.values = values.with(reference.clone(), std::mem::take(&mut *bytes));
        self.versions.insert(reference.clone(), held.version);
        self.leaves.insert(held.leaf);
        self.said.extend(held.said.into_iter().map(|said| format!("{}: {said}", reference.path)));
        self.leases.extend(held.lease.map(|lease| (reference.clone(), lease.secs)));
        Ok(())
    }
}

impl Absent {
    /// Refused, not there, or out of use: it is not to be had by asking again.
    pub fn is_final(&self) -> bool {
        matches!(self.status, 401 | 403 | 404 | 410)
    }

    /// What was had of it before is not to be used any more: it was taken away. A field that lacks is a mistake, which whoever made it mends.
    pub fn is_taken_away(&self) -> bool {
        self.is_final() && !self.lacks_field
    }

    /// To be had later, perhaps.
    pub fn is_later(&self) -> bool {
        matches!(self.status, 429 | 502..=504)
    }

    /// The answer was full before its turn came: it is to be asked for alone.
    pub fn is_full(&self) -> bool {
        self.status == 413
    }

    /// The caller has no right to it.
    pub fn is_refused(&self) -> bool {
        matches!(self.status, 401 | 403)
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reference, self.because)
    }
}

/// What came of each reference, in their order.
#[derive(Deserialize)]
struct Answers {
    items: Vec<Answer>,
}

/// What came of one.
#[derive(Deserialize)]
struct Answer {
    secret: Option<Held>,
    error: Option<String>,
    /// What kind of problem it is, where it is one.
    r#type: Option<String>,
    status: u16,
}

/// One version, with the field that was asked for.
#[derive(Deserialize)]
struct Held {
    version: u64,
    /// The entry of the log that says so.
    leaf: u64,
    fields: BTreeMap<String, Field>,
    /// Absent: it may not be kept.
    lease: Option<Lease>,
    /// What is to be known beside it; of an older server nothing.
    #[serde(default)]
    said: Vec<String>,
}

/// For how long it may be kept.
#[derive(Deserialize)]
struct Lease {
    secs: u64,
}

/// The bytes of a field. Wiped when it goes, and not printable.
struct Field(Zeroizing<Vec<u8>>);

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
    fn a_field_that_lacks_is_not_to_be_had_and_was_not_taken_away() {
        let reference: Reference = "chy://prod/db#password".parse().unwrap();
        let absent = |status: u16, kind: &str| {
            let kind = format!("urn:chancery:problem:{kind}");
            let answer =
                json!({"items": [{"reference": "r", "error": "no", "type": kind, "status": status}]}).to_string();
            Fetched::default().take(&[&reference], answer.as_bytes()).unwrap().remove(0)
        };
        let lacks = absent(404, "no-field");
        assert!(lacks.is_final() && lacks.lacks_field && !lacks.is_taken_away());
        for (status, kind) in [(404, "not-found"), (403, "refused"), (410, "gone")] {
            assert!(absent(status, kind).is_taken_away(), "{kind}");
        }
        assert!(!absent(503, "unavailable").is_taken_away());
    }

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
