//! Of which hours readings of secrets are in the register already: who reads one every second writes a row for it once an hour.

use std::collections::HashMap;

use super::change::RecordKey;

/// Pairs of a secret and a reader that are remembered, some 4 MiB.
const REMEMBERED_MAX: usize = 65_536;

/// The newest hour of each pair that this node made durable.
#[derive(Debug, Default)]
pub(super) struct ReadHours(HashMap<RecordKey, i64>);

impl ReadHours {
    /// Whether a reading of that hour, or a later one, is there.
    pub fn has(&self, key: &RecordKey, hour: i64) -> bool {
        self.0.get(key).is_some_and(|there| *there >= hour)
    }

    /// Where too many are remembered, all are forgotten: the database knows.
    pub fn note(&mut self, read: Vec<(RecordKey, i64)>) {
        for (key, hour) in read {
            if self.0.len() >= REMEMBERED_MAX && !self.0.contains_key(&key) {
                self.0.clear();
            }
            let there = self.0.entry(key).or_insert(hour);
            *there = (*there).max(hour);
        }
    }
}
