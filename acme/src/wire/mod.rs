//! What comes over the wire and goes back: JSON that is read strictly, keys, signed messages, nonces, and the problem
//! documents that refuse.
//!
//! Nothing here knows of accounts or orders, and nothing is written anywhere. Trusted for: a message that verifies was signed
//! by the key it is verified with, and a nonce is accepted once. Whoever controls it can speak for any account.

mod named;
mod object;
mod problem;

mod certid;

mod jwk;
mod jws;
mod nonce;

pub(crate) use certid::CertId;
pub(crate) use jwk::Jwk;
pub(crate) use jws::{Jws, Signer, Verified, base64url};
pub(crate) use named::Wire;
pub(crate) use nonce::Nonces;
pub(crate) use object::Object;
pub(crate) use problem::{ErrorKind, Problem};
