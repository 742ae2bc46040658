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

mod malformed;
mod words;

mod renewal;
mod secret;
mod serial;
mod share;
mod time;
mod validity;
mod world;

mod dns;
mod name;
mod owner;
mod principal;

mod action;
mod actor;
mod resource;

mod grant;
mod policies;
mod rules;

mod engine;
mod explain;
mod memo;
mod question;
mod shipped;

pub use action::Action;
pub use actor::{Actor, Proof, Role, Strength};
pub use dns::DnsName;
pub use grant::{Grant, Refusal};
pub use malformed::Malformed;
pub use name::Name;
pub use owner::Owner;
pub use policies::{Policies, PolicyError};
pub use principal::Principal;
pub use resource::{MAX_NAMES, MAX_PRINCIPALS, Resource, ResourceKind};
pub use rules::{NameRules, OwnerRules};
pub use secret::Secret;
pub use serial::{Instance, Serial};
pub use share::{Share, Shares, network};
pub use time::Timestamp;
pub use validity::Validity;
pub use world::World;
