//! Kinds of secrets: which fields each has, what may stand in them, and what is generated of it.

mod percent;
mod random;

mod fields;
mod jwk;
mod ssh;
mod totp;

pub use fields::{Fields, FieldsError, Patch};
pub use jwk::{Jwk, JwtAlgorithm, KeyError, jwks};
pub use random::{NoRandom, Random};
pub use ssh::{SshAlgorithm, SshError, ssh_public_line};
pub use totp::{Seed, SeedBytes, Totp, TotpError, TotpHash};
