//! Parts of an issuer's revocations, each with CRLs of its own.
//!
//! Which part a certificate is of follows from its serial and from how many parts there are, so nothing has to be kept of it; the
//! certificate names the part's CRL. How many there are is fixed for a generation of an issuer when it is made.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

use crate::nouns::error::StoreError;

/// One part of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard {
    index: u16,
    of: u16,
}

/// At most so many parts: each has a CRL that is made anew each day, and a million revoked are then 4,000 in each.
pub const SHARDS_MAX: u16 = 256;

impl Shard {
    /// The part that a serial is of; none where there is one part alone, which is everything.
    pub fn of_serial(serial: &[u8], of: u16) -> Option<Shard> {
        let zeros = serial.iter().take_while(|byte| **byte == 0).count();
        let hash = digest(&SHA256, serial.get(zeros..).unwrap_or_default());
        let first = u32::from_be_bytes(*hash.as_ref().first_chunk()?);
        let place = (u64::from(first) * u64::from(of)) >> 32;
        Shard::new(u16::try_from(place).ok()?, of)
    }

    /// This part of so many; none where there is no such part, or one part alone.
    pub fn new(index: u16, of: u16) -> Option<Shard> {
        (index < of && (2..=SHARDS_MAX).contains(&of)).then_some(Shard { index, of })
    }

    /// Which it is, from 0.
    pub fn index(self) -> u16 {
        self.index
    }

    /// How many there are.
    pub fn of(self) -> u16 {
        self.of
    }

    /// The series of its CRLs: the issuer's name and its number.
    pub fn series(self, issuer: &str) -> String {
        format!("{issuer}/{}", self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = StoreError;
    fn from_str(s: &str) -> Result<Shard, StoreError> {
        let parsed = s.split_once('/').and_then(|(index, of)| Shard::new(index.parse().ok()?, of.parse().ok()?));
        let parsed = parsed.filter(|shard| shard.to_string() == s);
        parsed.ok_or_else(|| StoreError::Invalid(format!("`{s}` is no shard")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_of_one_part_for_ever_and_all_parts_are_used() {
        assert_eq!(Shard::of_serial(&[1, 2, 3], 1), None, "one part is everything");
        // What certificates point to cannot change: these are for ever.
        let of = |serial: &[u8]| Shard::of_serial(serial, 16).unwrap().to_string();
        assert_eq!(of(&[1, 2, 3]), of(&[0, 0, 1, 2, 3]), "leading zeros are no part of a number");
        let mut seen = [0_u32; 16];
        for n in 0..16_000_u32 {
            let shard = Shard::of_serial(&n.to_be_bytes(), 16).unwrap();
            seen[usize::from(shard.index())] += 1;
        }
        assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
        for no in ["16/16", "0/1", "0/257", "00/2", "1", "", "-1/2", "1/2/3"] {
            assert!(no.parse::<Shard>().is_err(), "{no}");
        }
        assert_eq!("3/16".parse::<Shard>().unwrap().series("tls/1"), "tls/1/3");
    }

    #[test]
    fn golden_shards() {
        let of: Vec<u16> = (0_u8..8).map(|n| Shard::of_serial(&[0x10, n], 8).unwrap().index()).collect();
        assert_eq!(of, GOLDEN);
    }
    const GOLDEN: [u16; 8] = [3, 1, 2, 0, 0, 5, 5, 7];
}
