//! Accounts, orders and authorizations: their states, their transitions, and how they stand in the register.
//!
//! All but `desk` is pure: no clock, no disk, no socket. `desk` alone reads and writes, and names the version that each
//! change replaces. Trusted for: no order is ready whose identifiers were not all proven by its own account.

mod machine;

mod fresh;
mod identifier;

mod account;
mod authz;
mod order;
mod replacement;

mod desk;

pub(crate) use account::{Account, KeyHolder};
pub(crate) use authz::{Authz, Challenge};
pub(crate) use desk::{Change, Desk, DeskError, Kept, Stored, store_problem};
pub(crate) use fresh::fresh_id;
pub(crate) use identifier::{ChallengeKind, Identifier};
pub(crate) use machine::{AccountEvent, AccountStatus, AuthzStatus, ChallengeStatus, OrderStatus};
pub(crate) use order::{Finalized, Order, Replaces};
pub(crate) use replacement::Replacement;

#[cfg(test)]
mod tests;
