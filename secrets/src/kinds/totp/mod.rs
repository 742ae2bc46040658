//! One-time passwords by time (RFC 6238) and by counter (RFC 4226): codes are given, and the seed stays.

mod words;

mod seed;

mod code;
mod stored;
mod uri;

pub use code::Totp;
pub use seed::{Seed, SeedBytes};
pub use words::{TotpError, TotpHash};

#[cfg(test)]
mod tests;
