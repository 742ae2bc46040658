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

// What is read.
mod identifier;
mod jwk;
mod jws;
mod nonce;
mod object;
mod problem;

// What is decided.
mod limits;
mod machine;
mod objects;
mod quotas;

// What is proven.
mod any_tls;
mod caa;
mod checks;
mod dns01;
mod http01;
mod reach;
mod resolve;
mod validator;

// What is done.
mod accounts;
mod config;
mod desk;
mod issue;
mod orders;
mod proofs;
mod revoke;
mod server;

// What is answered.
mod request;
mod routes;
mod urls;
mod views;

pub use config::{AcmeConfig, ConfigError, Settings};
pub use limits::{Limits, SIGNATURE_TIMEOUT_MAX};
pub use reach::{Network, NotANetwork};
pub use routes::router;
pub use server::{AcmeState, StartError};
pub use validator::ValidatorError;

#[cfg(test)]
extern crate self as chancery_acme;

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod test_common;
