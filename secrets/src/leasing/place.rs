//! Who makes users at targets, and ends them.

use std::future::Future;

use super::records::Lease;
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
    /// Whose he is, as the register has it.
    pub lease: &'a Lease,
}

/// What a role says of its users, before it is set up.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Where they are made.
    pub at: &'a At,
    /// Whose rights they get.
    pub like: &'a str,
    /// How long a lease is where nobody says, and how long at most, in seconds.
    pub secs: (u64, u64),
}

/// What somebody shows beside that with which he logs in: of SSH his certificate. It is public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// By what it is taken back.
    pub id: String,
    /// The document.
    pub text: String,
}

/// What came of making somebody, or of letting him live longer.
#[derive(Debug)]
pub struct Hired {
    /// What the target says.
    pub outcome: Outcome,
    /// What was made out to him; none where a password is all.
    pub document: Option<Document>,
}

impl From<Outcome> for Hired {
    fn from(outcome: Outcome) -> Hired {
        Hired { outcome, document: None }
    }
}

/// Who makes users at targets, and ends them. Each call ends within two minutes.
pub trait Tenancy {
    /// Whether that can be done there at all; otherwise why not.
    ///
    /// # Errors
    /// In a sentence.
    fn has(&self, terms: Terms<'_>) -> Result<(), String>;

    /// Makes a user.
    fn create(&self, at: &At, admin: &Login, hirer: Hirer<'_>) -> impl Future<Output = Hired> + Send;

    /// Lets him live longer.
    fn renew(&self, at: &At, admin: &Login, hirer: Hirer<'_>) -> impl Future<Output = Hired> + Send;

    /// Ends him and his sessions, and takes back what was made out to him. One who is not there is ended.
    fn revoke(&self, at: &At, admin: &Login, hirer: Hirer<'_>) -> impl Future<Output = Outcome> + Send;
}
