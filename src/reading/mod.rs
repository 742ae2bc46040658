//! What an object is, as people read it: certificates, requests, CRLs, keys, containers, OCSP responses, SSH.
//!
//! A pure function of bytes and the time: no file, no network, no trust. Everything read here is a stranger's: each loop is
//! bounded by the bytes, what cannot be read is said, and no private key leaves this room but as its kind and size.

// Bytes.
mod split;
mod tlv;

// Words.
mod described;
mod life;
mod names;
mod oids;

mod spki;

mod extensions;

// Kinds.
mod certificate;
mod container;
mod crl;
mod key;
mod keystore;
mod ocsp;
mod request;
mod ssh;

mod all;
#[cfg(test)]
mod tests;

pub use all::read;
pub use certificate::SIGNED_ITSELF;
pub use described::{Described, Extension, Fact};
pub use ocsp::{begins_as_response as begins_as_ocsp_response, described as ocsp_response};
