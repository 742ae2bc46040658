//! The room of the PKCS#11 token: find, generate, sign, seal, random.
//!
//! One signing operation enters as an [`Intent`] and leaves as a [`Signature`], as a [`NotSigned`] testimony, or as
//! an unknown outcome; never twice. [`open`] gives both halves of that line once: the [`Pool`] that signs and the
//! [`Mint`] without which no intent exists. Nothing here knows of certificates, HTTP or SQL.
//!
//! Trusted for: private keys that never leave the token, and at most one signature per intent. Whoever controls this
//! room can sign with every key of the token, but not unseen: every signature asked for stands in the ledger first.
#![deny(unsafe_code)] // relaxed in one small file with its reasons: `raw`
#![warn(missing_docs)]

mod config;
mod error;
mod intent;
mod key;
mod pool;

mod healing;
mod health;
mod shared;
mod signing;
mod worker;

mod attributes;
mod desk;
mod ending;
mod errand;
mod fault;
mod making;
mod mechanisms;
mod module;
mod objects;
mod raw;
mod seal;
mod slots;
mod token;
mod turn;

mod forms;
mod pin;
mod uri;
mod verify;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use config::{PinSource, TokenConfig, TokenSelector};
pub use error::HsmError;
pub use forms::ecdsa_parts;
pub use health::Health;
pub use intent::{Intent, Message, Mint, NotSigned, SignError, Signature};
pub use key::{Algorithm, Key, KeyKind, UnknownName};
pub use pool::{Pool, open};
pub use token::{TokenDescription, init_token};
pub use verify::{BadSignature, verify};
