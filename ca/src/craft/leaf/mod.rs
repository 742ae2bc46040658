//! Certificates of end entities: for those who bring a CSR, for our own keys, and their successors.

mod details;
mod registered;
mod request;

pub(crate) mod profiled_lints;

mod profiled;

mod lint;
pub(crate) mod lints;

mod draft;

mod once;

mod certify;

mod foresee;

mod told;

mod trial;

mod replay;

mod renew;

pub(crate) use certify::{Certifier, is_approved};
pub use details::{LOGIN_PROFILE, left_out, login_scopes};
pub(crate) use draft::{LeafRequest, Subject, Title, fits};
#[cfg(test)]
pub(crate) use draft::{Under, draft};
#[cfg(test)]
pub(crate) use lint::Leaf;
pub use replay::{Differs, Replay, Replayed};
pub use request::{CertifyRequest, Lifetime, Prospect};
pub use told::Told;
pub use trial::{Against, Trial, Would};
