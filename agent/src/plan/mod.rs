//! The plan: which certificates and secrets this host keeps, where they come from, where they go, and when they are due.
//!
//! TOML -> raw structs that refuse unknown keys -> check -> immutable values. A plan that cannot be used is
//! refused as a whole, with file, key, reason and the line to write instead; nothing is ever half-applied.
//! Relative paths are relative to the plan file.

mod schedule;

mod origin;

mod command;

mod secret;

mod authorized;

mod certificate;

mod wish;

mod place;
mod raw;
mod users;

mod parts;

mod sources;

mod secrets;

mod values;

mod options;

mod hosts;

mod keys;

mod check;

mod load;

pub use certificate::Plan;

pub(crate) use authorized::AuthorizedKeys;
pub(crate) use certificate::{Certificate, Check, Files, IDENTITY};
pub(crate) use command::Reload;
pub(crate) use keys::is_fit;
pub(crate) use origin::{Acme, Chancery, ClientFiles, ExternalAccount, Http01, Server, Source};
pub(crate) use schedule::retry_at;
pub(crate) use secret::Place as FilePlace;
pub(crate) use secret::{AtEnd, NEW_FILE, OnChange, SecretFile, Signal};
pub(crate) use wish::Wish;

#[cfg(test)]
pub(crate) use schedule::Cadence;

#[cfg(test)]
mod tests;
