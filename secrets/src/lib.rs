//! Secrets: what they are called, and the envelope in which each of their versions lies.
//!
//! A secret stands at a [`SecretPath`] and has versions, each a set of named fields. Which version is meant says a [`Label`] that moves,
//! or its number that does not; a [`Reference`] (`chy://path#field@label`) names one field of one version and may be committed, since it
//! is none of the value. A version's bytes lie in an [`Envelope`] under a key of their own ([`Dek`]), which lies under the sealing key of
//! the token. A [`rotation`] is how a credential is exchanged at the place where it is used.
//!
//! Nothing here reads or writes a register: what is opened is opened by whoever has recorded it.
//!
//! Trusted for: that what was opened is what was sealed for that name, version and owner in that register, and that no key seals twice.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod envelope;
mod nouns;
pub mod rotation;

pub use envelope::{Context, Dek, ENVELOPE_OVERHEAD, Envelope, Forged, VALUE_BYTES_MAX, open, seal};
pub use nouns::{FieldName, Label, NameError, Reference, SecretPath, Which};
