//! The nouns of Chancery, and who may do what with them.
//!
//! Pure: no I/O, no clock and no randomness but what a [`World`] hands in. Each noun is parsed once, at the edge, into a
//! type that cannot be wrong; inside, nobody re-checks. [`Policies::decide`] is the only maker of a [`Grant`], and nothing
//! is drafted, signed or read without one (invariant 7: default is deny, enums are closed).
//!
//! Trusted for: the decision. Whoever controls this crate or the policy folder can grant anything to a known actor, but
//! cannot hide it: the hash of the policies that decided is in every leaf of the log.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod text;
mod time;

mod names;
mod secret;
mod serial;
mod share;

mod asking;
mod deciding;

pub use asking::{
    Action, Actor, Holder, Kin, MAX_NAMES, MAX_PRINCIPALS, Method, Proof, Resource, ResourceKind, Role, SecondFactor,
    Strength,
};
pub use deciding::{Alike, Claim, Demand, Grant, NameRules, OwnerRules, Policies, PolicyError, Refusal};
pub use names::{DnsName, Name, Owner, Principal};
pub use secret::{Secret, is_exposed};
pub use serial::{Instance, Serial, SerialText};
pub use share::{Share, Shares, network};
pub use text::{Malformed, hidden, shown, turns};
pub use time::{Timestamp, Validity, World, span_secs};
