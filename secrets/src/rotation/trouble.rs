//! What went wrong. In words, with what a person must do, it stands in `turning/words.rs`: those depend on what is at the target.

use serde::{Deserialize, Serialize};

/// What went wrong. It stays in the record until a rotation succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What.
    pub why: Why,
    /// When it was noticed.
    pub at: u64,
    /// What the target said, as far as it said anything; never more than [`LAST_CHARS_MAX`] characters.
    pub said: String,
}

impl Trouble {
    /// Of what a target said, cut to its bound and without characters that write over others.
    pub fn new(why: Why, at: u64, said: &str) -> Trouble {
        Trouble { why, at, said: brief(said) }
    }
}

/// What was said, as it is kept.
pub(super) fn brief(said: &str) -> String {
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LAST_CHARS_MAX).collect()
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Nothing was changed.
    Away,
    /// The credential in use logs in, the new one is discarded.
    SetRefused,
    /// The credential in use logs in, the new one is discarded.
    NoLogin,
    /// The way back that somebody asked for led nowhere.
    NotBack,
    /// The target went away in the middle.
    Unknown,
    /// The way back is refused.
    NotReturned,
    /// Nothing logs in.
    NothingLogsIn,
    /// The old credential is still there.
    NotRetired,
    /// The promoted credential stopped logging in; the one before it does, and is in use again.
    Returned,
}

/// How much of a target's words is kept.
pub const SAID_CHARS_MAX: usize = 200;
/// How much is kept of what a try said: of hosts, each says something of its own.
pub const LAST_CHARS_MAX: usize = 2_000;
