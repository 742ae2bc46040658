//! Recovery: a register's secrets without its token.
//!
//! A register has a recovery key pair. Its public half ([`RecoveryKey`]) stands in the register, and each data key is wrapped to it
//! ([`wrap`]) beside being sealed by the token. Its private half is in no machine: a ceremony ([`Split`]) made shares of it, one for each
//! of n people, and released the public half only when each of them had typed his share back. Any m of them ([`Gathering`]) give the
//! private half again ([`RecoveryPrivate`]), which opens every data key under a new token.
//!
//! Nothing here reads or writes anything. Nothing here knows who the people are.
//!
//! Trusted for: that m - 1 shares tell nothing, that m good ones open everything, and that a bad one is named before it is used. Whoever
//! can put another [`RecoveryKey`] into the register has what is wrapped from then on; so it is taken only as attested.

mod field;
mod shamir;

mod error;
mod plan;

mod share;
mod text;

mod suite;

mod key;
mod wrapping;

mod ceremony;
mod gathering;

#[cfg(test)]
mod testing;

pub use ceremony::Split;
pub use error::{JoinError, PlanError, ShareError, SplitError, UnreadableKey, WrapError};
pub use gathering::{Gathering, Taken};
pub use key::RecoveryKey;
pub use plan::{GENERATION_MAX, ORIGIN_BYTES_MAX, Plan, SHARES_MAX, THRESHOLD_MIN};
pub use share::SetId;
pub use text::{GROUP_CHARACTERS, SHARE_CHARACTERS, ShareText};
pub use wrapping::{RecoveryPrivate, WRAPPED_BYTES, Wrapped, rewrap, wrap};

#[cfg(test)]
mod drill_tests;
