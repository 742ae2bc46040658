//! SSH certificates for users and hosts.

mod body;
mod request;

mod lint;
pub(crate) mod lints;

mod draft;

mod sign;

#[cfg(test)]
pub(crate) use draft::{SshFacts, Under, draft};
#[cfg(test)]
pub(crate) use lint::Ssh;
pub use request::{SshIssued, SshRequest};
pub(crate) use sign::SshSigner;
