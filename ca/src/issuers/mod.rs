//! Which CAs there are: their keys in the token, their certificates in the register, what they put into what they issue.
//!
//! They are found here and never made (see `founding`), and nothing here signs. Trusted for: matching a key with its own
//! certificate. Whoever controls it can at most name the wrong CA, which the lint then finds.

pub(crate) mod labels;
mod urls;

mod issuing;
mod ssh_ca;

mod hierarchy;

pub(crate) use hierarchy::{Hierarchy, newest_certificate};
pub use issuing::Issuer;
pub(crate) use issuing::Issuing;
pub(crate) use ssh_ca::SshCa;
pub use urls::Urls;
