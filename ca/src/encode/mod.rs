//! How things are written: names, DER, PEM, X.509 and SSH. From values to bytes, and of bytes only their shape.
//!
//! Nothing here decides who gets what, and nothing here is trusted: the lint reads back, with other parsers, whatever this
//! room has written.

pub(crate) mod digest;
pub(crate) mod pem;
pub(crate) mod tlv;

// X.509.
pub(crate) mod certificate;
pub(crate) mod crl;
pub(crate) mod dn;
pub(crate) mod ocsp;
pub(crate) mod san;
pub(crate) mod spki;
pub(crate) mod x509;

// SSH.
pub(crate) mod ssh;
pub(crate) mod wire;

pub(crate) use digest::sha256;
pub use dn::{Dn, DnError};
pub(crate) use wire::{Wire, split_string};
