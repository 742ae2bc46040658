//! Certificates of end entities: for those who bring a CSR, for our own keys, and their successors.

mod details;
mod registered;
mod request;

mod lint;
pub(crate) mod lints;

mod draft;

mod certify;

mod foresee;

mod renew;

pub(crate) use certify::Certifier;
pub use details::{LOGIN_PROFILE, left_out, login_scopes};
pub(crate) use draft::{LeafRequest, Subject};
#[cfg(test)]
pub(crate) use draft::{Under, draft};
#[cfg(test)]
pub(crate) use lint::Leaf;
pub use request::{CertifyRequest, Lifetime, Prospect};
