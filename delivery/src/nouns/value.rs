//! The values themselves.

use std::collections::HashMap;
use std::fmt;

use secrets::Reference;
use zeroize::Zeroizing;

/// The bytes of one field of one version. Wiped when it goes, and not printable.
pub struct Value(Zeroizing<Vec<u8>>);

impl Value {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Value {
        Value(Zeroizing::new(bytes))
    }

    /// The bytes. Do not keep what this returns longer than the call that needs it.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(redacted)")
    }
}

/// What each reference stands for now: one consistent set, as it was read.
#[derive(Debug, Default)]
pub struct Values(HashMap<Reference, Value>);

impl Values {
    /// One more; of the same reference the later one holds.
    pub fn with(mut self, reference: Reference, bytes: Vec<u8>) -> Values {
        self.0.insert(reference, Value::new(bytes));
        self
    }

    /// What a reference stands for.
    pub fn get(&self, reference: &Reference) -> Option<&Value> {
        self.0.get(reference)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Reference, &Value)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_never_print_themselves() {
        let values = Values::default().with("chy://a".parse().unwrap(), b"hunter2".to_vec());
        assert!(!format!("{values:?}").contains("hunter2"));
        assert_eq!(values.get(&"chy://a".parse().unwrap()).unwrap().expose(), b"hunter2");
    }
}
