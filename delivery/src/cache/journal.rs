//! What was read from the cache and not told yet: which version, when first, when last. It holds no value, and lies in memory.

use secrets::Reference;
use serde::{Deserialize, Serialize};

/// So many versions at most: those of one cache are fewer, and where one is left out it is the oldest.
const READS_MAX: usize = 4 * super::shelf::ENTRIES_MAX;
/// Each has a line of at most 2 KiB.
pub const JOURNAL_BYTES_MAX: usize = READS_MAX * 2048;

/// One version, and when it was read from the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptRead {
    /// `chy://path@number`.
    pub reference: String,
    /// When first, in seconds since 1970.
    pub since: u64,
    /// When last.
    pub until: u64,
}

/// Adds a reading; of the same version the one before goes on.
pub fn add(reads: &mut Vec<KeptRead>, reference: &Reference, version: u64, at: u64) {
    let reference = format!("{}{}@{version}", Reference::SCHEME, reference.path);
    match reads.iter_mut().find(|read| read.reference == reference) {
        Some(read) => (read.since, read.until) = (read.since.min(at), read.until.max(at)),
        None => reads.push(KeptRead { reference, since: at, until: at }),
    }
    let over = reads.len().saturating_sub(READS_MAX);
    reads.drain(..over);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_is_one_line_whatever_its_fields_and_labels() {
        let mut reads = Vec::new();
        for (reference, version, at) in
            [("chy://a#user", 3, 7), ("chy://a#password@3", 3, 9), ("chy://a", 4, 8), ("chy://a", 3, 5)]
        {
            add(&mut reads, &reference.parse().unwrap(), version, at);
        }
        let read = |reference: &str, since, until| KeptRead { reference: reference.to_owned(), since, until };
        assert_eq!(reads, [read("chy://a@3", 5, 9), read("chy://a@4", 8, 8)]);
        for n in 0..=READS_MAX as u64 {
            add(&mut reads, &"chy://b".parse().unwrap(), n, 1);
        }
        assert_eq!(reads.len(), READS_MAX);
    }
}
