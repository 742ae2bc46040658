//! The second factor: what an actor proved beside its credential, and how long ago.
//!
//! A token in a file is one factor, and whoever copies the file has it. The second is a code that only a person's device makes. The edge
//! proves it and says here how it was proved and when; this crate trusts it, as it trusts the rest of an actor.

use crate::text::words;

words! {
    /// By what a second factor was proved.
    pub enum Method ("second factor") {
        /// A one-time password by time (RFC 6238), each code once.
        Totp = "totp",
        /// One of the codes on paper, each once, for when the device is away.
        RecoveryCode = "recovery-code",
    }
}

/// A second factor that an actor proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecondFactor {
    /// By what.
    pub method: Method,
    /// How many seconds before this request.
    pub age_secs: u64,
}
