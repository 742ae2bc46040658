//! The line of custody in nouns: a key's public half, what may be signed once and what came of it, and how a signature is
//! judged.
//!
//! No token is touched here. Trusted for: that only a [`Mint`] makes an [`Intent`], and that only what verifies is a
//! signature.

mod kind;

pub(crate) mod forms;
mod key;

mod batch;
mod intent;

mod farewell;
mod sealing;
mod verify;

pub use batch::{BATCH_MAX, Batch, Message, merkle_root};
pub use farewell::Farewell;
pub(crate) use farewell::Gone;
pub use forms::ecdsa_parts;
pub use intent::{Intent, Mint, NotSigned, SignError, Signature};
pub use key::Key;
pub use kind::{Algorithm, Family, KeyKind, UnknownName};
pub use sealing::SealingKey;
pub(crate) use sealing::{TOUCHSTONE, touchstone_context};
pub use verify::{BadSignature, Scheme, verify, verify_as, verify_digest};
pub(crate) use verify::{digest_info, verify_bare};
