//! A key, what it asks for, and the certificate it got: values read from bytes alone.
//!
//! Nothing here touches a disk or a network. Holds private keys: they are wiped when dropped and never printed.

mod keys;
mod material;

pub(crate) use keys::{HostKey, KeyKind, Request};
pub(crate) use material::{Bundle, Leaf, hex, key_matches, sha256};
