//! Where certificates come from: Chancery's REST API or any ACME server; and whether what came is what was asked for. Where secrets come
//! from: Chancery, or, while it is away, what was kept of it.
//!
//! A server is asked with a request and believed in nothing: what it sends counts once `verify` has seen it.
//! Whoever controls a server can at most refuse, delay, or send a chain that is thrown away.

mod http;
mod http01;

mod windows;

mod reach;
mod standing;

mod server;

mod acme;
mod chancery;
mod crl;
mod secrets;

pub(crate) mod host_keys;

mod strongroom;

mod fetch;

mod verify;

pub(crate) use self::secrets::Sight;
pub(crate) use fetch::{fetch, stands};
pub(crate) use http01::Answers;
pub(crate) use reach::Reach;
pub(crate) use standing::Standing;
pub(crate) use strongroom::{Caller, Got, Strongroom, Values};
pub(crate) use verify::verify;
pub(crate) use windows::Windows;
