//! Code signing: keys that live in the token, signatures over a file's digest.
//!
//! The file never comes here, only its SHA-256. A bare signature is over that digest; a CMS one is over attributes that
//! name it.

mod cms;
mod request;

mod lint;
pub(crate) mod lints;

mod draft;

mod keys;

mod sign;

pub(crate) use draft::TEXTS;
pub(crate) use keys::CodeSigner;
pub use request::{CodeFormat, CodeKeyRequest, CodeRequest, CodeSignature};
