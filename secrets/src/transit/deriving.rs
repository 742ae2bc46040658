//! Keys derived from a version, by HKDF with SHA-256 (RFC 5869): for a use, for a context, for a salt.

use ring::hkdf::{HKDF_SHA256, KeyType, Okm, Prk, Salt};

use super::fault::TransitError;
use super::keyset::{Bytes, Keyset};

/// What a key is derived for. Whatever differs here, no two have a key in common.
#[derive(Clone, Copy)]
pub(super) struct For<'a> {
    /// What is done with it.
    pub purpose: &'static str,
    /// Of which key.
    pub keys: &'a Keyset,
    /// Of which version.
    pub version: u32,
    /// For which context; empty where there is none.
    pub context: &'a [u8],
}

impl For<'_> {
    /// One text for each: the number has one form, and the texts say how long they are.
    pub fn info(&self) -> Vec<u8> {
        let For { purpose, keys, version, context } = self;
        let (name, kind, mode) = (keys.name(), keys.kind(), keys.mode());
        let mut info = format!("chancery transit 1\n{purpose}\n{kind}\n{mode}\n{version}\n{name}\n").into_bytes();
        info.extend_from_slice(format!("{}:", context.len()).as_bytes());
        info.extend_from_slice(context);
        info
    }
}

/// What is extracted of a version with a salt.
pub(super) fn extract(key: &Bytes, salt: &[u8]) -> Prk {
    Salt::new(HKDF_SHA256, salt).extract(key.as_slice())
}

/// A key for a use.
pub(super) fn expand<L: KeyType, K: for<'a> From<Okm<'a, L>>>(
    prk: &Prk,
    info: &[u8],
    length: L,
) -> Result<K, TransitError> {
    // HKDF gives 255 hashes' worth of bytes, and no key here has more than one.
    let longer = |_| TransitError::invalid("key", "it is longer than HKDF gives");
    prk.expand(&[info], length).map(K::from).map_err(longer)
}

/// What is authenticated beside what is sealed: which key and version, which context, and what the caller adds. The lengths say where
/// each ends. What all items of a context have in common is written once.
pub(super) struct Bound {
    text: Vec<u8>,
    common: usize,
}

impl Bound {
    pub fn of(what: For<'_>) -> Bound {
        let text = what.info();
        Bound { common: text.len(), text }
    }

    /// With what the caller adds to one item.
    pub fn with(&mut self, associated: &[u8]) -> &[u8] {
        self.text.truncate(self.common);
        match associated {
            [] => self.text.extend_from_slice(b"\n0:"),
            _ => {
                self.text.extend_from_slice(format!("\n{}:", associated.len()).as_bytes());
                self.text.extend_from_slice(associated);
            }
        }
        &self.text
    }
}
