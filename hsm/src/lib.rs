//! The room of the PKCS#11 token: find, generate, sign, seal, random.
//!
//! One signing operation enters as an [`Intent`] and leaves as a [`Signature`], as a [`NotSigned`] testimony, or as
//! an unknown outcome; never twice. [`open`] gives both halves of that line once: the [`Pool`] that signs and the
//! [`Mint`] without which no intent exists. Nothing here knows of certificates, HTTP or SQL.
//!
//! Trusted for: private keys that never leave the token, and at most one signature per intent. Whoever controls this
//! room can sign with every key of the token, but not unseen: every signature asked for stands in the ledger first.
#![deny(unsafe_code)] // relaxed in one small file with its reasons: `module::raw`
#![warn(missing_docs)]

mod pool;

mod heal;
mod notes;

mod keys;
mod session;

mod module;

mod config;
mod custody;

mod error;
mod lock;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use config::{PinSource, TokenConfig, TokenSelector};
pub use custody::{
    Algorithm, BATCH_MAX, BadSignature, Batch, Family, Farewell, Intent, Key, KeyKind, Message, Mint, NotSigned,
    Scheme, SealingKey, SignError, Signature, UnknownName, ecdsa_parts, merkle_root, verify, verify_as, verify_digest,
};
pub use error::HsmError;
pub use heal::Health;
pub use module::init_token;
pub use pool::{
    AtHome, FIRST_TOKEN, Measured, Pool, SealingHomes, SigningTimes, TOKENS_MAX, Token, TokenDescription, check_name,
    open, open_all,
};
