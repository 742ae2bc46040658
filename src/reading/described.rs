//! An object in words.

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// One thing that is known of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// Its name in JSON, `not_after`; people read it with blanks.
    pub name: &'static str,
    /// A text, a number, a list.
    pub value: Value,
    /// What people are told beside it.
    pub note: String,
}

/// An object.
#[derive(Debug)]
pub struct Described {
    /// `certificate`, `crl`, `private-key`.
    pub kind: &'static str,
    /// What is known, in the order in which people ask.
    pub facts: Vec<Fact>,
    /// What its extensions say; whether it must be understood.
    pub extensions: Vec<Extension>,
    /// What stands in it.
    pub inner: Vec<Described>,
    /// Its DER, where others have to look at it too.
    pub der: Zeroizing<Vec<u8>>,
}

/// An extension in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Extension {
    pub name: String,
    pub critical: bool,
    pub says: String,
}

impl Described {
    /// Nothing is known yet.
    pub fn new(kind: &'static str) -> Self {
        let der = Zeroizing::new(Vec::new());
        Self { kind, facts: Vec::new(), extensions: Vec::new(), inner: Vec::new(), der }
    }

    /// One fact more.
    pub fn fact(&mut self, name: &'static str, value: impl Into<Value>) {
        self.noted(name, value, String::new());
    }

    /// One fact more, with what people are told beside it.
    pub fn noted(&mut self, name: &'static str, value: impl Into<Value>, note: impl Into<String>) {
        self.facts.push(Fact { name, value: value.into(), note: note.into() });
    }

    /// One fact more, if it is known.
    pub fn perhaps(&mut self, name: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.fact(name, value);
        }
    }

    /// The value of a fact.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.facts.iter().find(|fact| fact.name == name).map(|fact| &fact.value)
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        let mut object: Map<String, Value> = Map::new();
        object.insert("kind".to_owned(), self.kind.into());
        for fact in &self.facts {
            object.insert(fact.name.to_owned(), fact.value.clone());
        }
        if !self.extensions.is_empty() {
            let shown = |one: &Extension| json!({"name": one.name, "critical": one.critical, "says": one.says});
            object.insert("extensions".to_owned(), self.extensions.iter().map(shown).collect());
        }
        if !self.inner.is_empty() {
            object.insert("contains".to_owned(), self.inner.iter().map(Described::json).collect());
        }
        Value::Object(object)
    }
}

/// Octets as people compare them: `AB:CD`.
pub fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// SHA-256, `AB:CD`: as browsers and openssl show a fingerprint.
pub fn sha256(bytes: &[u8]) -> String {
    colons(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}
