//! Secrets: what they are called, and the envelope in which each of their versions lies.
//!
//! A secret stands at a [`SecretPath`] and has versions, each a set of named fields. Which version is meant says a [`Label`] that moves,
//! or its number that does not; a [`Reference`] (`chy://path#field@label`) names one field of one version and may be committed, since it
//! is none of the value. A version's bytes lie in an [`Envelope`] under a key of their own ([`Dek`]), which lies under the sealing key of
//! the token.
//!
//! The [`Vault`] keeps them in the register: it writes down each access, durably, before it opens anything.
//!
//! Beside that, each key is wrapped to the register's recovery key, whose private half a few people hold in shares ([`recovery`]): so a
//! lost token loses no secret.
//!
//! Trusted for: that what was opened is what was sealed for that name, version and owner in that register, and that no key seals twice.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod envelope;
mod error;
mod kinds;
mod nouns;
pub mod recovery;
mod vault;

pub use envelope::{Context, Dek, ENVELOPE_OVERHEAD, Forged, VALUE_BYTES_MAX};
pub use error::SecretError;
pub use kinds::*;
pub use nouns::{FieldName, Label, NameError, Reference, SecretPath, Which};
pub use vault::{
    Change, Naming, Opened, Put, RETENTION_DAYS_MAX, RETENTION_DAYS_MIN, Search, Secret, Standing, Vault, Version,
    Wanted,
};
