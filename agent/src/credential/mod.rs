//! A key, what it asks for, and the certificate it got; lines of public keys: values read from bytes alone.
//!
//! Nothing here touches a disk or a network. Holds private keys: they are wiped when dropped and never printed.

mod keys;
mod lines;
mod material;

pub(crate) use keys::{HostKey, KeyKind, Request};
pub(crate) use lines::{KeyLine, is_key, keys_in, with_keys};
pub(crate) use material::{Bundle, Leaf, hex, key_matches, sha256};
