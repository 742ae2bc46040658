//! What is kept: values, and beside each what it is and until when it may be used.
//!
//! Its bytes are the length of an index (4, big-endian), the index in JSON, and the values one after the other: the index holds none.

use secrets::{Reference, SecretPath, Which};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::Because;
use super::moment::Moment;

/// So many references are kept: what one command asks for at most.
pub const ENTRIES_MAX: usize = 1024;
/// All values together.
pub const VALUES_BYTES_MAX: usize = 16 << 20;

/// One reference, and what it stood for.
pub struct Entry {
    /// Which.
    pub reference: Reference,
    /// Which version that was.
    pub version: u64,
    /// When it was asked for: no later than the server's own moment.
    pub at: Moment,
    /// For so many seconds from then it may be used.
    pub lease_secs: u64,
    /// The value.
    pub value: Zeroizing<Vec<u8>>,
}

/// What the index says of one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    reference: String,
    version: u64,
    boot: String,
    boot_ms: u64,
    unix_secs: u64,
    lease_secs: u64,
    bytes: usize,
}

/// All of them.
#[derive(Default)]
pub struct Shelf {
    /// In the order in which they came.
    pub entries: Vec<Entry>,
}

impl Entry {
    /// How many seconds old it is; or why it is not to be used.
    pub fn age(&self, now: &Moment, max_age_secs: Option<u64>) -> Result<u64, Because> {
        let age_ms = now.ms_since(&self.at).ok_or(Because::NotKept)?;
        if age_ms >= self.lease_secs.saturating_mul(1_000) {
            return Err(Because::Ended(self.lease_secs));
        }
        match max_age_secs.filter(|most| age_ms >= most.saturating_mul(1_000)) {
            Some(most) => Err(Because::TooOld(most)),
            None => Ok(age_ms / 1_000),
        }
    }
}

impl Shelf {
    /// Takes one in. What stands for the same reference goes, and what is of another version of the same label: nobody is given the user of
    /// one version with the password of another. False where there is no room.
    pub fn put(&mut self, entry: Entry) -> bool {
        let moved = |there: &Entry| {
            is_of(there, &entry.reference.path, &entry.reference.which) && there.version != entry.version
        };
        self.entries.retain(|there| there.reference != entry.reference && !moved(there));
        let bytes: usize = self.entries.iter().map(|there| there.value.len()).sum();
        let fits = self.entries.len() < ENTRIES_MAX && bytes.saturating_add(entry.value.len()) <= VALUES_BYTES_MAX;
        if fits {
            self.entries.push(entry);
        }
        fits
    }

    /// Takes all of a version of a secret away: what one of its fields was refused for, the others are too.
    pub fn drop_of(&mut self, reference: &Reference) {
        self.entries.retain(|there| !is_of(there, &reference.path, &reference.which));
    }

    /// Takes away what is over.
    pub fn prune(&mut self, now: &Moment) {
        self.entries.retain(|entry| entry.age(now, None).is_ok());
    }

    /// The one for a reference.
    pub fn get(&self, reference: &Reference) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.reference == *reference)
    }

    /// Its bytes.
    pub fn bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let lines: Vec<Line> = self.entries.iter().map(Line::of).collect();
        let index = serde_json::to_vec(&lines).ok()?;
        let length = u32::try_from(index.len()).ok()?.to_be_bytes();
        let values: usize = self.entries.iter().map(|entry| entry.value.len()).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.len() + index.len() + values));
        bytes.extend_from_slice(&length);
        bytes.extend_from_slice(&index);
        self.entries.iter().for_each(|entry| bytes.extend_from_slice(&entry.value));
        Some(bytes)
    }

    /// Reads them; none of what is not in this form.
    pub fn read(bytes: &[u8]) -> Option<Shelf> {
        let (length, rest) = bytes.split_at_checked(4)?;
        let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
        let (index, mut values) = rest.split_at_checked(length)?;
        let lines: Vec<Line> = serde_json::from_slice(index).ok()?;
        let mut entries = Vec::with_capacity(lines.len());
        for line in lines {
            let (value, rest) = values.split_at_checked(line.bytes)?;
            entries.push(line.entry(value)?);
            values = rest;
        }
        values.is_empty().then_some(Shelf { entries })
    }
}

fn is_of(entry: &Entry, path: &SecretPath, which: &Which) -> bool {
    entry.reference.path == *path && entry.reference.which == *which
}

impl Line {
    fn of(entry: &Entry) -> Line {
        Line {
            reference: entry.reference.to_string(),
            version: entry.version,
            boot: entry.at.boot.clone(),
            boot_ms: entry.at.boot_ms,
            unix_secs: entry.at.unix_secs,
            lease_secs: entry.lease_secs,
            bytes: entry.value.len(),
        }
    }

