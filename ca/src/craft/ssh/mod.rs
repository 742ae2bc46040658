//! SSH certificates for users and hosts.

mod body;
mod request;

mod lint;
pub(crate) mod lints;

mod draft;

mod sign;

pub(crate) use body::register_serial_tail;
#[cfg(test)]
pub(crate) use draft::{SshFacts, Under, draft};
#[cfg(test)]
pub(crate) use lint::Ssh;
pub use request::{SshIssued, SshRequest};
pub(crate) use sign::SshSigner;
