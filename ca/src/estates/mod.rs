//! What another program's CA left behind: its certificates, its revocations, the numbers of its CRLs; read from the forms in which openssl,
//! Vault and OpenBao, EJBCA and step-ca give them.
//!
//! Each form is a small pure reader that gathers what stands there; one place judges it, the same for all. Nothing here writes.
//!
//! Trusted for: that what is taken in is what the CA's key signed, byte for byte, and that what cannot be taken is said by name.
//! Whoever controls the source can leave things out, or say that something is revoked that was not; no certificate that the key did not
//! sign comes in.

mod reading;

mod crl;
mod leaf;
mod moments;

mod gathered;

mod words;

mod estate;

pub mod ejbca;
pub mod openssl;
pub mod step;
pub mod vault;

pub use estate::{Estate, Taken};
pub use gathered::{Ended, Gathered, Left, Told};
pub use reading::{Unreadable, der};

pub(crate) use crl::NUMBER_MAX as CRL_NUMBER_MAX;
pub(crate) use leaf::{Facts, serial_of};

/// Certificates of one CA that are taken in: a bound on what one command reads into memory.
pub const CERTIFICATES_MAX: usize = 500_000;
