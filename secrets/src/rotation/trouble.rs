//! What went wrong, and what a person must do.

use serde::{Deserialize, Serialize};

/// What went wrong. It stays in the record until a rotation succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What.
    pub why: Why,
    /// When it was noticed.
    pub at: u64,
    /// What the target said, as far as it said anything; never more than [`SAID_CHARS_MAX`] characters.
    pub said: String,
}

impl Trouble {
    /// Of what a target said, cut to its bound and without characters that write over others.
    pub fn new(why: Why, at: u64, said: &str) -> Trouble {
        let said = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_CHARS_MAX).collect();
        Trouble { why, at, said }
    }
}

/// What went wrong, and what a person must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Nothing was changed.
    #[error("the target does not answer; nothing was changed, and it is tried again by itself")]
    Away,
    /// The credential in use logs in, the new one is discarded.
    #[error(
        "the target refuses to set the new credential; the one in use logs in. Where the rotation's administrator is not let in, write \
         his present name and password into his secret; where he has no right to set it, give him that; where the target says what else it \
         lacks, see to that; then resume"
    )]
    SetRefused,
    /// The credential in use logs in, the new one is discarded.
    #[error(
        "the new credential was set and does not log in; the old one was put back and does. See whether the target has another store of \
         passwords, or rules that the new one breaks, then resume"
    )]
    NoLogin,
    /// The way back that somebody asked for led nowhere.
    #[error(
        "the credential before was not taken back: the target did not answer, refused it, or does not let it in. Nothing was changed, and \
         the one in use stays. See what the target says of it, then ask again"
    )]
    NotBack,
    /// The target went away in the middle.
    #[error(
        "the target does not answer any more, and which credential it has is not known. When it answers, resume: that is found out by a \
         login"
    )]
    Unknown,
    /// The way back is refused.
    #[error(
        "the new credential failed, and the target refuses the way back. Set the password of the current version at the target by hand \
         (or take away what the pending version added), then resume"
    )]
    NotReturned,
    /// Nothing logs in.
    #[error(
        "the credential in use does not log in, and neither does what was tried beside it. Set the password of the current version at \
         the target by hand, then resume"
    )]
    NothingLogsIn,
    /// The old credential is still there.
    #[error(
        "the new credential is in use and logs in; the old one could not be taken away and may still log in. Take it away at the target \
         by hand, then resume"
    )]
    NotRetired,
    /// The promoted credential stopped logging in; the one before it does, and is in use again.
    #[error(
        "the credential that was promoted stopped logging in; the one before it does and is in use again. Find out who changed it"
    )]
    Returned,
}

/// How much of a target's words is kept.
pub const SAID_CHARS_MAX: usize = 200;
