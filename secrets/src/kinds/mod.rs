//! Kinds of secrets: which fields each has, what may stand in them, and what is generated of it.

mod percent;
mod random;

mod fields;
mod totp;

pub use fields::{Fields, FieldsError, Patch};
pub use random::{NoRandom, Random};
pub use totp::{Seed, Totp, TotpError, TotpHash};
