//! The second factor of whoever has a token: enrolled, proved, replaced, taken away; each a record with its leaf in the log.
//!
//! A token in a file is one factor. The other is a device that makes one-time passwords (RFC 6238), whose seed is sealed by the token
//! of the HSM like every secret here, and for when the device is away a few codes on paper, of which the register has the hashes. Who
//! proved it gets a *login*: a text that is worth something beside its own token alone, and for a bounded time. Reading one
//! is the doorkeeper's matter (`auth`); what is demanded of whom is policy's.
//!
//! Trusted for: that no code counts twice, and that guesses are bounded, whatever restarts and however many nodes. Whoever controls this
//! room can give a stolen token its second factor, in full view of the log.

mod code;

mod judge;

mod desk;
mod taking;

pub(crate) use desk::{Confirmed, Proved, Standing, begin, confirm, new_codes, prove, standing};
pub use taking::rescue;
pub(crate) use taking::{remove, reset};
