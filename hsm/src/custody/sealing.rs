//! A key that seals: which one it is, and in which tokens it is at home.
//!
//! A secret key has no public half by which it could be known again. It has a touchstone in its place: bytes that it sealed when it
//! was made, and that no other key opens. So a token that has another key under the same label is found out before anything is
//! sealed that nobody could open again.

/// A sealing key. What names no touchstone is whatever a token has under the label: good for bytes that prove themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealingKey {
    label: String,
    /// In order; of none, every token is asked.
    homes: Vec<String>,
    touchstone: Vec<u8>,
}

impl SealingKey {
    /// Whatever the tokens have under a label.
    pub fn named(label: impl Into<String>) -> SealingKey {
        SealingKey { label: label.into(), homes: Vec::new(), touchstone: Vec::new() }
    }

    /// The one that made this touchstone, at home in these tokens.
    pub fn known(label: impl Into<String>, homes: &[String], touchstone: Vec<u8>) -> SealingKey {
        SealingKey { label: label.into(), homes: homes.to_vec(), touchstone }
    }

    /// Its label in its tokens.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The tokens that have it.
    pub fn homes(&self) -> &[String] {
        &self.homes
    }

    /// The same, at home elsewhere.
    pub fn at(self, homes: &[String]) -> SealingKey {
        SealingKey { homes: homes.to_vec(), ..self }
    }

    pub(crate) fn touchstone(&self) -> &[u8] {
        &self.touchstone
    }
}

/// What a touchstone has inside, and to what it is bound.
pub(crate) const TOUCHSTONE: &[u8] = b"chancery touchstone 1";

pub(crate) fn touchstone_context(label: &str) -> Vec<u8> {
    [TOUCHSTONE, b"\n", label.as_bytes()].concat()
}