    fn entry(self, value: &[u8]) -> Option<Entry> {
        let Line { reference, version, boot, boot_ms, unix_secs, lease_secs, bytes: _ } = self;
        Some(Entry {
            reference: reference.parse().ok()?,
            version,
            at: Moment { boot, boot_ms, unix_secs },
            lease_secs,
            value: Zeroizing::new(value.to_vec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment { boot: "one".to_owned(), boot_ms: secs * 1_000, unix_secs: 1_000_000 + secs }
    }

    fn entry(reference: &str, version: u64, value: &[u8]) -> Entry {
        let value = Zeroizing::new(value.to_vec());
        Entry { reference: reference.parse().unwrap(), version, at: at(10), lease_secs: 60, value }
    }

    fn names(shelf: &Shelf) -> Vec<String> {
        shelf.entries.iter().map(|entry| format!("{} {}", entry.reference, entry.version)).collect()
    }

    #[test]
    fn what_is_kept_is_used_until_its_end_and_no_longer() {
        let entry = entry("chy://a", 1, b"x");
        assert_eq!(entry.age(&at(10), None), Ok(0));
        assert_eq!(entry.age(&at(69), None), Ok(59));
        assert_eq!(entry.age(&at(70), None), Err(Because::Ended(60)));
        assert_eq!(entry.age(&at(40), Some(31)), Ok(30));
        assert_eq!(entry.age(&at(40), Some(30)), Err(Because::TooOld(30)), "it can be shorter");
        assert_eq!(entry.age(&at(70), Some(9_999)), Err(Because::Ended(60)), "and never longer");
        let turned_back = Moment { unix_secs: 5, ..at(70) };
        assert_eq!(entry.age(&turned_back, None), Err(Because::Ended(60)), "by no clock");
        let started_again = Moment { boot: "two".to_owned(), ..at(40) };
        assert_eq!(entry.age(&started_again, None), Err(Because::NotKept));
    }

    #[test]
    fn nobody_is_given_two_versions_of_one_label() {
        let mut shelf = Shelf::default();
        for (reference, version) in
            [("chy://a#user", 1), ("chy://a#password", 1), ("chy://a#user@previous", 0), ("chy://b", 1)]
        {
            assert!(shelf.put(entry(reference, version, b"x")));
        }
        assert!(shelf.put(entry("chy://a#password", 2, b"y")));
        assert_eq!(
            names(&shelf),
            ["chy://a#user@previous 0", "chy://b 1", "chy://a#password 2"].map(|name| {
                let (reference, version) = name.split_once(' ').unwrap();
                format!("{} {version}", reference.parse::<Reference>().unwrap())
            })
        );
        shelf.drop_of(&"chy://a".parse().unwrap());
        assert_eq!(shelf.entries.len(), 2, "all fields of what was refused");
    }

    #[test]
    fn it_reads_what_it_wrote_and_nothing_else() {
        let mut shelf = Shelf::default();
        for (reference, value) in
            [("chy://a", &b"hunter2"[..]), ("chy://b#c@7", &[0, 255][..]), ("chy://empty", &[][..])]
        {
            shelf.put(entry(reference, 3, value));
        }
        let bytes = shelf.bytes().unwrap();
        let read = Shelf::read(&bytes).unwrap();
        assert_eq!(names(&read), names(&shelf));
        assert_eq!(read.entries[1].value.as_slice(), [0, 255]);
        assert_eq!(read.entries[0].at, at(10));
        for length in 0..bytes.len() {
            assert!(Shelf::read(&bytes[..length]).is_none(), "{length} bytes");
        }
        assert!(Shelf::read(&[bytes.as_slice(), b"x"].concat()).is_none());
    }

    #[test]
    fn a_shelf_has_an_end() {
        let mut shelf = Shelf::default();
        assert!(shelf.put(entry("chy://large", 1, &vec![0; VALUES_BYTES_MAX])));
        assert!(!shelf.put(entry("chy://a", 1, b"x")) && shelf.put(entry("chy://empty", 1, b"")));
        assert!(shelf.put(entry("chy://large", 2, b"x")), "what it replaces makes room");
        for n in shelf.entries.len()..ENTRIES_MAX {
            assert!(shelf.put(entry(&format!("chy://n/{n}"), 1, b"x")), "{n}");
        }
        assert!(!shelf.put(entry("chy://one/more", 1, b"x")));
        shelf.prune(&at(70));
        assert!(shelf.entries.is_empty());
    }
}
