//! Drivers: what a rotation asks, done where the credential is used.
//!
//! A [`Driver`] sets, tests and takes away one user's credential at one target; a [`Dynamic`] makes users that live for a while. Each
//! says what came of it in one of three ways that a rotation tells apart ([`Fault`]): refused, away, or not known. None tries again: how
//! often and when is the machine's to say (`secrets::rotation`).
//!
//! What a target says is told to others without what it was sent. What is set is sent as a digest wherever the target takes one, so that it stands in no log of the target's. A connection is TLS, or
//! leads to this host, or is plain by an explicit word.
//!
//! Trusted for: that what was refused is called refused, and what may have happened is never called away. Whoever controls it can set a
//! credential of his own at every target that it has an administrator for.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod allowed;
mod carry;
mod deadline;
mod driver;
mod host;
mod ldap;
mod mariadb;
mod outside;
mod places;
mod postgres;
mod redis;
mod sent;
mod ssh;
mod stream;

pub use allowed::{Allowed, NoTarget};
pub use carry::carry_out;
pub use deadline::{ACT_MAX, DIAL_MAX};
pub use driver::{Driver, Dynamic, Fault, Lease, Login};
pub use host::{Host, HostError};
pub use ldap::{Begins, Ldap};
pub use mariadb::MariaDb;
pub use outside::{ANSWER_BYTES_MAX, Exec, Hook, HookError, HookWish, Http, Outside, Program, Served, TIME_MAX};
pub use places::{Places, SHORTEST_OVERLAP_SECS};
pub use postgres::Postgres;
pub use redis::{Redis, Saved};
pub use ssh::{HOSTS_MAX, NoHosts, SshHost, SshLogin, Trusted, ssh_hosts};
