//! A request as its record has it, and what follows from it.

use policy::{Name, Owner, Timestamp};
use serde::{Deserialize, Serialize};

/// A request that waits, or waited, for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// Under which profile.
    pub profile: String,
    /// Which version of it, hex: what was approved is this one.
    pub profile_hash: String,
    /// Whose certificate it would be.
    pub owner: Owner,
    /// For which names.
    pub names: Vec<Name>,
    /// The request with the key, PEM.
    pub csr: String,
    /// How long it is to live; absent: as the profile says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_secs: Option<u64>,
    /// The serial of the one whose place it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Who asked.
    pub by: String,
    /// Who that is, whichever certificate he shows ([`policy::Holder`], hex).
    pub holder: String,
    /// Whose hands asked: others approve ([`policy::Holder::hands`]).
    pub hands: String,
    /// Until then it is approved and collected.
    pub expires: Timestamp,
    /// How many others are to approve.
    pub needs: u8,
    /// Who did.
    #[serde(default)]
    pub approved: Vec<Said>,
    /// Who refused it, for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Said>,
    /// It was collected: once.
    #[serde(default)]
    pub collected: bool,
    /// The serial, hex, of what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

/// One word of one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Who, as the log names them.
    pub by: String,
    /// Whose hands these are: their word counts once ([`policy::Holder::hands`]).
    pub hands: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitingState {
    /// It waits for others.
    Waiting,
    /// Enough have approved; who asked collects it.
    Approved,
    /// Somebody refused it.
    Refused,
    /// Nobody came in time.
    Expired,
    /// It was signed, or its one chance went with an outage: the serial says which.
    Collected,
}

impl WaitingState {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            WaitingState::Waiting => "waiting",
            WaitingState::Approved => "approved",
            WaitingState::Refused => "refused",
            WaitingState::Expired => "expired",
            WaitingState::Collected => "collected",
        }
    }
}

impl Waiting {
    /// How it is at a moment.
    pub fn state(&self, now: Timestamp) -> WaitingState {
        match () {
            () if self.collected => WaitingState::Collected,
            () if self.refused.is_some() => WaitingState::Refused,
            () if now > self.expires => WaitingState::Expired,
            () if self.approved.len() >= usize::from(self.needs) => WaitingState::Approved,
            () => WaitingState::Waiting,
        }
    }
}
