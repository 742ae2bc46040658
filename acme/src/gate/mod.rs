//! What every request passes before anything is done: whose it is, that it is fresh and meant for this URL, and that its
//! sender is within bounds; and the state that all handlers share.
//!
//! Trusted for: a [`ByAccount`] is a message that this account signed, once. No act takes a request that did not pass here.

mod known;
mod quotas;
mod urls;

mod server;

mod request;

pub use server::{AcmeState, StartError};

pub(crate) use known::Known;
pub(crate) use request::{ByAccount, ByEither, ByKey, require_valid};
pub(crate) use server::{actor_id, server_actor};
pub(crate) use urls::Urls;
