//! An RFC 8555 (ACME) server: a state machine with thin HTTP routes, for unmodified certbot, lego, caddy and acme.sh.
//!
//! Clients prove names by http-01 and dns-01 and get certificates from the authority below. Accounts, orders and authorizations
//! are records of the register, so each transition has a leaf in the log; nonces live in memory. URLs come from the configured
//! `external_url`, never from a request.
//!
//! Trusted for: which names an ACME account has proven. Whoever controls this room, or the DNS resolvers it asks, can obtain
//! certificates of the ACME profile and owner for any name, in full view of the log; never of another profile, and no key.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

// From the bottom floor to the top; a room names only those above it in this list.
mod limits;

// What an operator sets, what comes over the wire.
mod config;
mod wire;

// What is kept, and how names are proven.
mod objects;
mod proof;

// What a request passes, what it does, how it is answered.
mod gate;

mod acts;

mod serve;

pub use config::{AcmeConfig, ConfigError, Network, NotANetwork, Settings};
pub use gate::{AcmeState, StartError};
pub use limits::{Limits, LimitsInForce, SIGNATURE_TIMEOUT_MAX};
pub use proof::ValidatorError;
pub use serve::router;

#[cfg(test)]
extern crate self as chancery_acme;

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod test_common;
