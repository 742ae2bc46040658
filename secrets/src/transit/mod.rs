//! Transit: cryptography for others, with keys that they never hold.
//!
//! A [`Keyset`] is the versions of one key: bytes that stand nowhere but sealed, and here while they are used. [`Key`] is a keyset with
//! the [`Terms`] on which it is used now. What comes of it is a text that begins with the version that made it (`chy:v3:...`), so that
//! years later it is still known what opens it. Nothing here reads or writes a register, and nothing is written down here: whoever uses a
//! key has done so before.
//!
//! * [`Keyset`]: made, rotated, trimmed; one form of bytes to be sealed.
//! * [`Key::encrypt`], [`Key::decrypt`], [`Key::rewrap`], [`Key::data_key`]: what is sealed for one key, version, context and associated data
//!   opens under these alone.
//! * [`Key::sign`], [`Key::verify`]: signatures and HMACs. The keys that verify signatures are public ([`Keyset::public_key`]).
//! * [`random`]: bytes of the system's.
//!
//! Why the ciphertexts are built this way: docs/decisions/018-transit.md.

mod fault;
mod kind;
mod name;

mod keyset;
mod text;

mod act;
mod deriving;

mod convergent;
mod plain;

mod crypting;
mod signing;

pub use act::Act;
pub use crypting::{DataKey, Each, Encrypt, Sealed, random};
pub use fault::TransitError;
pub use keyset::{Key, Keyset, Terms};
pub use kind::{KeyKind, Mode};
pub use name::KeyName;
pub use signing::{Sign, Verify};
pub use text::{Texts, version_of};

/// So many items are one batch, at most: one entry of the log stands for all of them.
pub const BATCH_MAX: usize = 1_000;
/// One item holds so many bytes, at most: it is in memory several times, as text too.
pub const ITEM_BYTES_MAX: usize = 1 << 20;
/// A context and associated data have so many bytes, at most: they say what something is, and are not that.
pub const CONTEXT_BYTES_MAX: usize = 4_096;
/// So many versions of one key are kept, at most: each opening of the key reads them all.
pub const VERSIONS_MAX: usize = 256;
/// So many random bytes are drawn at once, at most.
pub const RANDOM_BYTES_MAX: usize = 1 << 16;
