//! Who makes users at targets, and ends them.

use std::future::Future;

use crate::rotation::Outcome;
use crate::turning::{At, Login};

/// A user that lives for a while.
#[derive(Clone, Copy, Debug)]
pub struct Hirer<'a> {
    /// His name, which nobody had before, and his password; empty where he is renewed or revoked.
    pub login: &'a Login,
    /// Whose rights he gets: a role of the target's, or a user.
    pub like: &'a str,
    /// Until when, in seconds since 1970.
    pub until: u64,
}

/// Who makes users at targets, and ends them. Each call ends within two minutes.
pub trait Tenancy {
    /// Whether that can be done there at all; otherwise why not.
    ///
    /// # Errors
    /// In a sentence.
    fn has(&self, at: &At) -> Result<(), String>;

    /// Makes a user.
    fn create(&self, at: &At, admin: &Login, hirer: Hirer<'_>) -> impl Future<Output = Outcome> + Send;

    /// Lets him live longer.
    fn renew(&self, at: &At, admin: &Login, hirer: Hirer<'_>) -> impl Future<Output = Outcome> + Send;

    /// Ends him and his sessions. One who is not there is ended.
    fn revoke(&self, at: &At, admin: &Login, hirer: Hirer<'_>) -> impl Future<Output = Outcome> + Send;
}
