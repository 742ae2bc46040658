//! `[acme]` of the configuration: read as text, checked once, then an immutable value.
//!
//! It decides nothing about a request, and it is the operator's word: whoever writes it says which names, networks and
//! resolvers this server believes.

mod network;
mod settings;

pub use network::{Network, NotANetwork};
pub use settings::{AcmeConfig, ConfigError, Settings};
