//! Values that a program was given and that others have replaced: as long as it runs it may have kept them, in a pool of connections say.

use secrets::Reference;

use crate::nouns::{Value, Values};

/// Each once, the oldest first.
#[derive(Default)]
pub struct Former(Vec<(Reference, Value)>);

impl Former {
    /// Takes up what is otherwise now; what was here before is then as new as that.
    pub fn take(&mut self, before: Values, now: &Values) {
        for (reference, value) in before.without(now) {
            self.0.retain(|(known, one)| *known != reference || !one.equals(&value));
            self.0.push((reference, value));
        }
    }

    /// All of them, the newest first.
    pub fn newest(&self) -> impl Iterator<Item = (&Reference, &Value)> {
        self.0.iter().rev().map(|(reference, value)| (reference, value))
    }

    /// Forgets all but so many of the newest.
    pub fn keep(&mut self, count: usize) {
        self.0.drain(..self.0.len().saturating_sub(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(all: &[(&str, &str)]) -> Values {
        let one =
            |values: Values, (path, text): &(&str, &str)| values.with(path.parse().unwrap(), text.as_bytes().to_vec());
        all.iter().fold(Values::default(), one)
    }

    fn newest(former: &Former) -> Vec<String> {
        former.newest().map(|(_, value)| String::from_utf8(value.expose().to_vec()).unwrap()).collect()
    }

    #[test]
    fn each_value_is_kept_once_and_the_oldest_goes_first() {
        let mut former = Former::default();
        let steady = ("chy://b", "steady");
        let turns = ["one", "two", "three", "two", "four"].map(|text| [("chy://a", text), steady]);
        for pair in turns.windows(2) {
            former.take(values(&pair[0]), &values(&pair[1]));
        }
        assert_eq!(newest(&former), ["two", "three", "one"]);
        former.take(values(&[steady]), &values(&[]));
        assert_eq!(newest(&former), ["steady", "two", "three", "one"]);
        former.keep(2);
        assert_eq!(newest(&former), ["steady", "two"]);
        former.keep(9);
        assert_eq!(newest(&former).len(), 2);
    }
}
