//! How a name is proven: DNS and HTTP as a validation sees them, http-01, dns-01, and CAA.
//!
//! It asks others and says what they answered; it writes nothing, and knows of no order. Trusted for: saying that a name is
//! controlled. Whoever controls it, the resolvers it asks or the path to the host can make it say so.

mod reach;
mod resolve;

mod any_tls;
mod dns01;
mod http01;

pub(crate) mod caa;

mod checks;
mod validator;

pub use validator::ValidatorError;

pub(crate) use checks::{Checks, Place};
pub(crate) use validator::Validator;
