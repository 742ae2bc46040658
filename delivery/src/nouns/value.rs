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

    /// Whether it is the same, in a time that depends on the lengths alone.
    pub(crate) fn equals(&self, other: &Value) -> bool {
        let (one, two) = (self.expose(), other.expose());
        one.len() == two.len() && one.iter().zip(two).fold(0_u8, |differing, (a, b)| differing | (a ^ b)) == 0
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

    /// Whether each reference stands for the same as there. All are looked at.
    pub(crate) fn is_same(&self, other: &Values) -> bool {
        let mut differing = 0_usize;
        for (reference, value) in &self.0 {
            differing += usize::from(other.get(reference).is_none_or(|one| !one.equals(value)));
        }
        self.0.len() == other.0.len() && differing == 0
    }

    /// Those that another set does not have, or has otherwise.
    pub(crate) fn without(self, other: &Values) -> impl Iterator<Item = (Reference, Value)> {
        self.0.into_iter().filter(move |(reference, value)| other.get(reference).is_none_or(|one| !one.equals(value)))
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

    #[test]
    fn the_same_values_are_those_of_the_same_references_to_the_byte() {
        let values = |all: &[(&str, &str)]| {
            let one = |values: Values, (path, text): &(&str, &str)| {
                values.with(path.parse().unwrap(), text.as_bytes().to_vec())
            };
            all.iter().fold(Values::default(), one)
        };
        let has = values(&[("chy://a", "one"), ("chy://b", "two")]);
        assert!(has.is_same(&values(&[("chy://b", "two"), ("chy://a", "one")])));
        for other in [
            &[][..],
            &[("chy://a", "one")],
            &[("chy://a", "one"), ("chy://c", "two")],
            &[("chy://a", "one"), ("chy://b", "twO")],
            &[("chy://a", "one"), ("chy://b", "two ")],
            &[("chy://a", "two"), ("chy://b", "one")],
            &[("chy://a", "one"), ("chy://b", "two"), ("chy://c", "")],
        ] {
            assert!(!has.is_same(&values(other)) && !values(other).is_same(&has), "{other:?}");
        }
    }
}
