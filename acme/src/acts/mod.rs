//! What clients ask for, one file each: the rules of RFC 8555 section 7 that need the register, the network or the authority.
//!
//! An act takes a message that passed `gate` and gives an object or a problem; paths, statuses and header fields are
//! `serve`'s. `issue` is a page, read straight down: the one way from a ready order to a certificate.

pub(crate) mod accounts;

mod recover;

mod told;

mod proven;

pub(crate) mod renewal;

pub(crate) mod orders;

pub(crate) mod authorizations;
pub(crate) mod issue;
pub(crate) mod revoke;
